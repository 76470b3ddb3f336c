"""Write: save the photograph, its print and its plates in the formats asked for, together or not at all."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from longexpo_cli.errors import OutputError
from longexpo_cli.files import (
    avif_output,
    dng_output,
    export,
    jpeg_output,
    jxl_output,
    png_output,
    result_tags,
    results,
    tiff_output,
)
from longexpo_cli.files.icc import NAMES
from longexpo_cli.files.jpeg_segments import GainRange
from longexpo_cli.files.result_tags import OutputMetadata
from longexpo_cli.geometry import upright_view
from longexpo_cli.params import parameter
from longexpo_cli.types import Array8, Array16, Array32, Mode, Plates, Print

# Kinds of files and how their names end; of those with several endings the first is written into folders.
KINDS: dict[str, tuple[str, ...]] = {
    "light": (".tif", ".tiff"),
    "print": (".print.tif", ".print.tiff"),
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "avif": (".avif",),
    "jxl": (".jxl",),
    "dng": (".dng",),
    "sharp": (".sharp.tif",),
    "streaks": (".streaks.tif",),
    "mask": (".mask.png",),
}
PLATES = ("sharp", "mask", "streaks")  # what the photograph is composed of; --also chooses them
REPORT, _REPORT_ENDING = "report", ".html"  # the page on how a picture was made; --report
ALSO = (*PLATES, "print", "png", "avif", "jxl", "dng")  # the values of --also
DEFAULT = ("light", "jpeg")  # what is written into a folder
SIXTEEN_BITS = frozenset({"print", "png", "avif", "jxl"})  # kinds made from a print of 16 bits

_CHOSEN_BY_NAME = ("print", "light", "jpeg", "png", "avif", "jxl", "dng")
_ENDINGS = "use .tif, .print.tif, .jpg, .png, .avif, .jxl, .dng or a folder"
# Other file types, which are refused; an output with any other extension is a folder.
_UNSUPPORTED = {
    ".exr": "no library that longexpo uses writes OpenEXR; use .tif, which has the same scene-linear light",
    **dict.fromkeys((".hdr", ".pfm"), "use .tif, which has the same scene-linear light"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "use .avif, .jxl or .jpg"),
    **dict.fromkeys((".webp", ".gif", ".bmp", ".jp2", ".tga", ".ppm", ".psd", ".pdf"), _ENDINGS),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef"), "use .dng"),
    **dict.fromkeys((".json", ".toml", ".xmp", ".zip", ".mp4", ".mov"), _ENDINGS),
    **dict.fromkeys((".html", ".htm"), "use --report, which writes a page beside the pictures"),
}
_SAID_BELOW = 1e-3  # share of a DNG's values below black that is noise and not worth a note
_MAX_AT_ONCE = 2  # files encoded at the same time, to bound the memory
_HUNGRY = frozenset({"avif", "jxl"})  # kinds whose codecs take 300 to 500 MB at 12 megapixels


@dataclass(frozen=True, slots=True)
class Params:
    """How the files are encoded."""

    quality: int = parameter(92, "JPEG, AVIF, JXL quality", low=1, high=100, alias="--quality")
    gain_map: bool = parameter(True, "gain map in the JPEG, for HDR")
    compression: str = parameter(
        "deflate", "TIFF compression", choices=("none", "deflate"), alias="--compression"
    )
    bits: str = parameter("16", "floats of the linear TIFF", choices=("16", "32"), alias="--bits")


@dataclass(frozen=True, slots=True)
class Target:
    """A file to be written, and which of KINDS it is, or REPORT."""

    path: Path
    kind: str


@dataclass(frozen=True, slots=True)
class Written:
    """The pictures written, one sentence for each loss that a format forced, and an entry for each file.

    An entry is plain values for JSON: name, bytes, mtime_ns and sha256 (files.results).
    """

    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    entries: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The JSON that is written with the pictures and becomes visible after them, made of what was written.

    page makes the text of a target of the kind "report" from that JSON.
    """

    path: Path
    document: Callable[[Written], Mapping[str, Any]]
    page: Callable[[Mapping[str, Any]], str] | None = None


def targets(burst: Path, mode: Mode, out: Path | None, also: Sequence[str] = ()) -> tuple[Target, ...]:
    """Return the files to which a burst's result is written.

    These are <burst>.<mode>.tif and .jpg, beside the burst or in the folder out. When out is a file name with
    one of the endings of KINDS, it is the only one. also names further kinds (ALSO), written beside the first
    with its name. OutputError for other file names.
    """
    stem, chosen = _stem_and_kind(burst, mode, out)
    if out is not None and chosen:
        found = [Target(out, chosen)]
    else:
        found = [Target(stem.with_name(stem.name + KINDS[kind][0]), kind) for kind in DEFAULT]
    for kind in dict.fromkeys(also):
        if kind not in (*ALSO, REPORT):
            raise OutputError(f"--also {kind}: is not one of {', '.join(ALSO)}")
        if kind != chosen:
            ending = _REPORT_ENDING if kind == REPORT else KINDS[kind][0]
            found.append(Target(stem.with_name(stem.name + ending), kind))
    return tuple(found)


