"""Load: a folder or a video becomes a burst. Headers only, in time order.

Time, exposure and noise come from every file's tags; pattern, levels and balance from LibRaw, which must
decode for them, so from one file for all of the same ISO. All frames of a burst share one white balance: a
camera that balances anew for each does not make the streaks flicker.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from longexpo_cli import colour, imagefile, metadata, raw
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.params import parameter
from longexpo_cli.types import Burst, Clock, NoiseProfile, Shot

_SIDECARS = frozenset(
    {".xmp", ".json", ".txt", ".toml", ".md", ".db", ".ini", ".thm", ".wav", ".pp3", ".dop"}
)
_RESULT = re.compile(r"\.(foreground|background)\.(tiff?|jpe?g)$", re.IGNORECASE)
_SAME_EV = 0.25  # exposures this close are meant to be the same
_BRACKET_EV = 0.5  # a frame this much longer than the burst is a bracket
_NOMINAL_S = 1.0  # interval of frames of which no time is known; only ratios matter

# A sensor that does not say, at ISO 100: a full well of 20,000 electrons, 4 of read noise.
_SENSOR_SCALE, _SENSOR_OFFSET = 5e-5, 4e-8
# A picture in sRGB values: 1.5 of 255 at every brightness, a variance about linear in linear light.
_PICTURE_NOISE = NoiseProfile(1.7e-4, 1e-6)


@dataclass(frozen=True, slots=True)
class Params:
    """What a user may choose about loading."""

    max_pixels: int = parameter(
        200_000_000,
        "frames that claim more pixels than this are refused",
        unit="px",
        low=1,
        alias="--max-pixels",
    )
    video_first: int = parameter(0, "first frame of a video that is used", low=0)
    video_every: int = parameter(1, "of a video, only every so manyeth frame is used", low=1)
    video_frames: int = parameter(60, "at most so many frames of a video are used", low=2)


@dataclass(frozen=True, slots=True)
class _Look:
    """What can be said of one file without the others; largest is its largest value, 0 for RAW."""

    path: Path
    size_px: tuple[int, int]
    largest: int
    header: metadata.Header


def frames_in(folder: Path) -> list[Path]:
    """Return the frames of the burst in a folder: files of one kind, sorted as people count.

    RAW files win over TIFF, these over PNG, these over JPEG; of several kinds of RAW the most frequent.
    Hidden files, sidecars and this program's own results are passed over; an empty list is a valid answer.
    """
    kinds: dict[str, list[Path]] = {}
    for path in folder.iterdir():
        if not path.name.startswith(".") and not _RESULT.search(path.name) and path.is_file():
            kinds.setdefault(_kind(path), []).append(path)
    raws = [kind for kind in kinds if kind in raw.EXTENSIONS]
    best = max(sorted(raws), key=lambda kind: len(kinds[kind]), default="")
    chosen = best or next((kind for kind in ("tiff", "png", "jpeg") if kind in kinds), "")
    return sorted(kinds[chosen], key=_natural) if chosen else []


def load(source: Path, params: Params) -> Burst:
    """Return the burst in a folder of frames or a video file, in time order, relative to its first frame.

    Frames that cannot be used are named in Burst.refused; frames exposed longer than the majority are in
    Burst.brackets. BurstError when there is no burst of at least two frames of one size and camera.
    """
    if source.is_dir():
        return _folder(source, params)
    if source.is_file() and source.suffix.lower() in imagefile.VIDEO:
        return _video(source, params)
    one = "is one file; a burst is a folder of frames or a video"
    raise BurstError(f"{source}: {one if source.exists() else 'there is no such folder or file'}")


def _folder(folder: Path, params: Params) -> Burst:
    try:
        paths, others = frames_in(folder), sorted(folder.iterdir(), key=_natural)
    except OSError as error:
        raise BurstError(f"{folder}: cannot be listed ({error.strerror or error})") from error
    if not others:
        raise BurstError(f"{folder}: the folder is empty")
    if not paths:
        raise BurstError(f"{folder}: holds no frames; RAW, TIFF, PNG or JPEG files are read")
    refused = _passed_over(paths, others)
    looks: list[_Look] = []
    for path in paths:
        try:
            looks.append(_look(path, params))
        except UnreadableFrameError as error:
            refused.append((path, error.why))
    _require_two(folder, len(looks), refused)
    _require_alike(folder, looks)
    frames: list[tuple[Shot, metadata.Header]] = []
    facts: dict[float | None, raw.RawFacts] = {}
    for look in looks:
        try:
            frames.append(_shot(look, facts) if look.largest == 0 else (_picture_shot(look), look.header))
        except UnreadableFrameError as error:
            refused.append((look.path, error.why))
    _require_two(folder, len(frames), refused)
    shots, one = _in_time(frames), frames[0][0]
    same = [replace(shot, balance=one.balance, to_working=one.to_working) for shot in shots]
    burst, brackets = _exposed(same)
    _require_two(folder, len(burst), refused)
    return Burst(folder, burst, brackets, tuple(refused))


def _video(path: Path, params: Params) -> Burst:
    try:
        video = imagefile.video_facts(path)
    except UnreadableFrameError as error:
        raise BurstError(str(error)) from error
    if video.size_px[0] * video.size_px[1] > params.max_pixels:
        raise BurstError(f"{path}: claims more pixels than max_pixels allows")
    every = range(params.video_first, video.frames, params.video_every)[: params.video_frames]
    if len(every) < 2:
        raise BurstError(f"{path}: fewer than two of its {video.frames} frames are asked for")
    shot = replace(_picture_shot(_Look(path, video.size_px, 255, metadata.Header())), clock="video")
    shots = [replace(shot, frame=n, start_s=(n - every[0]) / video.rate_hz) for n in every]
    return Burst(path, tuple(shots), (), ())


def _kind(path: Path) -> str:
    ending = path.suffix.lower()
    pictures = {"tiff": imagefile.TIFF, "png": imagefile.PNG, "jpeg": imagefile.JPEG}
    return next((kind for kind, endings in pictures.items() if ending in endings), ending)


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key by which frame2 comes before frame10."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", path.name.lower())
    return [(1, int(number), "") if number else (2, 0, text) for number, text in parts], path.name


def _passed_over(paths: Sequence[Path], others: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the files beside the frames that are neither frames nor sidecars, and why they are left out."""
    stems, pictures = {path.stem.lower() for path in paths}, {"tiff", "png", "jpeg"} | raw.EXTENSIONS
    result: list[tuple[Path, str]] = []
    for path in others:
        known = path.name.startswith(".") or path.suffix.lower() in _SIDECARS or _RESULT.search(path.name)
        if known or path.is_dir() or _kind(path) == _kind(paths[0]):
            continue
        if _kind(path) not in pictures:
            result.append((path, "is not a picture that can be read"))
        elif path.stem.lower() not in stems:
            result.append((path, f"is not of the burst's kind, {paths[0].suffix}"))
    return result


