"""Other ways to a long exposure beside longexpo: seconds, memory, and how near each comes to the truth.

All get one synthetic burst of 10 frames. It is seen from a tripod, because the peers do not align; they
read it as 8-bit TIFF, longexpo as DNG and as the same TIFFs. The peers: the mean by ImageMagick; 32
pictures between two frames by DIS optical flow, and their mean (`benchmarks/dis_mean.py`); as many by
ffmpeg's minterpolate (its defaults, and both ends of the burst held for a frame, or it would leave out the
first and the last interval), and their mean by tmix. Soft gamma is off, as the truth is plain light. PSNR
is that of sRGB-encoded values, in dB, inside the trails and on still ground; what is clipped at some
instant does not count. Seconds and peak resident memory are those of whole processes; one that takes too
long is ended.

A peer that is missing is reported so. `apt install imagemagick ffmpeg` brings both programs; where ffmpeg
is not to be had, `pip install imageio-ffmpeg` into the environment of the benchmarks brings it, too.
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
from benchmarks.steady import Steady, encoded, write_steady
from longexpo_cli import colour
from longexpo_cli.gpu.device import choose

SIZES = ((960, 1280, 600.0), (3000, 4000, 300.0))  # height, width; seconds a peer may take
FRAMES = 10
MAGICK = re.compile(r"Version: ImageMagick (\S+)")
FFMPEG = re.compile(r"ffmpeg version n?([0-9.]+|\S+)")
HEAD = ("", "time x", "memory x", "trail +dB", "still +dB", "s", "peak MB", "trail dB", "still dB")


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to a long exposure: its command, the picture that makes, how to read that as linear light.

    An empty command is a program that is not installed.
    """

    name: str
    command: tuple[str, ...]
    result: Path
    read: Callable[[Path], Picture] = encoded


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a peer took and how near it came, dB in trails and on still ground; or why it has no picture."""

    name: str
    spent: Cost | None = None
    trail_db: float = np.nan
    static_db: float = np.nan
    why: str = ""


def program(candidates: Iterable[str | None], told: re.Pattern[str]) -> tuple[str, str]:
    """Return the first program that names itself and its version as expected; both empty without one.

    Other systems have programs named convert that are something else.
    """
    for path in filter(None, candidates):
        said = subprocess.run([path, "-version"], capture_output=True, check=False).stdout
        match = told.match(said.decode("utf-8", "replace"))
        if match:
            return path, match[1]
    return "", ""


def bundled_ffmpeg() -> str | None:
    """Return the ffmpeg that the package imageio-ffmpeg brings, where that is installed."""
    try:
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def contenders(burst: Steady, folder: Path) -> list[Peer]:
    """Return longexpo on RAW, against which the others are set, then those; results go into folder."""
    frames = burst.frames()
    magick, magick_version = program(map(shutil.which, ("magick", "convert")), MAGICK)
    ffmpeg, ffmpeg_version = program((bundled_ffmpeg(), shutil.which("ffmpeg")), FFMPEG)

    def longexpo(source: Path) -> tuple[str, ...]:
        words = ("-q", "render", str(source), "--trail", "100%", "--blur-soft-gamma", "1", "-o", str(folder))
        return (sys.executable, "-m", "longexpo_cli", *words)

    def mean(name: str, *ways: str) -> Peer:
        out = folder / f"{name.replace(' ', '-')}.tif"
        command = (magick, *frames, *ways, "-depth", "16", "-compress", "none", str(out)) if magick else ()
        return Peer(f"ImageMagick {magick_version} {name}".replace("  ", " "), command, out)

    linear = ("-colorspace", "RGB", "-evaluate-sequence", "mean", "-colorspace", "sRGB")
    dis, mixed = folder / "dis.tif", folder / "minterpolate.png"
    dis_words = ("-m", "benchmarks.dis_mean", str(dis), *frames)
    interpolate = (ffmpeg, *ffmpeg_words(burst.pictures, len(frames), mixed)) if ffmpeg else ()
    return [
        Peer("longexpo, RAW", longexpo(burst.raw), folder / "raw.foreground.tif", picture),
        Peer("longexpo, TIFF", longexpo(burst.pictures), folder / "pictures.foreground.tif", in_srgb),
        mean("mean", "-evaluate-sequence", "mean"),
        mean("mean of linear light", *linear),
        Peer(f"OpenCV DIS x{BETWEEN} + mean", (sys.executable, *dis_words), dis),
        Peer(f"ffmpeg {ffmpeg_version} minterpolate + tmix".replace("  ", " "), interpolate, mixed),
    ]


def ffmpeg_words(folder: Path, frames: int, out: Path) -> tuple[str, ...]:
    """Return ffmpeg's arguments: BETWEEN pictures from each frame to the next, and the mean of all."""
    pictures = BETWEEN * (frames - 1) + 1
    filters = (
        "tpad=start_mode=clone:start=1:stop_mode=clone:stop=1,format=yuv444p",
        f"minterpolate=fps={BETWEEN}:mi_mode=mci:scd=none",
        f"trim=start_frame={BETWEEN}",  # the held frame at the start
        f"tmix=frames={pictures},trim=start_frame={pictures - 1}",
    )
    source = ("-framerate", "1", "-i", str(folder / "frame_%02d.tif"))
    return (
        *("-nostdin", "-loglevel", "error", "-y", *source),
        *("-vf", ",".join(filters), "-frames:v", "1", "-update", "1", str(out)),
    )


