"""Render bursts on a Dask cluster whose machines see the same files. The only importer of distributed.

The scheduler runs a burst again whose worker has died, and asks again for a result that died with its worker;
the batch's name in the JSON of a result (Job.run) keeps it from being rendered twice.
"""

from __future__ import annotations

import contextlib
import logging
import platform
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longexpo_cli import batch
from longexpo_cli.batch import Job, Outcome
from longexpo_cli.errors import LongexpoError
from longexpo_cli.files import output_lock
from longexpo_cli.version import __version__

_LOG = logging.getLogger(__name__)
_CONNECT_S = 10.0
_LOOK_S = 5.0  # between two looks at whether there are workers
_POLL_S = 0.05
_AHEAD = 2  # bursts that wait for each thread of the cluster: the scheduler knows no more of a batch
_ZOMBIE_S = 3600.0  # a worker that the scheduler has given up may still render a burst for so long
_one_at_a_time = threading.Lock()  # a worker may have several threads; a render uses all cores


@dataclass(frozen=True, slots=True)
class Check:
    """What a worker must have in common with this machine: versions, paths, and a file's content."""

    version: str
    distributed: str
    paths: tuple[Path, ...]
    probe: Path
    token: str


def run(jobs: Sequence[Job], address: str, roots: Sequence[Path], output: Path) -> Generator[Outcome]:
    """Render jobs on the cluster of the scheduler at address, tcp://HOST:PORT; yield outcomes as they finish.

    roots and output are absolute paths that every worker must see. Those that cannot are named and not used.
    LongexpoError where there is no such scheduler, no fit worker, or the connection is lost.
    """
    output.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex
    probe = output / f".longexpo-{token[:8]}.probe"
    with _connected(address) as client:
        probe.write_text(token)
        try:
            check = Check(__version__, _distributed().__version__, (*roots, output), probe, token)
            _refuse_scheduler(client, address, check)
            yield from _Sending(client, address, check).outcomes(jobs)
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        message = "--scheduler needs Dask: pip install 'longexpo[cluster]', here and on every machine"
        raise LongexpoError(message) from error
    return distributed


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Connect to a scheduler; its client opens no port and no dashboard."""
    how = "start one with `dask scheduler` and give the address that it prints, tcp://HOST:PORT"
    place, _, port = address.rpartition("://")[2].rpartition(":")
    if place and not port.isdecimal() and not port.endswith("]"):  # of an IPv6 address without a port
        # Dask would look for it for 20 s, and say so with a traceback.
        raise LongexpoError(f"{address}: {port} is no port of a Dask scheduler; {how}")
    distributed = _distributed()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said here, in one line
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other versions: see _refuse_scheduler
            client = distributed.Client(
                address, timeout=_CONNECT_S, direct_to_workers=False, set_as_default=False
            )
    except (OSError, ValueError, TypeError) as error:
        raise LongexpoError(f"{address}: no Dask scheduler answers ({_first_line(error)}); {how}") from error
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone cannot be told
            client.close(timeout=_CONNECT_S)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _refuse_scheduler(client: Any, address: str, check: Check) -> None:
    """Raise LongexpoError for a scheduler of another version than this machine's, or one without workers."""
    scheduler = client.get_versions(check=False)["scheduler"] or {}
    theirs = scheduler.get("packages", {}).get("distributed")
    if theirs != check.distributed:
        raise LongexpoError(
            f"{address}: the scheduler has distributed {theirs}, this machine {check.distributed}; "
            "install the same version on all machines"
        )
    if not client.nthreads():
        raise LongexpoError(
            f"{address}: the scheduler has no workers; start some with `dask worker {address} --nthreads 1`"
        )


def _reason(worker: str, why: str | BaseException) -> str:
    if isinstance(why, BaseException):
        remedy = f"install longexpo {__version__} there, as on this machine"
        return f"worker {worker}: {_first_line(why)}: {remedy}"
    return f"worker {worker}: {why}" if why else ""


