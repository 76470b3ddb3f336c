"""Select the frames of a burst among the files of a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from longexpo_cli.files import phone_pictures, pictures, raw

_SIDECARS = frozenset(
    {".xmp", ".json", ".txt", ".toml", ".md", ".db", ".ini", ".thm", ".wav", ".pp3", ".dop"}
)
_OWN_OUTPUT = re.compile(r"\.(foreground|background)\.(tiff?|jpe?g)$", re.IGNORECASE)
_PICTURE_TYPES = {
    "tiff": pictures.TIFF,
    "png": pictures.PNG,
    "jpeg xl": phone_pictures.JPEG_XL,
    "avif": phone_pictures.AVIF,
    "heic": phone_pictures.HEIC,
    "jpeg": pictures.JPEG,
    "webp": phone_pictures.WEBP,
}  # preferred first


def frames_in(folder: Path) -> list[Path]:
    """Return the frames of the burst in a folder: files of one type, frame2 before frame10.

    RAW files are preferred to TIFF, TIFF to PNG, PNG to JPEG; of several RAW types the most frequent is used.
    Hidden files, sidecars and the output files of longexpo are ignored. The list may be empty.
    """
    by_type: dict[str, list[Path]] = {}
    for path in folder.iterdir():
        if not path.name.startswith(".") and not _OWN_OUTPUT.search(path.name) and path.is_file():
            by_type.setdefault(_file_type(path), []).append(path)
    raw_types = sorted(kind for kind in by_type if kind in raw.EXTENSIONS)
    best_raw = max(raw_types, key=lambda kind: len(by_type[kind]), default="")
    chosen = best_raw or next((kind for kind in _PICTURE_TYPES if kind in by_type), "")
    return sorted(by_type[chosen], key=_natural_sort_key) if chosen else []


def unused_files(folder: Path, frames: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the files of a folder that are neither frames nor sidecars, and why they are not used."""
    if not frames:
        return []
    frame_type = _file_type(frames[0])
    stems = {path.stem.lower() for path in frames}
    unused: list[tuple[Path, str]] = []
    for path in sorted(folder.iterdir(), key=_natural_sort_key):
        is_sidecar = path.suffix.lower() in _SIDECARS or _OWN_OUTPUT.search(path.name)
        if path.name.startswith(".") or is_sidecar or path.is_dir() or _file_type(path) == frame_type:
            continue
        if not is_supported(path):
            unused.append((path, "unsupported image format"))
        elif path.stem.lower() not in stems:
            unused.append((path, f"is not a {frames[0].suffix} file like the other frames"))
    return unused


def is_supported(path: Path) -> bool:
    """Whether the extension is that of a RAW, TIFF, PNG or JPEG file."""
    kind = _file_type(path)
    return kind in _PICTURE_TYPES or kind in raw.EXTENSIONS


def _file_type(path: Path) -> str:
    """Return "tiff", "png" or "jpeg", and for other files the lower-case extension."""
    extension = path.suffix.lower()
    return next((kind for kind, known in _PICTURE_TYPES.items() if extension in known), extension)


def _natural_sort_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key by which frame2 comes before frame10."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", path.name.lower())
    return [(1, int(number), "") if number else (2, 0, text) for number, text in parts], path.name
