"""One run at a time writes a result; what a killed run left of it is removed by the next."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from longexpo_cli.errors import OutputError

_LOG = logging.getLogger(__name__)
_STALE_S = 86400.0  # age from which unfinished files of other results are leftovers: no render takes a day
_WAIT_S = 0.5
_ATTEMPTS = 10  # to open a lock file
_UNFINISHED = re.compile(r"\.(.+)\.[0-9a-f]{8}\.(part|old)")  # the names that export.atomic_set gives


@contextlib.contextmanager
def held(sidecar: Path, targets: Sequence[Path]) -> Iterator[None]:
    """Keep other runs from writing a result, known by its sidecar; remove what killed runs left of it.

    The lock is a hidden file beside the sidecar, in folders that are made if missing; it ends with its
    process, and its file is removed. OutputError when another run has it, or the folder cannot be written.
    Where files cannot be locked there is no lock.
    """
    made = _make_folders(sidecar.parent)
    path = _path(sidecar)
    try:
        with _locked(path, sidecar):
            _sweep(targets)
            yield
    finally:
        with contextlib.suppress(OSError):  # folders that hold something stay
            for folder in made:
                folder.rmdir()


def remove_leftovers(sidecar: Path, targets: Sequence[Path]) -> None:
    """Remove what a run left that was killed when its result was already whole."""
    if _path(sidecar).exists():
        with contextlib.suppress(OutputError), held(sidecar, targets):  # another run may just be writing it
            pass


def wait_until_free(sidecar: Path, most_s: float) -> None:
    """Wait until no other run writes a result, for at most so long: held() says when that is not enough."""
    begin = time.monotonic()
    while _is_held(_path(sidecar)) and time.monotonic() - begin < most_s:
        time.sleep(_WAIT_S)


def _is_held(path: Path) -> bool:
    """Whether another run has a lock file; False where that cannot be told."""
    try:
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return False
    return False


def _path(sidecar: Path) -> Path:
    return sidecar.with_name(f".{sidecar.name}.lock")


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it, and return those that were made, the innermost first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return missing


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error.strerror or error}; choose another output with -o")


@contextlib.contextmanager
def _locked(path: Path, sidecar: Path) -> Iterator[None]:
    """Hold a lock file, which is removed at the end."""
    try:
        import fcntl
    except ImportError:  # no file locks on this system
        yield
        return
    while True:
        descriptor = _opened(path, sidecar)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            message = "another run is writing this result; wait for it, or choose another output with -o"
            raise OutputError(f"{sidecar}: {message}") from error
        except OSError as error:
            _LOG.info("%s: written without a lock (%s)", sidecar, error)
        if _is_open_at(path, descriptor):
            break
        os.close(descriptor)  # another run has just removed it
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _opened(path: Path, sidecar: Path) -> int:
    """Open a lock file; another run may just be removing its folder, which it made and leaves empty."""
    for attempt in range(_ATTEMPTS):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if not isinstance(error, FileNotFoundError) or attempt == _ATTEMPTS - 1:
                raise _unwritable(sidecar, error) from error
    raise AssertionError


def _is_open_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sweep(targets: Sequence[Path]) -> None:
    """Remove unfinished files of these results, and of others in their folders when they are a day old.

    A file that was set aside while it was replaced is put back where nothing has replaced it.
    """
    for folder in dict.fromkeys(target.parent for target in targets):
        names = {target.name for target in targets if target.parent == folder}
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            unfinished = [found for entry in entries if (found := _UNFINISHED.fullmatch(entry.name))]
            for found in unfinished:
                with contextlib.suppress(OSError):
                    _remove(folder / found[0], folder / found[1], found[2], found[1] in names)


def _remove(path: Path, target: Path, kind: str, is_ours: bool) -> None:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or not (is_ours or time.time() - status.st_mtime > _STALE_S):
        return
    if kind == "old" and not target.exists():
        path.rename(target)
    else:
        path.unlink()
