"""The cache of what PoCL compiles: programs, and machine code of their kernels for sizes of work-groups.

PoCL has a cache of its own, but processes write to it without a lock, read what another is still writing,
and crash. Where it cannot be written, PoCL finds no device. So PoCL gets a folder that no other process uses
and that is deleted at the process's end; what is worth keeping is kept here, in one file each, with a
checksum, written under another name and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

from longexpo_cli.assets import user_folder
from longexpo_cli.errors import DeviceError

LOCK_TIMEOUT_S = 120.0  # a build takes a second or two; a process that hangs must not block the others
_VARIABLE = "POCL_CACHE_DIR"  # PoCL reads it when it is loaded
_DIGEST_BYTES = 32  # of the SHA-256 checksum in front of a file's content
_UNFINISHED = "unfinished-"  # in front of the names of files that are being written
_OWN = "process-"  # in front of the names of the folders that PoCL gets
_IN_USE = "in-use"  # a file in such a folder, locked as long as its process runs
_ANY_SIZE = "0-0-0"  # the machine code that is in the program's binary
_UNUSED_S = 90 * 86400.0  # files that no run has loaded for this long are deleted
_LOADED_AGAIN_S = 86400.0  # a file's date, that of its last use, is renewed at most this often
_LEFTOVER_S = 3600.0  # what interrupted runs leave is deleted after this long; a write takes milliseconds
_LOG = logging.getLogger(__name__)
_KEPT = re.compile(r"[0-9a-f]{64}(\.bin|-[\w-]+\.so)")

_programs: dict[Path, tuple[Path, str]] = {}  # of this process: PoCL's folder, its binary's path, its kernel


def folder() -> Path:
    """Return the folder of what is kept: longexpo/kernels in the user's cache folder; it may not exist.

    Among temporary files for a user without a home.
    """
    parent = user_folder("XDG_CACHE_HOME", ".cache")
    if parent is not None:
        return parent / "longexpo" / "kernels"
    user = os.geteuid() if hasattr(os, "geteuid") else "user"
    return Path(tempfile.gettempdir()) / f"longexpo-kernels-{user}"


@contextlib.contextmanager
def own_folder() -> Iterator[None]:
    """Have PoCL use a folder of this process, and pyopencl no cache that it cannot write.

    The block loads both. Processes that this one starts have PoCL's setting as it was. DeviceError where no
    folder can be written.
    """
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(_own())
    parent = user_folder("XDG_CACHE_HOME", ".cache")
    if parent is None or not _can_write(parent / "pytools"):
        os.environ["PYOPENCL_NO_CACHE"] = (
            "1"  # else pyopencl fails where it keeps the code that calls kernels
        )
    try:
        yield
    finally:
        del os.environ[_VARIABLE]
        if before is not None:
            os.environ[_VARIABLE] = before


@cache
def _own() -> Path:
    """Make this process's folder, in the cache or else among temporary files, to be deleted at its end."""
    problems: list[str] = []
    for is_cache in (True, False):
        try:
            parent = folder() if is_cache else Path(tempfile.gettempdir())
            if is_cache:
                require_owned(parent)
            _delete_leftovers(parent)
            made = Path(tempfile.mkdtemp(dir=parent, prefix=_OWN))
        except OSError as error:
            problems.append(f"{error.filename or 'temporary files'}: {error.strerror or error}")
            continue
        lock = (made / _IN_USE).open("a")
        with contextlib.suppress(OSError):
            try_lock(lock.fileno())
        Finalize(None, _finish, (made, os.getpid(), lock), exitpriority=0)
        if problems:
            _LOG.warning(
                "compiled kernels cannot be kept (%s), and compiling takes half a minute in every run; "
                "name a folder of your own with XDG_CACHE_HOME",
                problems[0],
            )
        return made
    raise DeviceError(
        f"no folder for compiled kernels can be written ({'; '.join(problems)}); name one with XDG_CACHE_HOME"
    )


def linked(links: Mapping[str, Path]) -> Path | None:
    """Return a folder with links by name to files, or None; the folder goes with the process."""
    made = _own() / "linked"
    try:
        made.mkdir(exist_ok=True)
        for name, target in links.items():
            (made / name).unlink(missing_ok=True)
            (made / name).symlink_to(target)
    except OSError:
        return None
    return made


def _can_write(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)


def require_owned(path: Path) -> None:
    """Make a folder; OSError where that is not possible, or it is another user's, whose code would run."""
    path.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "geteuid") and path.stat().st_uid != os.geteuid():
        raise PermissionError(1, "belongs to another user", str(path))


def program_folders() -> set[Path]:
    """Return the folders in which PoCL has unpacked or compiled programs, of this process."""
    parts = [part.path for part in os.scandir(_own()) if len(part.name) == 2 and part.is_dir()]
    return {Path(found.path) for part in parts for found in os.scandir(part) if found.is_dir()}


