"""Load: read the headers of a folder of frames or a video into a burst, in time order; no pixels.

Time, exposure and noise come from the tags of every file. Pattern, levels and white balance come from LibRaw,
which must decode a file to determine them, so one file per ISO is decoded. All frames of a burst get one
white balance, as a camera's automatic one would make the streaks flicker: that of most (files/votes.py), as
one colour matrix; a frame whose levels are unlike the others' is passed over. The frames of
a video are decoded, to leave out those that repeat others or are damaged.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour, crash_guard
from longexpo_cli.arrays import Array32
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.files import (
    copies,
    dark_frames,
    exposure,
    folder,
    metadata,
    order,
    pictures,
    raw,
    reduced,
    video,
    votes,
)
from longexpo_cli.files.picture_colour import SRGB, is_untagged
from longexpo_cli.geometry import upright_size
from longexpo_cli.params import parameter
from longexpo_cli.types import Burst, NoiseProfile, Shot, Transfer

_MAX_NAMED = 4  # files that an error message names

_NO_EXIF = "is damaged: its Exif data is not where it says; bytes before it may be lost"
_DEFAULT_ISO = 100.0  # of a RAW file without an ISO tag
_CUT_LIGHT = f"light above {pictures.MAX_WHITE_LIGHT:g} times white is cut"

_HOT = 0.25  # of the range: what the dark adds to a pixel that is replaced, as little is left of its light

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
    """The header of one frame file; max_value is the largest value of its type, None for RAW, which has raw.

    Where stored_orientation is given (see Shot), size_px and the header's orientation are most frames'.
    """

    path: Path
    size_px: tuple[int, int]
    max_value: int | None
    header: metadata.Header
    sample: bytes = b""
    info: pictures.ImageInfo | None = None
    raw: raw.RawHeader | None = None
    stored_orientation: int | None = None


def load(source: Path, params: Params, names: Sequence[str] = ()) -> Burst:
    """Return the burst in a folder of frames or a video file, in time order, relative to its first frame.

    names are those of the burst's files in a folder that holds several bursts; without them all are its own.
    Files that cannot be used are listed in Burst.refused, copies of frames in Burst.copies, frames of a
    bracket in Burst.brackets. BurstError when there is no burst of two or more frames of one size and camera.
    """
    if source.is_dir():
        return _load_folder(source, params, names)
    if source.is_file() and video.is_video(source):
        return _load_video(source, params)
    if not source.exists():
        raise BurstError(f"{source}: no such folder or file")
    what = "is a single image" if folder.is_supported(source) else "is not a supported video"
    raise BurstError(f"{source}: {what}; pass a folder of frames or a video")


def in_memory(
    light: Sequence[npt.NDArray[np.floating[Any]]],
    start_s: Sequence[float],
    exposure_s: float | None = None,
    space: Literal["rec2020", "srgb", "display-p3"] = "rec2020",
    noise: NoiseProfile = _PICTURE_NOISE,
) -> Burst:
    """Return a burst of frames in memory: light H W 3 float, linear, 1.0 = white, in order of time.

    start_s are the starts of the exposures in seconds, rising; exposure_s is the length of each, None if
    unknown. space says which primaries the light has. noise is its variance: scale times light plus offset.
    Arrays of contiguous float32 up to 1.0 are not copied: do not change them before the render is done. A
    channel at 1.0 is taken for clipped, or at the brightest value of all frames if that is above. BurstError
    for frames that do not fit together, are not linear light, or have values that are no numbers, and for
    times that do not rise.
    """
    frames = [_light_of(number, values) for number, values in enumerate(light)]
    if len(frames) < 2:
        raise BurstError(f"frames in memory: there is {len(frames)}; a burst needs two or more")
    if len(start_s) != len(frames):
        raise BurstError(
            f"frames in memory: {len(start_s)} times for {len(frames)} frames; give one for each"
        )
    if not np.isfinite(start_s).all() or (np.diff(start_s) <= 0).any():
        raise BurstError("frames in memory: their times do not rise; give seconds, in order")
    for number, frame in enumerate(frames):
        if frame.shape != frames[0].shape:
            other, first = (f"{values.shape[1]} x {values.shape[0]}" for values in (frame, frames[0]))
            raise BurstError(f"frames in memory: frame {number} has {other} pixels, frame 0 has {first}")
    white = max(1.0, *(float(frame.max()) for frame in frames))
    shot = replace(
        _picture_shot(
            _FrameFile(Path("frame"), (frames[0].shape[0], frames[0].shape[1]), 1, metadata.Header())
        ),
        timestamp_source="caller",
        exposure_s=exposure_s,
        transfer=Transfer("decoded"),
        wb_gains=(white, white, white),
        camera_to_working=colour.between(space, "rec2020"),
        noise=NoiseProfile(noise.scale / white, noise.offset / white**2),
        notes=(),
    )
    if white > 1:
        frames = [frame / np.float32(white) for frame in frames]
    shots = [
        replace(shot, path=Path(f"frame {number}"), start_s=float(time - start_s[0]), light=frame)
        for number, (frame, time) in enumerate(zip(frames, start_s, strict=True))
    ]
    return Burst(Path("frames in memory"), tuple(shots), (), (), order="as given")


def _light_of(number: int, values: npt.NDArray[Any]) -> Array32:
    """Return a frame in memory as contiguous float32; BurstError when it is not linear light."""
    if values.ndim != 3 or values.shape[2] != 3 or not np.issubdtype(values.dtype, np.floating):
        raise BurstError(
            f"frames in memory: frame {number} is {values.dtype} of shape {values.shape}; pass linear light, "
            "H W 3 float, 1.0 = white"
        )
    light = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(light).all():
        raise BurstError(f"frames in memory: frame {number} has values that are no numbers")
    return light


def with_dark_frames(burst: Burst, source: Path | None) -> Burst:
    """Return a burst from whose frames the mean of dark frames, a file or a folder, is subtracted.

    Pixels to which the dark adds much are replaced. BurstError when the dark frames do not fit.
    """
    if source is None:
        return burst
    dark = dark_frames.find(source, burst.shots[0])
    hot = dark_frames.hot_pixels(dark, burst.shots[0], _HOT)
    note = f"{len(dark.paths)} dark frames are subtracted" + (
        "" if hot is None else f" and {len(hot)} hot pixels replaced"
    )
    shots = [replace(shot, dark=dark, defects=hot, notes=(*shot.notes, note)) for shot in burst.shots]
    return replace(burst, shots=tuple(shots))


def with_reduced_frames(burst: Burst, factor: int) -> Burst:
    """Return a burst of frames reduced by a factor in each direction; with 1 the burst itself."""
    if factor == 1:
        return burst
    shots = tuple(reduced.reduce_shot(shot, factor) for shot in burst.shots)
    return replace(burst, shots=shots, brackets=tuple(reduced.reduce_shot(s, factor) for s in burst.brackets))


def _load_folder(source: Path, params: Params, names: Sequence[str]) -> Burst:
    paths, refused = ([source / name for name in names], []) if names else _frame_files(source)
    files: list[_FrameFile] = []
    known: dict[Hashable, raw.RawHeader | None] = {}
    for path in paths:
        try:
            files.append(_inspect(path, params, known))
        except UnreadableFrameError as error:
            refused.append((path, error.why))
    _require_two(source, len(files), refused)
    files = _turned_like_most(files)
    files, odd = _of_usual_size_and_camera(source, files)
    refused += odd
    files, duplicates = _without_copies(files)
    files, odd, vote_notes = _with_common_tags(source, files)
    refused += odd
    _require_two(source, len(files), refused)
    frames = _shots(files, refused)
    _require_two(source, len(frames), refused)
    first = frames[0][0]
    placed = order.find_order([_stamp(shot, header) for shot, header in frames])
    refused += [(frames[n][0].path, why) for n, why in placed.strays]
    orientation, note = _usual_orientation([frames[n][0] for n in placed.frames])
    shots = [
        replace(
            frames[n][0],
            start_s=start_s,
            timestamp_source=placed.source,
            orientation=orientation,
            is_dated=n not in placed.misdated,
            wb_gains=first.wb_gains,
            camera_to_working=first.camera_to_working,
        )
        for n, start_s in zip(placed.frames, placed.start_s, strict=True)
    ]
    burst, brackets, exposure_note = _split_brackets(shots)
    _require_two(source, len(burst), [*refused, *((shot.path, "is a bracket") for shot in brackets)])
    notes = (
        *(*placed.notes, note, *vote_notes),
        *(*_copies_note(duplicates), _unknown_exposure(burst), exposure_note),
    )
    return Burst(
        source,
        burst,
        brackets,
        tuple(refused),
        copies=tuple(duplicates),
        order=placed.how,
        several=placed.several,
        notes=tuple(filter(None, notes)),
    )


def _shots(
    files: Sequence[_FrameFile], refused: list[tuple[Path, str]]
) -> list[tuple[Shot, metadata.Header]]:
    """Return the shots of files and their headers; files that cannot be read are added to refused."""
    meaning = _common_meaning([file.info for file in files if file.info is not None])
    frames: list[tuple[Shot, metadata.Header]] = []
    by_iso: dict[float | None, raw.RawMetadata] = {}
    for file in files:
        try:
            is_raw = file.max_value is None
            frames.append(_raw_shot(file, by_iso) if is_raw else (_with_meaning(file, *meaning), file.header))
        except UnreadableFrameError as error:
            refused.append((file.path, error.why))
    return frames


def _frame_files(source: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the frames in a folder and the files that are none, with reasons; BurstError when none are."""
    try:
        files = folder.files_in(source)
        is_empty = not any(source.iterdir())
    except OSError as error:
        raise BurstError(f"{source}: cannot be listed ({error.strerror or error})") from error
    paths = folder.chosen_frames(files)
    if not paths:
        videos = sorted(path.name for path in files if path.suffix.lower() in video.EXTENSIONS)
        if videos:
            raise BurstError(f"{source}: no frames in this folder; pass a video in it, e.g. {videos[0]}")
        what = "the folder is empty" if is_empty else "no frames in this folder"
        raise BurstError(f"{source}: {what}; pass a folder of RAW files or pictures, or a video")
    unused = folder.unused_files(files, paths)
    rival = folder.rival_type(paths, unused)
    if rival and len(paths) > 1:
        raise BurstError(
            f"{source}: has as many {rival} as {paths[0].suffix} files, of different names; "
            "move those of one kind into another folder"
        )
    return paths, unused


