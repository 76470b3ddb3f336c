"""longexpo info: show what a burst contains, and a guess at what a render would make of it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from longexpo_cli import options
from longexpo_cli.types import Burst, Mode, Shot

if TYPE_CHECKING:  # --help must not import it
    from longexpo_cli.vision.motion_guess import Motion

_BUDGET_S = 0.75  # of one core, to read small pictures of some frames
_GUESS_ERRS = 1.5  # factor by which a guess of the trail may be wrong
_DARK_EV = 6.0  # exposure value at ISO 100 of lit halls; lit streets are at 3 to 5
_STARS_S = 8.0  # exposure from which on, on a tripod in the dark, stars are what moves
_BY_WHAT_MOVES = ("water", "waterfall", "crowd", "traffic")  # presets that small pictures do not tell apart
_NOTABLE_SCALE = 0.03  # from which on a difference in exposure is shown: half a tenth of a stop


@click.command(
    epilog="""\b
Examples:
  longexpo info waterfall/
  longexpo info waterfall/ --json | jq .frames[0]"""
)
@click.argument("burst", type=options.EXISTING, metavar="BURST")
@options.json_option
def command(burst: Path, as_json: bool) -> None:
    """Show what BURST contains (times, exposures, size, camera), the files that are skipped, and guesses.

    How the camera and the scene move, how long the trail will be, and which presets fit is guessed from small
    pictures of a few frames; what is not certain is not guessed.
    """
    from longexpo_cli.files import export
    from longexpo_cli.stages import load

    found = load.load(burst, load.Params())
    motion, seen_in = _guess(found)
    if as_json:
        click.echo(export.json_text(_burst_entry(found) | _guess_entry(found, motion, seen_in), indent=2))
        return
    _print(found)
    for line in (_camera_line(found), _motion_line(motion, seen_in), _trail_line(found, motion)):
        click.echo(line)
    names, why = _presets(found, motion)
    if names:
        click.echo(f"preset: {', '.join(names)} ({why})")


def _print(found: Burst) -> None:
    first = found.shots[0]
    height, width = first.size_px
    kind = ", ".join(filter(None, (f"{width}x{height}", first.camera, first.cfa or "RGB")))
    click.echo(f"{found.source}: {len(found.shots)} frames of {kind}")
    click.echo(f"times: {first.timestamp_source}")
    if found.order:
        click.echo(f"order: {found.order}")
    for number, shot in enumerate(found.shots):
        click.echo(f"{number:>3}  {_shot_line(shot)}")
    for shot in found.brackets:
        click.echo(f"  +  {_shot_line(shot)} (bracket)")
    for path, name in found.copies:
        click.echo(f"  =  {path.name}: has the pixels of {name}")
    for path, why in found.refused:
        click.echo(f"  -  {path.name}: {why}")
    for note in found.all_notes:
        click.echo(f"note: {note}")
    if found.several:
        click.echo(f"note: {found.several}; render one with --frames FIRST:LAST")
    if found.brackets:
        count = len(found.brackets)
        click.echo(f"note: {count} exposed higher than the rest {'is' if count == 1 else 'are'} set aside")


def _guess(burst: Burst) -> tuple[Motion, str]:
    """Return a guess of the motion, and what it was seen in."""
    from longexpo_cli.small_frames import small_frames
    from longexpo_cli.stages import select
    from longexpo_cli.vision import motion_guess

    if burst.several:
        return motion_guess.Motion(unknown="there are several bursts"), ""
    small = small_frames(burst, _BUDGET_S)
    durations = select.relative_intervals(burst.start_s)
    share = select.TRAIL_TARGETS["foreground"].share
    return motion_guess.guess(small.read, durations, small.last, small.most, share), small.kind


def _look(motion: Motion) -> Mode:
    """Return the look whose trail can be guessed: a panning camera follows what shall be sharp."""
    return "background" if motion.camera == "panning" else "foreground"


def _trail_entry(burst: Burst, motion: Motion) -> dict[str, Any]:
    """Return the expected trail: is_met and frames are None where the guess is too near to the target."""
    from longexpo_cli.stages.select import TRAIL_TARGETS

    mode, percent = _look(motion), motion.trail_percent
    target, count = TRAIL_TARGETS[mode].length, len(burst.shots)
    entry = {"mode": mode, "target_percent": target, "percent": percent, "is_met": None, "frames": None}
    if percent is None:
        return entry
    if percent <= target / _GUESS_ERRS:
        return entry | {"is_met": False, "frames": count}
    if percent >= target * _GUESS_ERRS:
        return entry | {"is_met": True, "frames": min(math.ceil(target / percent * (count - 1)) + 1, count)}
    return entry


def _presets(burst: Burst, motion: Motion) -> tuple[tuple[str, ...], str]:
    """Return the presets that fit and why; none where nothing is known of what moves."""
    if motion.camera == "panning":
        return ("panning",), "the camera pans"
    first = burst.shots[0]
    value = _exposure_value(first)
    if value is not None and value < _DARK_EV:
        stars = (first.exposure_s or 0.0) >= _STARS_S and motion.camera == "tripod"
        names = ("stars",) if stars else ("lights", *_BY_WHAT_MOVES)
        return names, f"it is dark, exposure value {value:.1f} at ISO 100; by what moves"
    if motion.unknown or not motion.moving:
        return (), ""
    return _BY_WHAT_MOVES, "by what moves"


def _exposure_value(shot: Shot) -> float | None:
    """Return the exposure value at ISO 100, log2(N^2 / t) - log2(ISO / 100); None where it is not known."""
    if not (shot.exposure_s and shot.iso and shot.f_number):
        return None
    return math.log2(shot.f_number**2 / shot.exposure_s * 100 / shot.iso)


def _guess_entry(burst: Burst, motion: Motion, seen_in: str) -> dict[str, Any]:
    from longexpo_cli.files.camera_kind import camera_kind

    first = burst.shots[0]
    return {
        "camera": {
            "name": first.camera,
            "kind": camera_kind(first.camera) or None,
            "frames": _frames_are(first),
        },
        "motion_guess": {
            "camera": motion.camera or None,
            "camera_percent": motion.camera_percent,
            "moving_percent": None if motion.moving is None else 100 * motion.moving,
            "seen_in": seen_in or None,
            "unknown": motion.unknown or None,
        },
        "trail_guess": _trail_entry(burst, motion),
        "preset_guess": list(_presets(burst, motion)[0]),
    }


def _frames_are(shot: Shot) -> str:
    """Return what the frames are: the kind of sensor of RAW frames, else pictures or frames of a video."""
    if shot.sensor:
        return {"linear": "linear RAW"}.get(shot.sensor, f"{shot.sensor} RAW")
    return "video" if shot.timestamp_source == "video" else "pictures"


def _camera_line(burst: Burst) -> str:
    from longexpo_cli.files.camera_kind import camera_kind

    first = burst.shots[0]
    kind = camera_kind(first.camera)
    return f"camera: {first.camera or 'not named'}{f', a {kind}' if kind else ''}; {_frames_are(first)}"


def _motion_line(motion: Motion, seen_in: str) -> str:
    if motion.unknown:
        return f"motion: not known: {motion.unknown}"
    camera = {"": "not certain how the camera is held", "panning": "a panning camera"}
    parts = [camera.get(motion.camera, motion.camera)]
    if motion.camera_percent is not None and motion.camera != "tripod":
        parts.append(
            f"the picture moves by {motion.camera_percent:.2g} % of the diagonal, first frame to last"
        )
    if motion.moving is not None:
        parts.append(f"{motion.moving:.1%} of the picture changes from frame to frame".replace("%", " %", 1))
    return f"motion (a guess from {seen_in}): {'; '.join(parts)}"


def _trail_line(burst: Burst, motion: Motion) -> str:
    entry = _trail_entry(burst, motion)
    mode, target, percent = entry["mode"], entry["target_percent"], entry["percent"]
    wanted = f"--mode {mode} wants {target:g} %"
    if percent is None:
        return f"trail: not known; {wanted}"
    expected = {
        True: f"and takes about {entry['frames']} of {len(burst.shots)} frames",
        False: "and will not reach it",
        None: "which is about as much",
    }[entry["is_met"]]
    size = f"about {percent:.2g} % of the diagonal" if percent >= 0.1 else "nothing that moves is seen"
    return f"trail (a guess): {size} over all frames; {wanted}, {expected}"


def _shot_line(shot: Shot) -> str:
    exposure = "exposure unknown" if shot.exposure_s is None else f"{shot.exposure_s:.6g} s"
    iso = "" if shot.iso is None else f", ISO {shot.iso:g}"
    iso += "" if shot.f_number is None else f", f/{shot.f_number:.3g}"
    if abs(shot.exposure_scale - 1) > _NOTABLE_SCALE:
        iso += f", {-math.log2(shot.exposure_scale):+.1f} EV"
    return f"{shot.name}  {shot.start_s:.3f} s  {exposure}{iso}"


def _burst_entry(burst: Burst) -> dict[str, Any]:
    return {
        "source": str(burst.source),
        "order": {"source": burst.shots[0].timestamp_source, "how": burst.order},
        "frames": [_shot_entry(shot) for shot in burst.shots],
        "brackets": [_shot_entry(shot) for shot in burst.brackets],
        "copies": [{"file": str(path), "of": name} for path, name in burst.copies],
        "several": burst.several,
        "notes": list(burst.all_notes),
        "refused": [{"file": str(path), "why": why} for path, why in burst.refused],
    }


def _shot_entry(shot: Shot) -> dict[str, Any]:
    fields = dataclasses.asdict(shot)
    transfer = {"curve": shot.transfer.curve, "gamma": shot.transfer.gamma}  # a table is not for reading
    matrix = shot.camera_to_working.tolist()
    del fields["checksum"], fields["light"]  # of values that are not read here, and not in memory
    return fields | {"path": str(shot.path), "camera_to_working": matrix, "transfer": transfer}
