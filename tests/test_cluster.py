"""A batch on a Dask cluster: a scheduler and workers in processes of their own on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import distributed
import pytest

from longexpo_cli import batch, cluster
from longexpo_cli.files import output_lock
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import write
from longexpo_cli.version import __version__
from tests.commands.conftest import in_a_process, listing
from tests.dng import tiny_burst

START_S = 60.0
ENDINGS = ("jpg", "json", "tif")


@dataclass
class Cluster:
    """A scheduler, its address, and its workers."""

    place: Path
    stack: ExitStack
    address: str = ""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program of Dask, which ends with the test."""
        running = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self.place,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.stack.callback(running.wait)
        self.stack.callback(running.kill)
        return running

    def add_worker(self, **environment: str) -> None:
        """Start a worker of one thread, without the nanny that would start it again."""
        words = ("distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-nanny")
        self.workers.append(self.start(*words, "--no-dashboard", **environment))

    def wait_for(self, count: int) -> None:
        """Wait for this number of workers."""
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=START_S)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Cluster]:
    """Start a scheduler."""
    file = tmp_path / "scheduler.json"
    with ExitStack() as stack:
        made = Cluster(tmp_path, stack)
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        made.start("distributed.cli.dask_scheduler", *words)
        deadline = time.monotonic() + START_S
        while not (file.exists() and file.read_text().rstrip().endswith("}")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        made.address = json.loads(file.read_text())["address"]
        yield made


def write_bursts(root: Path, burst: Path, count: int) -> None:
    for n in range(count):
        (root / f"b{n}").mkdir(parents=True)
        for frame in sorted(burst.glob("*.dng"))[: 3 + n % 2]:
            shutil.copy(frame, root / f"b{n}")


def test_a_worker_is_killed_and_one_comes_later(
    started: Cluster, shared_burst: Path, tmp_path: Path, one_device: Device
) -> None:
    root, out, log = tmp_path / "photos", tmp_path / "out", tmp_path / "log.jsonl"
    write_bursts(root, shared_burst, 4)
    (root / "broken").mkdir()
    for frame in (root / "b0").iterdir():
        (root / "broken" / frame.name).write_bytes(frame.read_bytes()[:3000])
    (tmp_path / "old" / "longexpo_cli").mkdir(parents=True)
    (tmp_path / "old" / "longexpo_cli" / "__init__.py").touch()
    started.add_worker()
    started.add_worker()
    started.add_worker(PYTHONPATH=str(tmp_path / "old"))
    started.wait_for(3)
    words = ("batch", str(root), "-o", str(out), "--scheduler", started.address, "--log", str(log))
    with subprocess.Popen(
        [sys.executable, "-m", "longexpo_cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        deadline = time.monotonic() + 2 * START_S
        while not list(out.glob("*.json")):  # both are at work
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started.workers[0].kill()
        started.add_worker()
        _, said = running.communicate(timeout=4 * START_S)
    assert running.returncode == 1, said
    assert b"4 rendered, 0 skipped, 1 failed" in said
    assert b"broken: no usable frame" in said
    assert b"No module named 'longexpo_cli.cluster'" in said
    assert b"there, as on this machine; it is not used" in said
    assert listing(out) == [f"b{n}.foreground.{end}" for n in range(4) for end in ENDINGS]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    names = [Path(line["source"]).name for line in lines]
    assert sorted(names) == ["b0", "b1", "b2", "b3", "broken"]

    local = tmp_path / "local"
    for n in range(2):
        assert not batch.render_one(batch.Job(root / f"b{n}", local, Recipe()), one_device).error
    for n in range(4):
        for ending in ("jpg", "tif"):
            same = (local / f"b{n % 2}.foreground.{ending}").read_bytes()
            assert (out / f"b{n}.foreground.{ending}").read_bytes() == same
    again = in_a_process(*words, "--resume")
    assert "0 rendered, 4 skipped, 1 failed" in again.stderr


def test_bursts_that_fail_are_named_and_leave_their_worker_usable(
    started: Cluster, shared_burst: Path, tmp_path: Path
) -> None:
    root, out, log = tmp_path / "photos", tmp_path / "out", tmp_path / "log.jsonl"
    write_bursts(root, shared_burst, 1)
    for name in ("a_cut", "c_damaged"):
        shutil.copytree(root / "b0", root / name)
        for frame in (root / name).iterdir():
            data = bytearray(frame.read_bytes())
            frame.write_bytes(data[:3000] if name == "a_cut" else data[:2000] + bytes(15_000) + data[17_000:])
    tiny_burst(root / "b_large", height=160, width=200)
    tiny_burst(root / "d_unlike", height=120, width=160, compression="ljpeg")
    shutil.copytree(root / "b0", root / "e_good")
    (root / "b0").rename(root / "f_good")
    started.add_worker()
    started.wait_for(1)
    words = ("batch", root, "-o", out, "--scheduler", started.address, "--log", log, "--max-pixels", "20000")
    done = in_a_process(*words)
    assert done.returncode == 1, done.stderr
    assert "2 rendered, 0 skipped, 4 failed" in done.stderr
    whys = {"a_cut": "truncated", "b_large": "max_pixels", "c_damaged": "damaged", "d_unlike": "aligned"}
    lines = {Path(line["source"]).name: line for line in map(json.loads, log.read_text().splitlines())}
    assert list(lines) == [*whys, "e_good", "f_good"]  # by one worker, in order
    for name, why in whys.items():
        assert lines[name]["error"].startswith(f"{root / name}: ")
        assert why in lines[name]["error"]
        assert f"longexpo: {lines[name]['error']}\n" in done.stderr
    assert started.workers[0].poll() is None
    assert listing(out) == [f"{name}_good.foreground.{end}" for name in "ef" for end in ENDINGS]
    again = in_a_process(*words, "--resume")  # what fails once more does not hinder what is left
    assert "0 rendered, 2 skipped, 4 failed" in again.stderr


@pytest.mark.usefixtures("cached_networks")
def test_memory_that_ran_out_is_said_and_the_next_burst_is_rendered(
    shared_burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = batch.Job(shared_burst, tmp_path, Recipe())

    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(write, "write", exhausted)
        failed = cluster.render(job)
    assert failed.error.startswith(f"{shared_burst}: ")
    assert "memory" in failed.error
    assert listing(tmp_path) == []
    assert not cluster.render(job).error
    assert listing(tmp_path) == [f"{shared_burst.name}.foreground.{end}" for end in ENDINGS]


def test_what_is_wrong_with_a_cluster_is_said_in_one_line(
    started: Cluster, shared_burst: Path, tmp_path: Path
) -> None:
    def said(words: tuple[str, ...]) -> str:
        out = tmp_path / f"out{cases.index(words)}"
        done = in_a_process("batch", shared_burst.parent, "-o", out, "--scheduler", *words)
        assert done.returncode in (1, 2)
        assert not list(out.glob("*")) if out.exists() else True
        (line,) = [line for line in done.stderr.splitlines() if line.startswith(("longexpo:", "Error:"))]
        return line

    nobody = started.address.rpartition(":")[0] + ":9"
    cases = [(nobody,), ("here:there",), (started.address,), (started.address, "--workers", "2")]
    with ThreadPoolExecutor() as together:  # most of their time is waiting
        unanswered, unnamed, unmanned, counted = together.map(said, cases)
    assert f"{nobody}: no Dask scheduler answers" in unanswered
    assert "there is no port of a Dask scheduler; start one with `dask scheduler`" in unnamed
    assert "no workers; start some with `dask worker tcp://" in unmanned
    assert "--workers is of this machine" in counted


def check_of(place: Path) -> cluster.Check:
    (place / "probe").write_text("a")
    return cluster.Check(__version__, distributed.__version__, (place,), place / "probe", "a")


def test_a_worker_that_is_not_fit_says_why(tmp_path: Path) -> None:
    check = check_of(tmp_path)
    assert cluster.why_unfit(check) == ""
    assert "has longexpo" in cluster.why_unfit(replace(check, version="0.0.1"))
    assert "not 1.0; install the same version" in cluster.why_unfit(replace(check, distributed="1.0"))
    unseen = replace(check, paths=(tmp_path, tmp_path / "none"))
    assert f"does not see {tmp_path / 'none'}; mount the shared folder" in cluster.why_unfit(unseen)
    for other in (replace(check, token="b"), replace(check, probe=tmp_path / "none")):
        assert f"has another folder at {tmp_path}; mount" in cluster.why_unfit(other)
    assert "install longexpo" in cluster._reason(
        "tcp://a", ModuleNotFoundError("No module named 'longexpo_cli'")
    )


def test_a_result_that_another_worker_still_writes_is_waited_for(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.json"
    begin = time.monotonic()
    output_lock.wait_until_free(sidecar, 5)
    with output_lock.held(sidecar, []):
        assert time.monotonic() - begin < 1
        output_lock.wait_until_free(sidecar, 0.3)
        assert time.monotonic() - begin > 0.3
    assert listing(tmp_path) == []