def _stamp(shot: Shot, header: metadata.Header) -> order.Stamp:
    taken = None if header.taken is None else header.taken.replace(microsecond=0)
    return order.Stamp(shot.path.name, taken, header.subseconds, header.offset_s)


def _without_copies(files: Sequence[_FrameFile]) -> tuple[list[_FrameFile], list[tuple[Path, str]]]:
    """Return the files without those that have the pixels of another, and these with the other's name."""
    times = [file.header.taken for file in files]
    found = copies.find_copies([file.path for file in files], times, _pixels, [file.sample for file in files])
    kept = [file for n, file in enumerate(files) if n not in found]
    return kept, [(files[n].path, files[first].path.name) for n, first in sorted(found.items())]


def _pixels(path: Path) -> bytes:
    """Return a digest of the decoded pixels of a picture; nothing for RAW files and unreadable ones."""
    if path.suffix.lower() in raw.EXTENSIONS:
        return b""
    try:
        values = pictures.read_image(path)
    except UnreadableFrameError:
        return b""
    return hashlib.blake2b(values.tobytes(), salt=str(values.shape).encode()[:16]).digest()


def _copies_note(duplicates: Sequence[tuple[Path, str]]) -> list[str]:
    shown = [f"{path.name} (of {name})" for path, name in duplicates[:_MAX_NAMED]]
    more = f" and {len(duplicates) - _MAX_NAMED} more" if len(duplicates) > _MAX_NAMED else ""
    return [f"copies of frames are left out: {', '.join(shown)}{more}"] if shown else []


