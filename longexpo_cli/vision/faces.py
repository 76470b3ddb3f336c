"""Face detection by YuNet (Wu 2023, doi:10.1007/s11633-023-1423-y), run by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.vision import networks
from longexpo_cli.vision.resize import resize

INPUT_SIDE_PX = 768  # long side of the detector's input; above 1024 px false detections appear
MAX_FACES = 64  # the highest scores are kept
NMS_IOU = 0.3  # of two boxes that overlap more, the one with the lower score is dropped (OpenCV's default)


def detect_faces(picture: Array32, min_score: float) -> Array32:
    """Return the boxes of human faces, N 4 float32: left, top, width, height in pixels of the picture.

    picture is upright, H W 3 sRGB values 0..1; min_score is 0..1. Raises WeightsError if YuNet's file is
    missing or has another checksum.
    """
    import cv2

    height, width = picture.shape[:2]
    scale = INPUT_SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    bgr = np.ascontiguousarray(resize(picture, size[::-1])[..., ::-1] * 255 + 0.5).astype(np.uint8)
    model = str(networks.verified_file("yunet"))
    with _opencv_errors_only():
        detector = cv2.FaceDetectorYN.create(model, "", size, min_score, NMS_IOU, MAX_FACES)
        detections = detector.detect(bgr)[1]
    if detections is None:
        return np.zeros((0, 4), np.float32)
    to_picture = np.array([width / size[0], height / size[1]] * 2, np.float32)
    return np.asarray(detections[:, :4] * to_picture, np.float32)


@contextmanager
def _opencv_errors_only() -> Iterator[None]:
    """Suppress OpenCV's warnings on stderr about backends that its own detector selects."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(min(level, cv2.utils.logging.LOG_LEVEL_ERROR))
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
