"""Write the photograph, its print and its metadata, whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from longexpo_cli import blocks, export
from longexpo_cli.errors import OutputError
from longexpo_cli.export import Facts
from longexpo_cli.params import parameter
from longexpo_cli.types import Mode, Print

_TIFF = (".tif", ".tiff")
_JPEG = (".jpg", ".jpeg")
_OTHERS = (".png", ".webp", ".heic", ".avif", ".jxl", ".exr", ".dng", ".gif", ".bmp", ".json", ".toml")


@dataclass(frozen=True, slots=True)
class Params:
    """How the files are packed."""

    quality: int = parameter(92, "JPEG quality", low=1, high=100, alias="--quality")
    gain_map: bool = parameter(True, "put a gain map into the JPEG, so that HDR screens show its highlights")
    compression: str = parameter(
        "none",
        "of the TIFF: none is quick, deflate about two thirds of the size",
        choices=("none", "deflate"),
        alias="--compression",
    )


def targets(burst: Path, mode: Mode, out: Path | None) -> tuple[Path, ...]:
    """Return the files that a burst's result goes to.

    <burst>.<mode>.tif and .jpg beside the burst, or in the folder out; a file name out that ends in .tif or
    .jpg is the only one. OutputError for an ending that is neither.
    """
    if out is not None and not out.is_dir():
        ending = out.suffix.lower()
        if ending in (*_TIFF, *_JPEG):
            return (out,)
        if ending in _OTHERS:
            raise OutputError(f"{out}: results are written as .tif or .jpg, not {ending}")
        if out.exists():
            raise OutputError(f"{out}: is neither a folder nor the name of a .tif or .jpg file")
    whole = burst if burst.name not in ("", "..") else burst.resolve()
    name = whole.stem if whole.is_file() else whole.name
    folder = whole.parent if out is None else out
    return folder / f"{name}.{mode}.tif", folder / f"{name}.{mode}.jpg"


def refuse_existing(paths: Sequence[Path], overwrite: bool) -> None:
    """Raise OutputError when one of the files exists and may not be overwritten."""
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path}: a folder of that name is in the way; choose another place with -o")
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: exists already; --overwrite replaces it")


def write(
    print_: Print, paths: Sequence[Path], params: Params, facts: Facts | None = None
) -> tuple[Path, ...]:
    """Write the print's files, upright, and return their paths; OutputError, and no file, when one fails.

    A .tif holds the scene-linear Rec.2020 light before tone mapping, in 32-bit floats; a .jpg the print with
    its gain map. Existing files are replaced (see refuse_existing). facts say how long light was gathered and
    from which frames; camera and ISO are taken from the reference shot where facts leave them out.
    """
    shot = print_.shot
    given = facts or Facts()
    known = replace(
        given, camera=given.camera or shot.camera, iso=given.iso if given.iso is not None else shot.iso
    )
    with contextlib.ExitStack() as files:
        for path in paths:
            file = files.enter_context(export.replacing(path))
            if path.suffix.lower() in _TIFF:
                light = export.upright(print_.light, shot.orientation)
                export.write_tiff(file, light, known, compress=params.compression == "deflate")
            else:
                file.write(_jpeg(print_, known, params))
    return tuple(paths)


def _jpeg(print_: Print, facts: Facts, params: Params) -> bytes:
    limits = blocks.GainRange(print_.gain_low_ev, print_.gain_high_ev)
    wanted = params.gain_map and limits.high_ev > limits.low_ev
    gain = export.upright(print_.gain, print_.shot.orientation) if wanted else None
    sdr = export.upright(print_.sdr, print_.shot.orientation)
    return export.encode_jpeg(sdr, print_.profile, facts, params.quality, gain, limits)
