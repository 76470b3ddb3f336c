"""Load: read the headers of a folder of frames or a video into a burst, in time order; no pixels.

Time, exposure and noise come from the tags of every file. Pattern, levels and white balance come from LibRaw,
which must decode a file to determine them, so one file per ISO is decoded. All frames of a burst get the
white balance of the first: a camera's automatic white balance would make the streaks flicker.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from longexpo_cli import colour
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.files import folder, metadata, pictures, raw, video
from longexpo_cli.files.picture_colour import is_untagged
from longexpo_cli.params import parameter
from longexpo_cli.types import Burst, NoiseProfile, Shot, TimestampSource, Transfer

_MAX_NAMED = 4  # files that an error message names

# Cameras set exposure in steps of a third of a stop, and brackets in steps of two thirds or more.
_SAME_EXPOSURE_EV = 0.25  # exposures within this are considered equal
_BRACKET_EV = 0.5  # a frame exposed longer than the burst by at least this is a bracket
_NOMINAL_INTERVAL_S = 1.0  # between frames without a timestamp; only ratios of intervals matter
_DEFAULT_ISO = 100.0  # of frames without an ISO tag

SAME_TIMES = "frames have the same time; their order is that of their file names"

# Noise of a RAW file without a noise profile, at ISO 100: full well 20,000 e-, read noise 4 e-.
_SENSOR_NOISE = NoiseProfile(5e-5, 4e-8)
# Noise of sRGB values: 1.5 of 255 at every brightness; in linear light the variance is about linear.
_PICTURE_NOISE = NoiseProfile(1.7e-4, 1e-6)


@dataclass(frozen=True, slots=True)
class Params:
    """The largest frame accepted, and which frames of a video are used."""

    max_pixels: int = parameter(
        200_000_000, "reject frames larger than this", unit="px", low=1, alias="--max-pixels"
    )
    video_first: int = parameter(0, "first frame of a video to use", low=0)
    video_every: int = parameter(1, "use every Nth video frame", low=1)
    video_frames: int = parameter(60, "maximum number of video frames", low=2)


@dataclass(frozen=True, slots=True)
class _FrameFile:
    """The header of one frame file; max_value is the largest value of its type, None for RAW."""

    path: Path
    size_px: tuple[int, int]
    max_value: int | None
    header: metadata.Header
    info: pictures.ImageInfo | None = None


def load(source: Path, params: Params) -> Burst:
    """Return the burst in a folder of frames or a video file, in time order, relative to its first frame.

    Frames that cannot be used are listed in Burst.refused; frames exposed longer than the majority are in
    Burst.brackets. BurstError when there is no burst of at least two frames of one size and camera.
    """
    if source.is_dir():
        return _load_folder(source, params)
    if source.is_file() and video.is_video(source):
        return _load_video(source, params)
    if not source.exists():
        raise BurstError(f"{source}: no such folder or file")
    what = "is a single image" if folder.is_supported(source) else "is not a supported video"
    raise BurstError(f"{source}: {what}; pass a folder of frames or a video")


def _load_folder(source: Path, params: Params) -> Burst:
    try:
        is_empty = not any(source.iterdir())
        paths = folder.frames_in(source)
        refused = folder.unused_files(source, paths)
    except OSError as error:
        raise BurstError(f"{source}: cannot be listed ({error.strerror or error})") from error
    if not paths:
        what = "the folder is empty" if is_empty else "no frames in this folder"
        raise BurstError(f"{source}: {what}; pass a folder of RAW, TIFF, PNG or JPEG frames")
    files: list[_FrameFile] = []
    for path in paths:
        try:
            files.append(_inspect(path, params))
        except UnreadableFrameError as error:
            refused.append((path, error.why))
    _require_two(source, len(files), refused)
    _require_same_size_and_camera(source, files)
    meaning = _common_meaning([file.info for file in files if file.info is not None])
    frames: list[tuple[Shot, metadata.Header]] = []
    by_iso: dict[float | None, raw.RawMetadata] = {}
    for file in files:
        try:
            is_raw = file.max_value is None
            found = _raw_shot(file, by_iso) if is_raw else (_with_meaning(file, *meaning), file.header)
            frames.append(found)
        except UnreadableFrameError as error:
            refused.append((file.path, error.why))
    _require_two(source, len(frames), refused)
    first = frames[0][0]
    shots = [
        replace(shot, wb_gains=first.wb_gains, camera_to_working=first.camera_to_working)
        for shot in _in_time_order(frames)
    ]
    burst, brackets = _split_brackets(shots)
    _require_two(source, len(burst), refused)
    return Burst(source, burst, brackets, tuple(refused))


def _load_video(path: Path, params: Params) -> Burst:
    try:
        info = video.video_info(path, params.video_first, params.video_every, params.video_frames)
    except UnreadableFrameError as error:
        raise BurstError(str(error)) from error
    if info.size_px[0] * info.size_px[1] > params.max_pixels:
        raise BurstError(
            f"{path}: has frames of {info.size_px[1]} x {info.size_px[0]} px, more than max_pixels; "
            "raise it with --max-pixels"
        )
    if len(info.frames) < 2:
        raise BurstError(f"{path}: {_too_few(info)}")
    file = _FrameFile(path, info.size_px, info.max_value, metadata.Header())
    shot = replace(
        _picture_shot(file),
        timestamp_source="video",
        orientation=info.orientation,
        transfer=info.transfer,
        camera_to_working=info.to_working,
        wb_gains=(info.white, info.white, info.white),
        noise=NoiseProfile(_PICTURE_NOISE.scale / info.white, _PICTURE_NOISE.offset / info.white**2),
        fields=info.fields,
        notes=info.notes,
    )
    start_s = info.frames[0].time_s
    shots = [replace(shot, frame=frame.number, start_s=frame.time_s - start_s) for frame in info.frames]
    refused = [(path.with_name(f"{path.name} #{n}"), "its data is damaged") for n in info.refused]
    return Burst(path, tuple(shots), (), tuple(refused), unread=info.unread)


def _too_few(info: video.VideoInfo) -> str:
    """Return why fewer than two frames of a video are used, and what to do."""
    if info.refused:
        return f"fewer than two of its frames are intact; {len(info.refused)} are damaged"
    return "fewer than two frames that differ are selected; lower --load-video-first or --load-video-every"


def _inspect(path: Path, params: Params) -> _FrameFile:
    """Read the headers of a frame file; UnreadableFrameError when it is damaged or too large."""
    header = metadata.read(path)
    if header.defect:
        raise UnreadableFrameError(path, header.defect)
    max_value = info = None
    if path.suffix.lower() in raw.EXTENSIONS:
        sensor_px, size_px = raw.read_sizes(path)
    else:
        info = pictures.image_info(path)
        sensor_px = size_px = info.size_px
        max_value = int(info.max_value)
    if sensor_px[0] * sensor_px[1] > params.max_pixels:
        raise UnreadableFrameError(
            path,
            f"has {sensor_px[1]} x {sensor_px[0]} px, more than max_pixels; raise it with --max-pixels",
        )
    if min(size_px) < 2:
        raise UnreadableFrameError(path, f"has only {size_px[1]} x {size_px[0]} pixels")
    return _FrameFile(path, size_px, max_value, header, info)


def _require_two(source: Path, count: int, refused: Sequence[tuple[Path, str]]) -> None:
    if count < 2:
        reasons = "".join(f"; {path.name}: {why}" for path, why in refused[:_MAX_NAMED])
        usable = "only one usable frame" if count else "no usable frame"
        raise BurstError(f"{source}: {usable}; a burst needs two or more{reasons}")


def _require_same_size_and_camera(source: Path, files: Sequence[_FrameFile]) -> None:
    """Raise BurstError, naming the files that differ, when not all have the same size and camera."""
    sizes = [f"{file.size_px[1]} x {file.size_px[0]}" for file in files]
    cameras = [file.header.camera or "unnamed" for file in files]
    for what, values in (("size", sizes), ("camera", cameras)):
        usual, _ = Counter(values).most_common(1)[0]
        named = zip(files, values, strict=True)
        odd = [f"{file.path.name} ({value})" for file, value in named if value != usual]
        if odd:
            more = f" and {len(odd) - _MAX_NAMED} more" if len(odd) > _MAX_NAMED else ""
            raise BurstError(
                f"{source}: frames differ in {what}: {usual}, but {', '.join(odd[:_MAX_NAMED])}{more}"
            )


def _raw_shot(file: _FrameFile, by_iso: dict[float | None, raw.RawMetadata]) -> tuple[Shot, metadata.Header]:
    """Return a RAW file's shot, and its header, completed by LibRaw when its tags could not be read.

    The metadata from LibRaw is cached in by_iso, so that one file per ISO is decoded.
    """
    header = file.header
    has_no_tags = header.taken is None and not header.camera
    if has_no_tags or header.iso not in by_iso:
        by_iso[header.iso] = raw.read_metadata(file.path, header.color_matrix, header.as_shot_neutral)
    known = by_iso[header.iso]
    if has_no_tags:
        header = replace(header, taken=known.taken, exposure_s=known.exposure_s)
    iso = header.iso or known.iso
    noise = header.noise
    notes = known.notes
    if noise is None:
        gain = (iso or _DEFAULT_ISO) / 100.0
        noise = NoiseProfile(_SENSOR_NOISE.scale * gain, _SENSOR_NOISE.offset * gain**2)
        notes = (*notes, "no noise profile; that of a typical sensor at this ISO is used")
    shot = replace(
        _picture_shot(file),
        size_px=known.size_px,
        orientation=header.orientation or known.orientation,
        exposure_s=header.exposure_s,
        iso=iso,
        cfa=known.cfa,
        transfer=Transfer("decoded") if known.is_light else colour.LINEAR,
        black_dn=known.black_dn,
        white_dn=known.white_dn,
        wb_gains=known.wb_gains,
        camera_to_working=known.camera_to_working,
        noise=noise,
        notes=notes,
    )
    return shot, header


def _picture_shot(file: _FrameFile) -> Shot:
    """Return a shot with the sizes and tags of its file, of sRGB values, three colours per pixel."""
    header = file.header
    return Shot(
        path=file.path,
        frame=0,
        size_px=file.size_px,
        orientation=header.orientation or 1,
        start_s=0.0,
        timestamp_source="file order",
        exposure_s=header.exposure_s,
        iso=header.iso,
        cfa=None,
        transfer=colour.SRGB,
        black_dn=(0.0, 0.0, 0.0),
        white_dn=float(file.max_value or 0),
        wb_gains=(1.0, 1.0, 1.0),
        camera_to_working=colour.between("srgb", "rec2020"),
        noise=_PICTURE_NOISE,
        exposure_scale=1.0,
        camera=header.camera,
        notes=("pixel values are treated as sRGB",),
    )


def _common_meaning(infos: Sequence[pictures.ImageInfo]) -> tuple[bool, float]:
    """Return whether all pictures of a burst are decoded to light, and the light of their brightest value.

    A merge adds stored colours up, so that all frames need one matrix and one white: where they differ, or
    where no table describes one of them, all are decoded.
    """
    if not infos:
        return False, 1.0
    first = infos[0]
    is_same = all(
        np.allclose(info.colour.to_working, first.colour.to_working, atol=1e-6)
        and info.white_light == first.white_light
        for info in infos
    )
    return not is_same or not all(info.is_table for info in infos), max(info.white_light for info in infos)


def _with_meaning(file: _FrameFile, is_light: bool, white_light: float) -> Shot:
    """Return a picture's shot, with levels, curve, matrix and white as its file says."""
    info = file.info
    assert info is not None
    shot, meaning = _picture_shot(file), info.colour
    stored = (
        replace(shot, white_dn=1.0, transfer=Transfer("decoded"), camera_to_working=np.eye(3))
        if is_light
        else replace(
            shot,
            black_dn=(info.min_value,) * 3,
            white_dn=info.max_value,
            transfer=meaning.transfer,
            camera_to_working=meaning.to_working,
        )
    )
    noise = NoiseProfile(_PICTURE_NOISE.scale / white_light, _PICTURE_NOISE.offset / white_light**2)
    note = (
        meaning.name if is_untagged(meaning) else f"colours: {meaning.name or 'ICC profile without a name'}"
    )
    stored = replace(stored, orientation=info.orientation or stored.orientation)
    return replace(stored, wb_gains=(white_light,) * 3, noise=noise, notes=(note,))


