"""Files with the same pixels are found whatever their names, tags and places in the file."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from longexpo_cli.files.copies import find_copies
from longexpo_cli.synth.dng import DngMetadata, write_dng
from tests.stages.test_load import NOON


def picture(path: Path, seed: int, comment: str = "") -> Path:
    """Write noise, and a comment into the tags."""
    values = np.random.default_rng(seed).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    data = b"" if path.suffix in (".tif", ".dng") else cv2.imencode(path.suffix, values)[1].tobytes()
    text = comment.encode()
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, photometric="rgb", description=comment or None)
    elif path.suffix == ".dng":
        write_dng(path, values[..., 0].astype(np.uint16) * 16, DngMetadata(NOON, model=comment or "model"))
    elif path.suffix == ".png":
        chunk = struct.pack(">I4s", len(text), b"tEXt") + text + b"crc!" if comment else b""
        path.write_bytes(data[:33] + chunk + data[33:])
    else:
        segment = struct.pack(">BBH", 0xFF, 0xFE, len(text) + 2) + text if comment else b""
        path.write_bytes(data[:2] + segment + data[2:])
    return path


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", ".dng"])
def test_the_same_pixels_with_other_tags_are_a_copy(tmp_path: Path, ending: str) -> None:
    paths = [picture(tmp_path / f"{n}{ending}", n) for n in range(4)]
    paths.insert(0, picture(tmp_path / f"1 (1){ending}", 1))
    paths.append(picture(tmp_path / f"2 copy{ending}", 2, "edited"))
    for taken in ([None] * 6, [0, 0, 1, 2, 3, 2]):
        assert find_copies(paths, taken) == {0: 2, 5: 3}
    assert find_copies(paths, [0, 1, None, 2, 3, 2]) == {2: 0, 5: 3}  # the one with a time counts


def test_a_whole_folder_twice(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.png", n) for n in range(4)]
    paths += [picture(tmp_path / f"{n} (1).png", n) for n in range(4)]
    assert find_copies(paths, [None] * 8) == {4: 0, 5: 1, 6: 2, 7: 3}


def test_equal_frames_of_a_still_scene_are_no_copies(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.png", 0) for n in range(5)]
    assert find_copies(paths, [None] * 5) == {}
    assert find_copies(paths, range(5)) == {}
    assert find_copies(paths, [0] * 5) == {}


def test_unreadable_files_are_no_copies(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    assert find_copies([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"], [None] * 3) == {}
