"""The sidecar <out>.json: how a picture was made, as plain values."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from longexpo_cli.gpu.device import Device
from longexpo_cli.observers.clock import Clock, peak_bytes
from longexpo_cli.recipe import Recipe
from longexpo_cli.registration.confidence import LOW_CONFIDENCE
from longexpo_cli.types import Alignment, Burst, Selection, Shot, Subject, Trail
from longexpo_cli.version import __version__

LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "pyopencl", "rawpy")


def document(
    *,
    recipe: Recipe,
    device: Device,
    burst: Burst,
    subject: Subject,
    alignment: Alignment,
    selection: Selection,
    merged: Sequence[int],
    predictor: str,
    trail: Trail,
    exposure_s: float,
    light_s: float | None,
    clock: Clock,
    outputs: Sequence[Path],
) -> dict[str, Any]:
    """Return the sidecar; frames are numbered from 0 among those that could be read, in time order."""
    shots = burst.shots
    used = {*selection.frames, *merged}
    settings = recipe.to_dict()
    return {
        "longexpo": __version__,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "source": str(burst.source),
        "outputs": [str(path) for path in outputs],
        "mode": settings.pop("mode"),
        "recipe": settings,
        "device": {"name": device.name, "platform": device.platform, "peak_bytes": device.peak_bytes},
        "predictor": predictor,
        "exposure_s": None if shots[0].timestamp_source == "file order" else exposure_s,
        "light_s": light_s,
        "reference": selection.reference,
        "reference_file": shots[selection.reference].path.name,
        "order": {"source": shots[0].timestamp_source, "how": burst.order},
        "frames": [
            frame_entry(shot, n, burst.number(n), alignment, selection, merged)
            for n, shot in enumerate(shots)
            if n in used
        ],
        "not_needed": [n for n in range(len(shots)) if n not in used and alignment.kept(n)],
        "dropped": [
            {"frame": n, "file": shot.path.name, "why": alignment.reject_reason[n]}
            for n, shot in enumerate(shots)
            if not alignment.kept(n)
        ],
        "verdicts": verdicts(burst, alignment, selection, merged),
        "refused": [{"file": path.name, "why": why} for path, why in burst.refused],
        "brackets": [shot.path.name for shot in burst.brackets],
        "copies": [{"file": path.name, "of": name} for path, name in burst.copies],
        "trail": _trail(selection, trail),
        "confidence": {"alignment": alignment.confidence},
        "subject": _subject(subject, alignment),
        "stages": {
            stage: {"seconds": round(spent.seconds, 3), "peak_bytes": spent.peak_bytes}
            for stage, spent in clock.spent.items()
        },
        "seconds": round(clock.seconds, 3),
        "peak_bytes": peak_bytes(),
        "notes": notes(burst, subject, alignment, selection, trail),
    }


def frame_entry(
    shot: Shot, n: int, number_of: int, alignment: Alignment, selection: Selection, merged: Sequence[int]
) -> dict[str, Any]:
    """Return the entry of a frame that was used; number_of is its number in `longexpo info`."""
    return {
        "frame": n,
        "number": number_of,
        "file": shot.path.name,
        "start_s": shot.start_s,
        "exposure_s": shot.exposure_s,
        "iso": shot.iso,
        "f_number": shot.f_number,
        "exposure_scale": shot.exposure_scale,
        "residual_px": number(float(alignment.residual_px[n])),
        "corner_px": None if alignment.corner_px is None else number(float(alignment.corner_px[n])),
        "explained": None if alignment.explained is None else number(float(alignment.explained[n])),
        "trail": n in selection.frames,
        "merged": n in merged,
    }


def verdicts(
    burst: Burst, alignment: Alignment, selection: Selection, merged: Sequence[int]
) -> list[dict[str, Any]]:
    """Return what became of every file of the burst, and why, by the numbers of `longexpo info`."""
    found = [
        (burst.number(n), shot.path.name, *_verdict(n, alignment, selection, merged))
        for n, shot in enumerate(burst.shots)
    ]
    found += [(n, name, "skipped", "left out by --frames or --skip") for n, name in burst.skipped]
    found.sort(key=lambda entry: entry[0])
    entries: list[dict[str, Any]] = [
        {"number": n, "file": name, "verdict": verdict, "why": why} for n, name, verdict, why in found
    ]
    unused = [(name, "used" if is_used else "set aside", why) for name, is_used, why in brackets(burst)]
    unused += [(path.name, "refused", why) for path, why in burst.refused]
    unused += [(path.name, "copy", f"it has the pixels of {name}") for path, name in burst.copies]
    entries += [
        {"number": None, "file": name, "verdict": verdict, "why": why} for name, verdict, why in unused
    ]
    return entries


def _verdict(n: int, alignment: Alignment, selection: Selection, merged: Sequence[int]) -> tuple[str, str]:
    """Return the verdict on a readable frame and its reason."""
    if not alignment.kept(n):
        return "dropped", alignment.reject_reason[n]
    uses = ["the trail"] * (n in selection.frames) + ["the sharp exposure"] * (n in merged)
    if not uses:
        return "not needed", "the trail is long enough without it"
    residual = alignment.residual_px[n]
    if n == selection.reference:
        how = "the reference"
    else:
        how = f"residual {residual:.2f} px" if math.isfinite(residual) else "not aligned, as asked for"
    return "used", f"in {' and '.join(uses)}; {how}"


def brackets(burst: Burst) -> list[tuple[str, bool, str]]:
    """Return the name of each longer exposure, whether the sharp exposure uses it, and why or how."""
    reasons = burst.bracket_reasons or ("",) * len(burst.brackets)
    found = []
    for shot, reason in zip(burst.brackets, reasons, strict=True):
        longer = f"it is exposed {-math.log2(shot.exposure_scale):.1f} EV more than the burst"
        is_used = bool(burst.bracket_reasons) and not reason
        why = f"in the sharp exposure; {longer}" if is_used else "; ".join(filter(None, (longer, reason)))
        found.append((shot.path.name, is_used, why))
    return found


def notes(
    burst: Burst, subject: Subject, alignment: Alignment, selection: Selection, trail: Trail
) -> list[str]:
    """Return what the user should know, one sentence each, without duplicates."""
    lines = [f"{path.name} was skipped: {why}" for path, why in burst.refused]
    lines += [
        f"{name} is used {why}" if is_used else f"{name} was set aside: {why}"
        for name, is_used, why in brackets(burst)
    ]
    for n, shot in enumerate(burst.shots):
        lines += [] if alignment.kept(n) else [f"{shot.name} was dropped: {alignment.reject_reason[n]}"]
    lines += burst.all_notes
    lines += [alignment.note, doubt(alignment)]
    lines += [subject.note, trail.note or selection.note]
    return list(dict.fromkeys(note for note in lines if note))


def doubt(alignment: Alignment) -> str:
    """Return a sentence when the alignment is not trusted, else ""."""
    confidence = alignment.confidence
    if confidence is None or confidence >= LOW_CONFIDENCE:
        return ""
    return (
        f"the alignment may be wrong: what stands still is sharp with a probability of {confidence:.0%}; "
        "look at it at 100 %, mark what moves with --mask, or use other frames"
    )


def _trail(selection: Selection, trail: Trail) -> dict[str, Any]:
    """Return the length of the trail that was asked for, chosen and rendered."""
    return {
        "target_percent": number(selection.target_percent),
        "reached_percent": number(selection.reached_percent),
        "rendered_percent": number(trail.rendered_percent),
        "unfollowed_percent": trail.unfollowed_percent,
        "met": not trail.note,
    }


def _subject(subject: Subject, alignment: Alignment) -> dict[str, Any]:
    """Return what is known of the subject."""
    return {
        "found": subject.found,
        "score": number(subject.score),
        "note": subject.note,
        "relative_motion_percent": _percent(alignment.relative_motion),
    }


def _percent(fraction: float | None) -> float | None:
    """Return a fraction in per cent, None when it is not known."""
    return None if fraction is None else number(100 * fraction)


def number(value: float) -> float | None:
    """Return a number, or None for NaN and infinity, which JSON does not have."""
    return float(value) if math.isfinite(value) else None