def _in_time_order(frames: Sequence[tuple[Shot, metadata.Header]]) -> list[Shot]:
    """Return the shots sorted by time, with start_s and timestamp_source.

    Fractions of a second are used when every frame has them and no two times are equal. Otherwise times
    in whole seconds give the order and one mean interval. Unless all frames have times, the order is that of
    the files. A note says where the names of files decide though times were given.
    """
    times = [header.taken for _, header in frames if header.taken is not None]
    order = list(range(len(frames)))
    source: TimestampSource = "file order"
    seconds = [number * _NOMINAL_INTERVAL_S for number in order]
    note: tuple[str, ...] = ()
    if len(times) == len(frames):
        order.sort(key=times.__getitem__)
        source = "exif with fractions"
        seconds = [(times[n] - times[order[0]]).total_seconds() for n in order]
        if not all(header.has_subseconds for _, header in frames) or np.any(np.diff(seconds) <= 0):
            if np.any(np.diff(seconds) <= 0):
                note = (SAME_TIMES,)
            interval = seconds[-1] / (len(frames) - 1) or 1 / len(frames)
            source = "exif whole seconds"
            seconds = [number * interval for number in range(len(frames))]
    elif times:
        note = (f"{len(frames) - len(times)} of the frames have no time; their order is that of their names",)
    return [
        replace(frames[n][0], start_s=at, timestamp_source=source, notes=(*frames[n][0].notes, *note))
        for n, at in zip(order, seconds, strict=True)
    ]


