"""Image files as OpenCV, a decoder the product does not write with, reads them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from longexpo_cli.arrays import Array


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> Array:
    """Return an image file's pixels, H W 3 in the order red, green, blue, or H W."""
    image = cv2.imread(str(path), flags)
    assert image is not None, f"{path} cannot be read"
    return np.asarray(image[..., ::-1] if image.ndim == 3 else image)