def sidecar(burst: Path, mode: Mode, out: Path | None) -> Path:
    """Return the JSON file beside the targets."""
    stem, _ = _stem_and_kind(burst, mode, out)
    return stem.with_name(stem.name + ".json")


def _stem_and_kind(burst: Path, mode: Mode, out: Path | None) -> tuple[Path, str]:
    """Return the path of the targets without an ending, and the kind of the one that out names, or ""."""
    if out is not None and not out.is_dir():
        name = out.name.lower()
        for kind in _CHOSEN_BY_NAME:
            for ending in KINDS[kind]:
                if name.endswith(ending) and name != ending:
                    return out.with_name(out.name[: -len(ending)]), kind
        extension = out.suffix.lower()
        if extension in _UNSUPPORTED:
            raise OutputError(f"{out}: {extension} is not supported; {_UNSUPPORTED[extension]}")
        if out.exists():
            raise OutputError(f"{out}: is neither a folder nor a picture of a known kind; {_ENDINGS}")
    source = burst if burst.name not in ("", "..") else burst.resolve()
    name = source.stem if source.is_file() else source.name
    folder = source.parent if out is None else out
    return folder / f"{name}.{mode}", ""


def refuse_existing(paths: Sequence[Path], overwrite: bool) -> None:
    """Raise OutputError when one of the files exists and overwrite is not set."""
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; choose another output with -o")
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: already exists; use --overwrite to replace it")


def write(
    print_: Print,
    targets: Sequence[Target],
    params: Params,
    metadata: OutputMetadata | None = None,
    plates: Plates | None = None,
    beside: Sidecar | None = None,
) -> Written:
    """Write the pictures, upright, and the JSON beside them; OutputError, and no files, when one fails.

    light is the scene-linear Rec.2020 light before tone mapping, in floats of params.bits; dng the same light
    in the camera's colours. print, png, avif and jxl hold the print's display pixels, of which 16 bits are
    expected, jpeg 8 bits of it with its gain map. sharp, streaks and mask are plates. Existing files are
    replaced (see refuse_existing). Camera and ISO default to those of the reference shot.
    """
    shot = print_.shot
    given = metadata or OutputMetadata()
    iso = given.iso if given.iso is not None else shot.iso
    complete = replace(given, camera=given.camera or shot.camera, iso=iso, exposure_ev=print_.exposure_ev)
    eight = upright_view(print_.sdr8, shot.orientation)
    small = result_tags.thumbnail(eight)
    encoder = _Encoder(print_, eight, small, params, complete, plates or Plates())
    pictures = [target for target in targets if target.kind != REPORT]
    reports = [target.path for target in targets if target.kind == REPORT]
    for target in pictures:
        encoder.refuse(target)
    paths = [*(target.path for target in pictures), *reports]
    json_path = [] if beside is None else [beside.path]
    with export.atomic_set([*paths, *json_path]) as files, ThreadPoolExecutor(_MAX_AT_ONCE) as pool:
        encoded = list(pool.map(encoder.encode, pictures, files))
        notes = tuple(note for of_file, _ in encoded for note in of_file)
        written = Written(tuple(paths), notes, tuple(entry for _, entry in encoded))
        if beside is not None:
            _write_beside(
                beside, written, dict(zip(reports, files[len(pictures) :], strict=False)), files[-1]
            )
    return written


