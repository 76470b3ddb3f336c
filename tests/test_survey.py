"""Which frames of a burst are used, by the numbers and names that `longexpo info` prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from longexpo_cli.errors import BurstError
from longexpo_cli.survey import Guidance, Named, Range, choose_frames, frame_number
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Burst

BURST = Burst(Path("burst"), tuple(plain_shot(path=Path(f"f{n}.dng")) for n in range(8)), (), ())


@pytest.mark.parametrize(
    ("wanted", "skip", "numbers"),
    [
        ((2, 4), (), [2, 3, 4]),
        ((None, 1), (), [0, 1]),
        ((6, None), (), [6, 7]),
        (("f3.dng", "F5"), (), [3, 4, 5]),
        (None, (0, "f7.dng"), [1, 2, 3, 4, 5, 6]),
        ((2, 6), (3, 0), [2, 4, 5, 6]),
    ],
)
def test_chosen_frames_keep_their_numbers(
    wanted: Range | None, skip: tuple[Named, ...], numbers: list[int]
) -> None:
    chosen = choose_frames(BURST, wanted, skip)
    assert [shot.path.name for shot in chosen.shots] == [f"f{n}.dng" for n in numbers]
    assert [chosen.number(n) for n in range(len(numbers))] == numbers
    assert sorted([*numbers, *dict(chosen.skipped)]) == list(range(8))
    assert [frame_number(chosen, number) for number in numbers] == list(range(len(numbers)))


def test_without_a_choice_the_burst_is_as_it_was() -> None:
    assert choose_frames(BURST, None, ()) is BURST
    assert [BURST.number(n) for n in range(8)] == list(range(8))


def test_several_bursts_in_a_folder_need_a_choice() -> None:
    two = replace(BURST, several="has several bursts, 2 h apart: f0.dng to f3.dng, f4.dng to f7.dng")
    with pytest.raises(BurstError, match=r"has several bursts.* choose one with --frames FIRST:LAST"):
        choose_frames(two, None, ())
    assert len(choose_frames(two, (0, 3), ()).shots) == 4
    assert len(choose_frames(two, (0, None), ()).shots) == 8


@pytest.mark.parametrize(
    ("wanted", "skip", "message"),
    [
        ((4, 2), (), "comes after"),
        ((3, 3), (), "two or more"),
        ((0, 9), (), "there is no frame 9"),
        (("x", None), (), "'x' is not the name"),
        (None, (8,), "there is no frame 8"),
        (None, tuple(range(7)), "two or more"),
    ],
)
def test_a_choice_that_cannot_be_met(wanted: Range | None, skip: tuple[Named, ...], message: str) -> None:
    with pytest.raises(BurstError, match=message):
        choose_frames(BURST, wanted, skip)


def test_a_frame_that_was_left_out_is_no_reference() -> None:
    chosen = choose_frames(BURST, (2, 6), ())
    with pytest.raises(BurstError, match="left out"):
        frame_number(chosen, 1)


def test_the_frame_of_a_mask_is_the_reference_unless_it_is_named() -> None:
    mask = Path("mask.png")
    assert Guidance(reference=3, mask=mask).anchor == 3
    assert Guidance(reference=3, mask=mask, marked_frame=5).anchor == 5
    assert Guidance(mask=mask, marked_frame="f1").anchor == "f1"
    assert Guidance(mask=mask).anchor is None
    assert Guidance(reference=3, marked_frame=5).anchor == 3
