"""First pass over a burst: decode every frame once and keep a preview for tracking and alignment."""

from __future__ import annotations

from dataclasses import replace

from longexpo_cli import frames
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop
from longexpo_cli.types import Burst, Frame, Preview, Shot
from longexpo_cli.watch import Watch

DECODERS = 2  # frames decoded in parallel; decoding dominates this pass


def survey(
    burst: Burst, requested: int | str | None, params: develop.Params, device: Device, watch: Watch
) -> tuple[Burst, list[Preview], int, Frame]:
    """Return the burst without its unreadable frames, a preview of each frame, the anchor and its low frame.

    The anchor is the frame in which the subject is detected and tracking starts: the requested reference, or
    else the readable frame nearest to the middle of the burst. BurstError when fewer than two frames can be
    read or the requested one is not among them. requested is a number in the burst as loaded, unreadable
    frames included, or a file name; the anchor counts readable frames only.
    """
    count = len(burst.shots)
    wanted = count // 2 if requested is None else frame_number(burst, requested)
    shots: list[Shot] = []
    previews: list[Preview] = []
    refused = list(burst.refused)
    anchor, anchor_low, distance, gain = 0, None, count, None
    watch.on_loop("develop", count)
    for index, mosaic in frames.decode_ahead(burst, range(count), DECODERS):
        if isinstance(mosaic, UnreadableFrameError):
            refused.append((mosaic.path, mosaic.why))
            continue
        half = develop.develop(device, mosaic, params)
        low = develop.low(device, half, params)
        gain = develop.preview_gain(low) if gain is None else gain
        if abs(index - wanted) < distance:
            anchor, anchor_low, distance = len(shots), low, abs(index - wanted)
        shots.append(mosaic.shot)
        previews.append(watch("develop", develop.preview(device, low, half, gain), index))
    if len(shots) < 2 or anchor_low is None:
        reasons = "; ".join(f"{path.name}: {why}" for path, why in refused)
        raise BurstError(f"{burst.source}: fewer than two frames can be read ({reasons})")
    if requested is not None and distance:
        raise BurstError(
            f"{burst.source}: frame {requested} cannot be read; choose another reference with --reference"
        )
    low = watch("develop", anchor_low, anchor)
    readable = watch("develop", replace(burst, shots=tuple(shots), refused=tuple(refused)))
    return readable, previews, anchor, low


def frame_number(burst: Burst, requested: int | str) -> int:
    """Return the number of the frame that a number or a file name names; BurstError when there is none.

    Upper and lower case are the same, and the ending may be left out. Frames of a video have numbers only.
    """
    count = len(burst.shots)
    if isinstance(requested, int):
        if 0 <= requested < count:
            return requested
        raise BurstError(f"{burst.source}: there is no frame {requested}; choose from 0 to {count - 1}")
    name = requested.lower()
    found = [
        n for n, shot in enumerate(burst.shots) if name in (shot.path.name.lower(), shot.path.stem.lower())
    ]
    if len(found) == 1:
        return found[0]
    problem = "is the name of several frames" if found else "is not the name of a frame"
    raise BurstError(
        f"{burst.source}: {requested!r} {problem}; `longexpo info` lists the frames, 0 to {count - 1}"
    )
