"""The files of a result: which programs read them rightly, which tags they keep, sizes and times.

A picture of known light is written in every format. Every program reads every file; its pixels are compared
with what was written: "right" is a mean error of at most 1 of 255 steps (lossy formats 3), for linear files
of 0.1 % of white. A number is the error of a file that is read wrongly, "no" one that is not read, "-" a
program that is not installed or not made for that kind. exiftool's column is its count of warnings.

DNG against TIFF: both developed by darktable without modules of its own (workflow none, linear Rec.2020),
CIEDE2000. Sizes and times are those of 12 megapixels, `default` those of what is written into a folder.
The picture is one of the folder LONGEXPO_PICTURES, repeated to 12 megapixels.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.results import table
from longexpo_cli import colour, metrics
from longexpo_cli.files import carried, ifd, jpeg_segments
from longexpo_cli.files.ifd import ASCII, BYTE, RATIONAL, SHORT
from longexpo_cli.files.result_tags import OutputMetadata
from longexpo_cli.stages import write
from longexpo_cli.stages.write import KINDS, Target
from longexpo_cli.synth.dng import COLOR_MATRIX
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Plates, Print

Pixels = npt.NDArray[Any]

FOLDER = "LONGEXPO_PICTURES"
FILES = ("light", "light 32", "print", "jpeg", "png", "avif", "jxl", "dng")
LINEAR = frozenset({"light", "light 32", "dng"})
LOSSY = frozenset({"jpeg", "avif", "jxl"})
LIMIT_S = 120  # of one program and file
RIGHT, RIGHT_LOSSY, RIGHT_LINEAR = 1 / 255, 3 / 255, 1e-3
DARKTABLE = ("--core", "--library", ":memory:", "--conf", "plugins/darkroom/workflow=none")
TAGS = (
    *("Make", "Model", "ISO", "ExposureTime", "DateTimeOriginal", "FNumber", "FocalLength", "LensModel"),
    *("GPSLatitude", "OffsetTimeOriginal", "CreateDate", "SerialNumber", "LensSerialNumber"),
    *("ExposureProgram", "MeteringMode", "Artist", "Copyright", "ThumbnailImage"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A picture with known light and print, and the files that it was written as, by name of FILES."""

    print: Print
    paths: dict[str, Path]

    def expected(self, kind: str) -> Pixels:
        """Return the values that a reader should find, 0..1."""
        return np.clip(self.print.light, 0, 1) if kind in LINEAR else self.print.sdr / 65535.0


def kodak() -> Pixels:
    """Return the first picture of the folder, H W 3 uint8 in R G B; SystemExit without one."""
    folder = os.environ.get(FOLDER, "")
    for path in sorted(Path(folder).iterdir()) if folder else []:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None:
            return np.asarray(picture[..., ::-1])
    raise SystemExit(f"{FOLDER} is not a folder of pictures")


