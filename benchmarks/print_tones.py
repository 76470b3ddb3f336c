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
from longexpo_cli import colour, metrics
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.stages import finish as stage
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Photograph, Print

ROOMS = {
    "room, window 5 %, top right": (0.05, (0.1, 0.9), 7.5),
    "room, window 10 %": (0.10, (0.3, 0.3), 7.5),
    "room, window 12 %, 8.5 EV": (0.12, (0.3, 0.3), 8.5),
    "room, window 25 %, low left": (0.25, (0.9, 0.1), 7.5),
    "room, window 40 %": (0.40, (0.5, 0.5), 7.5),
}
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
    with mock.patch.multiple(stage, highlight_ev=lambda *_: 0.0, shadow_ev=lambda *_: 0.0):
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
    """Print the table of rooms against the light."""
    rows = []
    for name, (share, at, depth_ev) in ROOMS.items():
        light, pane = drawn_light.room(share, at, depth_ev)
        print_, before = printed(device, light), printed_globally(device, light)
        shown, shown_before = lab(print_)[..., 0], lab(before)[..., 0]
        rows.append(
            (
                name,
                f"{np.median(shown_before):.1f} -> {np.median(shown):.1f}",
                f"{100 * (shown_before < 3).mean():.1f} -> {100 * (shown < 3).mean():.1f}",
                f"{shadow_slope(light, shown_before):.1f} -> {shadow_slope(light, shown):.1f}",
                f"{np.percentile(shown[pane], 50):.0f}, {np.percentile(shown[pane], 99):.0f}",
                f"{detail(light, print_, pane):.2f}",
                f"{print_.gain_high_ev:.2f}",
            )
        )
    head = ("global -> local", "median L*", "% under L* 3", "L*/EV, dark", "window", "its detail", "HDR EV")
    print(results.table(head, rows))


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
    print(f"Prints of drawn light, 900 x 600, on {device.name}")
    rooms(device)
    print()
    greys(device)
    print()
    darks(device)
    print()
    charts(device)


if __name__ == "__main__":
    main()
