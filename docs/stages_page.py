"""Write docs/stages.md and its pictures: every stage on a sample burst.

    python -m docs.stages_page

Summaries and options come from the code, the other texts from stages.toml, the pictures from a render of
sample_bursts/traffic with --dump.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np

from longexpo_cli.gpu.device import choose
from longexpo_cli.observers import pictures
from longexpo_cli.observers.dump import Dump, track_picture
from longexpo_cli.params import parameters
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe, meaning
from longexpo_cli.replay import Saved
from longexpo_cli.stages import ORDER, demosaic, develop
from longexpo_cli.types import (
    Alignment,
    Array8,
    Frame,
    MotionBlur,
    MotionField,
    Photograph,
    Preview,
    Print,
    Selection,
    Subject,
    Tracks,
)
from longexpo_cli.watch import Watch

DOCS = Path(__file__).parent
BURST = DOCS.parent / "sample_bursts" / "traffic"
HEAD = """# The stages

What each stage takes and makes, on the sample burst `traffic` (foreground look). `make docs` writes this
page; `longexpo render BURST --dump DIR` writes the same values and pictures of your own burst, and
`longexpo replay STAGE DIR` runs one stage again on them."""
WIDTH_PX = 720  # of the pictures
QUALITY = 82  # JPEG; 14 pictures stay well under 1.5 MB
ZOOM = 4  # of crops in which single pixels are visible


def fitted(picture: Array8) -> Array8:
    """Return a picture at the width of the page."""
    height, width = picture.shape[:2]
    size = WIDTH_PX, round(height * WIDTH_PX / width)
    method = cv2.INTER_AREA if width > WIDTH_PX else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def grey(preview: Preview) -> Array8:
    """Return a preview as a picture."""
    return np.repeat(preview.grey[..., None], 3, axis=2)


def sheet(cells: list[Array8], columns: int) -> Array8:
    """Return pictures of one size as a contact sheet, row by row."""
    blank = np.full_like(cells[0], 255)
    cells = cells + [blank] * (-len(cells) % columns)
    rows = [pictures.side_by_side(*cells[n : n + columns]) for n in range(0, len(cells), columns)]
    return np.concatenate(rows)


def contact_sheet(saved: Saved) -> Array8:
    """Show all frames in time order."""
    return fitted(sheet([grey(preview) for preview in saved.every("develop", Preview).values()], 4))


def low_frame(saved: Saved) -> Array8:
    """Show the anchor frame at low resolution."""
    return fitted(pictures.light(saved.one("develop", Frame, saved.anchor).light))


def subject_maps(saved: Saved) -> Array8:
    """Show saliency, subject and faces."""
    found = saved.one("subject", Subject, saved.anchor)
    return fitted(pictures.side_by_side(*map(pictures.weights, (found.weight, found.alpha, found.faces))))


def tracks_on(saved: Saved, aligned: bool) -> Array8:
    """Show the tracks on the reference frame, as seen or mapped to the reference."""
    tracks, alignment = saved.one("track", Tracks), saved.one("align", Alignment)
    reference = saved.every("develop", Preview)[alignment.reference]
    return fitted(track_picture(tracks, alignment, reference, aligned))


def sharpness(saved: Saved) -> Array8:
    """Show the gradient energy of the reference frame."""
    energy = saved.every("develop", Preview)[saved.reference].energy.astype(np.float32)
    return fitted(pictures.weights(np.sqrt(energy), float(np.percentile(np.sqrt(energy), 99.5))))


def run_sheet(saved: Saved) -> Array8:
    """Show all frames, those outside the run dimmed."""
    run = saved.one("select", Selection).frames
    cells = []
    for n, preview in saved.every("develop", Preview).items():
        picture = grey(preview)
        cells.append(picture if n in run else picture // 4)
    return fitted(sheet(cells, 4))


def zoomed(picture: Array8, crop: tuple[slice, slice]) -> Array8:
    """Return a crop, each pixel ZOOM pixels wide."""
    return picture[crop].repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)


def crop_of(height: int, width: int) -> tuple[slice, slice]:
    """Return the crop for the pictures of merge and demosaic: the middle, 90 x 60 pixels."""
    y, x = height // 2 // 2 * 2, width // 2 // 2 * 2
    return slice(y - 30, y + 30), slice(x - 45, x + 45)


def merged_crop(saved: Saved) -> Array8:
    """Show a crop of the reference alone, and how many frames are merged there, white being all."""
    single = develop.read(saved.burst.shots[saved.reference])
    light = demosaic.demosaic(choose(), single, saved.recipe.develop.highlights).light
    merged = saved.one("demosaic", Frame).frames_merged
    if merged is None:
        raise ValueError("the sharp exposure of the dump is of one frame")
    share = (merged / merged.max()).repeat(2, axis=0).repeat(2, axis=1)
    crop = crop_of(*light.shape[:2])
    return fitted(
        pictures.side_by_side(zoomed(pictures.light(light), crop), zoomed(pictures.weights(share), crop))
    )


def sharp_crop(saved: Saved, stage: str) -> Array8:
    """Show the same crop of the sharp exposure, as a stage makes it."""
    light = saved.one(stage, Frame).light
    return fitted(zoomed(pictures.light(light), crop_of(*light.shape[:2])))


def motion_picture(saved: Saved) -> Array8:
    """Show the motion of the first pair: direction as hue, length as saturation, for both frames."""
    motion = next(iter(saved.every("predict", MotionField).values()))
    longest = float(np.percentile(np.linalg.norm(motion.displacement, axis=-1), 99.5))
    return fitted(pictures.side_by_side(*(pictures.directions(d, longest) for d in motion.displacement)))


def blur_picture(saved: Saved) -> Array8:
    """Show the light of the run."""
    return fitted(pictures.light(np.asarray(saved.one("blur", MotionBlur).light)))


def mask_picture(saved: Saved) -> Array8:
    """Show where the sharp exposure is used, and the photograph."""
    photograph = saved.one("composite", Photograph)
    mask = pictures.weights(photograph.keep_sharp)
    light = pictures.light(photograph.light)
    height, width = mask.shape[:2]
    return fitted(
        pictures.side_by_side(mask, cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA))
    )


def print_picture(saved: Saved) -> Array8:
    """Show the print."""
    return fitted(saved.one("finish", Print).sdr8)


def gain_picture(saved: Saved) -> Array8:
    """Show the gain map."""
    return fitted(np.repeat(saved.one("finish", Print).gain[..., None], 3, axis=2))


PICTURES: dict[str, Callable[[Saved], Array8]] = {
    "load": contact_sheet,
    "develop": low_frame,
    "subject": subject_maps,
    "track": lambda saved: tracks_on(saved, aligned=False),
    "reference": sharpness,
    "align": lambda saved: tracks_on(saved, aligned=True),
    "select": run_sheet,
    "merge": merged_crop,
    "predict": motion_picture,
    "blur": blur_picture,
    "demosaic": lambda saved: sharp_crop(saved, "demosaic"),
    "denoise": lambda saved: sharp_crop(saved, "denoise"),
    "composite": mask_picture,
    "finish": print_picture,
    "write": gain_picture,
}


def page() -> str:
    """Return the text of docs/stages.md."""
    texts = tomllib.loads((DOCS / "stages.toml").read_text("utf-8"))
    parts = [HEAD]
    for number, (stage, sentence) in enumerate(ORDER.items(), start=1):
        text = texts[stage]
        parts += [
            f"## {number}. {stage}",
            sentence,
            f"![{text['caption']}](stages/{stage}.jpg)",
            f"*{text['caption']}*",
            "\n".join(
                [
                    f"- **In**: {text['takes']}",
                    f"- **Out**: {text['makes']}",
                    f"- **Method**: {text['method']}",
                    *options_of(stage),
                ]
            ),
        ]
    return "\n\n".join(parts) + "\n"


def options_of(stage: str) -> list[str]:
    """Return the lines of a stage's options."""
    params = getattr(import_module(f"longexpo_cli.stages.{stage}"), "Params", None)
    if params is None:
        return ["- **Options**: none"]
    named = [f"  - `--{stage}-{p.name.replace('_', '-')}`: {meaning(p)}" for p in parameters(params)]
    return ["- **Options**:", *named]


def main() -> None:
    """Render the sample burst and write the page and its pictures."""
    recipe = Recipe().with_values({("select", "trail"): 100.0})
    (DOCS / "stages").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        render(BURST, recipe, choose(), Watch(Dump(Path(folder), recipe)))
        saved = Saved(Path(folder))
        for stage, picture in PICTURES.items():
            bgr = np.ascontiguousarray(picture(saved)[..., ::-1])
            cv2.imwrite(str(DOCS / "stages" / f"{stage}.jpg"), bgr, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    (DOCS / "stages.md").write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
