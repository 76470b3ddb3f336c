"""Values are saved whole and loaded bit for bit; damaged files are said to be so."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longexpo_cli import values
from longexpo_cli.errors import DumpError
from longexpo_cli.gpu.device import Device, DeviceArray
from tests.observers import values as examples


def same(first: Any, second: Any) -> bool:
    """Whether two values are equal bit for bit, arrays and the types of numbers included."""
    if isinstance(first, np.ndarray) or hasattr(first, "get"):
        one, two = (np.asarray(v if isinstance(v, np.ndarray) else v.get()) for v in (first, second))
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if dataclasses.is_dataclass(first):
        names = [field.name for field in dataclasses.fields(first)]
        return type(first) is type(second) and all(
            same(getattr(first, name), getattr(second, name)) for name in names
        )
    if isinstance(first, tuple | list):
        return type(first) is type(second) and len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and repr(first) == repr(second)


@pytest.mark.parametrize(
    "value",
    [value for _, value, _ in examples.SHOWN]
    + [None, -0.0, float("nan"), float("inf"), "ä", [1, (2.5, True)]],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back_as_it_was(tmp_path: Path, value: object) -> None:
    values.save(tmp_path / "value.npz", value)
    assert same(values.load(tmp_path / "value.npz"), value)


def test_what_was_on_a_device_goes_back_to_one(tmp_path: Path, device: Device) -> None:
    values.save(tmp_path / "blur.npz", examples.BLUR)
    loaded = values.load(tmp_path / "blur.npz", device)
    assert isinstance(loaded.light, DeviceArray)
    assert same(loaded, examples.BLUR)


def test_something_else_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a set cannot be saved"):
        values.save(tmp_path / "value.npz", {1})


def cut(path: Path) -> None:
    """Cut a file in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_npz(path: Path) -> None:
    """Put an .npz of something else in its place."""
    np.savez(path, a=np.ones(3))


def pickled(path: Path) -> None:
    """Put a pickle in its place, which must not be executed."""
    np.savez(path, value=np.array([object()], object))


def unknown_class(path: Path) -> None:
    """Name a class that this version does not have."""
    np.savez(path, value=np.frombuffer(b'{"class": "Nothing", "fields": {}}', np.uint8))


@pytest.mark.parametrize("damage", [cut, other_npz, pickled, unknown_class, Path.unlink])
def test_a_damaged_file_is_named(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "value.npz"
    values.save(path, examples.TRACKS)
    damage(path)
    with pytest.raises(DumpError, match=r"value\.npz"):
        values.load(path)
