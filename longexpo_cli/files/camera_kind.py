"""What kind of device took a picture, by the names of its maker and model."""

from __future__ import annotations

import re
from typing import Literal

CameraKind = Literal["", "phone", "camera", "drone", "action camera"]

# Makers of only one kind, as they are written in EXIF (Make), lower case; words.
_MAKERS: dict[str, CameraKind] = {
    **dict.fromkeys(("apple", "google", "huawei", "honor", "xiaomi", "redmi", "poco", "oneplus"), "phone"),
    **dict.fromkeys(("oppo", "realme", "vivo", "motorola", "nokia", "hmd", "fairphone", "nothing"), "phone"),
    **dict.fromkeys(("lge", "htc", "zte", "meizu", "asus", "tecno", "infinix", "essential"), "phone"),
    **dict.fromkeys(("canon", "nikon", "fujifilm", "olympus", "om", "pentax", "ricoh", "leica"), "camera"),
    **dict.fromkeys(("hasselblad", "phase", "sigma", "panasonic", "kodak", "minolta", "konica"), "camera"),
    **dict.fromkeys(("casio", "epson", "mamiya", "zeiss"), "camera"),
    **dict.fromkeys(("parrot", "autel", "skydio", "yuneec"), "drone"),
    **dict.fromkeys(("gopro", "insta360", "akaso"), "action camera"),
}
# Models of makers of several kinds: the maker, a pattern of the rest, the kind. The first that fits counts.
_MODELS: tuple[tuple[str, str, CameraKind], ...] = (
    ("samsung", r"(nx|ek|ex|wb|st|pl|es|tl)[ -]?\d|ek-", "camera"),
    ("samsung", r"(sm|gt|sgh|sch|sph|shv|sc)-|galaxy", "phone"),
    ("sony", r"ilc[ae]|dsc|slt|nex|dslr|zv|ilme", "camera"),
    ("sony", r"xq-|so-|sov|xperia|[a-z]\d{4}", "phone"),
    ("dji", r"osmo|action|pocket|ac00", "action camera"),
    ("dji", r"fc\d|l[12]d|mavic|mini|air|phantom|inspire|m3|ze?nmuse", "drone"),
)


def camera_kind(camera: str) -> CameraKind:
    """Return the kind of a camera by its maker and model, as in Shot.camera; "" where they do not tell."""
    words = re.findall(r"[\w-]+", camera.lower())
    maker = words[0] if words else ""
    model = " ".join(word for word in words[1:] if word not in ("electronics", "corporation", maker))
    for name, pattern, kind in _MODELS:
        if maker == name and re.match(pattern, model):
            return kind
    return _MAKERS.get(maker, "")
