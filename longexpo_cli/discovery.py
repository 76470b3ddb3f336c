"""Find the bursts under a folder: folders of frames, parts of folders that hold several bursts, videos.

A folder holds several bursts where its frames are of several cameras, or long pauses part them, as in a
camera's or a phone's own folder. Only then are the times of all its frames read.
"""

from __future__ import annotations

import datetime
import itertools
import logging
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from longexpo_cli.files import folder, metadata, names, order, video
from longexpo_cli.files.metadata import Glance

_LOG = logging.getLogger(__name__)
_APART = datetime.timedelta(seconds=60)  # the least pause between two bursts (see order.py)
_DAY = datetime.timedelta(days=1)  # a time further away than this is another day's, or wrong
_EVEN = 1.5  # intervals of a time lapse are within this factor of their median
_MAX_NAMED = 4  # files that a message names


@dataclass(frozen=True, slots=True)
class Found:
    """A burst: the folder of its frames, or a video, which has no frames.

    is_part: the folder holds other bursts, too, so that the frames have to be named. size_px is the (height,
    width) that the first frame's tags say, None where they do not.
    """

    source: Path
    frames: tuple[Path, ...] = ()
    is_part: bool = False
    size_px: tuple[int, int] | None = None

    @property
    def label(self) -> Path:
        """The path by which the burst is known: of a part, its first frame's."""
        return self.frames[0] if self.is_part else self.source


def bursts_under(root: Path) -> Iterator[Found]:
    """Yield the bursts under a folder; hidden folders are skipped.

    A video, animation or Motion Photo that is a frame of a burst, or has the name of one, is not a burst of
    its own. Frames that belong to no burst of a folder with several are logged.
    """
    for place, files in folder.walk(root):
        frames = folder.chosen_frames(files)
        found = list(_bursts_in(place, files, frames)) if len(frames) >= 2 else []
        yield from found
        used = {folder.picture_name(path) for burst in found for path in burst.frames}
        others = [path for path in files if folder.picture_name(path) not in used]
        clips = [path for path in others if video.is_video(path)]
        yield from (Found(path) for path in clips)
        left = set(others) - set(clips)
        alone = [path for path in frames if path in left] if found else []
        if alone:
            more = f" and {len(alone) - _MAX_NAMED} more" if len(alone) > _MAX_NAMED else ""
            shown = ", ".join(path.name for path in alone[:_MAX_NAMED])
            _LOG.warning("%s: %s%s: no burst: taken alone, by time or camera", place, shown, more)


def _bursts_in(place: Path, files: Sequence[Path], frames: Sequence[Path]) -> Iterator[Found]:
    """Yield the bursts of a folder's frames, the whole folder where it does not hold several."""
    first = metadata.glance(frames[0])
    whole = Found(place, tuple(frames), size_px=first.size_px)
    rest = _other_frames(files, frames)
    if not rest and not _may_be_several(frames, first):
        yield whole
        return
    seen = {path: metadata.glance(path) for path in (*frames, *rest)}
    cameras = {seen[path].camera for path in frames}
    rest = [path for path in rest if seen[path].camera not in cameras | {""}]
    parts = [part for part in (*_parts(frames, seen), *_parts(rest, seen)) if _is_burst(part, seen)]
    if not parts or (len(parts) == 1 and _is_most_of(frames, parts[0], seen)):
        yield whole
        return
    for part in parts:
        ordered = sorted(part, key=lambda path: names.natural_key(path.name))
        yield Found(place, tuple(ordered), is_part=True, size_px=seen[ordered[0]].size_px)


def _other_frames(files: Sequence[Path], frames: Sequence[Path]) -> list[Path]:
    """Return frames of another file type that are no companions of these: perhaps of another camera."""
    known = {folder.picture_name(path) for path in frames}
    rest = [path for path in files if folder.picture_name(path) not in known]
    others = folder.chosen_frames(rest) if len(rest) > 1 else []
    return others if len(others) > 1 else []


def _may_be_several(frames: Sequence[Path], first: Glance) -> bool:
    """Whether names, or cameras and times of the first and the last frame, allow for several bursts."""
    beginnings = Counter(names.beginnings([path.name for path in frames]))
    if sum(count > 1 for count in beginnings.values()) > 1:
        return True
    last = metadata.glance(frames[-1])
    if first.camera != last.camera or (first.taken is None) != (last.taken is None):
        return True
    if first.taken is not None and last.taken is not None:
        return abs(last.taken - first.taken) >= _APART
    times = [found[0] for path in frames if (found := names.time_in(path.name)) is not None]
    return bool(times) and max(times) - min(times) >= _APART


def _parts(frames: Sequence[Path], seen: dict[Path, Glance]) -> Iterator[list[Path]]:
    """Yield the frames of one camera between long pauses; a frame that names no camera may be from any."""
    cameras = Counter(seen[path].camera for path in frames if seen[path].camera)
    most = cameras.most_common(1)[0][0] if cameras else ""
    for camera in sorted(cameras) or [""]:
        of_camera = [path for path in frames if (seen[path].camera or most) == camera]
        for day in _days(of_camera, seen):
            stamps = [_stamp(path, seen[path]) for path in day]
            for piece in order.find_order(stamps).pieces or (range(len(day)),):
                yield [day[n] for n in piece]


def _days(frames: Sequence[Path], seen: dict[Path, Glance]) -> Iterator[list[Path]]:
    """Yield the frames of times that more than a day parts; a single one of a time is left to find_order."""
    timed = [(time, path) for path in frames if (time := seen[path].taken) is not None]
    timed.sort(key=lambda pair: pair[0])
    groups: list[list[Path]] = [[]]
    for (time, path), (before, _) in zip(timed, [timed[0], *timed], strict=False) if timed else ():
        if time - before > _DAY:
            groups.append([])
        groups[-1].append(path)
    groups.sort(key=len, reverse=True)
    days = [group for group in groups if len(group) > 1] or groups[:1]
    placed = {path for day in days for path in day}
    days[0] = [path for path in frames if path in set(days[0]) or path not in placed]
    yield from (day for day in days if day)


def _is_burst(part: Sequence[Path], seen: dict[Path, Glance]) -> bool:
    """Whether frames follow each other within a minute, or evenly as those of a time lapse do."""
    times = sorted(time for path in part if (time := seen[path].taken) is not None)
    if len(part) < 2 or len(times) < len(part):
        return len(part) > 1
    steps = [after - before for before, after in itertools.pairwise(times)]
    usual = statistics.median_low(steps)
    is_even = usual and all(usual / _EVEN <= step <= usual * _EVEN for step in steps)
    return usual < _APART or (len(steps) > 2 and bool(is_even))


def _is_most_of(frames: Sequence[Path], part: Sequence[Path], seen: dict[Path, Glance]) -> bool:
    """Whether the only burst of a folder is most of it, and reading the folder passes over the rest."""
    if 2 * len(part) <= len(frames):
        return False
    of_camera = [path for path in frames if seen[path].camera in (seen[part[0]].camera, "")]
    placed = order.find_order([_stamp(path, seen[path]) for path in of_camera])
    return not placed.several and {of_camera[n] for n in placed.frames} == set(part)


def _stamp(path: Path, seen: Glance) -> order.Stamp:
    return order.Stamp(path.name, seen.taken, seen.subseconds, seen.offset_s)
