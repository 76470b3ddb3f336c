"""Writing of the results: files that appear together or not at all, and JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from longexpo_cli.errors import OutputError
from longexpo_cli.logs import UNDECODED, printable


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn OSErrors of the block into an OutputError that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}; choose another output with -o") from error


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing and reading that replaces path when the block ends without an error.

    See atomic_set. OSErrors become OutputError.
    """
    with atomic_set((path,)) as (file,), named(path):
        yield file


@contextlib.contextmanager
def atomic_set(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Open files for writing and reading that replace paths, all or none, when the block ends without error.

    The bytes go to temporary files in the same folders (created if missing), which are all synced before the
    first is renamed; they are renamed in order. If a rename fails, those before it are undone; a process that
    is killed between two renames leaves some new files and some old ones, each whole. OSErrors, but for those
    of the block, become OutputError.
    """
    parts = [path.with_name(f".{path.name}.{secrets.token_hex(4)}.part") for path in paths]
    try:
        with contextlib.ExitStack() as stack:
            files: list[BinaryIO] = []
            for path, part in zip(paths, parts, strict=True):
                with named(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    files.append(stack.enter_context(part.open("x+b")))
            yield files
            for path, file in zip(paths, files, strict=True):
                with named(path):
                    file.flush()
                    os.fsync(file.fileno())
        _replace_all(parts, paths)
        for folder in dict.fromkeys(path.parent for path in paths):
            with named(folder):
                _sync_folder(folder)
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _replace_all(parts: Sequence[Path], paths: Sequence[Path]) -> None:
    """Rename parts to paths; when one fails, put back what the others replaced."""
    kept: dict[Path, Path] = {}
    done: list[Path] = []
    try:
        for part, path in zip(parts, paths, strict=True):
            with named(path):
                if len(paths) > 1 and path.exists():
                    kept[path] = part.with_suffix(".old")
                    _keep(path, kept[path])
                os.replace(part, path)  # noqa: PTH105 - the tests replace os.replace and os.fsync alike
                done.append(path)
    except BaseException:
        for path in dict.fromkeys((*done, *kept)):
            if path in kept and kept[path].exists():
                kept[path].replace(path)
                kept[path].unlink(missing_ok=True)  # where both were names of one file
            elif path in done:
                path.unlink()
        raise
    for old in kept.values():
        old.unlink()


def _keep(path: Path, old: Path) -> None:
    """Give a file a second name; where the file system has no links, another name."""
    try:
        os.link(path, old)
    except OSError:
        path.rename(old)


def refuse_inputs(targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise OutputError when a file to be written is one that is read, by whichever spelling or link."""
    existing = {identity: path for path in targets if (identity := _identity(path)) is not None}
    if not existing:
        return
    for path in inputs:
        if (identity := _identity(path)) in existing:
            target = existing[identity]
            same = "" if target == path else f" ({path})"
            raise OutputError(
                f"{target}: is an input{same}, which is never overwritten; choose another output"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what two names of one file have in common, None for a file that does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def json_text(values: Mapping[str, Any], indent: int | None = None) -> str:
    r"""Return values as JSON; a byte of a file name that is no UTF-8 is written as the characters \xe9."""
    text = json.dumps(values, indent=indent, ensure_ascii=False, allow_nan=False)
    return UNDECODED.sub(lambda found: json.dumps(printable(found[0]))[1:-1], text)


def _sync_folder(folder: Path) -> None:
    """Sync a folder, so that a rename in it is durable; nothing where the system does not support it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not supported by all file systems
            raise
    finally:
        os.close(handle)
