"""Write docs/presets.md and its pictures: every preset on a burst that it is for.

    python -m docs.presets_page                                # the page, from the preset files
    python -m docs.presets_page waterfall.mp4 people.mp4       # and the pictures

Water, traffic and panning are sample bursts, lights and stars are drawn; waterfall and crowd are clips that
are not in this repository (see the page).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

import longexpo_cli
from benchmarks import looks
from longexpo_cli import preset
from longexpo_cli.geometry import upright
from longexpo_cli.recipe import Recipe, declared
from longexpo_cli.synth.burst import write_frames
from longexpo_cli.synth.sensor import Sensor
from longexpo_cli.synth.world import World

DOCS = Path(__file__).parent
SAMPLES = DOCS.parent / "sample_bursts"
WIDTH = 640
QUALITY = 85
LAMPS_PX_A_FRAME = (4.0, 12.0, 30.0, 18.0, 8.0)
STARS_PX_A_FRAME = tuple(3.0 + 0.5 * n for n in range(12))
CREDITS = {
    "water": "sample_bursts/sea, six frames, hand-held",
    "waterfall": "60 frames of waterfall.mp4 in <https://github.com/iagoCL/graxONo>, CC0, hand-held",
    "crowd": "60 frames of people.mp4 in <https://github.com/justadudewhohacks/opencv4nodejs>, MIT licence",
    "traffic": "sample_bursts/traffic, twelve frames",
    "lights": "drawn, nine frames, hand-held",
    "stars": "drawn, thirty frames from a tripod",
    "panning": "sample_bursts/panning, twelve frames from a moving car",
}

HEAD = """# Presets

A preset is a recipe by name: `longexpo render BURST --preset water`. Options override it. `longexpo info
BURST` says which may fit, `longexpo recipe --preset water > my.toml` prints all of its parameters to change.
A recipe file `longexpo/presets/NAME.toml` in your configuration folder (`$XDG_CONFIG_HOME`, else `~/.config`)
is a preset of your own, and replaces a shipped one of that name. `python -m docs.presets_page` makes this
page.
"""


def page() -> str:
    """Return the text of docs/presets.md."""
    parts = [HEAD]
    for name in preset.SHIPPED:
        found = preset.find(name)
        changes = ", ".join(f"`{text}`" for text in _changes(found.recipe()))
        parts += [f"## {name}\n", f"{found.purpose()} {changes}\n"]
        parts += [f"![{name}](presets/{name}.jpg)\n", f"*{CREDITS[name]}*\n"]
    return "\n".join(parts)


def _changes(recipe: Recipe) -> list[str]:
    """Return in what a recipe differs from the defaults, as its TOML says it."""
    usual = Recipe()
    changes = [f"mode = {recipe.mode}"]
    for stage, parameter in declared():
        value = getattr(getattr(recipe, stage), parameter.name)
        if value != getattr(getattr(usual, stage), parameter.name):
            changes.append(
                f"{stage}.{parameter.name} = {value:g}"
                if isinstance(value, float)
                else f"{stage}.{parameter.name} = {value}"
            )
    return changes


def _drawn(name: str, folder: Path) -> Path:
    """Write the burst of a drawn night, and return its folder."""
    if name == "lights":
        world: World = looks.night(looks.FRAMES, 3.0, LAMPS_PX_A_FRAME)
    else:
        world = looks.night(looks.STARS, 1.0, STARS_PX_A_FRAME, shake_px=0.0)
    (folder / name).mkdir()
    write_frames(folder / name, world, Sensor(), 0)
    return folder / name


def picture(name: str, source: Path) -> None:
    """Write the picture of a preset, rendered from a burst."""
    result = longexpo_cli.render(source, recipe=preset.find(name).recipe())
    pixels = upright(result.print.sdr, result.burst.shots[0].orientation)
    height = round(WIDTH * pixels.shape[0] / pixels.shape[1])
    small = cv2.resize(pixels, (WIDTH, height), interpolation=cv2.INTER_AREA)
    (DOCS / "presets").mkdir(exist_ok=True)
    file = str(DOCS / "presets" / f"{name}.jpg")
    cv2.imwrite(file, np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def main(clips: list[str]) -> None:
    """Write the page and, with two clips, the pictures."""
    (DOCS / "presets.md").write_text(page(), "utf-8")
    if not clips:
        return
    waterfall, people = (Path(clip) for clip in clips)
    sources = {"waterfall": waterfall, "crowd": people}
    sources |= {name: SAMPLES / burst for name, burst in (("water", "sea"), ("traffic", "traffic"))}
    sources["panning"] = SAMPLES / "panning"
    with tempfile.TemporaryDirectory() as folder:
        for name in preset.SHIPPED:
            picture(name, sources[name] if name in sources else _drawn(name, Path(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
