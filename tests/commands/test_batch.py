"""longexpo batch: every burst under some folders, in processes of their own."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from longexpo_cli import batch, discovery, machine
from longexpo_cli.files import metadata
from longexpo_cli.gpu import pocl_cache
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from tests import clips
from tests.commands.conftest import Run, in_a_process, listing

ENDINGS = ("jpg", "json", "tif")


@pytest.fixture
def tree(shared_burst: Path, tmp_path: Path) -> Path:
    """Return a tree: two good bursts, one that is broken, a folder with one picture, one with none."""
    root = tmp_path / "photos"
    for name in ("monday/street", "tuesday/street", "tuesday/broken", "single", "texts"):
        (root / name).mkdir(parents=True)
    for frame in sorted(shared_burst.glob("*.dng"))[:3]:
        shutil.copy(frame, root / "monday" / "street")
        shutil.copy(frame, root / "tuesday" / "street")
        (root / "tuesday" / "broken" / frame.name).write_bytes(frame.read_bytes()[:3000])
    shutil.copy(shared_burst / "frame_00.dng", root / "single")
    (root / "texts" / "a.txt").write_text("a")
    return root


def test_a_dry_run_lists_the_bursts_and_renders_none(run: Run, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("batch", tree, "-o", out, "--dry-run")
    assert result.exit_code == 0
    names = ("monday/street", "tuesday/broken", "tuesday/street")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[:4] for line in lines] == [
        ["render", str(tree / name), f"{out / name}.foreground.*", "3 of 160x120"] for name in names
    ]
    assert {line[5] for line in lines} == {"0.5 GB"}
    assert re.search(
        r"3 to render, 0 to skip: about [0-9.]+ s by 1 worker on \d+ cores, up to 0.5 GB each, or twice",
        result.stderr,
    )
    assert not out.exists()


def test_what_is_not_known_of_a_video_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.mp4").touch()
    clips.write(tmp_path / "photos" / "b.mp4", clips.moving_bar(6))
    result = run("batch", tmp_path / "photos", "-o", tmp_path / "out", "--dry-run")
    first, second = (line.split("\t")[3:6] for line in result.stdout.splitlines())
    assert first == ["not known"] * 3
    assert second[0] == "6 of 96x64"
    assert "and what 1 of unknown size take" in result.stderr


def test_workers_are_as_many_as_cores_and_memory_bear(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = batch.plan([tree], tmp_path, Recipe(), device="auto", overwrite=False, resume=False)
    need = jobs[0].cost.memory_bytes if jobs[0].cost else 0

    def found(cores: int, available: float) -> batch.Crew:
        monkeypatch.setattr(machine, "cores", lambda: cores)
        monkeypatch.setattr(machine, "available_bytes", lambda: available)
        return batch.crew_for(jobs, None)

    assert found(2, 100 * need).workers == 2
    assert found(16, 100 * need).workers == len(jobs)
    assert found(16, 2.6 * need).workers == 2
    assert found(16, 0.1 * need).workers == 1
    assert found(16, 2.6 * need).room_bytes == pytest.approx(0.8 * 2.6 * need)
    why = found(2, 4e9).why
    assert why == "2 workers: 2 cores; a burst takes up to 0.5 GB of 3.2 GB, 80 % of the memory available"
    assert found(2, 0) == batch.Crew(1, why="1 worker: the memory available is not known")
    assert batch.crew_for(jobs, 3) == batch.Crew(3)


@pytest.mark.parametrize("asked", ["0", "-1", "many", "1.5"])
def test_a_number_of_workers_that_is_none(run: Run, tree: Path, tmp_path: Path, asked: str) -> None:
    result = run("batch", tree, "-o", tmp_path / "out", "--workers", asked)
    assert result.exit_code == 2
    assert f"'{asked}' is not auto or a number from 1" in result.stderr


def test_videos_are_bursts_and_what_systems_keep_is_not(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for name in ("live", "live/@eaDir", "#recycle", ".thumbnails", "clips"):
        (root / name).mkdir(parents=True)
        for frame in sorted(shared_burst.glob("*.dng"))[: 0 if name == "clips" else 2]:
            shutil.copy(frame, root / name)
    videos = ("clips/a.MP4", "clips/b.mov", "clips/.c.mp4", "clips/notes.txt", "live/frame_00.mov", "d.mkv")
    for name in videos:
        (root / name).touch()
    (root / "link").symlink_to(root / "clips")
    result = run("batch", root, "-o", tmp_path / "out", "--dry-run")
    found = ("clips/a.MP4", "clips/b.mov", "d.mkv", "link/a.MP4", "link/b.mov", "live")
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == [
        str(root / name) for name in found
    ]


def test_workers_leave_only_compiled_kernels_in_the_users_folders(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its telemetry on, onnxruntime keeps a database there, at once (see test_networks).

    pyopencl keeps the code that calls kernels, by way of pytools.
    """
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    home = tmp_path / "home"
    (home / "longexpo").mkdir(parents=True)
    (home / "longexpo" / "kernels").symlink_to(pocl_cache.folder(), target_is_directory=True)
    folders = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR")
    names = dict.fromkeys(folders, str(home))
    result = in_a_process("batch", tree / "monday", "-o", tmp_path / "out", "--workers", "2", **names)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in home.iterdir()} <= {"longexpo", "pyopencl", "pytools"}
    assert listing(home / "longexpo") == ["kernels"]


