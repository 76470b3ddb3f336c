"""Gain of cubic paths over straight lines: discs on circular orbits, exact and predicted motion fields.

PSNR inside the trails against the true long exposure, and strobing: the RMS variation of the light along a
trail, in percent. Strobing is given over the uniform background only: over a texture it is dominated by the
background that the discs uncover, which is smeared with them.
"""

from __future__ import annotations

from benchmarks import rotating_discs
from benchmarks.rotating_discs import Scene
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.stages import blur

PAIRS = 5
STEPS_DEG = (15.0, 25.0, 40.0, 60.0)  # rotation of the small disc from frame to frame
BACKGROUNDS = {"uniform": 0.05, "texture": None}


def measure(device: Device, scene: Scene, source: str, curved: bool) -> tuple[float, list[float]]:
    """Return the PSNR in dB inside the trails, and the strobing of each disc's trail.

    source is "exact" or "predicted": where the motion fields come from.
    """
    frames = [scene.light(n) for n in range(PAIRS + 1)]
    fields = [scene.motion_field(n) if source == "exact" else scene.predicted_field(n) for n in range(PAIRS)]
    if curved:
        result = rotating_discs.blur_along_curves(device, frames, fields, blur.Params(soft_gamma=1.0))
    else:
        result = rotating_discs.blur_along_lines(device, frames, fields)
    truth = scene.long_exposure(PAIRS)
    strobing = [rotating_discs.strobing(result, truth, disc, PAIRS) for disc in scene.discs]
    return rotating_discs.psnr(result, truth, scene.trail(PAIRS)), strobing


def main() -> None:
    """Print the table."""
    device = choose()
    print(f"Curved trails, {PAIRS} pairs, on {device.name}: straight lines -> cubic paths")
    print("  deg   background  field         PSNR dB       gain   strobing %, small disc and large disc")
    for step_deg in STEPS_DEG:
        for name, background in BACKGROUNDS.items():
            for source in ("exact", "predicted"):
                scene = rotating_discs.two_discs(background, step_deg)
                line_db, line_strobing = measure(device, scene, source, curved=False)
                cubic_db, cubic_strobing = measure(device, scene, source, curved=True)
                change = "   ".join(
                    f"{100 * a:5.2f} -> {100 * b:5.2f}"
                    for a, b in zip(line_strobing, cubic_strobing, strict=True)
                )
                gain = f"{line_db:5.2f} -> {cubic_db:5.2f} {cubic_db - line_db:+6.2f}"
                strobing = change if name == "uniform" else ""
                print(f"  {step_deg:3.0f}   {name:11} {source:10} {gain}   {strobing}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
