"""Locate data files, of the package or the checkout, and the folders in which users keep theirs."""

from __future__ import annotations

import os
from pathlib import Path


def folder(name: str) -> Path:
    """Return the path of a folder of data files: name is "kernels", "presets" or "weights".

    In a wheel it is inside the package, in a checkout (editable install) beside the package.
    """
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def user_folder(variable: str, default: str) -> Path | None:
    """Return the folder that an environment variable names, or default in the home if it is not absolute.

    None for a user without a home. XDG Base Directory Specification, "Environment variables".
    """
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named
    try:
        return Path.home() / default if os.environ.get("HOME", "~") else None
    except RuntimeError:  # the system does not know the user
        return None
