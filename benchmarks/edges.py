"""What lookups along edges gain over bilinear ones: hard-edged still things before what moves.

PSNR against the true long exposure, in a band around still edges, of that on the still things themselves, and
wherever else something moves; with exact lines, averaged over low pixels, and with predicted ones. The last
scene has no still things: its figures are those of the trails and of the ground beside them.
"""

from __future__ import annotations

import numpy as np

from benchmarks import curves
from longexpo_cli.gpu.device import choose
from tests import edges

PAIRS = 2
SCENES = {
    "fence before water": edges.fence,
    "rocks in water": edges.rocks,
    "posts before cars": edges.lamp_posts,
    "cars alone": edges.bare_street,
}


def areas(scene: edges.Scene) -> dict[str, edges.Array]:
    """Return the masks H W that a scene is measured in."""
    moves = np.any([scene.passed(n) for n in range(PAIRS)], axis=0)
    if not scene.cover.any():
        return {"trails": moves, "beside": ~moves}
    band = scene.near_edges()
    return {"band": band, "still in it": band & (scene.cover > 0.99), "elsewhere": moves & ~band}


def main() -> None:
    """Print the table."""
    device = choose()
    print(
        f"Lookups, {edges.SCALE} px a low pixel, {PAIRS} pairs, on {device.name}: bilinear -> edges, PSNR dB"
    )
    for name, make in SCENES.items():
        scene = make()
        truth, where = scene.truth(PAIRS), areas(scene)
        for source in ("exact", "predicted"):
            pictures = [edges.gathered(device, scene, source, PAIRS, way) for way in ("bilinear", "edges")]
            shown = []
            for area, mask in where.items():
                before, after = (curves.psnr(picture, truth, mask) for picture in pictures)
                shown.append(f"{area} {before:5.2f} -> {after:5.2f} {after - before:+5.2f}")
            print(f"  {name:18} {source:9}  {'   '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