def _look(path: Path, params: Params) -> _Look:
    header = metadata.read(path)
    if header.missing:
        raise UnreadableFrameError(path, header.missing)
    if path.suffix.lower() in raw.EXTENSIONS:
        (whole, size_px), largest = raw.sizes(path), 0
    else:
        size_px, largest = imagefile.picture_facts(path)
        whole = size_px
    if whole[0] * whole[1] > params.max_pixels:
        raise UnreadableFrameError(
            path, f"claims {whole[1]} x {whole[0]} pixels, more than max_pixels allows"
        )
    if min(size_px) < 2:
        raise UnreadableFrameError(path, f"claims {size_px[1]} x {size_px[0]} pixels")
    return _Look(path, size_px, largest, header)


def _require_two(folder: Path, count: int, refused: Sequence[tuple[Path, str]]) -> None:
    if count < 2:
        reasons = "".join(f"; {path.name}: {why}" for path, why in refused[:4])
        found = "one usable frame" if count else "no usable frame"
        raise BurstError(f"{folder}: {found}, a burst needs two or more{reasons}")


def _require_alike(folder: Path, looks: Sequence[_Look]) -> None:
    """Raise BurstError, naming the odd ones, when frames differ in size or camera."""
    sizes = [f"{look.size_px[1]} x {look.size_px[0]}" for look in looks]
    for what, values in (("size", sizes), ("camera", [look.header.camera or "unnamed" for look in looks])):
        (usual, _), *others = Counter(values).most_common()
        if others:
            odd = [f"{k.path.name} ({v})" for k, v in zip(looks, values, strict=True) if v != usual]
            listed = ", ".join(odd[:4]) + (f" and {len(odd) - 4} more" if len(odd) > 4 else "")
            raise BurstError(f"{folder}: frames differ in {what}: {usual}, but {listed}")


