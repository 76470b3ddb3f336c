"""The networks in weights/: their index, their checksums, and running them.

The only module that imports onnxruntime.
"""

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

from longexpo_cli import assets, machine
from longexpo_cli.errors import WeightsError

INDEX = "index.toml"
_REMEDY = "reinstall longexpo, or restore the file that weights/index.toml names"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output of a network; numbers in shape are fixed sizes, words are variable ones."""

    name: str
    shape: tuple[int | str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Network:
    """One entry of the index; metadata holds what the code that runs the network must know about it."""

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
    """Return the networks of a weights folder (None: the packaged one) by name.

    Raises WeightsError if the index is missing or incomplete.
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
    """Return a network's entry in the index; WeightsError if the name is unknown."""
    known = index(weights)
    if name not in known:
        raise WeightsError(
            f"no network is called {name!r}; the index has {', '.join(sorted(known)) or 'none'}"
        )
    return known[name]


@cache
def verified_file(name: str, weights: Path | None = None) -> Path:
    """Return a network's file after comparing its SHA-256 with the index, once per process.

    Raises WeightsError if the file is missing, unreadable or has another checksum.
    """
    entry = network(name, weights)
    try:
        with entry.file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{entry.file}: {error.strerror}: {_REMEDY}") from error
    if found != entry.sha256:
        raise WeightsError(
            f"{entry.file}: not the file that the index lists for {name!r} "
            f"(SHA-256 {found[:12]}…, expected {entry.sha256[:12]}…): {_REMEDY}"
        )
    return entry.file


def run(
    name: str,
    inputs: Mapping[str, npt.NDArray[Any]],
    outputs: Sequence[str],
    weights: Path | None = None,
) -> list[npt.NDArray[Any]]:
    """Run a network on the CPU and return the named outputs, in that order; no others are computed.

    inputs are by name and shaped as in the index. The same input gives the same bits on the same machine.
    Raises WeightsError if the network's file is missing or has another checksum.
    """
    result: list[npt.NDArray[Any]] = _session(name, weights).run(list(outputs), dict(inputs))
    return result


def load_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry disabled, and return the module.

    Unless the environment says otherwise, onnxruntime 1.32 keeps an event database and a device identifier
    in the user's cache folder and contacts a server. It reads ORT_DISABLE_TELEMETRY when it is imported, so
    that disable_telemetry_events() comes too late. A value that the user has set is kept.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


@cache
def _session(name: str, weights: Path | None) -> Any:
    path = verified_file(name, weights)
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = machine.cores()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # The arena never releases a network's working memory (450 MB for u2netp); without it a run takes 60 ms
    # longer and releases all of it.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # not even errors, which are raised; warnings concern the file
    # Idle workers that spin would take cores from the decoding thread that runs in parallel.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


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
