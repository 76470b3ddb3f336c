"""The networks in weights/: their index, their checksums, and running them."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

from longexpo_cli import assets, machine
from longexpo_cli.errors import WeightsError
from longexpo_cli.vision import engines

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


def choose_engine(name: str) -> None:
    """Run networks by an engine from now on, in this process; EngineError if it is not there."""
    engines.require(name)
    _chosen.engine = name


def engine() -> str:
    """Return what runs networks in this process."""
    return _chosen.engine


def run(
    name: str,
    inputs: Mapping[str, npt.NDArray[Any]],
    outputs: Sequence[str],
    weights: Path | None = None,
) -> list[npt.NDArray[Any]]:
    """Run a network on the CPU and return the named outputs, in that order.

    inputs are by name and shaped as in the index. The same input gives the same bits on the same machine, by
    the same engine. Raises WeightsError if the network's file is missing or has another checksum.
    """
    return _opened(name, weights, _chosen.engine)(inputs, outputs)


class _Chosen:
    """What runs networks in this process."""

    engine = engines.ENGINES[0]


_chosen = _Chosen()


@cache
def _opened(name: str, weights: Path | None, engine: str) -> engines.Run:
    return engines.open_network(engine, verified_file(name, weights), machine.cores())


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
