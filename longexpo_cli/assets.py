"""Locate the kernels and the networks, in an installed package or in a checkout."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """Return the path of a folder of data files: name is "kernels" or "weights".

    In a wheel it is inside the package, in a checkout (editable install) beside the package.
    """
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