def _usual_orientation(shots: Sequence[Shot]) -> tuple[int, str]:
    """Return the EXIF orientation of most frames, the first of equally many, and a note where others differ.

    All have the same size as stored: a phone that points down or is rotated a little changes only the tag.
    """
    usual, _ = Counter(shot.orientation for shot in shots).most_common(1)[0]
    odd = [f"{shot.path.name} ({shot.orientation})" for shot in shots if shot.orientation != usual]
    if not odd:
        return usual, ""
    more = f" and {len(odd) - _MAX_NAMED} more" if len(odd) > _MAX_NAMED else ""
    return (
        usual,
        f"the orientation {usual} of most frames is used, not that of {', '.join(odd[:_MAX_NAMED])}{more}",
    )


def _unknown_exposure(shots: Sequence[Shot]) -> str:
    """Return a note when only some of the frames say how they were exposed, else ""."""
    unknown = [shot.path.name for shot in shots if shot.exposure_s is None]
    if not unknown or len(unknown) == len(shots):
        return ""
    more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
    return (
        f"the exposure of {', '.join(unknown[:_MAX_NAMED])}{more} is unknown; it is taken for the usual one"
    )


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
    if info.truncated:
        last = max(info.frames[-1].number, *info.refused, 0)
        refused.append((path.with_name(f"{path.name} after #{last}"), info.truncated))
    return Burst(path, tuple(shots), (), tuple(refused), order="the times in the video", unread=info.unread)


