"""The exposures of frames brought together, and brackets told from a burst."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.files.exposure import Exposure, match, note


def by_ev(*stops: float) -> list[Exposure]:
    """Return exposures of 1/100 s times powers of two."""
    return [Exposure(0.01 * 2.0**stop, 100, 8) for stop in stops]


@pytest.mark.parametrize(
    ("other", "scale"),
    [
        (Exposure(0.01, 100, 8), 1.0),
        (Exposure(0.02, 100, 8), 0.5),
        (Exposure(0.01, 400, 8), 0.25),
        (Exposure(0.01, 100, 4), 0.25),
        (Exposure(0.01, 100, 16), 4.0),
        (Exposure(0.02, 200, 16), 1.0),
        (Exposure(0.01, None, 8), 1.0),
        (Exposure(0.01, 100, None), 1.0),
        (Exposure(None, 800, 2), 1.0),
    ],
)
def test_light_is_time_times_iso_over_aperture_squared(other: Exposure, scale: float) -> None:
    matched = match([Exposure(0.01, 100, 8)] * 3 + [other])
    assert matched.scales == pytest.approx((1, 1, 1, scale))


def test_the_usual_exposure_is_that_which_most_frames_are_near_to() -> None:
    rng = np.random.default_rng(5)
    for count in range(1, 60):
        stops = [float(stop) for stop in rng.choice([rng.uniform(-1, 1), -0.25, 0, 0.25, 0.5, 1], count)]
        near = {stop: sum(abs(other - stop) <= 0.25 for other in stops) for stop in stops}
        usual = min(stops, key=lambda stop: (-near[stop], stop))
        reference = np.median([stop for stop in stops if abs(stop - usual) <= 0.25])
        scales = match([Exposure(2.0**stop, 100, 1) for stop in stops]).scales
        assert scales == pytest.approx([2.0 ** (reference - stop) for stop in stops])


def test_without_exposures_nothing_is_scaled() -> None:
    matched = match([Exposure(None, None, None)] * 3)
    assert matched.scales == (1, 1, 1)
    assert matched.is_bracket == (False,) * 3
    assert match([Exposure(0.1, None, None)] * 2).scales == (1, 1)


@pytest.mark.parametrize(
    ("stops", "brackets"),
    [
        ((0, -2, 2) * 3, (0, 2, 3, 5, 6, 8)),  # a tie: the lowest is the burst
        ((0, 0, 2, 0, 0), (2,)),
        ((0, 0, 0, 0, 4.3), (4,)),
        ((2, 0, 2, 0, 2, 0), (0, 2, 4)),
        ((0, 0, 2, 2, 0, 0, 2, 2), (2, 3, 6, 7)),
        ((0, 0, 0.3, 0.3, 0.7, 0.7, 1, 1, 1.3), ()),  # dusk: the camera opens by thirds of a stop
        (tuple(n / 6 for n in range(20)), ()),
        (tuple(-n / 6 for n in range(20)), ()),
        ((0,) * 4 + (1,) * 5, ()),  # the photographer opened the aperture
        ((0,) * 5 + (1,) * 4, ()),
        ((0,) * 5 + (2,) * 4, ()),  # ISO 100 to 400
        ((0,) * 5 + (3,) * 4, (5, 6, 7, 8)),
        ((3,) * 3 + (0,) * 6, (0, 1, 2)),
        ((0, 0, 0, -3, -3, -3, 3, 3, 3), (0, 1, 2, 6, 7, 8)),
        ((-2,) * 4 + (0,) * 5, ()),
        ((0, 0, 0, 0.7, 0.7, 0, 0), ()),  # automatic exposure reacts for a moment
        ((0, 0.2, -0.2, 0.2, 0), ()),
        ((0, 0, -1, 0, 0), ()),  # a frame of lower exposure is dark, not smeared
    ],
)
def test_brackets_alternate_and_bursts_drift(stops: tuple[float, ...], brackets: tuple[int, ...]) -> None:
    matched = match(by_ev(*stops))
    assert tuple(n for n, is_bracket in enumerate(matched.is_bracket) if is_bracket) == brackets
    lights = [2.0**stop * scale for stop, scale in zip(stops, matched.scales, strict=True)]
    assert lights == pytest.approx([lights[0]] * len(lights))


def test_a_note_says_how_much_exposures_differ() -> None:
    assert note(match(by_ev(0, 0, 0.3, 0.3))) == ""
    assert note(match(by_ev(0, 0, 0, 2))) == ""  # the bracket is named on its own
    expected = "frames differ by 1.0 EV in exposure and are brought to one brightness"
    assert note(match(by_ev(0, 0, 0, 1, 1))) == expected


@pytest.mark.parametrize(
    ("stops", "said"),
    [
        ((-2, 0, 2) * 3, "--exposure 2.0 makes"),
        ((0, 3) * 3, "--exposure 1.5 makes"),
        ((0, 0, 2, 0, 0), ""),
        ((0,) * 5, ""),
    ],
)
def test_a_print_as_dark_as_the_darkest_part_of_a_bracket_is_said(
    stops: tuple[float, ...], said: str
) -> None:
    found = note(match([Exposure(2.0**stop / 100, 100, 4) for stop in stops]))
    assert (said in found) if said else not found
