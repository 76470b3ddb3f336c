"""Comparison with other programs: seconds, memory and PSNR against the true long exposure.

Every program gets the same synthetic burst of 10 frames from a tripod, because the others do not align; they
read it as 8-bit TIFF, longexpo as DNG and as the same TIFFs. The others: the mean by ImageMagick; 32 pictures
between neighbouring frames by DIS optical flow, and their mean (`benchmarks/dis_mean.py`); as many by
ffmpeg's minterpolate (default settings, the first and last frame repeated once, or it would drop the first
and the last interval), and their mean by tmix. Soft gamma is off, as the ground truth is the mean of linear
light. PSNR is that of sRGB values, in dB, inside the trails and on the static background, without pixels that
are clipped at any instant. Seconds and peak resident memory are those of whole processes; a process that
exceeds its time limit is killed.

A program that is not installed is reported as such. `apt install imagemagick ffmpeg` installs both; where
ffmpeg is not packaged, `pip install imageio-ffmpeg` in the environment of the benchmarks provides it.
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.dis_mean import BETWEEN
from benchmarks.measure import Cost, cost
from benchmarks.quality import Picture, picture
from benchmarks.results import table
from benchmarks.tripod_burst import TripodBurst, read_srgb, write_tripod_burst
from longexpo_cli import colour
from longexpo_cli.gpu.device import choose

SIZES = ((960, 1280, 600.0), (3000, 4000, 300.0))  # height, width; seconds a peer may take
FRAMES = 10
MAGICK = re.compile(r"Version: ImageMagick (\S+)")
FFMPEG = re.compile(r"ffmpeg version n?([0-9.]+|\S+)")
HEAD = ("", "time x", "memory x", "trail +dB", "static +dB", "s", "peak MB", "trail dB", "static dB")


@dataclass(frozen=True, slots=True)
class Peer:
    """A program: its command, the image that it writes, and how to read that as linear light.

    The command is empty if the program is not installed.
    """

    name: str
    command: tuple[str, ...]
    result: Path
    read: Callable[[Path], Picture] = read_srgb


@dataclass(frozen=True, slots=True)
class Outcome:
    """A program's cost and its PSNR in dB in trails and on the static background, or why it failed."""

    name: str
    spent: Cost | None = None
    trail_db: float = np.nan
    static_db: float = np.nan
    failure: str = ""


def find_program(candidates: Iterable[str | None], version: re.Pattern[str]) -> tuple[str, str]:
    """Return path and version of the first candidate whose -version output matches; "", "" if there is none.

    On some systems `convert` is another program than ImageMagick's.
    """
    for path in filter(None, candidates):
        output = subprocess.run([path, "-version"], capture_output=True, check=False).stdout
        match = version.match(output.decode("utf-8", "replace"))
        if match:
            return path, match[1]
    return "", ""


def bundled_ffmpeg() -> str | None:
    """Return the path of the package imageio-ffmpeg's ffmpeg; None if it is not installed."""
    try:
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def programs(burst: TripodBurst, folder: Path) -> list[Peer]:
    """Return longexpo on RAW, the baseline, then the others; they write into folder."""
    frames = burst.frames()
    magick, magick_version = find_program(map(shutil.which, ("magick", "convert")), MAGICK)
    ffmpeg, ffmpeg_version = find_program((bundled_ffmpeg(), shutil.which("ffmpeg")), FFMPEG)

    def longexpo(source: Path) -> tuple[str, ...]:
        options = ("--trail", "100%", "--blur-soft-gamma", "1", "-o", str(folder))
        return (sys.executable, "-m", "longexpo_cli", "-q", "render", str(source), *options)

    def mean(name: str, *operations: str) -> Peer:
        out = folder / f"{name.replace(' ', '-')}.tif"
        command: tuple[str, ...] = ()
        if magick:
            command = (magick, *frames, *operations, "-depth", "16", "-compress", "none", str(out))
        return Peer(f"ImageMagick {magick_version} {name}".replace("  ", " "), command, out)

    linear = ("-colorspace", "RGB", "-evaluate-sequence", "mean", "-colorspace", "sRGB")
    dis, mixed = folder / "dis.tif", folder / "minterpolate.png"
    dis_arguments = ("-m", "benchmarks.dis_mean", str(dis), *frames)
    interpolate = (ffmpeg, *ffmpeg_arguments(burst.pictures, len(frames), mixed)) if ffmpeg else ()
    return [
        Peer("longexpo, RAW", longexpo(burst.raw), folder / "raw.foreground.tif", picture),
        Peer(
            "longexpo, TIFF",
            longexpo(burst.pictures),
            folder / "pictures.foreground.tif",
            read_in_srgb_primaries,
        ),
        mean("mean", "-evaluate-sequence", "mean"),
        mean("mean of linear light", *linear),
        Peer(f"OpenCV DIS x{BETWEEN} + mean", (sys.executable, *dis_arguments), dis),
        Peer(f"ffmpeg {ffmpeg_version} minterpolate + tmix".replace("  ", " "), interpolate, mixed),
    ]


