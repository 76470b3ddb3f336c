"""What curved paths gain over straight lines: things on arcs, with exact and with predicted motion lines.

PSNR inside the trails against the true long exposure, and the strobe: how much a trail flickers. Before a
texture the ground that things uncover, smeared with them, outweighs both, so the strobe is for even ground.
"""

from __future__ import annotations

from benchmarks import curves
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.stages import blur

PAIRS = 5


def measured(device: Device, scene: curves.Scene, source: str, curved: bool) -> tuple[float, list[float]]:
    """Return the PSNR in dB inside the trails, and the strobe of each thing's trail."""
    frames = [scene.light(n) for n in range(PAIRS + 1)]
    lines = [(scene.lines if source == "exact" else scene.predicted)(n) for n in range(PAIRS)]
    if curved:
        result = curves.gather(device, frames, lines, blur.Params(soft_gamma=1.0))
    else:
        result = curves.gather_straight(device, frames, lines)
    truth = scene.truth(PAIRS)
    strobes = [curves.strobe(result, truth, thing, PAIRS) for thing in scene.things]
    return curves.psnr(result, truth, scene.trail(PAIRS)), strobes


def main() -> None:
    """Print the table."""
    device = choose()
    print(f"Curved trails, {PAIRS} pairs, on {device.name}: along lines -> along splines")
    print("  turn  ground   lines          PSNR dB       gain   strobe rms %, small thing and large")
    for turn in (15.0, 25.0, 40.0, 60.0):
        for ground, name in ((0.05, "even"), (None, "texture")):
            for source in ("exact", "predicted"):
                scene = curves.wheel(ground, turn)
                (line, flicker), (spline, smooth) = (
                    measured(device, scene, source, curved) for curved in (False, True)
                )
                strobes = zip(flicker, smooth, strict=True)
                shown = "   ".join(f"{100 * a:5.2f} -> {100 * b:5.2f}" for a, b in strobes) if ground else ""
                gain = f"{line:5.2f} -> {spline:5.2f} {spline - line:+6.2f}"
                print(f"  {turn:3.0f}   {name:8} {source:10} {gain}   {shown}", flush=True)


if __name__ == "__main__":
    main()