def test_bursts_of_one_name_have_folders_of_their_own(shared_burst: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(shared_burst, root / "a")
    for name in ("a.mp4", "b.mov", "b.gif", "c.mp4"):
        (root / name).touch()
    jobs = batch.plan([root], out, Recipe(), device="auto", overwrite=False, resume=False)
    batch.refuse_shared_targets(jobs)
    assert [(job.source.name, job.output) for job in jobs] == [
        ("a", out / "a_folder"),
        ("a.mp4", out / "a_mp4"),
        ("b.gif", out / "b_gif"),
        ("b.mov", out / "b_mov"),
        ("c.mp4", out),
    ]
    assert jobs[2].sidecar() == out / "b_gif" / "b.foreground.json"


def test_bursts_that_share_a_folder_are_rendered_each(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    """As in a camera's own folder: the second burst is as the first, a minute and a half later."""
    root, out, log = tmp_path / "photos", tmp_path / "out", tmp_path / "log.jsonl"
    (root / "day").mkdir(parents=True)
    for n, frame in enumerate(sorted(shared_burst.glob("*.dng"))[:3]):
        data = frame.read_bytes()
        (root / "day" / f"IMG_{n}.dng").write_bytes(data)
        taken = metadata.read(frame).taken
        assert taken is not None
        before, after = (f"{time:%Y:%m:%d %H:%M:%S}" for time in (taken, taken + timedelta(seconds=100)))
        later = data.replace(before.encode(), after.encode())
        (root / "day" / f"IMG_{n + 7}.dng").write_bytes(later)
    result = run("batch", root, "-o", out, "--log", log)
    assert result.exit_code == 0, result.output
    assert listing(out / "day") == [f"IMG_{n}.foreground.{end}" for n in (0, 7) for end in ENDINGS]
    first, second = (json.loads((out / "day" / f"IMG_{n}.foreground.json").read_text()) for n in (0, 7))
    assert [entry["file"] for entry in first["verdicts"]] == [f"IMG_{n}.dng" for n in range(3)]
    assert [entry["file"] for entry in second["verdicts"]] == [f"IMG_{n}.dng" for n in range(7, 10)]
    sources = {json.loads(line)["source"] for line in log.read_text().splitlines()}
    assert sources == {str(root / "day" / f"IMG_{n}.dng") for n in (0, 7)}
    assert "0 rendered, 2 skipped" in run("batch", root, "-o", out, "--resume").stderr
    for n in range(7, 10):
        os.truncate(root / "day" / f"IMG_{n}.dng", 3000)
    result = run("batch", root, "-o", out, "--resume")
    assert "0 rendered, 1 skipped, 1 failed" in result.stderr
    assert f"longexpo: {root / 'day' / 'IMG_7.dng'}: no usable frame" in result.stderr


def test_two_thousand_files_are_planned_in_a_moment(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / f"d{folder}").mkdir()
        for n in range(100):
            (tmp_path / f"d{folder}" / f"{n}.jpg").touch()
    begin = time.process_time()
    assert len(list(discovery.bursts_under(tmp_path))) == 20
    assert time.process_time() - begin < 0.5


def test_names_that_are_no_utf8(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    root, out, log = tmp_path / "photos", tmp_path / "out", tmp_path / "log.jsonl"
    burst = root / os.fsdecode(b"caf\xe9")
    burst.mkdir(parents=True)
    for n, frame in enumerate(sorted(shared_burst.glob("*.dng"))[:3]):
        shutil.copy(frame, burst / os.fsdecode(b"\xe9%d.dng" % n))
    result = run("batch", root, "-o", out, "--log", log)
    assert result.exit_code == 0
    assert b"caf\xe9.foreground.tif\n" in result.stdout_bytes
    written = json.loads((out / os.fsdecode(b"caf\xe9.foreground.json")).read_text("utf-8"))
    assert [entry["file"] for entry in written["verdicts"]] == [rf"\xe9{n}.dng" for n in range(3)]
    assert json.loads(log.read_text("utf-8"))["source"] == str(root / r"caf\xe9")
    assert "0 rendered, 1 skipped" in run("batch", root, "-o", out, "--resume").stderr
    info = run("info", burst, "--json")
    assert [Path(frame["path"]).name for frame in json.loads(info.stdout)["frames"]] == [
        rf"\xe9{n}.dng" for n in range(3)
    ]


def test_a_failure_stops_no_other_and_resume_skips_finished_bursts(
    run: Run, tree: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, log = tmp_path / "out", tmp_path / "log.jsonl"
    result = run("batch", tree, "-o", out, "--log", log, "--workers", "auto")
    assert re.search(r"\d workers?: \d+ cores?; a burst takes up to", result.stderr)
    assert result.exit_code == 1
    assert "2 rendered, 0 skipped, 1 failed" in result.stderr
    for day in ("monday", "tuesday"):
        assert listing(out / day) == [f"street.foreground.{ending}" for ending in ENDINGS]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {Path(line["source"]).name: bool(line["error"]) for line in lines} == {
        "street": False,
        "broken": True,
    }
    assert len(lines) == 3
    assert "street: align" not in capfd.readouterr().err

    shutil.rmtree(tree / "tuesday" / "broken")
    (out / "monday" / "street.foreground.jpg").unlink()
    result = run("-v", "batch", tree, "-o", out, "--resume")
    assert result.exit_code == 0, result.output
    assert "longexpo: street: align " in capfd.readouterr().err  # worker processes log at the same level
    assert "1 rendered, 1 skipped, 0 failed" in result.stderr
    assert listing(out / "monday") == [f"street.foreground.{ending}" for ending in ENDINGS]


def test_no_bursts_is_an_error(run: Run, tmp_path: Path) -> None:
    result = run("batch", tmp_path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "no folder with two or more frames" in result.stderr


def test_roots_that_collide_are_refused(run: Run, tree: Path, tmp_path: Path) -> None:
    result = run("batch", tree / "monday", tree / "tuesday", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "several bursts would write this file" in result.stderr


class Fatal:
    """A value that kills the process that unpickles it, as a driver that aborts would."""

    def __reduce__(self) -> tuple[object, ...]:
        """End the process on unpickling."""
        return os._exit, (1,)

    def __str__(self) -> str:
        """Return a name."""
        return "fatal"


def test_a_result_that_its_batch_has_made_is_not_made_again(
    shared_burst: Path, tmp_path: Path, one_device: Device
) -> None:
    """As when its process was killed after the files appeared and before it could say so."""
    job = batch.Job(shared_burst, tmp_path, Recipe(), run="one")
    made = batch.render_one(job, one_device)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = batch.render_one(job, one_device)
    assert dataclasses.replace(again, seconds=made.seconds, stages=made.stages) == made
    assert made.seconds == pytest.approx(again.seconds, abs=0.01)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert "already exists" in batch.render_one(dataclasses.replace(job, run="two"), one_device).error
    (tmp_path / "street.foreground.jpg").write_bytes(b"")
    assert "already exists" in batch.render_one(job, one_device).error


def test_a_killed_process_fails_only_its_own_burst(shared_burst: Path, tmp_path: Path) -> None:
    fatal = batch.Job(cast(Path, Fatal()), tmp_path / "a", Recipe())
    good = batch.Job(shared_burst, tmp_path / "b", Recipe())
    outcomes = {str(outcome.source): outcome for outcome in batch.run([fatal, good], batch.Crew(1))}
    assert "the process was killed, possibly out of memory" in outcomes["fatal"].error
    assert not outcomes[str(shared_burst)].error
    assert listing(tmp_path / "b") == [f"street.foreground.{ending}" for ending in ENDINGS]


def test_a_report_has_a_page_for_each_burst_and_one_for_all(run: Run, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("batch", tree / "tuesday", "-o", out, "--report")
    assert run(*arguments).exit_code == 1  # one burst is broken
    assert listing(out) == ["index.html", *(f"street.foreground.{ending}" for ending in ("html", *ENDINGS))]
    index = (out / "index.html").read_text("utf-8")
    assert 'href="street.foreground.html"' in index
    assert "1 of 2 bursts rendered, 1 failed." in index
    assert "broken" in index
    written = json.loads((out / "street.foreground.json").read_text("utf-8"))
    assert "street.foreground.html" in [entry["name"] for entry in written["files"]]
    assert str(out / "street.foreground.html") in written["outputs"]
    again = run(*arguments, "--resume")
    assert "0 rendered, 1 skipped, 1 failed" in again.stderr
    assert 'href="street.foreground.html"' in (out / "index.html").read_text("utf-8")
    (out / "street.foreground.html").unlink()
    assert "street.foreground.html is missing" in run(*arguments, "--resume", "--dry-run").stdout


def test_a_page_that_is_not_longexpos_is_kept(run: Run, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("my album")
    result = run("batch", tree / "monday", "-o", out, "--report")
    assert result.exit_code == 1
    assert "is not a page of longexpo" in result.stderr
    assert listing(out) == ["index.html"]
    assert (out / "index.html").read_text() == "my album"
