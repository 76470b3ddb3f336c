"""batch --resume skips what is whole and the same, by contents, and says why it renders the rest."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from longexpo_cli.files import output_lock, results
from tests.commands.conftest import Run, listing

PICTURES = ("street.foreground.jpg", "street.foreground.tif")
SET = ("street.foreground.jpg", "street.foreground.json", "street.foreground.tif")


@pytest.fixture(scope="module")
def rendered(shared_burst: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos/street and its result in out: do not change it."""
    root = tmp_path_factory.mktemp("rendered")
    (root / "photos" / "street").mkdir(parents=True)
    for frame in sorted(shared_burst.glob("*.dng"))[:3]:
        shutil.copy(frame, root / "photos" / "street")
    words = [sys.executable, "-m", "longexpo_cli", "batch", str(root / "photos"), "-o", str(root / "out")]
    subprocess.run(words, check=True, timeout=120)
    return root


@pytest.fixture
def place(rendered: Path, tmp_path: Path) -> Path:
    """Return a copy of it that the test may change."""
    return Path(shutil.copytree(rendered, tmp_path / "place"))


def plan(run: Run, place: Path, *words: str | Path) -> list[str]:
    """Return the plan for the one burst: what to do, and why."""
    result = run("batch", place / "photos", "-o", place / "out", "--resume", "--dry-run", *words)
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    what, source, _, frames, _, _, why = line.split("\t")
    assert source == str(place / "photos" / "street")
    assert frames.endswith(" of 160x120")
    return [what, why] if why else [what]


def test_the_json_names_files_inputs_recipe_and_version(rendered: Path) -> None:
    document = json.loads((rendered / "out" / SET[1]).read_text())
    assert sorted(entry["name"] for entry in document["files"]) == sorted(PICTURES)
    assert [entry["name"] for entry in document["inputs"]["files"]] == [f"frame_0{n}.dng" for n in range(3)]
    for entry in document["files"]:
        path = rendered / "out" / entry["name"]
        assert (entry["bytes"], entry["mtime_ns"]) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert len(document["inputs"]["sha256"]) == 64
    assert listing(rendered / "out") == sorted(SET)


def test_a_whole_result_is_skipped_even_with_other_times(run: Run, place: Path) -> None:
    assert plan(run, place) == ["skip"]
    for path in (*(place / "out").iterdir(), *(place / "photos" / "street").iterdir()):
        os.utime(path, ns=(0, 0))
    assert plan(run, place) == ["skip"]


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("size", [None, 0, 1000])
def test_a_picture_that_is_gone_or_cut_is_rendered_again(
    run: Run, place: Path, name: str, size: int | None
) -> None:
    path = place / "out" / name
    if size is None:
        path.unlink()
    else:
        os.truncate(path, size)
    what, why = plan(run, place)
    assert (what, why.split(" ")[:2]) == ("render", ["result", "incomplete:"])
    assert name in why


def test_a_set_of_two_runs_is_rendered_again(run: Run, place: Path) -> None:
    """As left by a run that was killed between two renames."""
    path = place / "out" / PICTURES[1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert plan(run, place) == ["render", f"result incomplete: {PICTURES[1]} has other contents"]
    (place / "out" / SET[1]).unlink()
    assert plan(run, place) == ["render", f"result incomplete: {PICTURES[1]} has no JSON beside it"]


def test_other_inputs_are_rendered_again(run: Run, place: Path) -> None:
    frames = sorted((place / "photos" / "street").iterdir())
    data = bytearray(frames[1].read_bytes())
    data[-1] ^= 1
    frames[1].write_bytes(data)
    assert plan(run, place) == ["render", "inputs changed: frame_01.dng has other contents"]
    frames[1].unlink()
    assert plan(run, place) == ["render", "inputs changed: frame_01.dng is gone"]
    shutil.copy(frames[0], frames[1])
    shutil.copy(frames[0], frames[0].with_name("frame_09.dng"))
    assert "frame_0" in plan(run, place)[1]


def test_another_recipe_or_version_is_rendered_again(run: Run, place: Path) -> None:
    assert plan(run, place, "--tone", "flat") == ["render", "recipe.finish.tone changed"]
    assert plan(run, place, "--strict") == ["render", "asked.strict changed"]
    assert plan(run, place, "--also", "png")[1].startswith("result incomplete: its JSON does not name")
    sidecar = place / "out" / SET[1]
    document = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(document | {"longexpo": "0.0.1"}, indent=2))
    assert plan(run, place) == ["render", "longexpo changed"]


