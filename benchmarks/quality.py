"""Quality: PSNR of renders of synthetic bursts against their true long exposures.

Three renders: a hand-held foreground burst with soft gamma off (against the mean of linear light) and on
(against the same operator applied to the sub-frames), and a panning burst (also: how much of the subject's
gradient energy is kept). PSNR is in dB, of sRGB-encoded values and of linear light.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from longexpo_cli import colour, metrics
from longexpo_cli.files import pictures
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.synth.burst import write_burst
from longexpo_cli.types import Mode
from longexpo_cli.watch import Watch

SIZE = (960, 1280)

Picture = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Score:
    """PSNR in dB, sRGB-encoded and linear, over the pixels of one mask."""

    name: str
    encoded_db: float
    linear_db: float
    pixels: int


def score(name: str, result: Picture, truth: Picture, where: Flags, light_white: float = 1.0) -> Score:
    """Compare two pictures of linear light H W 3 over a mask; the peak is light_white."""
    a, b = result[where] / light_white, truth[where] / light_white
    encoded_db = metrics.psnr(colour.srgb_encode(a), colour.srgb_encode(b), 1.0)
    return Score(name, encoded_db, metrics.psnr(a, b, 1.0), int(where.sum()))


def mask(path: Path) -> Flags:
    """Read a mask of the ground truth, H W; OSError if there is none."""
    return np.asarray(_read(path, cv2.IMREAD_GRAYSCALE) > 127, np.bool_)


def picture(path: Path) -> Picture:
    """Read a float TIFF, H W 3 in R G B; OSError if there is none."""
    values = pictures.stored_floats(path)
    if values is None:
        raise OSError(f"{path}: not a TIFF of floats")
    return values


def _read(path: Path, flags: int) -> npt.NDArray[Any]:
    values = cv2.imread(str(path), flags)
    if values is None:
        raise OSError(f"{path}: not an image that OpenCV reads")
    return np.asarray(values)


def gradient_energy(light: Picture, where: Flags) -> float:
    """Return the mean squared luminance gradient inside a mask."""
    luminance = light @ colour.LUMINANCE.astype(np.float32)
    dy, dx = (np.asarray(np.gradient(luminance, axis=axis), np.float32) for axis in (0, 1))
    return float(np.mean((dx**2 + dy**2)[where]))


def rendered(burst: Path, device: Device, mode: Mode, soft_gamma: float) -> tuple[Picture, int]:
    """Render a whole burst with its true reference frame; return scene-linear light and the reference."""
    truth = json.loads((burst / "truth" / "alignment.json").read_text())
    values = {("blur", "soft_gamma"): soft_gamma, ("select", "trail"): 100.0}
    recipe = Recipe(mode=mode).with_values(values)
    result = render(burst, recipe, device, Watch(), reference=truth["reference"])
    return result.print.light, truth["reference"]


def foreground(folder: Path, device: Device, **world: object) -> list[Score]:
    """Score a hand-held foreground burst, soft gamma off and on: static areas, trails, clipped trails."""
    burst = folder / "foreground"
    if not burst.exists():
        write_burst(burst, look="foreground", size=SIZE, **world)  # type: ignore[arg-type]
    truth = burst / "truth"
    static, trail, clipped = (mask(truth / f"{name}.png") for name in ("static", "trail", "clipped"))
    scores = []
    for soft_gamma, name in ((1.0, "long_exposure"), (3.0, "long_exposure_k3")):
        light, _ = rendered(burst, device, "foreground", soft_gamma)
        true = picture(truth / f"{name}.tif")
        for area, where in (("static", static), ("trail", trail), ("clipped", clipped)):
            if where.any():
                scores.append(score(f"soft gamma {soft_gamma:g}, {area}", light, true, where))
    return scores


def background(folder: Path, device: Device, **world: object) -> tuple[float, list[Score]]:
    """Return the part of the subject's gradient energy that a panning render keeps, and its scores."""
    burst = folder / "background"
    if not burst.exists():
        write_burst(burst, look="background", size=SIZE, **world)  # type: ignore[arg-type]
    truth = burst / "truth"
    light, _ = rendered(burst, device, "background", 1.0)
    true = picture(truth / "long_exposure.tif")
    reference = picture(truth / "reference.tif")
    static, trail = (mask(truth / f"{name}.png") for name in ("static", "trail"))
    kept = gradient_energy(light, static) / gradient_energy(reference, static)
    scores = [score("subject", light, true, static), score("streaks", light, true, trail)]
    return kept, scores


def main() -> None:
    """Print the table."""
    device = choose()
    print(f"Quality at {SIZE[1]}x{SIZE[0]}, 9 hand-held frames, on {device.name}")
    print(f"{'':34} sRGB dB  linear dB   pixels")
    with tempfile.TemporaryDirectory() as folder:
        for line in foreground(Path(folder), device):
            print(
                f"  foreground, {line.name:22} {line.encoded_db:5.2f}  {line.linear_db:8.2f} {line.pixels:9}"
            )
        kept, scores = background(Path(folder), device)
        for line in scores:
            print(
                f"  background, {line.name:22} {line.encoded_db:5.2f}  {line.linear_db:8.2f} {line.pixels:9}"
            )
        print(
            f"  background, gradient energy of the subject kept: {100 * kept:.1f} % of the true reference's"
        )


if __name__ == "__main__":
    main()