def in_srgb(path: Path) -> Picture:
    """Read longexpo's TIFF in the primaries of sRGB, as those of the 8-bit pictures are taken."""
    return picture(path) @ colour.between("rec2020", "srgb").T.astype(np.float32)


def tried(peer: Peer, burst: Steady, limit_s: float) -> Outcome:
    """Run a peer and score its picture; what goes wrong is in the Outcome."""
    if not peer.command:
        return Outcome(peer.name, why="not installed")
    try:
        spent = cost(*peer.command, limit_s=limit_s)
    except subprocess.CalledProcessError as failure:
        said = failure.stderr.decode("utf-8", "replace").strip().splitlines()
        print(f"{peer.name}: {said[-1] if said else 'no word'}", file=sys.stderr)
        return Outcome(peer.name, why=f"failed ({failure.returncode})")
    if spent.late:
        return Outcome(peer.name, spent, why="ended")
    return Outcome(peer.name, spent, *burst.scores(peer.read(peer.result)))


def row(outcome: Outcome, first: Outcome) -> list[str]:
    """Return an outcome's row of the table: beside the first one's, then alone."""
    spent, base = outcome.spent, first.spent
    if spent is None or base is None:
        return [outcome.name, *["-"] * 4, outcome.why, *["-"] * 3]
    over = "> " if spent.late else ""
    ratios = [f"{over}{spent.wall_s / base.wall_s:.2f}", f"{over}{spent.peak_bytes / base.peak_bytes:.2f}"]
    alone = [f"{over}{spent.wall_s:.1f}", f"{over}{spent.peak_bytes / 2**20:.0f}"]
    if spent.late:
        return [outcome.name, *ratios, "-", "-", *alone, "-", "-"]
    near = (outcome.trail_db, outcome.static_db)
    gains = (there - here for there, here in zip(near, (first.trail_db, first.static_db), strict=True))
    return [outcome.name, *ratios, *(f"{gain:+.1f}" for gain in gains), *alone, *(f"{db:.1f}" for db in near)]


def compared(size: tuple[int, int], limit_s: float, folder: Path) -> list[Outcome]:
    """Return what every contender did at one size, longexpo on RAW first; the pictures stay in folder."""
    burst = write_steady(folder, size, FRAMES, choose())
    return [tried(peer, burst, limit_s) for peer in contenders(burst, folder)]


def main(keep: Path | None = None) -> None:
    """Print the tables; the pictures go to the folder keep, if one is named."""
    print("Times and memory as multiples of longexpo's on RAW, PSNR above or below its; then each alone")
    with tempfile.TemporaryDirectory() as scratch:
        for height, width, limit_s in SIZES:
            folder = (keep or Path(scratch)) / f"{width}x{height}"
            folder.mkdir(parents=True)
            outcomes = compared((height, width), limit_s, folder)
            print(f"{width}x{height}, {FRAMES} frames, at most {limit_s:.0f} s each")
            print(table(HEAD, (row(outcome, outcomes[0]) for outcome in outcomes)), flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
