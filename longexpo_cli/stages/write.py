"""Write: save the photograph as a TIFF and its print as a JPEG, atomically."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from longexpo_cli.errors import OutputError
from longexpo_cli.files import export
from longexpo_cli.files.export import OutputMetadata
from longexpo_cli.files.jpeg_segments import GainRange
from longexpo_cli.geometry import upright_view
from longexpo_cli.params import parameter
from longexpo_cli.types import Mode, Print

_TIFF = (".tif", ".tiff")
_JPEG = (".jpg", ".jpeg")
# Extensions of unsupported file types; an output with any other extension is a folder.
_UNSUPPORTED = (".png", ".webp", ".heic", ".avif", ".jxl", ".exr", ".dng", ".gif", ".bmp", ".json", ".toml")


@dataclass(frozen=True, slots=True)
class Params:
    """How the files are encoded."""

    quality: int = parameter(92, "JPEG quality", low=1, high=100, alias="--quality")
    gain_map: bool = parameter(True, "add a gain map to the JPEG, so that HDR screens show its highlights")
    compression: str = parameter(
        "none",
        "TIFF compression: none (fast) or deflate (about a third smaller)",
        choices=("none", "deflate"),
        alias="--compression",
    )


def targets(burst: Path, mode: Mode, out: Path | None) -> tuple[Path, ...]:
    """Return the files to which a burst's result is written.

    These are <burst>.<mode>.tif and .jpg, beside the burst or in the folder out. When out is a file name that
    ends in .tif or .jpg, it is the only one. OutputError for other file names.
    """
    if out is not None and not out.is_dir():
        extension = out.suffix.lower()
        if extension in (*_TIFF, *_JPEG):
            return (out,)
        if extension in _UNSUPPORTED:
            raise OutputError(f"{out}: {extension} is not supported; use .tif, .jpg or a folder")
        if out.exists():
            raise OutputError(
                f"{out}: is neither a folder nor a .tif or .jpg file; choose another output with -o"
            )
    source = burst if burst.name not in ("", "..") else burst.resolve()
    name = source.stem if source.is_file() else source.name
    folder = source.parent if out is None else out
    return folder / f"{name}.{mode}.tif", folder / f"{name}.{mode}.jpg"


def refuse_existing(paths: Sequence[Path], overwrite: bool) -> None:
    """Raise OutputError when one of the files exists and overwrite is not set."""
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; choose another output with -o")
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: already exists; use --overwrite to replace it")


def write(
    print_: Print, paths: Sequence[Path], params: Params, metadata: OutputMetadata | None = None
) -> tuple[Path, ...]:
    """Write the pictures, upright, and return their paths; OutputError, and no files, when one fails.

    A .tif holds the scene-linear Rec.2020 light before tone mapping, in 32-bit floats; a .jpg the print with
    its gain map. Existing files are replaced (see refuse_existing). Camera and ISO default to those of
    the reference shot.
    """
    shot = print_.shot
    given = metadata or OutputMetadata()
    iso = given.iso if given.iso is not None else shot.iso
    complete = replace(given, camera=given.camera or shot.camera, iso=iso)
    with contextlib.ExitStack() as files:
        for path in paths:
            file = files.enter_context(export.atomic_write(path))
            if path.suffix.lower() in _TIFF:
                light = upright_view(print_.light, shot.orientation)
                export.write_tiff(file, light, complete, compress=params.compression == "deflate")
            else:
                file.write(_jpeg(print_, complete, params))
    return tuple(paths)


def _jpeg(print_: Print, metadata: OutputMetadata, params: Params) -> bytes:
    limits = GainRange(print_.gain_low_ev, print_.gain_high_ev)
    has_gain_map = params.gain_map and limits.high_ev > limits.low_ev
    gain = upright_view(print_.gain, print_.shot.orientation) if has_gain_map else None
    sdr = upright_view(print_.sdr8, print_.shot.orientation)
    return export.encode_jpeg(sdr, print_.profile, metadata, params.quality, gain, limits)
