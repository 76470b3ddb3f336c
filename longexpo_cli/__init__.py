"""longexpo: computational long-exposure photographs from RAW bursts.

`render` is the library's entry point, on which the command `longexpo` is built. Importing the package does
not import NumPy, OpenCV or pyopencl; the first call does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from longexpo_cli.version import __version__

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from longexpo_cli.gpu.device import Device
    from longexpo_cli.recipe import Recipe
    from longexpo_cli.types import Burst, Mode, Point, Rendered
    from longexpo_cli.watch import Observer

__all__ = ["__version__", "burst", "render"]


def burst(
    light: Sequence[npt.NDArray[np.floating[Any]]],
    start_s: Sequence[float],
    *,
    exposure_s: float | None = None,
    space: Literal["rec2020", "srgb", "display-p3"] = "rec2020",
    noise: tuple[float, float] | None = None,
) -> Burst:
    """Return a burst of frames in memory, for `render`; nothing is read or written.

    light are two or more frames H W 3 float of linear light, 1.0 = white, in order of time, with the
    primaries of space; a channel at white counts as clipped, or at the brightest value if that is above.
    start_s are the starts of their exposures in seconds, exposure_s is the length of one; None is unknown.
    noise is (scale, offset) of the variance of light, scale * light + offset; None is that of 8-bit pictures.
    float32 arrays up to 1.0 are used as they are: do not change them before the render is done. Raises
    BurstError when frames or times do not fit.
    """
    from longexpo_cli.stages import load
    from longexpo_cli.types import NoiseProfile

    profile = {} if noise is None else {"noise": NoiseProfile(*noise)}
    return load.in_memory(light, start_s, exposure_s, space, **profile)


def render(
    source: str | PathLike[str] | Burst,
    *,
    files: Sequence[str] = (),
    mode: Mode | None = None,
    recipe: Recipe | None = None,
    reference: int | str | None = None,
    mask: str | PathLike[str] | None = None,
    mask_frame: int | str | None = None,
    subject: Sequence[Point] = (),
    frames: tuple[int | str | None, int | str | None] | None = None,
    skip: Sequence[int | str] = (),
    dark: str | PathLike[str] | None = None,
    strict: bool = False,
    device: str | Device = "auto",
    engine: str = "onnxruntime",
    print_bits: Literal[8, 16] = 8,
    is_reduced: bool = False,
    observers: Iterable[Observer] = (),
) -> Rendered:
    """Render a burst, a folder of frames or a video, into a long exposure; writes no file.

    source is a folder with two or more frames (RAW files or pictures), a video file, or frames in memory (the
    function `burst`); files are the names of the frames where the folder holds several bursts. mode is
    "foreground" (the background is sharp, what moves leaves trails) or "background" (the subject is sharp,
    the background streaks); None uses the mode of the recipe. recipe is a longexpo_cli.recipe.Recipe; None
    uses the defaults. Frames are named by number (from 0, as `longexpo info` prints it) or file name.
    reference is the frame to align to; None chooses the sharpest. mask is a picture of the subject, white on
    black; subject are points on it (longexpo_cli.types.Point), from which it is grown; without either it is
    detected. mask_frame is the frame they were marked on; None is the reference if given, else the frame that
    fits. frames are the first and the last frame to use (None: the burst's), skip frames to leave out. dark
    is a dark frame or a folder of them, whose mean is subtracted from RAW frames. strict makes an error of
    every dropped frame and of a trail that is not as asked for. device is an OpenCL device: its number, part
    of its name, "auto", or a Device. engine runs the networks: "onnxruntime" or "openvino". is_reduced makes
    a preview. observers receive every intermediate value (watch.Observer).

    In the result print.sdr is H W 3 uint8, or uint16 with print_bits = 16, in the profile print.profile,
    print.exposure_ev is how many EV brighter than the light it is exposed, and print.light H W 3 float32,
    scene-linear Rec.2020, 1.0 = sensor white of the reference exposure; both are oriented as the sensor.
    exposure_s is the equivalent exposure time in seconds; the rest records how the picture was made.

    Raises a LongexpoError: BurstError or UnreadableFrameError when the source is not a usable burst,
    AlignmentError when its frames cannot be aligned reliably, StrictError as described, DeviceError when
    there is no OpenCL device or it is too small, RecipeError for an unknown mode, EngineError when the engine
    is not there, WeightsError when a network's file is missing or damaged.
    """
    from pathlib import Path

    from longexpo_cli import pipeline
    from longexpo_cli.survey import Guidance
    from longexpo_cli.types import Burst
    from longexpo_cli.watch import Watch

    settings, chosen = _settings(recipe, mode), _device(device, engine)
    picture, darkness = (None if path is None else Path(path) for path in (mask, dark))
    marks = (reference, picture, mask_frame, tuple(subject))
    said = Guidance(*marks, frames, tuple(skip), strict, darkness, tuple(files))
    how: dict[str, Any] = {"guidance": said, "print_bits": print_bits, "is_reduced": is_reduced}
    loaded = source if isinstance(source, Burst) else Path(source)
    return pipeline.render(loaded, settings, chosen, Watch(*observers), **how)


def _settings(recipe: Recipe | None, mode: Mode | None) -> Recipe:
    """Return the recipe, the defaults for None, with the mode; RecipeError when there is no such mode."""
    import dataclasses

    from longexpo_cli.errors import RecipeError
    from longexpo_cli.recipe import MODES, Recipe

    settings = recipe or Recipe()
    if mode is not None:
        settings = dataclasses.replace(settings, mode=mode)
    if settings.mode not in MODES:
        raise RecipeError(f"mode must be {' or '.join(map(repr, MODES))}, got {settings.mode!r}")
    return settings


def _device(device: str | Device, engine: str) -> Device:
    """Return the device that is named, or given, and choose the engine of the networks."""
    import logging

    from longexpo_cli.gpu.device import Device, choose
    from longexpo_cli.vision import networks

    networks.choose_engine(engine)

    chosen = device if isinstance(device, Device) else choose(device)
    logging.getLogger(__name__).info("device: %s (%s)", chosen.name, chosen.platform)
    return chosen
