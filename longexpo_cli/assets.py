"""Where the files that travel with the package lie, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """Return the folder of packaged files called name ("kernels" or "weights").

    A wheel holds it inside the package; a checkout (editable install) beside the package.
    """
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
