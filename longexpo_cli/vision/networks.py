"""The networks in weights/: their index, the check of every file, and onnxruntime's only door."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

from longexpo_cli import assets
from longexpo_cli.errors import WeightsError

INDEX = "index.toml"
_REMEDY = "reinstall longexpo, or put back the file that weights/index.toml names"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output of a network; numbers in shape are fixed sizes, words are free ones."""

    name: str
    shape: tuple[int | str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Network:
    """What the index says of one network; metadata is whatever its stage must know of it."""

    name: str
    file: Path
    sha256: str
    licence: str
    licence_file: Path
    card: Path
    source: str
    purpose: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, Any]


@cache
def index(weights: Path | None = None) -> Mapping[str, Network]:
    """Return every network of a weights folder (None: the packaged one) by name.

    Raises WeightsError when the index is missing or incomplete.
    """
    folder = assets.folder("weights") if weights is None else weights
    path = folder / INDEX
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _network(name, table, folder) for name, table in tables.items()}
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}: reinstall longexpo") from error
    except tomllib.TOMLDecodeError as error:
        raise WeightsError(f"{path}: {error}: reinstall longexpo") from error


def network(name: str, weights: Path | None = None) -> Network:
    """Return what the index says of one network; WeightsError when it does not know the name."""
    known = index(weights)
    if name not in known:
        raise WeightsError(
            f"no network is called {name!r}; the index has {', '.join(sorted(known)) or 'none'}"
        )
    return known[name]


@cache
def checked(name: str, weights: Path | None = None) -> Path:
    """Return the file of a network after comparing its SHA-256 with the index's, once a process.

    Raises WeightsError, saying what to do, when the file is missing, unreadable or another one.
    """
    entry = network(name, weights)
    try:
        with entry.file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{entry.file}: {error.strerror}: {_REMEDY}") from error
    if found != entry.sha256:
        raise WeightsError(
            f"{entry.file}: not the file that the index names for {name!r} "
            f"(SHA-256 {found[:12]}…, expected {entry.sha256[:12]}…): {_REMEDY}"
        )
    return entry.file


def run(
    name: str,
    inputs: Mapping[str, npt.NDArray[Any]],
    outputs: Sequence[str],
    weights: Path | None = None,
) -> list[npt.NDArray[Any]]:
    """Run a network on the CPU and return the outputs asked for, in that order; nothing else is computed.

    inputs by name, shaped as the index says. The same input gives the same bits on the same machine.
    Raises WeightsError when the file cannot be trusted.
    """
    result: list[npt.NDArray[Any]] = _session(name, weights).run(list(outputs), dict(inputs))
    return result


@cache
def _session(name: str, weights: Path | None) -> Any:
    path = checked(name, weights)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _cores()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # The arena would keep a network's working memory for good (450 MB for u2netp); without it a run is
    # slower by 60 ms and gives everything back.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3  # errors only: warnings are about the file, not about the user's picture
    # Idle workers that spin would take the cores from the decoding that goes on beside the network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _cores() -> int:
    """Return how many cores this process may use (a container or taskset may allow fewer than there are)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _network(name: str, table: Any, folder: Path) -> Network:
    try:
        return Network(
            name=name,
            file=folder / table["file"],
            sha256=table["sha256"].lower(),
            licence=table["licence"],
            licence_file=folder / table["licence_file"],
            card=folder / table["card"],
            source=table["source"],
            purpose=table["purpose"],
            inputs=_tensors(table["inputs"]),
            outputs=_tensors(table["outputs"]),
            metadata=table.get("metadata", {}),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{folder / INDEX}: {name}: incomplete ({error}): reinstall longexpo") from error


def _tensors(rows: Sequence[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(Tensor(row["name"], tuple(row["shape"]), row["meaning"]) for row in rows)