def why_unfit(check: Check) -> str:
    """Return why this process cannot render for a batch, "" when it can; runs on a worker."""
    where = platform.node()
    if __version__ != check.version:
        return f"{where} has longexpo {__version__}, not {check.version}; install the same version"
    if (found := _distributed().__version__) != check.distributed:
        return f"{where} has distributed {found}, not {check.distributed}; install the same version"
    shared = "mount the shared folder at the same path on every machine"
    for path in check.paths:
        if not path.is_dir():
            return f"{where} does not see {path}; {shared}"
    try:
        is_same = check.probe.read_text() == check.token
    except OSError:
        is_same = False
    return "" if is_same else f"{where} has another folder at {check.probe.parent}; {shared}"


def render(job: Job) -> Outcome:
    """Render a burst on a worker."""
    with _one_at_a_time:
        output_lock.wait_until_free(job.sidecar(), _ZOMBIE_S)
        return batch.render_next(job)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A job on the cluster: its future, and the addresses of the workers that may do it."""

    job: Job
    future: Any
    workers: frozenset[str]


class _Sending:
    """Keeps the workers that can render busy with jobs."""

    def __init__(self, client: Any, address: str, check: Check) -> None:
        self._client, self._address, self._check = client, address, check
        self._judged: dict[str, str] = {}  # why each worker is unfit, "" for fit ones
        self._fit: dict[str, int] = {}  # threads of the fit workers that are there
        self._sent: dict[str, _Sent] = {}  # by the key of the future
        self._done = _distributed().as_completed(loop=client.loop)
        self._last_look = -_LOOK_S
        self._has_warned = False

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield the outcomes of jobs."""
        waiting = deque(jobs)
        while waiting or self._sent:
            if time.monotonic() - self._last_look >= _LOOK_S:
                self._look()
                self._last_look = time.monotonic()
            room = _AHEAD * sum(self._fit.values()) - len(self._sent)
            for _ in range(min(room, len(waiting))):
                self._send(waiting.popleft())
            if not self._done.has_ready():
                time.sleep(_POLL_S)
            elif (outcome := self._outcome(next(self._done))) is not None:
                yield outcome

    def _send(self, job: Job) -> None:
        future = self._client.submit(
            render, job, pure=False, key=f"longexpo-{uuid.uuid4().hex}", workers=list(self._fit)
        )
        self._sent[future.key] = _Sent(job, future, frozenset(self._fit))
        self._done.add(future)

    def _look(self) -> None:
        """See which workers are there, judge new ones, and send again what only lost ones may do."""
        try:
            there = self._client.nthreads()
            new = [worker for worker in there if worker not in self._judged]
            found = self._client.run(why_unfit, self._check, workers=new, on_error="return") if new else {}
        except (OSError, TypeError) as error:  # TypeError: there is no connection to ask
            raise self._lost() from error
        for worker, why in found.items():
            if isinstance(why, OSError):  # it has just ended
                continue
            self._judged[worker] = _reason(worker, why)
        self._fit = {worker: count for worker, count in there.items() if self._judged.get(worker) == ""}
        reasons = [why for worker in new if (why := self._judged.get(worker))]
        if reasons and not self._fit and not self._sent:
            raise LongexpoError(f"{self._address}: no worker can render: {reasons[0]}")
        for why in reasons:
            _LOG.warning("%s; it is not used", why)
        if not self._fit and not self._has_warned:
            _LOG.warning("%s: no worker is left; the batch waits for one", self._address)
        self._has_warned = not self._fit
        for key, sent in list(self._sent.items()) if self._fit else ():
            if not sent.workers & self._fit.keys():
                del self._sent[key]
                sent.future.cancel()
                self._send(sent.job)

    def _outcome(self, future: Any) -> Outcome | None:
        """Return the outcome of a job; None for one that has been sent again."""
        sent = self._sent.pop(future.key, None)
        if sent is None:
            return None
        if future.status in ("cancelled", "lost"):
            raise self._lost()
        error = future.exception()
        if error is None:
            result: Outcome = future.result()
            return result
        is_killed = type(error).__name__ == "KilledWorker"
        why = "the workers that rendered it were killed, one after the other" if is_killed else repr(error)
        return Outcome(sent.job.label, error=f"{sent.job.label}: {why}")

    def _lost(self) -> LongexpoError:
        return LongexpoError(
            f"{self._address}: the connection to the scheduler is lost; start it and its workers again, "
            "and the batch with --resume"
        )