def test_a_result_is_rendered_again_with_its_reason_and_without_leftovers(run: Run, place: Path) -> None:
    out, log = place / "out", place / "log.jsonl"
    before = {name: (out / name).read_bytes() for name in PICTURES}
    os.truncate(out / PICTURES[0], 0)
    (out / f".{PICTURES[0]}.01234567.part").write_bytes(b"half")
    result = run("batch", place / "photos", "-o", out, "--resume", "--log", log)
    assert result.exit_code == 0
    assert "street: rendered again: result incomplete: street.foreground.jpg has 0 bytes" in result.stderr
    assert "1 rendered, 0 skipped, 0 failed" in result.stderr
    assert {name: (out / name).read_bytes() for name in PICTURES} == before
    assert listing(out) == sorted(SET)
    (line,) = [json.loads(text) for text in log.read_text().splitlines()]
    document = json.loads((out / SET[1]).read_text())
    assert line["digest"] == document["inputs"]["sha256"]
    assert line["recipe"] == {"mode": document["mode"]} | document["recipe"]
    assert [entry["verdict"] for entry in line["verdicts"]] == ["used"] * 3
    assert line["time"].endswith("+00:00")
    assert line["outputs"] == document["outputs"] + [str(out / SET[1])]
    again = run("batch", place / "photos", "-o", out, "--resume")
    assert "0 rendered, 1 skipped, 0 failed" in again.stderr
    assert "again" not in again.stderr


def test_a_log_that_cannot_be_written_does_not_end_the_batch(run: Run, place: Path) -> None:
    result = run("batch", place / "photos", "-o", place / "new", "--log", "/dev/full")
    assert result.exit_code == 1
    assert "/dev/full: cannot be written: No space left on device" in result.stderr
    assert "1 rendered, 0 skipped, 0 failed" in result.stderr
    assert listing(place / "new") == sorted(SET)


def test_a_log_in_no_folder_fails_before_the_first_burst(run: Run, place: Path) -> None:
    result = run("batch", place / "photos", "-o", place / "new", "--log", place / "no" / "log.jsonl")
    assert result.exit_code == 1
    assert "No such file" in result.stderr
    assert not (place / "new").exists()


def test_a_plan_goes_at_the_pace_of_the_results_that_are_there(run: Run, place: Path) -> None:
    words = ("batch", place / "photos", "-o", place / "out", "--dry-run", "--overwrite")
    seconds = json.loads((place / "out" / SET[1]).read_text())["seconds"]
    result = run(*words)
    assert "at the pace of 1 results there" in result.stderr
    assert float(result.stdout.split("\t")[4].removesuffix(" s")) == pytest.approx(seconds, abs=0.51)


def test_leftovers_beside_a_whole_result_are_removed(run: Run, place: Path) -> None:
    """As left by a run that was killed when it had renamed the last file."""
    for name in (f".{SET[1]}.lock", f".{SET[0]}.01234567.old"):
        (place / "out" / name).touch()
    assert plan(run, place) == ["skip"]
    assert len(listing(place / "out")) == 5
    assert run("batch", place / "photos", "-o", place / "out", "--resume").exit_code == 0
    assert listing(place / "out") == sorted(SET)


def test_two_runs_with_one_output_agree(run: Run, place: Path) -> None:
    out = place / "out"
    with output_lock.held(out / SET[1], []):
        result = run("render", place / "photos" / "street", "-o", out, "--overwrite")
    assert result.exit_code == 1
    assert "another run is writing this result" in result.stderr