def _split_brackets(shots: Sequence[Shot]) -> tuple[tuple[Shot, ...], tuple[Shot, ...]]:
    """Return the burst and its brackets, each shot with the scale that matches its light to the burst's.

    Exposure is time times ISO. The burst has the exposure that most frames share, the shorter one in a tie;
    frames exposed longer by half a stop or more are brackets. Frames without exposure tags are not scaled.
    """
    exposures = [(shot.exposure_s or 0) * (shot.iso or _DEFAULT_ISO) for shot in shots]
    stops = [float(np.log2(exposure)) for exposure in exposures if exposure > 0]
    if not stops:
        return tuple(shots), ()
    votes = {stop: sum(abs(other - stop) <= _SAME_EXPOSURE_EV for other in stops) for stop in stops}
    usual = min(stops, key=lambda stop: (-votes[stop], stop))
    reference = statistics.median(
        exposure
        for exposure in exposures
        if exposure > 0 and abs(np.log2(exposure) - usual) <= _SAME_EXPOSURE_EV
    )
    scales = [reference / exposure if exposure > 0 else 1.0 for exposure in exposures]
    bracket_scale = 2**-_BRACKET_EV
    start_s = next(shot.start_s for shot, scale in zip(shots, scales, strict=True) if scale > bracket_scale)
    scaled = [
        replace(shot, start_s=shot.start_s - start_s, exposure_scale=scale)
        for shot, scale in zip(shots, scales, strict=True)
    ]
    burst = tuple(shot for shot in scaled if shot.exposure_scale > bracket_scale)
    brackets = tuple(shot for shot in scaled if shot.exposure_scale <= bracket_scale)
    return burst, brackets
