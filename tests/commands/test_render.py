"""longexpo render: complete files from a burst, or one clear line when that fails."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from longexpo_cli import pipeline
from longexpo_cli.cli import longexpo
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import ORDER, blur, write
from longexpo_cli.synth.burst import write_burst, write_frames
from longexpo_cli.synth.sensor import NOISE, Sensor
from longexpo_cli.types import BlurAccumulator, FramePair
from tests import worlds
from tests.commands.conftest import Run, listing
from tests.images import read_image

pytestmark = pytest.mark.usefixtures("cached_networks")
ALL = ["street.foreground.jpg", "street.foreground.json", "street.foreground.tif"]


def test_writes_three_files_beside_the_burst(run: Run, burst: Path) -> None:
    result = run("render", burst)
    assert result.exit_code == 0, result.output
    assert listing(burst.parent) == ["street", *ALL]
    assert sorted(result.stdout.splitlines()) == [str(burst.parent / name) for name in ALL]
    picture = read_image(burst.parent / "street.foreground.jpg")
    assert picture.shape == (120, 160, 3)
    assert 40 < picture.mean() < 215
    sidecar = json.loads((burst.parent / "street.foreground.json").read_text())
    assert sidecar["mode"] == "foreground"
    assert set(sidecar["stages"]) == set(ORDER)
    assert sidecar["predictor"]
    assert sidecar["dropped"] == sidecar["refused"] == []
    assert len(sidecar["frames"]) >= 2


def test_background_mode_with_options_into_a_folder(run: Run, panning_burst: Path, tmp_path: Path) -> None:
    out, dump = tmp_path / "new" / "out", tmp_path / "dump"
    result = run("render", panning_burst, "--mode", "background", "-o", out, "--dump", dump, "--trail", "2%")
    assert result.exit_code == 0, result.output
    assert listing(out) == [name.replace("street.foreground", "car.background") for name in ALL]
    sidecar = json.loads((out / "car.background.json").read_text())
    assert sidecar["trail"]["target_percent"] == 2.0
    stages = {path.name.split("-")[1] for path in dump.iterdir() if path.name != "recipe.toml"}
    assert stages == set(ORDER)


def test_the_engine_is_recorded_and_changes_nothing_that_is_seen(
    run: Run, shared_burst: Path, tmp_path: Path
) -> None:
    pictures = []
    for engine in ("onnxruntime", "openvino"):
        result = run("render", shared_burst, "-o", tmp_path / engine, "--engine", engine)
        assert result.exit_code == 0, result.output
        assert json.loads((tmp_path / engine / "street.foreground.json").read_text())["engine"] == engine
        pictures.append(read_image(tmp_path / engine / "street.foreground.jpg").astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 3


def test_paths_bend_by_the_lines_of_the_pairs_around(
    run: Run, shared_burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pair by pair in time order, each once; a pair waits for the motion of the one after it."""
    totals: list[BlurAccumulator] = []
    add = blur.add

    def recorded(device: Device, total: BlurAccumulator, pair: FramePair) -> BlurAccumulator:
        totals.append(add(device, total, pair))
        return totals[-1]

    monkeypatch.setattr(blur, "add", recorded)
    assert run("render", shared_burst, "-o", tmp_path, "--trail", "100%").exit_code == 0
    pairs = [total.pending.motion.pair for total in totals if total.pending is not None]
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert [total.pairs for total in totals] == [0, 1, 2, 3]
    assert totals[0].previous is None
    for before, here in pairwise(totals):
        assert before.pending is not None
        assert here.previous is before.pending.motion