def longexpo(place: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "longexpo_cli", "batch", str(place / "photos"), "-o", str(place / "new")]
    return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_batch_that_is_ended_has_a_page_on_what_is_done(
    place: Path, number: signal.Signals, code: int
) -> None:
    for name in ("a", "b", "c", "d"):
        shutil.copytree(place / "photos" / "street", place / "photos" / name)
    new = place / "new"
    with longexpo(place, "--report", "--workers", "1") as batch:
        assert batch.stdout is not None
        first = batch.stdout.readline().decode()
        batch.send_signal(number)
        printed, errors = batch.communicate(timeout=60)
    assert batch.returncode == code
    assert errors.endswith(b"longexpo: interrupted; no partial files left\n")
    assert first.startswith(str(new / "a.foreground."))
    assert printed.decode().splitlines()[-1] == str(new / "index.html")
    page = (new / "index.html").read_text()
    said = re.search(r"(\d) of 5 bursts rendered, 0 failed. (\d) not done: the batch was interrupted", page)
    assert said is not None
    assert 1 <= int(said[1]) == 5 - int(said[2]) <= len(list(new.glob("*.json"))) < 5
    assert 'href="a.foreground.html"' in page


def test_a_reader_that_ends_does_not_end_the_batch(place: Path) -> None:
    """As in `longexpo batch ... | head -1`; the note for standard error goes nowhere either."""
    shutil.copytree(place / "photos" / "street", place / "photos" / "a")
    log = place / "log.jsonl"
    with longexpo(place, "--log", str(log)) as batch:
        assert batch.stdout is not None
        assert batch.stderr is not None
        batch.stderr.close()
        batch.stdout.readline()
        batch.stdout.close()
        assert batch.wait(120) == 0
    assert [Path(json.loads(line)["source"]).name for line in log.read_text().splitlines()] == ["a", "street"]
    assert len(listing(place / "new")) == 6


def test_what_only_the_replaced_result_had_is_removed_but_not_what_was_changed_or_is_read(
    run: Run, place: Path
) -> None:
    street, out = place / "photos" / "street", place / "out"
    words = ("render", street, "-o", out, "--overwrite", "--reference", "1")
    assert run(*words, "--report", "--also", "png,mask,sharp").exit_code == 0
    (out / "street.foreground.note.txt").write_text("of nobody")
    png, mask = out / "street.foreground.png", out / "street.foreground.mask.png"
    os.utime(out / "street.foreground.html", ns=(1, 1))  # copied: of another time, and the same
    png.write_bytes(png.read_bytes() + b"edited")
    again = run(*words, "--mask", mask, "--also", "sharp")
    assert again.exit_code == 0, again.stderr
    assert f"{png}: is of the result that was replaced; it was changed since, and is left" in again.stderr
    kept = ["street.foreground.mask.png", "street.foreground.note.txt", "street.foreground.png"]
    assert listing(out) == sorted([*SET, *kept, "street.foreground.sharp.tif"])
    document = json.loads((out / SET[1]).read_text())
    assert sorted(entry["name"] for entry in document["files"]) == sorted(
        [*PICTURES, kept[0].replace("mask.png", "sharp.tif")]
    )


def test_a_result_removes_only_files_of_its_own_name(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "a.html"):
        (tmp_path / name).write_bytes(b"x")
    names = ["b.jpg", "../a.html", "a.../a.html", "a.html", "a.jpg", "a.json", "a.gone.png", "", "a."]
    status = (tmp_path / "a.html").stat()
    files = [{"name": name, "bytes": 1, "mtime_ns": status.st_mtime_ns} for name in names]
    (tmp_path / "a.json").write_text('{\n  "longexpo": 1, "files": ' + json.dumps(files) + "}")
    found = results.left_over(tmp_path / "a.json", [tmp_path / "a.jpg"])
    assert found == [(tmp_path / "a.html", True)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_batch_that_is_ended_leaves_nothing(place: Path, number: signal.Signals, code: int) -> None:
    new = place / "new"
    with longexpo(place) as batch:
        deadline = time.monotonic() + 60
        while not (new.exists() and listing(new)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = Path(f"/proc/{batch.pid}/task/{batch.pid}/children").read_text()
        batch.send_signal(number)
        _, errors = batch.communicate(timeout=60)
    assert (batch.returncode, errors) == (code, b"longexpo: interrupted; no partial files left\n")
    assert not new.exists() or listing(new) == []
    assert not [child for child in children.split() if _runs(child)]


def _runs(process: str) -> bool:
    """Whether a process, by its number, has not ended; one that nobody has waited for has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
