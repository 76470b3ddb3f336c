"""Select the frames of a burst among the files of a folder."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from longexpo_cli.files import clip, phone_pictures, pictures, raw, results
from longexpo_cli.files.names import natural_key

logger = logging.getLogger(__name__)

_SIDECARS = frozenset(
    {".xmp", ".json", ".txt", ".toml", ".md", ".db", ".ini", ".thm", ".wav", ".pp3", ".dop"}
)
_OWN_OUTPUT = re.compile(  # the names of results in folders
    r"\.(foreground|background)(\.(print|sharp|streaks|mask))?\.(tiff?|jpe?g|png|avif|jxl|dng)$",
    re.IGNORECASE,
)
_RAW_PART = re.compile(r"\.raw-\d+(\..*)?$")  # PXL_1.RAW-01.COVER.jpg, PXL_1.RAW-02.ORIGINAL.dng
# Recycle bins, thumbnails and resource forks of NAS systems, Windows and macOS; others begin with a dot.
_SYSTEM_FOLDERS = frozenset(
    {
        *(
            "@eadir",
            "@recycle",
            "@recently-snapshot",
            "#recycle",
            "#snapshot",
            "@tmp",
            "__macosx",
            "lost+found",
        ),
        *("$recycle.bin", "recycler", "system volume information"),
    }
)
_PICTURE_TYPES = {
    "tiff": pictures.TIFF,
    "png": pictures.PNG,
    "jpeg xl": phone_pictures.JPEG_XL,
    "avif": phone_pictures.AVIF,
    "heic": phone_pictures.HEIC,
    "jpeg": pictures.JPEG,
    "webp": phone_pictures.WEBP,
}  # preferred first
_TYPE_OF_EXTENSION = {extension: kind for kind, known in _PICTURE_TYPES.items() for extension in known}


def frames_in(folder: Path) -> list[Path]:
    """Return the frames of the burst in a folder: files of one type, frame2 before frame10.

    The type is that of most files. Of the same pictures in two types, RAW is preferred to TIFF, TIFF to PNG,
    PNG to JPEG; so are RAW files whatever their names, if they are half as many. Hidden files, sidecars and
    results (see results_among) are ignored. The list may be empty.
    """
    return chosen_frames(files_in(folder))


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder that are not hidden; OSError when it cannot be listed."""
    with os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries if not is_hidden(entry.name) and entry.is_file()]


def walk(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield each folder under a folder, itself included, with its files, without what is hidden.

    Links to folders are followed once and not descended into. A folder that cannot be listed is logged.
    """
    pending = [(root, True)]
    while pending:
        folder, descends = pending.pop()
        files: list[Path] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    if not entry.is_dir():
                        files.append(folder / entry.name)
                    elif descends:
                        pending.append((folder / entry.name, not entry.is_symlink()))
        except OSError as error:
            logger.warning("%s: cannot be listed and is skipped (%s)", folder, error.strerror or error)
        yield folder, files


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or holds what systems and photo servers keep for themselves."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


def results_among(files: Sequence[Path]) -> set[Path]:
    """Return those of a folder's files that are results, by their names or the JSON beside them."""
    return results.among(files) | {path for path in files if _OWN_OUTPUT.search(path.name)}


def chosen_frames(files: Sequence[Path]) -> list[Path]:
    """Return those of a folder's files that are frames (see frames_in)."""
    by_type: dict[str, list[Path]] = {}
    written = results_among(files)
    for path in files:
        kind = _file_type(path)
        if (kind in _PICTURE_TYPES or kind in raw.EXTENSIONS) and path not in written:
            by_type.setdefault(kind, []).append(path)
    if not by_type:
        return []
    raw_types = [kind for kind in sorted(by_type) if kind in raw.EXTENSIONS]
    best_raw = sorted(raw_types, key=lambda kind: -len(by_type[kind]))[:1]
    preferred = [*best_raw, *(kind for kind in _PICTURE_TYPES if kind in by_type)]
    most = max(preferred, key=lambda kind: len(by_type[kind]))
    for kind in preferred:
        is_numerous = 2 * len(by_type[kind]) >= len(by_type[most])
        if is_numerous and (kind in raw.EXTENSIONS or _share_names(by_type[kind], by_type[most])):
            return sorted(by_type[kind], key=lambda path: natural_key(path.name))
    raise AssertionError(most)  # the most frequent type shares all its names with itself


def _share_names(some: Sequence[Path], others: Sequence[Path]) -> bool:
    """Whether half of some files or more have the name of a picture among others."""
    names = {picture_name(path) for path in others}
    return 2 * sum(picture_name(path) in names for path in some) >= len(some)


def unused_files(files: Sequence[Path], frames: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return those of a folder's files that are neither frames nor sidecars, and why they are not used.

    Sidecars are, besides small files of known types, other pictures and videos with the name of a frame.
    """
    if not frames:
        return []
    frame_type = _file_type(frames[0])
    others = [path for path in files if _file_type(path) != frame_type]
    if not others:
        return []
    stems = {picture_name(path) for path in frames}
    unused: list[tuple[Path, str]] = []
    written = results_among(files)
    for path in sorted(others, key=lambda path: natural_key(path.name)):
        if path.suffix.lower() in _SIDECARS or path in written:
            continue
        is_companion = picture_name(path) in stems
        if path.suffix.lower() in clip.EXTENSIONS:
            is_part = is_companion and len(frames) > 1  # a Live Photo by itself is its video
            unused += [] if is_part else [(path, "is a video; pass it by itself")]
        elif not is_supported(path):
            unused.append((path, "unsupported image format"))
        elif not is_companion or (_file_type(path) in raw.EXTENSIONS and frame_type not in raw.EXTENSIONS):
            unused.append((path, f"is not a {frames[0].suffix} file like the other frames"))
    return unused


def rival_type(frames: Sequence[Path], unused: Sequence[tuple[Path, str]]) -> str:
    """Return a type of which as many files are left out as there are frames, e.g. ".png", "" for none.

    Pictures are no rivals of RAW files, which are preferred.
    """
    is_raw = _file_type(frames[0]) in raw.EXTENSIONS
    counts = Counter(_file_type(path) for path, _ in unused if is_supported(path))
    rivals = (kind for kind, count in counts.items() if count >= len(frames))
    return next((kind for kind in rivals if kind in raw.EXTENSIONS or not is_raw), "")


def picture_name(path: Path) -> str:
    """Return what the names of one picture's files have in common: those of a RAW file and its JPEG."""
    return _RAW_PART.sub("", path.stem.lower())


def is_supported(path: Path) -> bool:
    """Whether the extension is that of a RAW file or a picture that can be a frame."""
    kind = _file_type(path)
    return kind in _PICTURE_TYPES or kind in raw.EXTENSIONS


def _file_type(path: Path) -> str:
    """Return "tiff", "png" or "jpeg", and for other files the lower-case extension."""
    extension = path.suffix.lower()
    return _TYPE_OF_EXTENSION.get(extension, extension)
