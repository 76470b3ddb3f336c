"""Save and load the values that pass between stages: one .npz file per value.

Arrays are entries of the file; everything else is JSON in the entry "value", in which an array is the name of
its entry and a dataclass of types.py (or a Grid) is its class name and its fields. Nothing is pickled, so
loading a file runs no code. Arrays on a device are downloaded when saved and uploaded again when loaded.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from longexpo_cli import types
from longexpo_cli.arrays import OnDevice
from longexpo_cli.errors import DumpError
from longexpo_cli.geometry import Grid

_JSON = "value"  # the entry that holds everything that is not an array
_CLASSES: dict[str, Any] = {
    name: kind
    for name, kind in {**vars(types), "Grid": Grid}.items()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}


class Uploader(Protocol):
    """Something that puts an array on a device (gpu.device.Device)."""

    def upload(self, array: npt.NDArray[Any]) -> OnDevice: ...


def save(path: Path, value: object) -> None:
    """Write a value: a dataclass of types.py, a number, a string, None, or tuples and lists of these.

    TypeError for anything else.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    text = json.dumps(_encode(value, arrays))
    np.savez(path, **{_JSON: np.frombuffer(text.encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]


def load(path: Path, device: Uploader | None = None) -> Any:
    """Return the value in a file that `save` wrote; equal to it bit for bit.

    Arrays that were on a device are uploaded to device; None leaves them on the host. DumpError when the file
    is missing, damaged or was written by another version.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return _decode(json.loads(file[_JSON].tobytes()), file, device)
    except OSError as error:
        raise DumpError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise DumpError(
            f"{path}: not a value saved by this version of longexpo ({error}); render again with --dump"
        ) from error


def _encode(value: Any, arrays: dict[str, npt.NDArray[Any]]) -> Any:
    """Return a value as plain JSON types; its arrays are added to arrays under generated names."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) or hasattr(value, "get"):
        name = f"array{len(arrays)}"
        arrays[name] = np.asarray(value if isinstance(value, np.ndarray) else value.get())
        return {"array": name, "on_device": not isinstance(value, np.ndarray)}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, tuple):
        return {"tuple": [_encode(part, arrays) for part in value]}
    if isinstance(value, list):
        return [_encode(part, arrays) for part in value]
    name = type(value).__name__
    if _CLASSES.get(name) is not type(value):
        raise TypeError(f"a {name} cannot be saved")
    names = [field.name for field in dataclasses.fields(_CLASSES[name])]
    fields = {field: _encode(getattr(value, field), arrays) for field in names}
    return {"class": name, "fields": fields}


def _decode(text: Any, arrays: Any, device: Uploader | None) -> Any:
    """Return the value encoded as JSON; arrays maps the names in it to arrays."""
    if isinstance(text, list):
        return [_decode(part, arrays, device) for part in text]
    if not isinstance(text, dict):
        return text
    if "array" in text:
        array = arrays[text["array"]]
        return device.upload(array) if text["on_device"] and device is not None else array
    if "path" in text:
        return Path(text["path"])
    if "tuple" in text:
        return tuple(_decode(part, arrays, device) for part in text["tuple"])
    fields = {name: _decode(part, arrays, device) for name, part in text["fields"].items()}
    return _CLASSES[text["class"]](**fields)
