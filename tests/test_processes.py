"""processes: results of functions in processes that end with their parent and are tried once more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from longexpo_cli import processes


def double(number: int) -> int:
    return 2 * number


def die_once(mark: str) -> str:
    """Kill this process, unless that was done before."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die(mark: str) -> str:
    with Path(mark).open("a") as file:
        file.write("x")
    os._exit(3)


def wait_long(mark: str) -> str:
    """Say which process this is, wait, and say whether it was unwound."""
    Path(mark).write_text(str(os.getpid()))
    try:
        time.sleep(60)
    finally:
        Path(mark + ".unwound").touch()
    return "done"


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def process_in(mark: Path) -> int:
    """Return the process that wait_long names, when it has."""
    deadline = time.monotonic() + 30
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(mark.read_text())


def ends(process: int) -> bool:
    deadline = time.monotonic() + 20
    while is_running(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(process)


def test_results_of_many_jobs() -> None:
    assert sorted(processes.run(double, [1, 2, 3], 2, double)) == [2, 4, 6]
    assert list(processes.run(double, [], 2, double)) == []


def test_a_killed_process_is_tried_once_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    once, twice = str(tmp_path / "once"), str(tmp_path / "twice")
    assert list(processes.run(die_once, [once], 1, str.upper)) == ["done"]
    assert "tried once more" in caplog.text
    assert list(processes.run(die, [twice], 1, str.upper)) == [twice.upper()]
    assert Path(twice).read_text() == "xx"


def where(is_sound: bool) -> tuple[int, bool]:
    return os.getpid(), is_sound


def test_a_process_does_one_job_after_another_as_long_as_the_results_are_sound() -> None:
    jobs = [True, True, False, True]
    done = list(processes.run(where, jobs, 1, lambda job: (0, job), is_sound=lambda result: result[1]))
    first, second, third, fourth = (process for process, _ in done)
    assert first == second == third != fourth
    assert not is_running(first)
    assert not is_running(fourth)


def between(mark: str) -> tuple[float, float]:
    """Return the times between which this job was at work."""
    begin = time.monotonic()
    time.sleep(0.3)
    return begin, time.monotonic()


def meeting(place: str) -> bool:
    """Return whether another job is at work while this one waits for it."""
    (Path(place) / str(os.getpid())).touch()
    deadline = time.monotonic() + 30
    while len(list(Path(place).iterdir())) < 2:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_jobs_that_need_more_than_the_room_wait_for_each_other(tmp_path: Path) -> None:
    def are_apart(room: float) -> bool:
        jobs = processes.run(between, ["a", "b"], 2, lambda job: (0.0, 0.0), need=lambda job: 2.0, room=room)
        (_, first_end), (second_begin, _) = sorted(jobs)
        return second_begin >= first_end

    place = [str(tmp_path)] * 2
    assert all(processes.run(meeting, place, 2, lambda job: False, need=lambda job: 2.0, room=4.0))
    assert are_apart(3.0)
    assert are_apart(1.0)  # each needs more than there is: alone


def test_jobs_are_taken_as_they_are_needed() -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        for number in range(1, 1000):
            taken = number
            yield number

    with closing(processes.run(double, jobs(), 1, double)) as results:
        assert next(results) == 2
    assert taken < 10


def test_an_interrupted_loop_ends_the_processes(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    found = 0

    def interrupt() -> None:
        nonlocal found
        with closing(processes.run(_job, [("wait", str(mark)), ("double", "")], 2, str)) as outcomes:
            assert next(outcomes) == "double"
            found = process_in(mark)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert not is_running(found)
    assert Path(f"{mark}.unwound").exists()


def _job(job: tuple[str, str]) -> str:
    return wait_long(job[1]) if job[0] == "wait" else job[0]


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = (
        "from longexpo_cli import processes; from tests import test_processes as t\n"
        f"if __name__ == '__main__': print(*processes.run(t.wait_long, [{str(mark)!r}], 1, str))"
    )
    (tmp_path / "parent.py").write_text(script)
    root = Path(__file__).parent.parent
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(root)}) as parent:
        found = process_in(mark)
        parent.kill()
        parent.wait()
    assert ends(found)
    assert Path(f"{mark}.unwound").exists()
