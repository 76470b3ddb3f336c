"""Prints of light that is hard to print, by their lightness L*, against what a photographer expects.

The scenes are drawn (drawn_light.py). "exposed" is the light shown as it is; "global" the print without local
exposure. A room against the light: its walls are visible, the window keeps its detail. Nights stay dark.
Grey water, fog and snow keep the lightness they were exposed with. The chart keeps its colours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import drawn_light, results
from longexpo_cli import colour, local_tones, metrics
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.stages import finish as stage
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Photograph, Print

WINDOWS = {0.1: (0.3, 0.3), 0.25: (0.9, 0.1), 0.4: (0.5, 0.5), 0.6: (0.5, 0.5)}  # share: its place
STOPS = (3, 4, 5, 6)  # by which the walls are under the view
VIEW_EV = -1.3  # of the view, drawn_light.room
SEEDS = (0, 1, 2)
SIZE = (400, 600)  # of the rooms
GREYS: dict[str, Callable[[], Array32]] = {
    "lake": drawn_light.lake,
    "lake, dim": lambda: drawn_light.lake(0.08),
    "fog": drawn_light.fog,
    "fog, bright": lambda: drawn_light.fog(0.5),
    "snow under cloud": drawn_light.snow,
}


def printed(device: Device, light: Array32, **changes: Any) -> Print:
    """Return the print of light H W 3; changes are fields of finish.Params."""
    photograph = Photograph(light, np.ones((1, 1), np.float32), 1.0, plain_shot(light.shape[:2]))
    return stage.finish(device, photograph, stage.Params(**changes), 16)


def printed_globally(device: Device, light: Array32) -> Print:
    """Return the print of light by one tone curve, without local exposure."""
    with mock.patch.multiple(local_tones, highlight_ev=lambda *_: 0.0, shadow_ev=lambda *_: 0.0):
        return printed(device, light)


def linear(print_: Print) -> Array64:
    """Return the display light H W 3 of a print."""
    return np.asarray(colour.srgb_decode(print_.sdr.astype(np.float64) / 65535), np.float64)


def lab(print_: Print) -> Array64:
    """Return the L*a*b* of a print's pixels."""
    return metrics.srgb_to_lab(print_.sdr.astype(np.float64) / 65535)


def lightness(light: Array32) -> Array64:
    """Return L* of light shown as it was exposed."""
    y = np.clip(light.astype(np.float64) @ colour.LUMINANCE, 0, 1)
    return np.asarray(np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3), np.float64)


def shadow_slope(light: Array32, shown: Array64) -> float:
    """Return the L* per EV of the darkest fifth of the picture: the slope of L* over log2 of luminance."""
    level = np.log2(np.maximum(light.astype(np.float64) @ colour.LUMINANCE, 1e-5))
    darkest = level < np.percentile(level, 20)
    return float(np.polyfit(level[darkest], shown[darkest], 1)[0])


def detail(light: Array32, print_: Print, pane: tuple[slice, slice]) -> float:
    """Return the contrast of a window pane in the print, L* (standard deviation), over that as exposed."""
    return float(lab(print_)[pane][..., 0].std() / lightness(light)[pane].std())


def rooms(device: Device) -> None:
    """Print the table of rooms against the light: of three rooms each the least and the most."""
    rows = []
    for stops in STOPS:
        for share, at in WINDOWS.items():
            found = [room(device, share, at, stops, seed) for seed in SEEDS]
            columns = np.array(found).T
            cells = [f"{column.min():.1f} - {column.max():.1f}" for column in columns[:-1]]
            cells.append(f"{columns[-1].min():.2f} - {columns[-1].max():.2f}")
            rows.append((f"{stops} stops, window {100 * share:.0f} %", *cells))
    head = ("room, global", "room", "% < 3, global", "% < 3", "L*/EV, dark", "window", "99 %", "its detail")
    print(results.table(("L*", *head), rows))