def print_of(size_px: tuple[int, int]) -> Print:
    """Return a print of that size with noise of light, exposed 1.5 EV brighter than its light."""
    source = kodak()
    repeats = [-(-wanted // have) for wanted, have in zip(size_px, source.shape[:2], strict=True)]
    tiled = np.tile(source, (*repeats, 1))[: size_px[0], : size_px[1]]
    srgb = colour.srgb_decode(tiled.astype(np.float32) / 255)
    light = srgb @ colour.between("srgb", "rec2020").T.astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.003, light.shape).astype(np.float32)
    light = np.asarray(np.maximum(light + noise * np.sqrt(light + 0.01), 0) / 2**1.5, np.float32)
    shown = np.clip(light * np.float32(2**1.5) @ colour.between("rec2020", "srgb").T.astype(np.float32), 0, 1)
    sdr = np.rint(colour.srgb_encode(shown) * 65535).astype(np.uint16)
    shot = replace(
        plain_shot(size_px, exposure_s=0.02, iso=100, camera="Maker Camera 7"),
        camera_to_working=colour.camera_to_working(np.array(COLOR_MATRIX)),
        wb_gains=(2.0, 1.0, 1.6),
    )
    gain = np.zeros((-(-size_px[0] // 4), -(-size_px[1] // 4)), np.uint8)
    return Print(sdr, gain, 0.0, 2.0, "srgb", light, shot, 1.5)


def tagged(folder: Path) -> OutputMetadata:
    """Return metadata carried from a JPEG frame that has all of TAGS."""
    main: dict[int, ifd.Field] = {
        271: (ASCII, "Eastman Kodak Company"),
        272: (ASCII, "DCS Pro"),
        315: (ASCII, "José Ñandú".encode()),
    }
    photo = {
        **{33437: (RATIONAL, (5.6,)), 34850: (SHORT, 3), 36868: (ASCII, "2024:05:06 07:08:09")},
        **{36881: (ASCII, "+02:00"), 37383: (SHORT, 5), 37386: (RATIONAL, (50.0,))},
        **{42033: (ASCII, "6001234"), 42036: (ASCII, "50mm f/1.8"), 42037: (ASCII, "77")},
    }
    gps = {
        **{0: (BYTE, (2, 3, 0, 0)), 1: (ASCII, "N"), 2: (RATIONAL, (48.0, 51.0, 29.6))},
        **{3: (ASCII, "E"), 4: (RATIONAL, (2.0, 17.0, 40.2))},
    }
    block = ifd.encode_exif({**main, 33432: (ASCII, "(c) Field Test")}, photo, gps)
    frame = folder / "frame.jpg"
    frame.write_bytes(b"\xff\xd8" + jpeg_segments.exif_segment(block) + b"\xff\xd9")
    tags = carried.read(frame)
    taken = datetime.datetime(2024, 5, 6, 7, 8, 9)
    return OutputMetadata(
        light_s=0.18, trail_s=0.9, taken=taken, main=tags.main, photo=tags.photo, gps=tags.gps
    )


def write_all(folder: Path, made: Print) -> Result:
    """Write the picture in every format, without loss where a format may be lossless or not."""
    metadata, paths = tagged(folder), {}
    for name in FILES:
        kind, _, bits = name.partition(" ")
        path = folder / f"{name.replace(' ', '')}{KINDS[kind][0]}"
        params = write.Params(bits=bits or "16", quality=95)
        write.write(made, [Target(path, kind)], params, metadata)
        paths[name] = path
    return Result(made, paths)


def run(*command: str | Path) -> bool:
    """Run a program quietly; return whether it succeeded in time."""
    try:
        done = subprocess.run([*map(str, command)], capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def values(path: Path) -> Pixels | None:
    """Return the pixels 0..1 of a file that a program wrote: PNG, PPM or TIFF, 8, 16 or 32 bits."""
    import tifffile

    if not path.exists():
        return None
    found = tifffile.imread(path) if path.suffix == ".tif" else cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim != 3:
        return None
    found = found[..., :3] if path.suffix == ".tif" else found[..., 2::-1]
    scale = 1.0 if found.dtype.kind == "f" else float(np.iinfo(found.dtype).max)
    return np.asarray(found, np.float64) / scale


def in_process(name: str) -> Callable[[Path, str], Pixels | None]:
    """Return a reader by a Python library."""
    import imagecodecs
    import tifffile

    def read(path: Path, kind: str) -> Pixels | None:
        if name == "tifffile":
            return np.asarray(tifffile.imread(path))
        if name == "OpenCV":
            found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            return None if found is None else found[..., ::-1]
        if name == "Pillow":
            from PIL import Image

            with Image.open(path) as image:
                return np.asarray(image.convert("RGB"))
        if name == "rawpy":
            return _rawpy(path)
        decoders: dict[str, Any] = {"jpeg": imagecodecs.jpeg8_decode, "png": imagecodecs.png_decode}
        decoders |= {"avif": imagecodecs.avif_decode, "jxl": imagecodecs.jpegxl_decode}
        return np.asarray(decoders.get(kind, imagecodecs.tiff_decode)(path.read_bytes()))

    return read


def _rawpy(path: Path) -> Pixels:
    """Return LibRaw's development with the file's matrix and white balance as light in Rec.2020."""
    import rawpy

    with rawpy.imread(str(path)) as raw:
        developed = raw.postprocess(
            gamma=(1, 1),
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            use_camera_wb=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
        )
    light = developed / 65535.0 @ colour.between("srgb", "rec2020").T
    return np.asarray(light)


def rawtherapee(path: Path, kind: str) -> Pixels | None:
    """Return RawTherapee's neutral development, which is sRGB, for linear files as light in Rec.2020."""
    read = by_program(lambda i, o, _: ("rawtherapee-cli", "-t", "-b16", "-Y", "-o", o, "-c", i), ".tif")
    found: Pixels | None = read(path, kind)
    if found is None or kind not in LINEAR:
        return found
    return np.asarray(colour.srgb_decode(found) @ colour.between("srgb", "rec2020").T)


def by_program(command: Callable[[Path, Path, bool], tuple[str | Path, ...]], ending: str) -> Any:
    """Return a reader by a program: its command from input, output and whether the file is linear."""

    def read(path: Path, kind: str) -> Pixels | None:
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / f"out{ending}"
            return values(out) if run(*command(path, out, kind in LINEAR)) else None

    return read


def darktable(path: Path, out: Path, is_linear: bool) -> tuple[str | Path, ...]:
    """Return darktable's command for a development without modules of its own."""
    space = "LIN_REC2020" if is_linear else "SRGB"
    tiff = ("--conf", "plugins/imageio/format/tiff/bpp=32")
    return ("darktable-cli", path, out, "--apply-custom-presets", "false", "--icc-type", space, *DARKTABLE,
            "--configdir", out.parent / "dt", *tiff)  # fmt: skip


def readers() -> dict[str, tuple[str, frozenset[str], Any]]:
    """Return the readers: the program that must be installed ("" for a library), kinds, function."""
    tiffs, display = frozenset({"light", "light 32", "print"}), frozenset({"print", "jpeg", "png"})
    every = frozenset(FILES)
    return {
        "tifffile": ("", tiffs, in_process("tifffile")),
        "OpenCV": ("", every - {"jxl", "dng"}, in_process("OpenCV")),
        "Pillow": ("", display | {"avif"}, in_process("Pillow")),
        "imagecodecs": ("", every - {"dng"}, in_process("imagecodecs")),
        "rawpy": ("", frozenset({"dng"}), in_process("rawpy")),
        "ffmpeg": (
            "ffmpeg",
            display | {"avif", "jxl"},
            by_program(lambda i, o, _: ("ffmpeg", "-y", "-i", i, "-pix_fmt", "rgb48", o), ".png"),
        ),
        "ImageMagick": (
            "convert",
            every - {"dng"},
            by_program(lambda i, o, _: ("convert", i, "-depth", "16", f"png48:{o}"), ".png"),
        ),
        "libvips": (
            "vips",
            every - {"dng"},
            by_program(lambda i, o, _: ("vips", "copy", i, o), ".tif"),
        ),
        "GDAL": (
            "gdal_translate",
            every - {"dng"},
            by_program(lambda i, o, f: ("gdal_translate", *(("-ot", "Float32") if f else ()), i, o), ".tif"),
        ),
        "OpenImageIO": (
            "oiiotool",
            every - {"dng"},
            by_program(lambda i, o, f: ("oiiotool", i, "-d", "float" if f else "uint16", "-o", o), ".tif"),
        ),
        "darktable": ("darktable-cli", every, by_program(darktable, ".tif")),
        "RawTherapee": (
            "rawtherapee-cli",
            frozenset({"light", "light 32", "print", "jpeg", "dng"}),
            rawtherapee,
        ),
    }


def verdict(found: Pixels | None, expected: Pixels, kind: str) -> str:
    """Return "right", the error in 255 steps (linear: in % of white), or "no"."""
    if found is None or found.shape != expected.shape:
        return "no"
    if found.dtype.kind in "ui":
        is_ten_bits = kind == "avif" and found.dtype != np.uint8 and found.max() < 1024
        found = found / (1023.0 if is_ten_bits else float(np.iinfo(found.dtype).max))
    error = float(np.abs(np.clip(found, 0, 1) - expected).mean())
    limit = RIGHT_LINEAR if kind in LINEAR else RIGHT_LOSSY if kind in LOSSY else RIGHT
    if error <= limit:
        return "right"
    return f"{100 * error:.2f} %" if kind in LINEAR else f"{255 * error:.1f}"


def reader_rows(result: Result) -> list[list[str]]:
    """Return the table of readers and files."""
    rows = []
    for name, (program, kinds, read) in readers().items():
        cells = []
        for kind in FILES:
            if kind not in kinds or (program and not shutil.which(program)):
                cells.append("-")
                continue
            try:
                found = read(result.paths[kind], kind)
            except Exception:  # libraries have errors of their own; all mean that the file is not read
                found = None
            cells.append(verdict(found, result.expected(kind), kind))
        rows.append([name, *cells])
    rows.append(["exiftool -validate", *(warnings(result.paths[kind]) for kind in FILES)])
    rows.append([f"tags kept of {len(TAGS)}", *(tags_kept(result.paths[kind]) for kind in FILES)])
    return rows


def warnings(path: Path) -> str:
    """Return how many warnings exiftool has, "OK" for none."""
    if not shutil.which("exiftool"):
        return "-"
    command = ["exiftool", "-s3", "-validate", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return "OK" if said == "OK" else said.split(" ", maxsplit=1)[0]


def tags_kept(path: Path) -> str:
    """Return how many of TAGS exiftool finds; the thumbnail of a TIFF or DNG is called a preview there."""
    if not shutil.which("exiftool"):
        return "-"
    command = ["exiftool", "-j", *(f"-{tag}" for tag in TAGS), "-PreviewImage", str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    found.setdefault("ThumbnailImage", found.get("PreviewImage"))
    return str(sum(found.get(tag) is not None for tag in TAGS))


def dng_against_tiff(result: Result) -> str:
    """Return CIEDE2000 of the DNG against the linear TIFF, both developed by darktable."""
    if not shutil.which("darktable-cli"):
        return "-"
    read = by_program(darktable, ".tif")
    developed = [read(result.paths[kind], "light") for kind in ("dng", "light 32")]
    if developed[0] is None or developed[1] is None:
        return "not read"
    to_srgb = colour.between("rec2020", "srgb").T
    lab = [metrics.srgb_to_lab(colour.srgb_encode(np.clip(light @ to_srgb, 0, 1))) for light in developed]
    difference = metrics.delta_e_2000(*lab)
    return f"mean {difference.mean():.3f}, 99th percentile {np.percentile(difference, 99):.3f}"


def cost_rows(made: Print, folder: Path) -> list[list[str]]:
    """Return size, seconds and processor seconds of each kind, and of what a folder gets by default."""
    sets = {**{kind: (kind,) for kind in KINDS}, "default": write.DEFAULT}
    mask = np.asarray(made.light[..., 0], np.float32)
    rows = []
    for name, kinds in sets.items():
        targets = [Target(folder / f"x{KINDS[kind][0]}", kind) for kind in kinds]
        spent = []
        for _ in range(2):
            wall, cpu = time.perf_counter(), time.process_time()
            write.write(made, targets, write.Params(), None, Plates(made.light, made.light, mask))
            spent.append((time.perf_counter() - wall, time.process_time() - cpu))
        size = sum(target.path.stat().st_size for target in targets)
        rows.append([name, f"{size / 1e6:.1f}", *(f"{value:.2f}" for value in min(spent))])
        for target in targets:
            target.path.unlink()
    return rows


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        result = write_all(folder, print_of((701, 1021)))
        print(table(("reader", *FILES), reader_rows(result)))
        print(f"\nDNG against TIFF, both by darktable, CIEDE2000: {dng_against_tiff(result)}\n")
        rows = cost_rows(print_of((3000, 4000)), folder)
        print(table(("12 megapixels", "MB", "s", "processor s"), rows))


if __name__ == "__main__":
    main()