def _too_few(info: video.VideoInfo) -> str:
    """Return why fewer than two frames of a video are used, and what to do."""
    if info.truncated:
        return f"fewer than two frames; {info.truncated}"
    if info.refused:
        return f"fewer than two of its frames are intact; {len(info.refused)} are damaged"
    return "fewer than two frames that differ are selected; lower --load-video-first or --load-video-every"


@crash_guard.guarded()  # once for all that reads the header: to note a file takes as long as to parse it
def _inspect(
    path: Path, params: Params, known: dict[Hashable, raw.RawHeader | None] | None = None
) -> _FrameFile:
    """Read the headers of a frame file; UnreadableFrameError when it is damaged or too large.

    known are those of RAW files by their tags (see raw.read_header).
    """
    header, directories, sample, has_odd_times = metadata.read_tags(path)
    if header.defect:
        raise UnreadableFrameError(path, header.defect)
    max_value = info = stated = None
    if path.suffix.lower() in raw.EXTENSIONS:
        # LibRaw reads the values of more tags, and knows more of their damage: a file with some is opened.
        alike = None if has_odd_times else known
        stated = raw.read_header(path, header.as_shot_neutral, directories, alike)
        sensor_px, size_px = stated.sensor_px, stated.size_px
    else:
        info = pictures.image_info(path, params.max_pixels)
        sensor_px = size_px = info.size_px
        max_value = int(info.max_value)
        header = replace(header, orientation=info.orientation or header.orientation)
    if sensor_px[0] * sensor_px[1] > params.max_pixels:
        raise UnreadableFrameError(
            path,
            f"has {sensor_px[1]} x {sensor_px[0]} px, more than max_pixels; raise it with --max-pixels",
        )
    if min(size_px) < 2:
        raise UnreadableFrameError(path, f"has only {size_px[1]} x {size_px[0]} pixels")
    sample = sample or copies.sample_key(path)
    return _FrameFile(path, size_px, max_value, header, sample, info, stated)


