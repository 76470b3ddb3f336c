"""Face detection on drawn pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.vision.faces import detect_faces
from tests.drawings import portrait, sky


def values(picture: Array8) -> Array32:
    return np.asarray(picture / 255, np.float32)


def test_the_box_surrounds_the_face() -> None:
    (box,) = detect_faces(values(portrait(160, 100, 44)), 0.65)
    left, top, width, height = box
    assert np.hypot(left + width / 2 - 160, top + height / 2 - 104) < 12
    assert 0.5 < width / (2 * 0.8 * 44) < 1.5
    assert 0.5 < height / (2 * 1.1 * 44) < 1.5


def test_boxes_are_in_pixels_of_the_picture() -> None:
    picture = portrait()
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    whole_box = detect_faces(values(picture), 0.65)
    half_box = detect_faces(values(half), 0.65)
    assert np.abs(2 * half_box - whole_box).max() < 6


def test_without_faces_there_are_no_boxes() -> None:
    boxes = detect_faces(values(sky()), 0.65)
    assert boxes.shape == (0, 4)
    assert boxes.dtype == np.float32


def test_a_score_of_1_rejects_every_face() -> None:
    assert detect_faces(values(portrait()), 1.0).shape == (0, 4)


def test_opencv_stays_quiet_and_its_log_level_is_restored(capfd: pytest.CaptureFixture[str]) -> None:
    before = cv2.utils.logging.getLogLevel()
    detect_faces(values(sky()), 0.65)
    assert cv2.utils.logging.getLogLevel() == before
    assert capfd.readouterr().err == ""
