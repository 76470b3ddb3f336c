"""Files that promise more than they hold, and names that are no files: refused in little time and memory."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from longexpo_cli.cli import longexpo
from longexpo_cli.errors import RecipeError, UnreadableFrameError
from longexpo_cli.files import jpeg, metadata, pictures, raw
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import develop, load, subject
from tests.dng import tiny_burst, write_raw

LARGE_BYTES = 6 << 30  # of a sparse file, which takes no room on the disk
LIMIT_BYTES = 2 << 30  # of a process that must not read it
LIMIT_S = 20


def read_all(*folders: Path) -> str:
    """Return what the frames of folders are when a process with little memory reads them, a word each."""
    script = (
        "import sys; from pathlib import Path\n"
        "from longexpo_cli.errors import UnreadableFrameError\n"
        "from longexpo_cli.stages import develop, load\n"
        "bursts = [load.load(Path(name), load.Params()) for name in sys.argv[1:]]\n"
        "print(*(f'{path.name}:refused' for burst in bursts for path, why in burst.refused))\n"
        "for shot in [shot for burst in bursts for shot in burst.shots]:\n"
        "    try:\n"
        "        print(f'{shot.path.name}:{develop.read(shot).values.size}')\n"
        "    except UnreadableFrameError as error:\n"
        "        print(f'{shot.path.name}:refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, folders)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES)),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def patched(data: bytes, at: int, part: bytes) -> bytes:
    return data[:at] + part + data[at + len(part) :]


def test_a_lossless_jpeg_of_impossible_size_is_refused_at_once(tmp_path: Path) -> None:
    folders = (tmp_path / "first", tmp_path / "second")
    for which, folder in enumerate(folders):
        paths = tiny_burst(folder, compression="ljpeg")
        data = paths[which].read_bytes()
        at = data.index(b"\xff\xc3") + 5
        paths[which].write_bytes(patched(data, at, struct.pack(">HH", 60000, 60000)))
    refused = [word for word in read_all(*folders).split() if word.endswith(":refused")]
    assert sorted(refused) == ["frame_00.dng:refused", "frame_01.dng:refused"]


def test_sparse_files_of_gigabytes_are_not_read(tmp_path: Path) -> None:
    endings = ("jpg", "png", "tif", "webp", "dng")
    for ending in endings:
        (tmp_path / ending).mkdir()
        for n in range(3):
            path = tmp_path / ending / f"f{n}.{ending}"
            values = np.random.default_rng(n).integers(0, 255, (64, 96, 3)).astype(np.uint8)
            if ending == "tif":
                tifffile.imwrite(path, values, photometric="rgb")
            elif ending == "dng":
                write_raw(path, (values[..., 0].astype(np.uint16) + 100), {})
            else:
                cv2.imwrite(str(path), values)
        with (tmp_path / ending / f"f1.{ending}").open("r+b") as file:
            file.truncate(LARGE_BYTES)
    found = read_all(*(tmp_path / ending for ending in endings))
    for ending in endings:
        assert f"f0.{ending}:{64 * 96 * (1 if ending == 'dng' else 3)}" in found
        assert f"f1.{ending}:" in found


def test_strips_that_are_said_to_hold_gigabytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    write_raw(path, np.full((64, 96), 500, np.uint16), {259: (3, 7), 279: (4, 3 << 30)})
    with path.open("r+b") as file:
        file.truncate(LARGE_BYTES)
    assert "far more than it has" in metadata.read(path).defect


def test_a_picture_of_floats_above_the_limit_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((20, 30, 3), np.nan, np.float32), photometric="rgb")
    assert pictures.image_info(path, 599).size_px == (20, 30)
    with pytest.raises(UnreadableFrameError, match="not numbers"):
        pictures.image_info(path, 600)


def test_a_frame_of_another_size_than_its_header_says_does_not_decide_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_burst(tmp_path)
    decoded = raw.read_metadata

    def changed(path: Path, *args: object) -> raw.RawMetadata:
        found = decoded(path, *args)  # type: ignore[arg-type]
        if path.name == "frame_00.dng":
            object.__setattr__(found, "size_px", (30, 40))
        return found

    monkeypatch.setattr(raw, "read_metadata", changed)
    burst = load.load(tmp_path, load.Params())
    assert [(path.name, why) for path, why in burst.refused] == [
        ("frame_00.dng", "is 40 x 30, not the size in its header")
    ]
    assert [develop.read(shot).values.shape for shot in burst.shots] == [(32, 48)] * 2


def test_a_pipe_among_the_frames_is_none(tmp_path: Path) -> None:
    paths = tiny_burst(tmp_path)
    os.mkfifo(tmp_path / "frame_09.dng")
    assert len(load.load(tmp_path, load.Params()).shots) == len(paths)


@pytest.mark.parametrize("option", ["--recipe", "--mask"])
@pytest.mark.parametrize("what", ["fifo", "/dev/zero", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, option: str, what: str) -> None:
    tiny_burst(tmp_path / "burst")
    os.mkfifo(tmp_path / "fifo")
    found = CliRunner().invoke(longexpo, ["render", str(tmp_path / "burst"), option, str(tmp_path / what)])
    assert found.exit_code == 2
    assert "pass a file" in found.output or "is a directory" in found.output


def nested(path: Path) -> None:
    path.write_text("a = " + "[" * 20000 + "]" * 20000)


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES)


@pytest.mark.parametrize(("write", "why"), [(nested, "nested"), (large, "larger"), (os.mkfifo, "not a file")])
def test_recipes_are_bounded(tmp_path: Path, write: Callable[[Path], None], why: str) -> None:
    path = tmp_path / "a.toml"
    write(path)
    with pytest.raises(RecipeError, match=why):
        Recipe.from_toml(path)


def test_masks_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    data = bytes(cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1])
    path.write_bytes(patched(data, 16, struct.pack(">II", 60000, 60000)))
    with pytest.raises(UnreadableFrameError, match="too many for a mask"):
        subject.read_mask(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnreadableFrameError, match="is not a file"):
        subject.read_mask(path)


def test_the_values_that_a_lossless_jpeg_promises_are_counted() -> None:
    header = b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 11, 12, 30, 40, 2) + bytes(20)
    assert jpeg.lossless_pixels(header) == 30 * 40 * 2
    assert jpeg.lossless_pixels(header.replace(b"\xff\xc3", b"\xff\xc0")) == 0
    assert jpeg.lossless_pixels(b"") == 0
