"""Results on disk: the files that belong together, and what they were made of, by the JSON beside them.

A result is whole when its JSON, which is renamed last, is there and every file that it names is as it says.
Files are told apart by size and time of change, and where only the time differs by their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from longexpo_cli.logs import printable

NEW = "not rendered yet"
_BEGIN = b'{\n  "longexpo": '  # of the JSON of a result
_MAX_JSON_BYTES = 64 << 20  # a burst of ten thousand frames has a few megabytes
_BLOCK_BYTES = 1 << 20
_MAX_HASHED_BYTES = 1 << 30  # of an input; larger ones, videos, are told apart by size and time alone


def entry(name: str, file: BinaryIO) -> dict[str, Any]:
    """Return the name, size, time of change and SHA-256 of an open file, whose position is changed."""
    file.flush()
    status = os.fstat(file.fileno())
    return _entry(name, status, _sha256(file))


def input_entry(name: str, path: Path) -> dict[str, Any]:
    """Return the entry of an input, without SHA-256 where it is large; of nothing where it cannot be read."""
    try:
        status = path.stat()
        is_hashed = stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_HASHED_BYTES
        if not is_hashed:
            return _entry(name, status, None)
        with path.open("rb") as file:
            return _entry(name, status, _sha256(file))
    except OSError:
        return {"name": printable(name), "bytes": None, "mtime_ns": None, "sha256": None}


def _entry(name: str, status: os.stat_result, sha256: str | None) -> dict[str, Any]:
    size, changed = status.st_size, status.st_mtime_ns
    return {"name": printable(name), "bytes": size, "mtime_ns": changed, "sha256": sha256}


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    found = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        found.update(block)
    return found.hexdigest()


def digest(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return one SHA-256 of files' names, sizes and contents, or times where the contents are not known."""
    lines = [[found["name"], found["bytes"], found["sha256"] or found["mtime_ns"]] for found in entries]
    return hashlib.sha256(json.dumps(sorted(lines, key=str)).encode()).hexdigest()


def read(path: Path) -> dict[str, Any] | None:
    """Return the JSON of a result; None for a file that is missing or is no such JSON."""
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or file.read(len(_BEGIN)) != _BEGIN:
                return None
            document = json.loads(_BEGIN + file.read(_MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def among(files: Sequence[Path]) -> set[Path]:
    """Return those of a folder's files that are results, as a JSON among them says, and that JSON."""
    documents = {path.name[: -len(".json")]: path for path in files if path.suffix.lower() == ".json"}
    named: dict[Path, set[str]] = {}
    found: set[Path] = set()
    for path in files if documents else ():
        parts = path.name.split(".")
        for count in range(1, len(parts)):
            sidecar = documents.get(".".join(parts[:count]))
            if sidecar is None:
                continue
            if sidecar not in named:
                named[sidecar] = _names(read(sidecar))
            if printable(path.name) in named[sidecar]:
                found |= {path, sidecar}
    return found


def _names(document: Mapping[str, Any] | None) -> set[str]:
    """Return the names of the files of a result; those of earlier versions have their paths in "outputs"."""
    outputs = (document or {}).get("outputs")
    if not isinstance(outputs, list):
        return set()
    return {os.path.basename(name) for name in outputs if isinstance(name, str)}  # noqa: PTH119 - not a path


def left_over(sidecar: Path, paths: Sequence[Path]) -> list[tuple[Path, bool]]:
    """Return the files of a result that are not among paths, and whether each is as the result's JSON says.

    They are those that would stay beside a result of these paths which replaces it. Files are looked for
    beside the JSON only, among those with its name.
    """
    known = _by_name((read(sidecar) or {}).get("files"))
    begin, kept = f"{printable(sidecar.stem)}.", {printable(path.name) for path in (*paths, sidecar)}
    found: list[tuple[Path, bool]] = []
    for name, file in known.items():
        ending = name.removeprefix(begin)
        if ending == name or name in kept or "/" in ending or os.sep in ending:
            continue
        path = sidecar.with_name(f"{sidecar.stem}.{ending}")
        if path.is_file():
            found.append((path, not _change(file, path)))
    return found


def why_not_whole(document: Mapping[str, Any] | None, paths: Sequence[Path]) -> str:
    """Return why the files of a result are not all there as its JSON says, "" when they are."""
    if document is None:
        there = [path.name for path in paths if path.exists()]
        return f"result incomplete: {there[0]} has no JSON beside it" if there else NEW
    known = _by_name(document.get("files"))
    for path in paths:
        if printable(path.name) not in known:
            return f"result incomplete: its JSON does not name {path.name}"
        if change := _change(known[printable(path.name)], path):
            return f"result incomplete: {path.name} {change}"
    return ""


def why_inputs_changed(document: Mapping[str, Any], inputs: Sequence[tuple[str, Path]]) -> str:
    """Return which of the named inputs a result was not made of as they are now, "" when it was of all."""
    recorded = document.get("inputs")
    known = _by_name(recorded.get("files") if isinstance(recorded, dict) else None)
    if gone := sorted(known.keys() - {printable(name) for name, _ in inputs}):
        return f"inputs changed: {gone[0]} is gone"
    for name, path in inputs:
        if printable(name) not in known:
            return f"inputs changed: {name} is new"
        if change := _change(known[printable(name)], path):
            return f"inputs changed: {name} {change}"
    return ""


def why_settings_changed(document: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return which values of a result's JSON are others than those of settings now, "" when all are the same.

    settings has values of the JSON's top level, of which dictionaries are compared key by key.
    """
    now = json.loads(json.dumps(settings))
    for key, value in now.items():
        if (change := _first_difference(key, document.get(key), value)) is not None:
            return f"{change} changed"
    return ""


def _first_difference(name: str, before: Any, now: Any) -> str | None:
    if not isinstance(before, dict) or not isinstance(now, dict):
        return None if before == now else name
    for key in {**now, **before}:
        if (found := _first_difference(f"{name}.{key}", before.get(key), now.get(key))) is not None:
            return found
    return None


def _by_name(entries: Any) -> dict[str, Mapping[str, Any]]:
    found = entries if isinstance(entries, list) else []
    return {
        item["name"]: item for item in found if isinstance(item, dict) and isinstance(item.get("name"), str)
    }


def _change(known: Mapping[str, Any], path: Path) -> str:
    """Return how a file differs from its entry, "" when it does not."""
    try:
        status = path.stat()
        if status.st_size != known.get("bytes"):
            return f"has {status.st_size} bytes, not {known.get('bytes')}"
        if status.st_mtime_ns == known.get("mtime_ns"):
            return ""
        if not known.get("sha256"):
            return "has another time"
        with path.open("rb") as file:
            return "" if _sha256(file) == known["sha256"] else "has other contents"
    except OSError as error:
        return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