def _write_beside(
    beside: Sidecar, written: Written, reports: Mapping[Path, BinaryIO], json_file: BinaryIO
) -> None:
    """Write the page, if there is one, and the JSON, which names it among its files."""
    document = dict(beside.document(written))
    for path, file in reports.items():
        assert beside.page is not None
        with export.named(path):
            file.write(beside.page(document).encode("utf-8", "backslashreplace"))
            document["files"] = [*document["files"], results.entry(path.name, file)]
    with export.named(beside.path):
        json_file.write(export.json_text(document, indent=2).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class _Encoder:
    """What all files of a result have in common: eight is the print in 8 bits, upright, H W 3."""

    print: Print
    eight: Array8
    thumbnail: bytes
    params: Params
    metadata: OutputMetadata
    plates: Plates
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def refuse(self, target: Target) -> None:
        """Raise OutputError when the picture is too large for the format, or a plate is missing."""
        height, width = self.print.light.shape[:2]
        if target.kind in ("jpeg", "avif") and max(height, width) > jpeg_output.MAX_SIDE_PX:
            raise OutputError(
                f"{target.path}: has at most {jpeg_output.MAX_SIDE_PX} pixels on a side, not "
                f"{width}x{height}; use .tif, .png or .jxl"
            )
        if target.kind == "dng" and height * width > dng_output.MAX_PIXELS:
            raise OutputError(f"{target.path}: a DNG has at most 4 GiB; use .tif")
        if target.kind == "dng" and min(height, width) < dng_output.MIN_SIDE_PX:
            raise OutputError(
                f"{target.path}: RAW developers read no DNG of less than {dng_output.MIN_SIDE_PX} pixels "
                f"on a side, this is {width}x{height}; use .tif"
            )
        if target.kind in PLATES and getattr(self.plates, target.kind) is None:
            raise OutputError(f"{target.path}: the {target.kind} plate was not kept by this render")

    def encode(self, target: Target, file: BinaryIO) -> tuple[list[str], dict[str, Any]]:
        """Write one file; return notes on what its format could not hold, and its entry."""
        encoders: dict[str, Callable[[Target, BinaryIO], list[str]]] = {
            "light": self._light,
            "sharp": self._light,
            "streaks": self._light,
            "mask": self._mask,
            "dng": self._dng,
            "jpeg": self._jpeg,
        }
        alone = self.one_at_a_time if target.kind in _HUNGRY else contextlib.nullcontext()
        with export.named(target.path):
            with alone:
                notes = encoders.get(target.kind, self._display)(target, file)
            return notes, results.entry(target.path.name, file)

    def _light(self, target: Target, file: BinaryIO) -> list[str]:
        bits = int(self.params.bits)
        source = {"sharp": self.plates.sharp, "streaks": self.plates.streaks}.get(
            target.kind, self.print.light
        )
        assert source is not None
        light = upright_view(self.at_full_size(source), self.print.shot.orientation)
        what = {"sharp": ", sharp plate", "streaks": ", plate of streaks"}.get(target.kind, "")
        tiff_output.write_light(
            file,
            light,
            self.metadata,
            bits=bits,
            compress=self.params.compression == "deflate",
            encoding=f"scene-linear Rec.2020{what}",
            thumbnail=b"" if what else self.thumbnail,
        )
        clamped = tiff_output.clamped(light, bits)
        if not clamped:
            return []
        return [
            f"{target.path.name}: {clamped} values of light were limited to what floats of {bits} bits hold"
            + ("; --bits 32 keeps more" if bits == 16 else "")
        ]

    def at_full_size(self, plate: Array32) -> Array32:
        """Return a plate on the half grid interpolated to the photograph's size; others as they are."""
        import cv2

        height, width = self.print.light.shape[:2]
        if plate.shape[:2] == (height, width):
            return plate
        twice = (2 * plate.shape[1], 2 * plate.shape[0])  # the grid may end half a pixel beyond the picture
        full = cv2.resize(plate, twice, interpolation=cv2.INTER_LINEAR)
        return np.asarray(full[:height, :width], np.float32)

    def _display(self, target: Target, file: BinaryIO) -> list[str]:
        pixels = upright_view(self._sixteen(), self.print.shot.orientation)
        space, quality = self.print.profile, self.params.quality
        encoding = f"print, {NAMES[space]}"
        small = self.thumbnail
        if target.kind == "print":
            compress = self.params.compression == "deflate"
            tiff_output.write_display(
                file, pixels, space, self.metadata, encoding, compress=compress, thumbnail=small
            )
        elif target.kind == "png":
            file.write(png_output.encode_png(pixels, space, self.metadata, encoding, small))
        elif target.kind == "avif":
            file.write(avif_output.encode_avif(pixels, space, self.metadata, quality, small))
        else:
            file.write(jxl_output.encode_jxl(pixels, space, self.metadata, quality, small))
        return []

    def _sixteen(self) -> Array16:
        sdr: Array8 | Array16 = self.print.sdr
        return np.asarray(sdr, np.uint16) * np.uint16(257) if sdr.dtype == np.uint8 else np.asarray(sdr)

    def _mask(self, target: Target, file: BinaryIO) -> list[str]:
        assert self.plates.mask is not None
        mask = upright_view(self.at_full_size(self.plates.mask), self.print.shot.orientation)
        levels = np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8)
        encoding = "mask: white where the sharp plate is, linear"
        file.write(png_output.encode_png(levels, None, self.metadata, encoding))
        return []

    def _dng(self, target: Target, file: BinaryIO) -> list[str]:
        shot = self.print.shot
        light = upright_view(self.print.light, shot.orientation)
        scale = dng_output.scaling(light, shot)
        dng_output.write_dng(file, light, self.eight, shot, scale, self.metadata)
        notes = []
        if scale.below > _SAID_BELOW * light.size:
            share = 100 * scale.below / light.size
            notes.append(f"{target.path.name}: {share:.1f} % of the values are below black and are 0 there")
        if scale.highlight_ev:
            notes.append(
                f"{target.path.name}: is {scale.highlight_ev} EV darker, to hold light above white; "
                "BaselineExposure says so, which darktable does not apply: raise its exposure"
            )
        if scale.above:
            notes.append(
                f"{target.path.name}: {scale.above} values are clipped, {scale.highlight_ev} EV above white; "
                "the .tif keeps them"
            )
        return notes

    def _jpeg(self, target: Target, file: BinaryIO) -> list[str]:
        print_ = self.print
        limits = GainRange(print_.gain_low_ev, print_.gain_high_ev)
        has_gain_map = self.params.gain_map and limits.high_ev > limits.low_ev
        gain = upright_view(print_.gain, print_.shot.orientation) if has_gain_map else None
        file.write(
            jpeg_output.encode_jpeg(
                self.eight, print_.profile, self.metadata, self.params.quality, gain, limits
            )
        )
        return []
