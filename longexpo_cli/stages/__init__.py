"""The stages in the order of the pipeline, one file per stage. This file imports nothing."""

ORDER = {
    "load": "Read the headers of a folder or video and put its frames in time order.",
    "develop": "Turn sensor values into linear light: black and white level, white balance, working space.",
    "subject": "Find the subject: saliency, faces, and their fused weight.",
    "track": "Track sparse features through the burst.",
    "reference": "Choose the frame that everything is aligned to.",
    "align": "Register every frame to the reference, and reject frames that cannot be registered reliably.",
    "select": "Choose the run of frames whose motion gives the trail length.",
    "merge": "Merge all frames, displaced to the reference, into one sharp exposure with little noise.",
    "predict": "Estimate the motion of every pixel between two neighbouring frames.",
    "blur": "Integrate light along the motion paths, one pair of frames after the other.",
    "demosaic": "Turn the merged frames into linear light at full resolution.",
    "denoise": "Shrink the noise that is left in the sharp exposure, frequency by frequency.",
    "composite": "Blend the sharp exposure over the blur where nothing moved.",
    "finish": "Map scene-linear light to display pixels: tone, colour, sharpening, gain map.",
    "write": "Write the TIFF, the JPEG and their metadata atomically.",
}