def _require_two(source: Path, count: int, refused: Sequence[tuple[Path, str]]) -> None:
    if count < 2:
        reasons = "".join(f"; {path.name}: {why}" for path, why in refused[:_MAX_NAMED])
        usable = "only one usable frame" if count else "no usable frame"
        raise BurstError(f"{source}: {usable}; a burst needs two or more{reasons}")


def _turned_like_most(files: Sequence[_FrameFile]) -> list[_FrameFile]:
    """Return the files; pictures that only lie another way than most get their size and orientation.

    An app may have turned the pixels of some frames, where the camera wrote the orientation into a tag. Those
    lie another way whose sizes are equal when upright but not as stored.
    """
    size_px, _ = Counter(file.size_px for file in files).most_common(1)[0]
    usual, _ = Counter(_orientation(file) for file in files if file.size_px == size_px).most_common(1)[0]
    return [
        replace(
            file,
            size_px=size_px,
            header=replace(file.header, orientation=usual),
            stored_orientation=_orientation(file),
        )
        if file.max_value is not None
        and file.size_px != size_px
        and upright_size(file.size_px, _orientation(file)) == upright_size(size_px, usual)
        else file
        for file in files
    ]


def _orientation(file: _FrameFile) -> int:
    return file.header.orientation or 1


def _of_usual_size_and_camera(
    source: Path, files: Sequence[_FrameFile]
) -> tuple[list[_FrameFile], list[tuple[Path, str]]]:
    """Return the files of the size and camera that most have, and the others with the reason.

    A picture that names no camera may be from any. BurstError where two sizes or cameras are as frequent.
    """
    kept, odd = list(files), []
    for what in ("size", "camera", "kind of values"):
        values = [_described(file, what) for file in kept]
        counts = Counter(value for value in values if value).most_common(2)
        if len(counts) < 2:
            continue
        (usual, most), (other, second) = counts
        if most == second:
            named = [
                f"{file.path.name} ({value})"
                for file, value in zip(kept, values, strict=True)
                if value == other
            ]
            more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
            raise BurstError(
                f"{source}: frames differ in {what}: {usual}, but {', '.join(named[:_MAX_NAMED])}{more}; "
                "move those of another burst into their own folder"
            )
        pairs = list(zip(kept, values, strict=True))
        odd += [
            (file.path, f"has the {what} {value}, unlike the other frames ({usual})")
            for file, value in pairs
            if value not in ("", usual)
        ]
        kept = [file for file, value in pairs if value in ("", usual)]
    return kept, odd


def _described(file: _FrameFile, what: str) -> str:
    if what == "size":
        return f"{file.size_px[1]} x {file.size_px[0]}"
    if what == "kind of values":
        return file.raw.values if file.raw else ""
    return file.header.camera or ("" if file.max_value is not None else "unnamed")


def _with_common_tags(
    source: Path, files: Sequence[_FrameFile]
) -> tuple[list[_FrameFile], list[tuple[Path, str]], tuple[str, ...]]:
    """Return the files with the colour tags of most, those that cannot be used with the reason, and notes.

    BurstError where no majority of RAW files agrees.
    """
    stated = [_stated(file, file.raw) for file in files if file.raw]
    if len(stated) < len(files) or not stated:
        damaged = votes.damaged_tables([file.info.tables if file.info else b"" for file in files])
        reasons = dict.fromkeys(damaged, "is damaged: its quantization table is unlike the others'")
        stored = [
            file.info.structure if file.info and file.stored_orientation is None else {} for file in files
        ]
        for n, how in votes.odd_structures(stored):
            reasons[n] = f"is stored otherwise than the other frames, as by damage: {how}"
        kept = [file for n, file in enumerate(files) if n not in reasons]
        return kept, [(files[n].path, why) for n, why in sorted(reasons.items())], ()
    agreed = votes.agree(stated)
    if agreed.tie:
        raise BurstError(
            f"{source}: frames differ in their {agreed.tie}, and no majority of them agrees; "
            "move those of another burst, or damaged ones, into their own folder"
        )
    odd = dict.fromkeys(_displaced(files), _NO_EXIF) | dict(agreed.odd)
    neutral: tuple[float, float, float] | None = None
    if agreed.gains is not None:
        red, green, blue = agreed.gains
        neutral = 1 / red, 1 / green, 1 / blue
    common = [
        replace(
            file,
            header=replace(
                file.header,
                as_shot_neutral=neutral,
                color_matrix=agreed.matrix,
                noise=agreed.noise[n],
                baseline_ev=agreed.baseline_ev[n],
            ),
        )
        for n, file in enumerate(files)
    ]
    kept = [file for n, file in enumerate(common) if n not in odd]
    return kept, [(files[n].path, why) for n, why in sorted(odd.items())], agreed.notes