def _shot(look: _Look, facts: dict[float | None, raw.RawFacts]) -> tuple[Shot, metadata.Header]:
    """Return a RAW file's shot, and its header with what only LibRaw knows where the tags are silent.

    What LibRaw says is kept in facts, one entry for each ISO.
    """
    header = look.header
    silent = header.taken is None and not header.camera
    if silent or header.iso not in facts:
        facts[header.iso] = raw.header(look.path, header.matrix, header.neutral)
    known = facts[header.iso]
    if silent:
        header = replace(header, taken=known.taken, exposure_s=known.exposure_s)
    iso = header.iso or known.iso
    noise, notes = header.noise, known.notes
    if noise is None:
        gain = (iso or 100.0) / 100.0
        noise = NoiseProfile(_SENSOR_SCALE * gain, _SENSOR_OFFSET * gain**2)
        notes = (*notes, "no noise profile; that of a usual sensor at this ISO is taken")
    shot = replace(
        _picture_shot(look),
        size_px=known.size_px,
        orientation=header.orientation or known.orientation,
        exposure_s=header.exposure_s,
        iso=iso,
        cfa=known.cfa,
        encoding="linear",
        black_dn=known.black_dn,
        white_dn=known.white_dn,
        balance=known.balance,
        to_working=known.to_working,
        noise=noise,
        notes=notes,
    )
    return shot, header


def _picture_shot(look: _Look) -> Shot:
    """Return the shot of a picture or video frame: sRGB values, three colours a pixel."""
    header = look.header
    return Shot(
        path=look.path,
        frame=0,
        size_px=look.size_px,
        orientation=header.orientation or 1,
        start_s=0.0,
        clock="file order",
        exposure_s=header.exposure_s,
        iso=header.iso,
        cfa=None,
        encoding="srgb",
        black_dn=(0.0, 0.0, 0.0),
        white_dn=float(look.largest),
        balance=(1.0, 1.0, 1.0),
        to_working=colour.between("srgb", "rec2020"),
        noise=_PICTURE_NOISE,
        exposure_scale=1.0,
        camera=header.camera,
        notes=("pixel values are taken as sRGB",),
    )


def _in_time(frames: Sequence[tuple[Shot, metadata.Header]]) -> list[Shot]:
    """Return the shots in time order with start_s, and the clock that it comes from.

    Fractions of a second are trusted when every frame has one and no two frames agree; whole seconds give
    the order and the mean interval; else the order of the files is all there is.
    """
    times = [header.taken for _, header in frames if header.taken is not None]
    order = list(range(len(frames)))
    clock: Clock = "file order"
    seconds = [number * _NOMINAL_S for number in order]
    if len(times) == len(frames):
        order.sort(key=times.__getitem__)
        clock, seconds = "exif with fractions", [(times[n] - times[order[0]]).total_seconds() for n in order]
        if not all(header.fraction for _, header in frames) or np.any(np.diff(seconds) <= 0):
            interval = seconds[-1] / (len(frames) - 1) or 1 / len(frames)
            clock, seconds = "exif whole seconds", [number * interval for number in range(len(frames))]
    return [replace(frames[n][0], start_s=at, clock=clock) for n, at in zip(order, seconds, strict=True)]


def _exposed(shots: Sequence[Shot]) -> tuple[tuple[Shot, ...], tuple[Shot, ...]]:
    """Return the burst and its brackets, each with the scale that makes its light agree with the burst's.

    Exposure is time times ISO. The burst is the exposure that most frames share, the shorter one in a tie;
    what is more than half a stop longer is a bracket. Frames that do not say are left as they are.
    """
    exposures = [(shot.exposure_s or 0) * (shot.iso or 100) for shot in shots]
    stops = [float(np.log2(exposure)) for exposure in exposures if exposure > 0]
    if not stops:
        return tuple(shots), ()
    votes = {stop: sum(abs(other - stop) <= _SAME_EV for other in stops) for stop in stops}
    usual = min(stops, key=lambda stop: (-votes[stop], stop))
    reference = statistics.median(e for e in exposures if e > 0 and abs(np.log2(e) - usual) <= _SAME_EV)
    scales = [reference / exposure if exposure > 0 else 1.0 for exposure in exposures]
    least = 2**-_BRACKET_EV
    pairs = list(zip(shots, scales, strict=True))
    start = next(shot.start_s for shot, scale in pairs if scale > least)
    scaled = [replace(shot, start_s=shot.start_s - start, exposure_scale=scale) for shot, scale in pairs]
    burst = tuple(shot for shot in scaled if shot.exposure_scale > least)
    return burst, tuple(shot for shot in scaled if shot.exposure_scale <= least)