def test_an_ending_chooses_one_file(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.jpg"
    result = run("render", shared_burst, "-o", target, "--reference", "2")
    assert result.exit_code == 0, result.output
    assert listing(tmp_path) == ["mine.jpg", "mine.json"]
    assert json.loads((tmp_path / "mine.json").read_text())["reference"] == 2


def test_existing_files_are_kept_unless_overwrite_is_given(
    run: Run, shared_burst: Path, tmp_path: Path
) -> None:
    old = tmp_path / "street.foreground.jpg"
    old.write_text("mine")
    result = run("render", shared_burst, "-o", tmp_path)
    assert result.exit_code == 1
    assert "street.foreground.jpg" in result.stderr
    assert "--overwrite" in result.stderr
    assert old.read_text() == "mine"
    assert listing(tmp_path) == ["street.foreground.jpg"]
    assert run("render", shared_burst, "-o", tmp_path, "--overwrite").exit_code == 0
    assert old.read_bytes()[:2] == b"\xff\xd8"


def test_the_same_burst_gives_the_same_bytes(
    run: Run, shared_burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("-q", "render", shared_burst, "-o", tmp_path / "a").output == ""
    monkeypatch.undo()  # the second time, the networks run again
    assert run("render", "-q", shared_burst, "-o", tmp_path / "b").output == ""
    for name in ALL:
        if not name.endswith(".json"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_failure_does_not_stop_the_other_bursts(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("render", empty, shared_burst, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert listing(tmp_path / "out") == ALL
    assert "empty" in result.stderr


def test_two_bursts_of_the_same_name_are_refused_before_rendering(
    run: Run, shared_burst: Path, burst: Path, tmp_path: Path
) -> None:
    result = run("render", shared_burst, burst, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "several bursts would write this file" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_truncated_frame_in_the_middle_is_skipped(run: Run, burst: Path) -> None:
    frame = burst / "frame_01.dng"
    frame.write_bytes(frame.read_bytes()[: frame.stat().st_size // 2])
    result = run("render", burst)
    assert result.exit_code == 0, result.output
    assert "frame_01.dng" in result.stderr
    sidecar = json.loads((burst.parent / "street.foreground.json").read_text())
    assert [entry["file"] for entry in sidecar["refused"]] == ["frame_01.dng"]
    assert "frame_01.dng" not in [entry["file"] for entry in sidecar["frames"]]


@pytest.mark.parametrize("wish", ["3", "frame_03.dng", "FRAME_03"])
def test_an_unreadable_frame_does_not_shift_the_reference(run: Run, burst: Path, wish: str) -> None:
    damaged = burst / "frame_01.dng"
    content = damaged.read_bytes()
    third = len(content) // 3
    damaged.write_bytes(content[:third] + bytes(third) + content[2 * third :])  # the tags are whole
    assert "3  frame_03.dng" in run("info", burst).stdout
    result = run("render", burst, "--reference", wish)
    assert result.exit_code == 0, result.output
    sidecar = json.loads((burst.parent / "street.foreground.json").read_text())
    assert [entry["file"] for entry in sidecar["refused"]] == ["frame_01.dng"]
    assert sidecar["reference_file"] == "frame_03.dng"


def test_a_mask_without_a_reference_names_its_frame(run: Run, burst: Path) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[40:80, 60:110] = 255
    cv2.imwrite(str(burst.parent / "mask.png"), mask)
    result = run("render", burst, "--mask", burst.parent / "mask.png")
    assert "the mask is applied to frame_02.dng; name the frame" in result.stderr
    named = run("render", burst, "--mask", burst.parent / "mask.png", "--reference", "2", "--overwrite")
    assert "the mask is applied" not in named.stderr


def _sidecar(burst: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((burst.parent / "street.foreground.json").read_text())
    return found


def test_frames_are_chosen_by_the_numbers_of_info(run: Run, burst: Path) -> None:
    result = run("-v", "render", burst, "--frames", "1:frame_04.dng", "--skip", "2", "--reference", "3")
    assert result.exit_code == 0, result.output
    sidecar = _sidecar(burst)
    assert [entry["number"] for entry in sidecar["frames"]] == [1, 3, 4]
    assert sidecar["reference_file"] == "frame_03.dng"
    verdicts = {entry["number"]: entry["verdict"] for entry in sidecar["verdicts"]}
    assert verdicts == {0: "skipped", 1: "used", 2: "skipped", 3: "used", 4: "used"}
    assert "street: frame 2 frame_02.dng: skipped, left out by --frames or --skip" in result.stderr
    assert (
        "street: frame 3 frame_03.dng: used, in the trail and the sharp exposure; the reference"
        in result.stderr
    )


@pytest.mark.parametrize("words", [["--frames", "3:1"], ["--skip", "9"], ["--frames", "4:"]])
def test_frames_that_cannot_be_chosen_are_an_error(run: Run, burst: Path, words: list[str]) -> None:
    result = run("render", burst, *words)
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
    assert listing(burst.parent) == ["street"]


def test_strict_writes_no_picture_where_the_trail_is_unmet_or_a_frame_is_lost(run: Run, burst: Path) -> None:
    unmet = run("render", burst, "--strict", "--trail", "90%")
    assert unmet.exit_code == 1 and "--strict" in unmet.stderr and "90 % was asked for" in unmet.stderr
    assert listing(burst.parent) == ["street"]
    assert run("render", burst, "--strict", "--trail", "100%").exit_code == 0
    (burst / "frame_01.dng").write_text("no image")
    lost = run("render", burst, "--strict", "--trail", "100%", "--overwrite")
    assert lost.exit_code == 1 and "frame_01.dng" in lost.stderr


def test_a_tripod_is_believed_unless_the_camera_moved(run: Run, tmp_path: Path) -> None:
    for name, world in (("still", worlds.tripod((120, 160))), ("hand", worlds.handheld((120, 160)))):
        (tmp_path / name).mkdir()
        write_frames(tmp_path / name, world, Sensor(cfa="RGGB", noise=NOISE), 3)
    assert run("render", tmp_path / "still", "--align", "tripod", "-o", tmp_path / "a").exit_code == 0
    moved = run("render", tmp_path / "hand", "--align", "tripod", "-o", tmp_path / "b")
    assert moved.exit_code == 1 and "the camera moved" in moved.stderr
    assert not (tmp_path / "b").exists() or not listing(tmp_path / "b")


def test_a_point_on_the_subject_makes_it_the_subject(run: Run, panning_burst: Path, tmp_path: Path) -> None:
    words = ["--subject", "50%,55%", "--mask-frame", "frame_01.dng"]
    result = run("render", panning_burst, *words, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    sidecar = json.loads((tmp_path / "car.foreground.json").read_text())
    assert "grown from 1 point(s)" in sidecar["subject"]["note"]
    assert "as marked on frame_01.dng" in sidecar["subject"]["note"]


def empty(folder: Path) -> str:
    """Make it an empty folder."""
    for path in folder.iterdir():
        path.unlink()
    return "street"


def one_frame(folder: Path) -> str:
    """Leave one frame."""
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    return "street"


def mixed_sizes(folder: Path) -> str:
    """Leave two frames, and two of another size."""
    write_burst(folder.parent / "other", frames=2, size=(64, 96))
    for n in range(2):
        shutil.move(folder.parent / "other" / f"frame_{n:02}.dng", folder / f"frame_{n + 2:02}.dng")
    shutil.rmtree(folder.parent / "other")
    (folder / "frame_04.dng").unlink()
    return "frame_02.dng"


def no_images(folder: Path) -> str:
    """Make every frame a file that is not an image."""
    for path in folder.iterdir():
        path.write_text("this is not an image\n" * 50)
    return "street"


def one_good_frame(folder: Path) -> str:
    """Truncate every frame but one."""
    for path in sorted(folder.iterdir())[1:]:
        path.write_bytes(path.read_bytes()[:3000])
    return "street"


@pytest.mark.parametrize("damage", [empty, one_frame, mixed_sizes, no_images, one_good_frame])
def test_a_bad_burst_is_one_line_of_error(run: Run, burst: Path, damage: Callable[[Path], str]) -> None:
    named = damage(burst)
    result = run("render", burst)
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("longexpo: ")
    assert named in lines[0]
    assert "bug" not in lines[0]
    assert listing(burst.parent) == ["street"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--reference", "9"], 1, "9"),
        (["--device", "no such device"], 1, "no such device"),
        (["--mask", "nowhere.png"], 2, "does not exist"),
        (["--reference", "-1"], 2, "numbered from 0"),
        (["--reference", "frame_77.dng"], 1, "is not the name of a frame"),
        (["-o", "picture.bmp"], 1, "picture.bmp"),
        (["--subject", "5000,5", "--reference", "2"], 1, "outside the picture"),
        (["--subject", "5,x"], 2, "is not X,Y"),
        (["--subject", "120%,5%"], 2, "outside the picture"),
        (["--frames", "3"], 2, "is not A:B"),
        (["--mask-frame", "9", "--subject", "50%,50%"], 1, "there is no frame 9"),
    ],
)
def test_an_option_that_cannot_be_met_is_an_error(
    run: Run, burst: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(burst.parent)
    result = run("render", burst, *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert listing(burst.parent) == ["street"]


def test_a_bug_shows_its_traceback_and_is_1(
    run: Run, shared_burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "render", lambda *_, **__: 1 // 0)
    result = run("render", shared_burst, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "a bug in longexpo: ZeroDivisionError" in result.stderr


def test_verbose_logs_stages_and_decisions(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    result = run("-v", "render", shared_burst, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    assert all(line.startswith("longexpo: ") for line in lines)
    sidecar = json.loads((tmp_path / "street.foreground.json").read_text())
    assert all(any(f"street: {stage} " in line for line in lines) for stage in sidecar["stages"])
    log = "\n".join(lines)
    assert f"device: {sidecar['device']['name']}" in log
    assert f"reference frame {sidecar['reference']}" in log
    assert f"{sum(frame['merged'] for frame in sidecar['frames'])} frames merged" in log
    assert "Burst" not in log
    assert "Burst" not in run("render", shared_burst, "-o", tmp_path, "--overwrite").stderr


def test_more_verbose_logs_every_value(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    log = run("render", shared_burst, "-o", tmp_path, "-vv").stderr
    assert all(f"street: develop {frame}: Preview" in log for frame in range(5))


def test_a_full_disk_leaves_no_partial_files(
    run: Run, shared_burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("render", shared_burst, "-o", tmp_path)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "No space left on device" in result.stderr
    assert listing(tmp_path) == []


def test_an_interrupted_run_leaves_no_files(
    run: Run, shared_burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "write", interrupted)
    result = run("render", shared_burst, "-o", tmp_path)
    assert result.exit_code == 130
    assert result.stderr == "longexpo: interrupted; no partial files left\n"
    assert listing(tmp_path) == []


def test_an_output_below_a_file_is_an_error(run: Run, burst: Path) -> None:
    result = run("render", burst, "-o", burst / "frame_00.dng" / "out")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "frame_00.dng" in result.stderr


def test_other_formats_and_plates_by_name(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.dng"
    result = run("render", shared_burst, "-o", target, "--also", "print,mask,jxl")
    assert result.exit_code == 0, result.output
    names = ["mine.dng", "mine.json", "mine.jxl", "mine.mask.png", "mine.print.tif"]
    assert listing(tmp_path) == names
    printed = read_image(tmp_path / "mine.print.tif", cv2.IMREAD_UNCHANGED)
    assert printed.dtype == np.uint16
    assert np.count_nonzero(printed % 257) > 0.9 * printed.size  # more than 8 bits scaled
    assert run("render", shared_burst, "-o", tmp_path / "eight.jpg").exit_code == 0
    eight = read_image(tmp_path / "eight.jpg").astype(np.float64)
    assert np.abs(printed / 257.0 - eight).mean() < 3
    for name in ("eight.jpg", "eight.json"):
        (tmp_path / name).unlink()
    assert read_image(tmp_path / "mine.mask.png", cv2.IMREAD_UNCHANGED).shape == (120, 160)
    sidecar = json.loads((tmp_path / "mine.json").read_text())
    assert sorted(Path(path).name for path in sidecar["outputs"]) == [n for n in names if n != "mine.json"]
    assert sidecar["light_s"] > 0
    again = run("render", shared_burst, "-o", tmp_path / "other.jpg", "--also", "mask,hdr")
    assert again.exit_code == 2
    assert "'hdr' is not one of sharp, mask, streaks, print, png" in again.stderr
    (tmp_path / "mine.dng").unlink()
    refused = run("render", shared_burst, "-o", target, "--also", "mask")
    assert refused.exit_code == 1
    assert "mine.mask.png: already exists" in refused.stderr


def test_a_format_that_is_not_written_is_refused_with_the_way_out(
    run: Run, shared_burst: Path, tmp_path: Path
) -> None:
    result = run("render", shared_burst, "-o", tmp_path / "x.exr")
    assert result.exit_code == 1
    assert ".exr is not supported; no library that longexpo uses writes OpenEXR; use .tif" in result.stderr
    assert not list(tmp_path.iterdir())


def test_names_are_read_from_standard_input(shared_burst: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a\nb"
    shutil.copytree(shared_burst, odd)
    out = tmp_path / "out"
    result = CliRunner().invoke(longexpo, ["render", "-", "-0", "-o", str(out)], input=f"{odd}\0".encode())
    assert result.exit_code == 0, result.output
    assert listing(out) == [name.replace("street", "a\nb") for name in ALL]
    lines = f"{shared_burst}\n\n".encode()
    result = CliRunner().invoke(longexpo, ["render", "-", str(odd), "-o", str(tmp_path / "two")], input=lines)
    assert result.exit_code == 0, result.output
    assert len(listing(tmp_path / "two")) == 6


@pytest.mark.parametrize(
    ("words", "names", "said"),
    [
        (["-"], b"", "no names on standard input"),
        (["-"], b"\n\n", "no names on standard input"),
        (["-", "-0"], b"\0\0", "no names on standard input"),
        (["-"], b"a\0b\0", "add -0"),
        (["-"], b"missing\n", "'missing' does not exist"),
        (["-", "-0"], b"missing\n\0", "does not exist"),
        (["-", "-"], b"a\n", "pass - once"),
        ([".", "-0"], b"a\0", "pass - as BURST"),
    ],
)
def test_names_that_are_missing_are_wrong_usage(words: list[str], names: bytes, said: str) -> None:
    result = CliRunner().invoke(longexpo, ["render", *words], input=names)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_page_is_written_with_the_result(run: Run, burst: Path, tmp_path: Path) -> None:
    assert run("render", burst, "-o", tmp_path / "x.jpg", "--report", "--skip", "1").exit_code == 0
    page = (tmp_path / "x.html").read_text("utf-8")
    assert f"longexpo render {burst} --skip 1 --recipe recipe.toml" in page
    assert "left out by --frames or --skip" in page
    refused = run("render", burst, "-o", tmp_path / "y.html")
    assert refused.exit_code == 1
    assert "use --report" in refused.stderr