def _displaced(files: Sequence[_FrameFile]) -> list[int]:
    """Return the files without Exif data where they say that it is, if others have theirs."""
    lost = [n for n, file in enumerate(files) if file.header.lost_exif]
    return lost if 2 * len(lost) < len(files) else []


def _stated(file: _FrameFile, stated: raw.RawHeader) -> votes.Stated:
    header = file.header
    return votes.Stated(
        name=file.path.name,
        iso=header.iso,
        black_dn=stated.black_dn,
        white_dn=stated.white_dn,
        gains=stated.gains,
        matrix=header.color_matrix,
        noise=header.noise,
        baseline_ev=header.baseline_ev,
    )


def _raw_shot(file: _FrameFile, by_iso: dict[float | None, raw.RawMetadata]) -> tuple[Shot, metadata.Header]:
    """Return a RAW file's shot, and its header, completed by LibRaw when its tags could not be read.

    The metadata from LibRaw is cached in by_iso, so that one file per ISO is decoded.
    """
    header = file.header
    has_no_tags = header.taken is None and not header.camera
    if has_no_tags or header.iso not in by_iso:
        found = raw.read_metadata(file.path, header.color_matrix, header.as_shot_neutral)
        if found.size_px != file.size_px:
            height, width = found.size_px
            raise UnreadableFrameError(file.path, f"is {width} x {height}, not the size in its header")
        by_iso[header.iso] = found
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
        baseline_ev=header.baseline_ev,
        sensor=known.sensor,
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
        f_number=header.f_number,
        cfa=None,
        transfer=colour.SRGB,
        black_dn=(0.0, 0.0, 0.0),
        white_dn=float(file.max_value or 0),
        wb_gains=(1.0, 1.0, 1.0),
        camera_to_working=SRGB.to_working,
        noise=_PICTURE_NOISE,
        exposure_scale=1.0,
        camera=header.camera,
        stored_orientation=file.stored_orientation,
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
    cut = (_CUT_LIGHT,) if info.is_float and white_light >= pictures.MAX_WHITE_LIGHT else ()
    return replace(stored, wb_gains=(white_light,) * 3, noise=noise, notes=(note, *cut))


def _split_brackets(shots: Sequence[Shot]) -> tuple[tuple[Shot, ...], tuple[Shot, ...], str]:
    """Return the burst and its brackets, with scales that match their light to the burst's, and a note."""
    exposures = [exposure.Exposure(shot.exposure_s, shot.iso, shot.f_number) for shot in shots]
    matched = exposure.match(exposures)
    start_s = next(
        shot.start_s for shot, is_bracket in zip(shots, matched.is_bracket, strict=True) if not is_bracket
    )
    scaled = [
        replace(shot, start_s=shot.start_s - start_s, exposure_scale=scale)
        for shot, scale in zip(shots, matched.scales, strict=True)
    ]
    pairs = list(zip(scaled, matched.is_bracket, strict=True))
    burst = tuple(shot for shot, is_bracket in pairs if not is_bracket)
    return burst, tuple(shot for shot, is_bracket in pairs if is_bracket), exposure.note(matched)