def room(
    device: Device,
    share: float,
    at: tuple[float, float],
    stops: float,
    seed: int,
    size: tuple[int, int] = SIZE,
) -> list[float]:
    """Return measures of the print of a room and of that by one curve.

    The median L* of the walls (both prints), the share of the picture under L* 3 in per cent (both),
    L* per EV in the dark, and of the window median and 99th percentile of L* and the detail kept.
    """
    light, pane, walls = drawn_light.room(share, at, stops - VIEW_EV, size, seed)
    print_ = printed(device, light)
    shown, before = lab(print_)[..., 0], lab(printed_globally(device, light))[..., 0]
    return [
        float(np.median(before[walls])),
        float(np.median(shown[walls])),
        100 * float((before < 3).mean()),
        100 * float((shown < 3).mean()),
        shadow_slope(light, shown),
        float(np.percentile(shown[pane], 50)),
        float(np.percentile(shown[pane], 99)),
        detail(light, print_, pane),
    ]


def greys(device: Device) -> None:
    """Print the table of scenes that keep their lightness."""
    rows = []
    for name, draw in GREYS.items():
        light = draw()
        exposed, shown = np.median(lightness(light)), np.median(lab(printed(device, light))[..., 0])
        rows.append((name, f"{exposed:.1f}", f"{shown:.1f}", f"{shown - exposed:+.1f}"))
    print(results.table(("median L*", "exposed", "print", "difference"), rows))


def darks(device: Device) -> None:
    """Print the table of nights, stage and sunset: the difference from the print by one curve."""
    rows = []
    for name, light in {
        "night": drawn_light.night(),
        "night, 3 x the light": drawn_light.night(3.0),
        "stage": drawn_light.stage(),
        "sunset": drawn_light.sunset(),
    }.items():
        print_, before = printed(device, light), printed_globally(device, light)
        difference = metrics.delta_e_2000(lab(print_), lab(before)).mean()
        shown = lab(print_)[..., 0]
        values = (np.median(shown), np.percentile(shown, 1), np.percentile(shown, 99))
        rows.append((name, f"{difference:.2f}", *(f"{value:.1f}" for value in values)))
    print(results.table(("", "CIEDE2000 to global", "median L*", "1 %", "99 %"), rows))
    light, water = drawn_light.white_water()
    shown = lab(printed(device, light))[..., 0]
    quantiles = ", ".join(f"{np.percentile(shown[water > 0], q):.0f}" for q in (5, 50, 95))
    print(f"  white water: L* {quantiles} (5, 50, 95 %); rocks {np.median(shown[water == 0]):.0f}")


def charts(device: Device) -> None:
    """Print how far a chart under even light is from its source."""
    light, truth = drawn_light.chart()
    truth_lab = metrics.srgb_to_lab(colour.srgb_encode(truth))
    for tone in ("linear", "flat", "natural"):
        patches = drawn_light.patch_means(linear(printed(device, light, tone=tone, sharpen=0.0)))
        found = metrics.srgb_to_lab(colour.srgb_encode(patches))
        error = metrics.delta_e_2000(found, truth_lab)
        print(
            f"  chart, {tone}: CIEDE2000 mean {error.mean():.2f}, max {error.max():.2f}; "
            f"hue at most {hue_error(found, truth_lab):.1f} degrees"
        )


def hue_error(found: Array64, truth: Array64) -> float:
    """Return the largest difference of hue angle, degrees, of L*a*b* colours with a chroma of 10 or more."""
    angles = [np.degrees(np.arctan2(values[..., 2], values[..., 1])) for values in (found, truth)]
    difference = np.abs((angles[0] - angles[1] + 180) % 360 - 180)
    return float(difference[np.hypot(truth[..., 1], truth[..., 2]) >= 10].max())


def main() -> None:
    """Print the tables."""
    device = choose()
    print(f"Prints of drawn light, 900 x 600, rooms {SIZE[1]} x {SIZE[0]}, on {device.name}")
    rooms(device)
    print()
    greys(device)
    print()
    darks(device)
    print()
    charts(device)


if __name__ == "__main__":
    main()
