"""A crash of a library that decodes a file, or one that never ends, costs that file, not the render.

Decoders are C and C++, and a damaged or hostile file may crash them, and with them the process. To decode
every file in another process would cost a copy of all pixels. Instead, the program runs in a process that
another, small one watches. It notes which thread decodes which file, where both can read it. When it
crashes in such a thread, or a thread exceeds the limits of time or memory, it is started again, and refuses
that file.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import json
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, ParamSpec, TypeVar

from longexpo_cli.errors import UnreadableFrameError

P = ParamSpec("P")
R = TypeVar("R")

COMMANDS = (
    "render",
    "preview",
    "info",
)  # those that decode in the process that is started; the others' workers are watched
EXCEEDED = 98  # exit code of a process that ends itself, as a file exceeds the limits
LIMIT_S = 120.0  # processor seconds of one file; one of 200 million pixels takes less than 30
VIDEO_LIMIT_S = 3600.0  # of a whole video, whose frames are looked at in turn
_WAITING = 10.0  # times that limit, of the clock: for a disk, a network, a busy machine
_PAGES = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
# By which memory may grow while a file is decoded, and other stages work: 200 million pixels take 4 GiB.
LIMIT_BYTES = max(8 << 30, _PAGES * mmap.PAGESIZE // 2)
_GUARD = "LONGEXPO_GUARD"  # environment variable: a Guard as JSON
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)
_MAX_STARTS = 12  # a folder with more such files is hostile, or the library is broken
_POLL_S = 0.25
_SLOTS, _SLOT_BYTES, _MAX_PATH = 32, 4224, 4096
_SLOT = struct.Struct("<QQH")  # thread, 1 where it exceeds the limits, bytes of the path, which follows
_COUNTS = struct.Struct("<QQ")  # bursts that are done, and those of them that failed, after the slots
_TRACE = re.compile(rb"Current thread 0x([0-9a-f]+)")  # faulthandler's, of the thread that crashed


class Decoding(NamedTuple):
    """A file that a process was decoding when it ended, the thread, and whether it exceeded the limits."""

    path: Path
    thread: int
    is_exceeding: bool


class Guard(NamedTuple):
    """What a process is told: the files of notes and of the trace of a crash, "" for none, the files to
    refuse with reasons, whether to decode one file at a time.
    """

    notes: str
    trace: str
    refused: Mapping[str, str]
    one_at_a_time: bool


class _Active(NamedTuple):
    """What a thread is decoding: its slot and native thread, what was used at its start, and its limit."""

    slot: int
    native: int
    processor_s: float
    started_s: float
    bytes: int
    limit_s: float


class _State:
    """Of this process: where it notes what it decodes, and what it refuses."""

    def __init__(self) -> None:
        self.notes: mmap.mmap | None = None
        self.refused: Mapping[str, str] = {}
        self.alone: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        self.lock = threading.Lock()
        self.free = list(range(_SLOTS))
        self.active: dict[int, _Active] = {}  # of threads
        self.trace: IO[bytes] | None = None
        self.memory = -1  # handle of what the system says of this process's memory


_state = _State()


def guarded(limit_s: float | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that notes the file a function decodes; its first argument is the path or has it.

    limit_s is the processor time that it may take, by default LIMIT_S.

    The function raises UnreadableFrameError for a file that crashed its decoder before.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def noting(*arguments: P.args, **named: P.kwargs) -> R:
            is_noted = _state.notes is None or threading.get_ident() in _state.active
            if is_noted and not _state.refused:
                return function(*arguments, **named)
            first: Any = arguments[0]
            with _noted(first if isinstance(first, Path) else first.path, limit_s or LIMIT_S):
                return function(*arguments, **named)

        return noting

    return decorate


@contextlib.contextmanager
def _noted(path: Path, limit_s: float) -> Iterator[None]:
    thread = threading.get_ident()
    if _state.refused and (why := _state.refused.get(str(path.absolute()))):
        raise UnreadableFrameError(path, why)
    if _state.notes is None or thread in _state.active:
        yield
        return
    with _state.alone:
        with _state.lock:
            slot = _state.free.pop() if _state.free else -1
        if slot < 0:
            yield
            return
        name = os.fsencode(path.absolute())[:_MAX_PATH]
        at = slot * _SLOT_BYTES
        _state.notes[at + _SLOT.size : at + _SLOT.size + len(name)] = name
        _SLOT.pack_into(_state.notes, at, thread, 0, len(name))
        native = threading.get_native_id()
        # What _processor_seconds of this thread is, without the tenth of a millisecond that /proc takes.
        used_s, now_s = time.thread_time(), time.monotonic()
        _state.active[thread] = _Active(slot, native, used_s, now_s, _resident_bytes(), limit_s)
        try:
            yield
        finally:
            _state.active.pop(thread)
            _SLOT.pack_into(_state.notes, at, 0, 0, 0)
            with _state.lock:
                _state.free.append(slot)


def enable(guard: Guard) -> None:
    """Note from now on what this process decodes, refuse some files, and end where one exceeds the limits."""
    _state.refused = guard.refused
    if guard.one_at_a_time:
        _state.alone = threading.RLock()
    with contextlib.suppress(OSError, ValueError), Path(guard.notes).open("r+b") as file:
        _state.notes = mmap.mmap(file.fileno(), 0)
        _state.trace = Path(guard.trace).open("wb")  # noqa: SIM115 - open until a crash
        faulthandler.enable(_state.trace, all_threads=True)
        with contextlib.suppress(OSError):
            _state.memory = os.open("/proc/self/statm", os.O_RDONLY)
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def enable_from_environment() -> None:
    """Enable it as the process says that watches this one; not in those that this one starts."""
    said = os.environ.pop(_GUARD, "")
    if said:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        enable(Guard(*json.loads(said)))


def done() -> tuple[int, int]:
    """Return how many bursts were done, and failed, before the program was started again."""
    return (0, 0) if _state.notes is None else _COUNTS.unpack_from(_state.notes, _SLOTS * _SLOT_BYTES)


def count(failed: int) -> None:
    """Note that one more burst is done, and how many have failed."""
    if _state.notes is not None:
        _COUNTS.pack_into(_state.notes, _SLOTS * _SLOT_BYTES, done()[0] + 1, failed)


def _watch(parent: int) -> None:
    """End this process where a file exceeds the limits, or the process that watches it is gone."""
    while True:
        time.sleep(_POLL_S)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        for thread, active in list(_state.active.items()):
            used_s = _processor_seconds(active.native) - active.processor_s
            waited_s = (time.monotonic() - active.started_s) / _WAITING
            is_large = _resident_bytes() - active.bytes > LIMIT_BYTES
            exceeds = max(used_s, waited_s) > active.limit_s or is_large
            if exceeds and _state.active.get(thread) is active and _state.notes is not None:
                struct.pack_into("<Q", _state.notes, active.slot * _SLOT_BYTES + 8, 1)
                os._exit(EXCEEDED)


def _processor_seconds(native: int) -> float:
    """Return the processor time of a thread, in seconds; a busy machine does not add to it."""
    try:
        fields = Path(f"/proc/self/task/{native}/stat").read_bytes().rpartition(b") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _resident_bytes() -> int:
    """Return the memory of this process; 0 where the system does not say it."""
    try:
        return int(os.pread(_state.memory, 64, 0).split()[1]) * mmap.PAGESIZE
    except (OSError, ValueError, IndexError):
        return 0


class Watched:
    """Processes that do one piece of work, in turn: what they note, and what the next one refuses."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.one_at_a_time = False
        self._files: list[IO[bytes]] = []
        self.notes, self.trace = "", ""
        with contextlib.suppress(OSError):  # there is no folder for temporary files: nothing can be noted
            self.notes, self.trace = self._file(_SLOTS * _SLOT_BYTES + _COUNTS.size), self._file(0)

    def _file(self, size: int) -> str:
        """Return the path of a new temporary file of some bytes, which is gone when this process ends.

        Where there is /proc the file has no name, so that nothing is left of a process that is killed.
        """
        by_number = Path(f"/proc/{os.getpid()}/fd")
        has_numbers = by_number.is_dir()
        file = tempfile.NamedTemporaryFile(prefix="longexpo-", delete=not has_numbers)  # noqa: SIM115 - see close
        file.truncate(size)
        if has_numbers:
            Path(file.name).unlink()
        self._files.append(file)
        return str(by_number / str(file.fileno())) if has_numbers else file.name

    def state(self) -> Guard:
        """Return what the next process is told."""
        return Guard(self.notes, self.trace, dict(self.refused), self.one_at_a_time)

    def close(self) -> None:
        """Delete the files."""
        for file in self._files:
            file.close()

    def learn(self, code: int) -> str:
        """Return what is done about a process that ended with a code, as subprocess has it; "" for nothing.

        The next process refuses the file that was decoded by the thread that crashed; where that is not known
        and there are several, it decodes one at a time.
        """
        crash = next((one for one in _CRASHES if one == -code), None)
        if not self.notes or (crash is None and code != EXCEEDED) or len(self.refused) >= _MAX_STARTS:
            return ""
        noted = self._noted()
        if code == EXCEEDED:
            guilty = [one for one in noted if one.is_exceeding]
            why = "its decoder takes too much time or memory"
        else:
            thread = self._crashed_thread()
            guilty = noted if thread is None else [one for one in noted if one.thread == thread]
            why = f"it crashes its decoder ({signal.Signals(-code).name})"
        self._forget()
        if len(guilty) == 1 and str(guilty[0].path) not in self.refused:
            self.refused[str(guilty[0].path)] = f"is damaged: {why}"
            return f"{guilty[0].path}: {why}; starting again without it"
        if len(guilty) > 1 and not self.one_at_a_time:
            self.one_at_a_time = True
            return f"one of {len(guilty)} files {why.removeprefix('it ')}; starting again to see which"
        return ""

    def _noted(self) -> list[Decoding]:
        data = Path(self.notes).read_bytes()
        found = []
        for at in range(0, _SLOTS * _SLOT_BYTES, _SLOT_BYTES):
            thread, exceeds, length = _SLOT.unpack_from(data, at)
            if thread:
                name = os.fsdecode(data[at + _SLOT.size : at + _SLOT.size + length])
                found.append(Decoding(Path(name), thread, bool(exceeds)))
        return found

    def _crashed_thread(self) -> int | None:
        """Return the thread that crashed, None where it was none of Python's."""
        try:
            found = _TRACE.search(Path(self.trace).read_bytes())
        except OSError:
            return None
        return None if found is None else int(found[1], 16)

    def _forget(self) -> None:
        """Clear what was noted, but not the count of bursts that are done."""
        with Path(self.notes).open("r+b") as file:
            file.write(bytes(_SLOTS * _SLOT_BYTES))


