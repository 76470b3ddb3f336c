"""Work in processes that do one job after another, some at a time, and end with the one that started them."""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from longexpo_cli import crash_guard, logs

J = TypeVar("J")
R = TypeVar("R")

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 2  # of a job whose process is killed: the memory may have been short for a moment
_END_S = 10.0  # to end by itself, unfinished files removed, before it is killed
_MAX_JOBS = 100  # of a process: what libraries lose a little of in each is given back, for 1 % of the time


def run(
    function: Callable[[J], R],
    jobs: Iterable[J],
    count: int,
    died: Callable[[J], R],
    *,
    is_sound: Callable[[R], bool] = lambda result: True,
    need: Callable[[J], float] = lambda job: 0.0,
    room: float = float("inf"),
) -> Generator[R]:
    """Call a module's function for each job in one of `count` processes; yield results as they end.

    A process does one job after another, as long as is_sound(result). One that is killed costs its job a
    second try, in another process; then died(job) is the result. Jobs run together whose need adds up to no
    more than room; one that needs more runs alone. When the generator is closed or interrupted, it ends the
    processes; when this process is killed, they end themselves.
    """
    crew = _Crew(function, is_sound, room)
    with ThreadPoolExecutor(max_workers=count) as pool:
        waiting, pending = iter(jobs), list[Future[R]]()
        try:
            while True:
                for job in itertools.islice(waiting, 2 * count - len(pending)):
                    pending.append(pool.submit(crew.do, job, died, need(job)))
                if not pending:
                    break
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                ended, pending = [f for f in pending if f in done], [f for f in pending if f not in done]
                for future in ended:  # of those that ended together, in the order of their jobs
                    yield future.result()
        finally:
            for future in pending:
                future.cancel()
            crew.stop()


class _Worker:
    """A process that waits for jobs, the connection to it, and what it notes of the files that it decodes."""

    def __init__(self, function: Callable[[Any], Any], watched: crash_guard.Watched) -> None:
        spawn = multiprocessing.get_context("spawn")  # OpenCL does not survive a fork
        self._ours, theirs = spawn.Pipe()
        self.jobs = 0
        self.watched = watched
        self.process: BaseProcess = spawn.Process(
            target=_work, args=(theirs, function, logs.level(), watched.state()), daemon=True
        )
        try:
            self.process.start()
        except OSError:
            self._ours.close()
            raise
        finally:
            theirs.close()

    def do(self, job: object) -> tuple[bool, Any]:
        """Return whether the process lived to the end of the job, and the result."""
        self.jobs += 1
        try:
            self._ours.send(job)
            return True, self._ours.recv()
        except (EOFError, OSError):
            return False, None

    def end(self) -> None:
        """Wait for a process that has nothing to do, or was told to end; kill one that does not."""
        self._ours.close()
        self.process.join(_END_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class _Crew:
    """The processes, those at work and those that wait, and the room that is left for jobs."""

    def __init__(self, function: Callable[[Any], Any], is_sound: Callable[[Any], bool], room: float) -> None:
        self._function, self._is_sound = function, is_sound
        self._lock = threading.Condition()
        self._working: set[_Worker] = set()
        self._waiting: list[_Worker] = []
        self._room = room
        self._needed: list[float] = []
        self._is_stopping = False

    def do(self, job: J, died: Callable[[J], R], need: float) -> Any:
        """Return the function's result for a job; a file that crashes its decoder costs no attempt."""
        watched: crash_guard.Watched | None = None
        attempts = 0
        with self._admitted(need):
            while attempts < _ATTEMPTS:
                is_done, result, dead = self._once(job, watched)
                if is_done:
                    return result
                if self._is_stopping:
                    break
                line = ""
                if dead is not None:
                    watched = dead.watched
                    line = watched.learn(dead.process.exitcode or 0)
                attempts += not line
                if line or attempts < _ATTEMPTS:
                    line = line or "its process was killed; it is tried once more"
                    _LOG.warning("%s: %s", getattr(job, "source", job), line)
            if watched is not None:
                watched.close()
            return died(job)

    @contextlib.contextmanager
    def _admitted(self, need: float) -> Iterator[None]:
        """Wait until there is room for a job, or no other is at work."""
        with self._lock:
            self._lock.wait_for(
                lambda: not self._needed or self._is_stopping or sum(self._needed) + need <= self._room
            )
            self._needed.append(need)
        try:
            yield
        finally:
            with self._lock:
                self._needed.remove(need)
                self._lock.notify_all()

    def _once(self, job: object, watched: crash_guard.Watched | None) -> tuple[bool, Any, _Worker | None]:
        """Return whether the function ended, its result, and the worker that died of it, if one did.

        watched is that of an earlier worker, from which the next one learns what to refuse.
        """
        with self._lock:
            if self._is_stopping:
                return False, None, None
            try:
                if self._waiting and watched is None:
                    worker = self._waiting.pop()
                else:
                    worker = _Worker(self._function, watched or crash_guard.Watched())
            except OSError as error:  # no memory for a process, or it was killed before it read its function
                _LOG.info("a process cannot be started (%s)", error)
                return False, None, None
            self._working.add(worker)
        is_done, goes_on = False, False
        try:
            is_done, result = worker.do(job)
            goes_on = is_done and worker.jobs < _MAX_JOBS and self._is_sound(result)
        finally:
            with self._lock:
                self._working.discard(worker)
                goes_on = goes_on and not self._is_stopping
                if goes_on:
                    self._waiting.append(worker)
            if not goes_on:
                worker.end()
                if is_done or self._is_stopping:
                    worker.watched.close()
        return is_done, result, None if is_done else worker

    def stop(self) -> None:
        """End all processes and start no other."""
        with self._lock:
            self._is_stopping = True
            self._lock.notify_all()
            working, waiting = list(self._working), self._waiting
            self._waiting = []
        for worker in working:
            worker.process.terminate()  # the thread that waits for its result waits for its end
        for worker in waiting:
            worker.end()
            worker.watched.close()


def _work(
    connection: Connection, function: Callable[[Any], Any], level: int, guard: crash_guard.Guard
) -> None:
    """Send the function's result for each job that comes; the body of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent ends this process
    signal.signal(signal.SIGTERM, _raise_exit)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logs.configure(level)
    crash_guard.enable(guard)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # there are no more
        while True:
            connection.send(function(connection.recv()))


def _raise_exit(number: int, frame: object) -> None:
    """Unwind the process, so that unfinished files are removed."""
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    """Wait for the parent's end, then end this process: at once when it does not unwind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_END_S)
        os._exit(1)
