"""Files with the same pixels are found whatever their names, tags and places in the file."""

from __future__ import annotations

import datetime
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from longexpo_cli.files import pictures
from longexpo_cli.files.copies import find_copies
from longexpo_cli.synth.dng import DngMetadata, write_dng
from tests.stages.test_load import NOON


def times(*seconds: float | None) -> list[datetime.datetime | None]:
    """Return times so many seconds after noon."""
    return [None if second is None else NOON + datetime.timedelta(seconds=second) for second in seconds]


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
    for taken in ([None] * 6, times(0, 0, 1, 2, 3, 2)):
        assert find_copies(paths, taken) == {0: 2, 5: 3}
    assert find_copies(paths, times(0, 1, None, 2, 3, 2)) == {2: 0, 5: 3}  # the one with a time counts


def test_links_to_a_file_are_its_copies(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.dng", n) for n in range(3)]
    for name in ("linked_0.dng", "linked_1.dng"):
        (tmp_path / name).hardlink_to(paths[0])
        paths.append(tmp_path / name)
    (tmp_path / "linked_2.dng").symlink_to(paths[1])
    paths.append(tmp_path / "linked_2.dng")
    assert find_copies(paths, times(0, 1, 2, 0, 0, 1)) == {3: 0, 4: 0, 5: 1}


def test_a_whole_folder_twice(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.png", n) for n in range(4)]
    paths += [picture(tmp_path / f"{n} (1).png", n) for n in range(4)]
    assert find_copies(paths, [None] * 8) == {4: 0, 5: 1, 6: 2, 7: 3}


def test_equal_frames_of_a_still_scene_are_no_copies(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.png", 0) for n in range(5)]
    assert find_copies(paths, [None] * 5) == {}
    assert find_copies(paths, times(*range(5))) == {}
    assert find_copies(paths, times(*[0] * 5)) == {}


def test_unreadable_files_are_no_copies(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    assert find_copies([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"], [None] * 3) == {}


def test_pixels_that_are_encoded_anew_are_a_copy_too(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n}.png", n) for n in range(5)]
    for name, original in (("1 (1).png", 1), ("2 copy.png", 2), ("Screenshot.png", 3)):
        values = pictures.read_image(paths[original])
        paths.append(tmp_path / name)
        paths[-1].write_bytes(
            cv2.imencode(".png", values[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
        )
    decoded: list[str] = []

    def pixels(path: Path) -> bytes:
        decoded.append(path.name)
        return pictures.read_image(path).tobytes()

    assert find_copies(paths, [None] * 8, pixels) == {5: 1, 6: 2}
    assert sorted(decoded) == ["1 (1).png", "1.png", "2 copy.png", "2.png"]
    exact = times(0.1, 0.2, 0.3, 0.4, 0.5, None, None, 0.4)
    assert find_copies(paths, exact, pixels) == {5: 1, 6: 2, 7: 3}


def test_names_that_count_frames_are_not_all_decoded(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{n // 2}{' (1)' * (n % 2)}.png", n) for n in range(20)]
    decoded: list[Path] = []

    def pixels(path: Path) -> bytes:
        decoded.append(path)
        return pictures.read_image(path).tobytes()

    assert find_copies(paths, [None] * 20, pixels) == {}
    assert len(decoded) == 6
    numbered = [path.rename(tmp_path / f"a{f'_{n}' * (n > 0)}.png") for n, path in enumerate(paths)]
    assert find_copies(numbered, [None] * 20, pixels) == {}
    assert len(decoded) == 6
