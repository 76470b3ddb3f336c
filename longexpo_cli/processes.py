"""Work in processes: one process for each job, some at a time, that end with the one that started them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from longexpo_cli import crash_guard, logs

J = TypeVar("J")
R = TypeVar("R")

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 2  # of a job whose process is killed: the memory may have been short for a moment
_END_S = 10.0  # to end by itself, unfinished files removed, before it is killed


def run(function: Callable[[J], R], jobs: Sequence[J], count: int, died: Callable[[J], R]) -> Generator[R]:
    """Call a module's function for each job in a new process, `count` at a time; yield results as they end.

    A job whose process is killed is tried once more, then died(job) is its result. When the generator is
    closed or interrupted, it ends the processes; when this process is killed, they end themselves.
    """
    crew = _Crew()
    with ThreadPoolExecutor(max_workers=count) as pool:
        futures = [pool.submit(crew.do, function, job, died) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
            crew.stop()


class _Crew:
    """The processes that are running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[BaseProcess] = set()
        self._is_stopping = False

    def do(self, function: Callable[[J], R], job: J, died: Callable[[J], R]) -> Any:
        """Return the function's result for a job; a file that crashes its decoder costs no attempt."""
        with closing(crash_guard.Watched()) as watched:
            attempts = 0
            while attempts < _ATTEMPTS:
                is_done, result, code = self._once(function, job, watched)
                if is_done:
                    return result
                if self._is_stopping:
                    break
                line = watched.learn(code)
                attempts += not line
                if line or attempts < _ATTEMPTS:
                    line = line or "its process was killed; it is tried once more"
                    _LOG.warning("%s: %s", getattr(job, "source", job), line)
        return died(job)

    def _once(
        self, function: Callable[[J], R], job: J, watched: crash_guard.Watched
    ) -> tuple[bool, Any, int]:
        """Return whether the function ended, its result, and the code with which its process did."""
        spawn = multiprocessing.get_context("spawn")  # OpenCL does not survive a fork
        receiver, sender = spawn.Pipe(duplex=False)
        process = spawn.Process(
            target=_work, args=(sender, function, job, logs.level(), watched.state()), daemon=True
        )
        with self._lock:
            if self._is_stopping:
                return False, None, 0
            try:
                process.start()
            except OSError as error:  # no memory for a process, or it was killed before it read its job
                _LOG.info("a process cannot be started (%s)", error)
                return False, None, 0
            self._running.add(process)
        sender.close()
        try:
            result = receiver.recv()
        except (EOFError, OSError):
            _end(process)
            return False, None, process.exitcode or 0
        finally:
            receiver.close()
            _end(process)
            with self._lock:
                self._running.discard(process)
        return True, result, 0

    def stop(self) -> None:
        """End all processes and start no other."""
        with self._lock:
            self._is_stopping = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            _end(process)


def _end(process: BaseProcess) -> None:
    """Wait for a process that is ending; kill one that does not."""
    process.join(_END_S)
    if process.is_alive():
        process.kill()
        process.join()


def _work(
    sender: Connection, function: Callable[[Any], Any], job: Any, level: int, guard: crash_guard.Guard
) -> None:
    """Send the function's result for a job; the body of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent ends this process
    signal.signal(signal.SIGTERM, _raise_exit)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logs.configure(level)
    crash_guard.enable(guard)
    sender.send(function(job))
    sender.close()


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
