"""Small pictures of frames: the same picture whatever they are read from, and no more than is allowed."""

from __future__ import annotations

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from longexpo_cli.arrays import Array8
from longexpo_cli.files import raw
from longexpo_cli.small_frames import SmallFrames, small_frames
from longexpo_cli.stages import load
from longexpo_cli.types import Burst

SIZE_PX = (1200, 1600)


def scene(n: int) -> Array8:
    """Return a smooth grey picture that differs from frame to frame."""
    random = np.random.default_rng(n)
    coarse = random.uniform(20, 235, (12, 16)).astype(np.float32)
    grey = np.rint(cv2.resize(coarse, SIZE_PX[::-1], interpolation=cv2.INTER_LINEAR)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def written(folder: Path, ending: str, frames: int = 3) -> Burst:
    """Return a burst of pictures of a format."""
    folder.mkdir()
    for n in range(frames):
        picture = scene(n)
        if ending == "tif":
            tifffile.imwrite(folder / f"{n}.tif", picture, photometric="rgb")
        else:
            cv2.imwrite(str(folder / f"{n}.{ending}"), picture[..., ::-1])
    return load.load(folder, load.Params())


def read(small: SmallFrames, *frames: int) -> list[Array8]:
    """Return small pictures that can all be read."""
    pictures = small.read(frames)
    assert all(picture is not None for picture in pictures)
    return [picture for picture in pictures if picture is not None]


def likeness(one: Array8, other: Array8) -> float:
    """Return the correlation of two pictures of any size."""
    size = (64, 48)
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA).ravel() for picture in (one, other)]
    return float(np.corrcoef(*small)[0, 1])


@pytest.mark.parametrize(
    ("ending", "kind"), [("jpg", "reduced JPEGs"), ("png", "whole frames"), ("tif", "whole frames")]
)
def test_pictures_are_small_and_those_of_their_frames(tmp_path: Path, ending: str, kind: str) -> None:
    small = small_frames(written(tmp_path / ending, ending), 60.0)
    assert small.kind == kind
    pictures = read(small, 0, 1, 2)
    for n, picture in enumerate(pictures):
        assert 350 <= max(picture.shape) <= 540
        assert picture.shape[1] / picture.shape[0] == pytest.approx(4 / 3, rel=0.01)
        likes = [likeness(picture, scene(m)[..., 0]) for m in range(3)]
        assert int(np.argmax(likes)) == n
        assert likes[n] > 0.98


def test_raw_frames_without_a_preview_are_decoded(shared_burst: Path) -> None:
    burst = load.load(shared_burst, load.Params())
    assert raw.read_preview(burst.shots[0].path) is None
    small = small_frames(burst, 60.0)
    assert small.kind == "whole frames"
    first, again = read(small, 0, 0)
    assert first.shape == (60, 80)  # a pixel is at least a cell of the pattern
    assert first is again
    assert np.percentile(first, 99) == pytest.approx(242, abs=3)


def with_preview(path: Path, picture: Array8) -> None:
    """Write a DNG of a Bayer sensor with a JPEG preview of another picture."""
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50708, "s", 0, "Maker Model", True),
        (50721, "2i", 9, (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1), True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
    ]
    cfa = [
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50714, "H", 1, 64, True),
        (50717, "H", 1, 1023, True),
    ]
    random = np.random.default_rng(1)
    sensor = random.integers(64, 900, (300, 400)).astype(np.uint16)
    with tifffile.TiffWriter(path) as file:
        jpeg = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)
        preview = {"photometric": "ycbcr", "compression": "jpeg", "subifds": 1, "extratags": tags}
        file.write(jpeg, subfiletype=1, metadata=None, **preview)
        file.write(sensor, subfiletype=0, photometric="cfa", extratags=cfa, metadata=None)


def test_raw_frames_show_their_previews(tmp_path: Path) -> None:
    for n in range(2):
        with_preview(tmp_path / f"{n}.dng", scene(n))
    small = small_frames(load.load(tmp_path, load.Params()), 60.0)
    assert small.kind == "previews in the RAW files"
    for n, picture in enumerate(read(small, 0, 1)):
        assert picture.shape == (240, 320)
        assert likeness(picture, scene(n)[..., 0]) > 0.98


def test_the_time_that_is_allowed_is_kept(tmp_path: Path) -> None:
    burst = written(tmp_path / "png", "png", 5)
    assert [small_frames(burst, seconds).most for seconds in (0.0, 0.1, 60.0)] == [0, 2, 5]
    jpegs = written(tmp_path / "jpg", "jpg", 5)
    assert small_frames(jpegs, 0.1).most == 5


def test_a_frame_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    burst = written(tmp_path / "png", "png")
    (tmp_path / "png" / "1.png").write_bytes(b"no picture")
    first, second = small_frames(burst, 60.0).read([0, 1])
    assert first is not None
    assert second is None


def test_a_jpeg_is_not_turned(tmp_path: Path) -> None:
    """All frames are as they are stored, whatever the EXIF orientation of one of them is."""
    folder = tmp_path / "turned"
    folder.mkdir()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    for n in range(2):
        data = imagecodecs.jpeg_encode(scene(n))
        marker = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
        (folder / f"{n}.jpg").write_bytes(data[:2] + marker + data[2:])
    burst = load.load(folder, load.Params())
    assert burst.shots[0].orientation == 6
    (picture,) = read(small_frames(burst, 60.0), 0)
    assert picture.shape[1] > picture.shape[0]