def ffmpeg_arguments(folder: Path, frames: int, out: Path) -> tuple[str, ...]:
    """Return ffmpeg's arguments: interpolate BETWEEN pictures per interval and take the mean of all."""
    pictures = BETWEEN * (frames - 1) + 1
    filters = (
        "tpad=start_mode=clone:start=1:stop_mode=clone:stop=1,format=yuv444p",
        f"minterpolate=fps={BETWEEN}:mi_mode=mci:scd=none",
        f"trim=start_frame={BETWEEN}",  # the repeated first frame
        f"tmix=frames={pictures},trim=start_frame={pictures - 1}",
    )
    source = ("-framerate", "1", "-i", str(folder / "frame_%02d.tif"))
    return (
        *("-nostdin", "-loglevel", "error", "-y", *source),
        *("-vf", ",".join(filters), "-frames:v", "1", "-update", "1", str(out)),
    )


def read_in_srgb_primaries(path: Path) -> Picture:
    """Read longexpo's TIFF in sRGB primaries, which it assumes for the 8-bit pictures."""
    return picture(path) @ colour.between("rec2020", "srgb").T.astype(np.float32)


def run_peer(peer: Peer, burst: TripodBurst, limit_s: float) -> Outcome:
    """Run a program and score its picture; a failure is reported in the Outcome."""
    if not peer.command:
        return Outcome(peer.name, failure="not installed")
    try:
        spent = cost(*peer.command, limit_s=limit_s)
    except subprocess.CalledProcessError as failure:
        output = failure.stderr.decode("utf-8", "replace").strip().splitlines()
        print(f"{peer.name}: {output[-1] if output else 'no error message'}", file=sys.stderr)
        return Outcome(peer.name, failure=f"failed ({failure.returncode})")
    if spent.timed_out:
        return Outcome(peer.name, spent, failure="timed out")
    return Outcome(peer.name, spent, *burst.scores(peer.read(peer.result)))


def row(outcome: Outcome, first: Outcome) -> list[str]:
    """Return an outcome's row of the table: relative to the first one's, then absolute."""
    spent, base = outcome.spent, first.spent
    if spent is None or base is None:
        return [outcome.name, *["-"] * 4, outcome.failure, *["-"] * 3]
    prefix = "> " if spent.timed_out else ""
    ratios = [
        f"{prefix}{spent.wall_s / base.wall_s:.2f}",
        f"{prefix}{spent.peak_bytes / base.peak_bytes:.2f}",
    ]
    absolute = [f"{prefix}{spent.wall_s:.1f}", f"{prefix}{spent.peak_bytes / 2**20:.0f}"]
    if spent.timed_out:
        return [outcome.name, *ratios, "-", "-", *absolute, "-", "-"]
    trail_gain_db = outcome.trail_db - first.trail_db
    static_gain_db = outcome.static_db - first.static_db
    gains = [f"{trail_gain_db:+.1f}", f"{static_gain_db:+.1f}"]
    return [outcome.name, *ratios, *gains, *absolute, f"{outcome.trail_db:.1f}", f"{outcome.static_db:.1f}"]


def compare(size: tuple[int, int], limit_s: float, folder: Path) -> list[Outcome]:
    """Return every program's outcome at one size, longexpo on RAW first; the pictures stay in folder."""
    burst = write_tripod_burst(folder, size, FRAMES, choose())
    return [run_peer(peer, burst, limit_s) for peer in programs(burst, folder)]


def main(keep: Path | None = None) -> None:
    """Print the tables; the pictures are kept in the folder keep, if given."""
    print("Times and memory relative to longexpo on RAW, PSNR minus longexpo's; then the absolute values")
    with tempfile.TemporaryDirectory() as scratch:
        for height, width, limit_s in SIZES:
            folder = (keep or Path(scratch)) / f"{width}x{height}"
            folder.mkdir(parents=True)
            outcomes = compare((height, width), limit_s, folder)
            print(f"{width}x{height}, {FRAMES} frames, at most {limit_s:.0f} s each")
            print(table(HEAD, (row(outcome, outcomes[0]) for outcome in outcomes)), flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
