"""Small videos with a moving bar, encoded by PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from longexpo_cli.arrays import Array, Array8

HEIGHT, WIDTH = 64, 96


def moving_bar(count: int, step_px: int = 4) -> list[Array8]:
    """Frames H W 3 uint8: a bright bar that moves over a fixed grey ramp."""
    ramp = np.broadcast_to(np.linspace(60, 120, WIDTH), (HEIGHT, WIDTH))
    frames = []
    for n in range(count):
        frame = np.repeat(ramp[..., None], 3, -1).astype(np.uint8)
        frame[8:56, n * step_px : n * step_px + 12] = (220, 200, 40)
        frames.append(frame)
    return frames


def write(
    path: Path,
    frames: Sequence[Array],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times: Sequence[int] = (),
    rate: int = 10,
    options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    aspect: Fraction | None = None,
    turned: int | None = None,
    is_tagged: bool = True,
) -> Path:
    """Encode frames H W 3 RGB (uint8 or uint16); times are in units of 1 / rate, tags those of the codec.

    Without is_tagged, frames are converted by the tags, which are not written.
    """
    with av.open(path, "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {"qp": "2"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, rate)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned is not None:
            stream.set_display_rotation(turned)
        for name, value in (tags or {}).items() if is_tagged else ():
            setattr(stream.codec_context, name, value)
        for n, values in enumerate(frames):
            kind = "rgb24" if values.dtype == np.uint8 else "rgb48le"
            frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(values), format=kind)
            matrix = (tags or {}).get("colorspace", 5)
            full = 2 if (tags or {}).get("color_range") == 2 else 1
            flags = (
                av.video.reformatter.Interpolation.BICUBIC | av.video.reformatter.Interpolation.ACCURATE_RND
            )
            frame = frame.reformat(
                format=pixels, dst_colorspace=matrix, dst_color_range=full, interpolation=flags
            )
            if not is_tagged:
                frame.colorspace, frame.color_range = 2, 0
            frame.pts, frame.time_base = (times[n] if times else n), Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
