"""Print, still things: how much of a picture is shown as half-resolution blur where nothing moves.

Bursts of a wall of pictures (benchmarks.still_burst), and the fine detail that is left of the picture.
The pictures are those of the folder in LONGEXPO_PICTURES, by the numbers of the Kodak set; they are sharp to
the pixel, which is the hardest case. JPEG and TIFF are bursts of sRGB pictures with noise.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks import results, still_burst
from benchmarks.still_burst import SHAKE_PX, Case
from longexpo_cli import colour
from longexpo_cli.arrays import Array32
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.types import Photograph
from longexpo_cli.watch import Watch

FOLDER = "LONGEXPO_PICTURES"
PICTURES = ("08", "19", "05", "13", "20")
SIZE = (900, 1350)
SEED = 3
PICTURE_NOISE = 1.5  # 8-bit steps, of picture files


CASES = (
    Case("full frame ISO 100, tripod", still_burst.FULL_FRAME, 0.0),
    Case("full frame ISO 100, hand", still_burst.FULL_FRAME),
    Case("full frame ISO 400, hand", still_burst.FULL_FRAME_ISO_400),
    Case("phone, hand", still_burst.PHONE, SHAKE_PX, still_burst.PHONE_EV, still_burst.PHONE_LENS_PX),
    Case("soft lens, hand", still_burst.FULL_FRAME, SHAKE_PX, 0.0, 0.9),
    Case("JPEG, hand", None, suffix=".jpg"),
    Case("8-bit TIFF, hand", None, suffix=".tif"),
)


class _Keep:
    """Observer that keeps the mask of the composite."""

    def __init__(self) -> None:
        self.photograph: Photograph | None = None

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        if isinstance(value, Photograph):
            self.photograph = value

    def on_loop(self, stage: str, steps: int) -> None:
        pass


def write_pictures(folder: Path, truth: Array32, case: Case) -> None:
    """Write a burst of encoded pictures, hand-held, into a new folder."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(SEED)
    height, width = truth.shape[:2]
    to_srgb = colour.between("rec2020", "srgb").T.astype(np.float32)
    for n, to_frame in enumerate(still_burst.shake((height, width), case.shift_px, SEED)):
        light = cv2.warpPerspective(
            truth, to_frame, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
        )
        srgb = 255 * colour.srgb_encode(np.clip(light @ to_srgb, 0, 1))
        values = np.clip(np.rint(srgb + random.normal(0, PICTURE_NOISE, srgb.shape)), 0, 255)
        if not cv2.imwrite(str(folder / f"frame_{n:02}{case.suffix}"), values[..., ::-1].astype(np.uint8)):
            raise OSError(f"{folder} cannot be written")


def shown_as_blur(device: Device, folder: Path, pictures: list[Path], case: Case) -> tuple[float, float]:
    """Return the share of the picture shown as blur, and the fine detail of the whole picture (1 = all)."""
    truth = still_burst.wall(pictures, SIZE, case.exposure_ev, case.blur_px)
    if case.sensor is None:
        write_pictures(folder, truth, case)
    else:
        still_burst.write_still_burst(folder, truth, case.sensor, case.shift_px, SEED)
    kept = _Keep()
    reference = still_burst.FRAMES // 2
    light = render(folder, Recipe(mode="foreground"), device, Watch(kept), reference=reference).print.light
    if kept.photograph is None:
        raise ValueError("the composite made no photograph")
    blur = float(1 - kept.photograph.keep_sharp.mean())
    return blur, still_burst.measure(light, truth).detail[0]


def rows(device: Device, found: Callable[[str], list[Path]]) -> list[list[str]]:
    """Return a row for each case: share of blur and fine detail of each picture."""
    lines = []
    for case in CASES:
        cells = []
        for number in PICTURES:
            with tempfile.TemporaryDirectory() as folder:
                share, detail = shown_as_blur(device, Path(folder) / "burst", found(number), case)
            cells.append(f"{100 * share:.2f} % / {detail:.2f}")
        lines.append([case.name, *cells])
    return lines


def main() -> None:
    """Print the table; without pictures, say so."""
    folder = os.environ.get(FOLDER)
    if not folder:
        print(f"Not measured: name a folder of pictures in {FOLDER}.")
        return

    def found(number: str) -> list[Path]:
        return sorted(Path(folder).glob(f"*{number}.png"))

    print(f"Share of the picture shown as blur / fine detail of the whole picture, {SIZE[1]}x{SIZE[0]}")
    print(results.table(["nothing moves", *PICTURES], rows(choose(), found)))


if __name__ == "__main__":
    main()