def adopt(binary: Path, kernel: str, before: set[Path]) -> bool:
    """Give PoCL the machine code that is kept for a program that it has just loaded; more is kept at the end.

    binary is the program's path in the cache, before what program_folders returned before it was loaded.
    Return whether PoCL has machine code for some size of work-groups, or may have.
    """
    new = program_folders() - before
    if len(new) != 1:
        return True  # it was loaded before, or PoCL was before this module, with another folder
    (place,) = new
    _programs[place] = binary, kernel
    found = False
    for file in _glob(binary.parent, f"{binary.stem}-*.so"):
        code = read(file)
        target = place / kernel / file.stem.removeprefix(f"{binary.stem}-") / f"{kernel}.so"
        if code is not None and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(code)
            renew(file)
            found = True
    return found


def _glob(parent: Path, pattern: str) -> list[Path]:
    """Return the paths in a folder, none where it cannot be listed."""
    try:
        return list(parent.glob(pattern))
    except OSError:
        return []


def _finish(own: Path, process: int, lock: object) -> None:
    """Keep the machine code that this process compiled, and delete its folder; not in a forked process."""
    if os.getpid() != process:
        return
    for place, (binary, kernel) in _programs.items():
        for file in place.glob(f"{kernel}/*/{kernel}.so"):
            kept = binary.with_name(f"{binary.stem}-{file.parent.name}.so")
            with contextlib.suppress(OSError):
                if file.parent.name != _ANY_SIZE and not kept.exists():
                    write(kept, file.read_bytes())
    shutil.rmtree(own, ignore_errors=True)


def read(path: Path) -> bytes | None:
    """Return the content of a file, None where there is no file or its checksum is wrong."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return content if _digest(path, content) == digest else None


def _digest(path: Path, content: bytes) -> bytes:
    """Return a checksum of a file's name and content: that of another program is not what is asked for."""
    return hashlib.sha256(path.name.encode() + b"\0" + content).digest()


def write(path: Path, content: bytes) -> None:
    """Write a checksum and a content, atomically; nothing where that is not possible."""
    with contextlib.suppress(OSError):
        require_owned(path.parent)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_UNFINISHED, delete=False) as file:
            file.write(_digest(path, content) + content)
        Path(file.name).replace(path)


def renew(path: Path) -> None:
    """Date a file as used now, unless its date is a recent one or cannot be changed."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _LOADED_AGAIN_S:
            os.utime(path)


def delete_unused(parent: Path) -> None:
    """Delete files that have not been used for long, and what interrupted writes left.

    Only files that are named as those of this cache are deleted. A process that is about to read one builds
    its program again.
    """
    try:
        files = [(path, path.lstat()) for path in parent.iterdir()]
    except OSError:
        return
    now = time.time()
    for path, status in files:
        is_kept = _KEPT.fullmatch(path.name) is not None
        is_leftover = re.fullmatch(rf"({_UNFINISHED}|tmp)\w{{8}}", path.name) is not None
        limit_s = _UNUSED_S if is_kept else _LEFTOVER_S
        if (is_kept or is_leftover) and stat.S_ISREG(status.st_mode) and now - status.st_mtime > limit_s:
            with contextlib.suppress(OSError):
                path.unlink()


def _delete_leftovers(parent: Path) -> None:
    """Delete the folders of this user's processes that were killed: their locks are free."""
    for path in _glob(parent, f"{_OWN}????????"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            is_own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
            if not is_own or not stat.S_ISDIR(status.st_mode) or time.time() - status.st_mtime < _LEFTOVER_S:
                continue
            with (path / _IN_USE).open("a") as file:
                if try_lock(file.fileno()):
                    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def locked(parent: Path) -> Iterator[None]:
    """Hold a folder's lock file, so that of processes that need a program one builds it.

    The lock ends with its process. After LOCK_TIMEOUT_S, and where files cannot be locked, go on without
    it.
    """
    with contextlib.ExitStack() as stack:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((parent / "lock").open("a"))
            deadline = time.monotonic() + LOCK_TIMEOUT_S
            while not try_lock(file.fileno()):
                if time.monotonic() > deadline:
                    _LOG.warning("another process has held %s for %.0f s", file.name, LOCK_TIMEOUT_S)
                    break
                time.sleep(0.05)
        except OSError as error:
            _LOG.info("PoCL: building without a lock (%s)", error)
        yield


def try_lock(descriptor: int) -> bool:
    """Try to take the lock and return whether that succeeded; OSError where files cannot be locked."""
    try:
        import fcntl
    except ImportError as error:
        raise OSError("no file locks on this system") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
