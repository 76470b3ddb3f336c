"""The stages, in order. Listing this folder is reading the pipeline; this file imports nothing."""

ORDER = {
    "load": "Read the headers of a folder or video and put its frames in time order.",
    "develop": "Turn sensor values into linear light: black, white, balance, demosaic, working space.",
    "subject": "Find what the picture is of: saliency, faces, and their fused weight.",
    "track": "Track sparse features through the burst.",
    "reference": "Choose the frame that everything is aligned to.",
    "align": "Register every frame to the reference, and reject frames that cannot be registered reliably.",
    "select": "Choose the run of frames that makes the trail long enough.",
    "merge": "Merge the mosaics around the reference into one sharp, clean exposure.",
    "predict": "Predict, for a pair of frames, the line along which each pixel's light moved.",
    "blur": "Gather the light along those lines, one pair at a time.",
    "demosaic": "Turn the merged mosaic into linear light at full resolution.",
    "composite": "Lay the sharp exposure over the blur where nothing moved.",
    "finish": "Map the scene's light to a screen: tone, colour, sharpening, gain map.",
    "write": "Write the photograph, its print and its metadata, whole or not at all.",
}