# The folder that the program is called in may hold anybody's modules: -P.
_ROOT = str(Path(__file__).parents[1])
_CODE = f"import sys; sys.path.append({_ROOT!r}); from longexpo_cli.__main__ import main; main()"
_PYTHON = (sys.executable, "-P", "-c", _CODE)
_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}) if os.name == "posix" else frozenset()


def is_needed(words: Sequence[str]) -> bool:
    """Whether a command line decodes files in its own process, which is not watched yet."""
    command = next((word for word in words if not word.startswith("-")), "")
    asks = any(word in ("-h", "--help", "--version") for word in words)
    return command in COMMANDS and not asks and _GUARD not in os.environ and hasattr(signal, "sigwaitinfo")


def supervise(words: Sequence[str]) -> int:
    """Run the program in a process, again without a file that crashes it, and return its exit code.

    Signals that this process alone gets are passed on.
    """
    watched = Watched()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        given = _input(words)
        while True:
            names = os.environ | {_GUARD: json.dumps(watched.state())}
            if given is not None:
                given.seek(0)
            code = _wait(subprocess.Popen([*_PYTHON, *words], env=names, stdin=given))
            if code >= 0 and code != EXCEEDED:
                return code
            line = watched.learn(code)
            if not (line and {"-q", "--quiet"} & {*words}):
                print(f"longexpo: {line or _ending(code)}", file=sys.stderr, flush=True)
            if not line:
                return 1
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        watched.close()


def _input(words: Sequence[str]) -> IO[bytes] | None:
    """Return standard input as a file that each start reads anew, where names come from there."""
    if "-" not in words:
        return None
    kept = tempfile.TemporaryFile()  # noqa: SIM115 - open until this process ends
    shutil.copyfileobj(sys.stdin.buffer, kept)
    return kept


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Return a process's code when it has ended; pass on SIGTERM, and SIGINT if no terminal sent it."""
    while child.poll() is None:
        found = signal.sigwaitinfo(_SIGNALS)
        is_from_terminal = found.si_code > 0  # SI_KERNEL: the terminal sends it to all processes
        if found.si_signo != signal.SIGCHLD and not (found.si_signo == signal.SIGINT and is_from_terminal):
            child.send_signal(found.si_signo)
    return child.returncode


def _ending(code: int) -> str:
    if code == EXCEEDED:
        return "a file takes too much time or memory"
    name = signal.Signals(-code).name
    return f"the program was ended by {name}, possibly out of memory; no partial files are kept"
