"""The order and the times of frames, from names and headers."""

from __future__ import annotations

import datetime
import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from longexpo_cli.files.names import by_name, rolled_over, time_in
from longexpo_cli.files.order import SAME_TIMES, Order, Stamp, find_order

NOON = datetime.datetime(2024, 6, 1, 12)


def shuffled(stamps: Sequence[Stamp]) -> list[Stamp]:
    """Return stamps in an order that says nothing."""
    return random.Random(3).sample(list(stamps), len(stamps))


def ordered(stamps: Sequence[Stamp]) -> tuple[list[str], Order]:
    """Return the names in the order found for shuffled stamps, and that order."""
    mixed = shuffled(stamps)
    found = find_order(mixed)
    return [mixed[n].name for n in found.frames], found


def at(name: str, seconds: float, digits: int = 3, **more: float) -> Stamp:
    """Return a stamp with sub-seconds of so many digits, 0 for none."""
    ms = round(seconds * 1000)
    fraction = f"{ms % 1000:03d}"[:digits]
    return Stamp(name, NOON + datetime.timedelta(seconds=ms // 1000), fraction, **more)


def bare(names: Sequence[str]) -> list[Stamp]:
    """Return stamps without times."""
    return [Stamp(name) for name in names]


NAMES_IN_ORDER = {
    "plain before (1)": ["a.jpg", "a (1).jpg", "a (2).jpg", "a (10).jpg"],
    "opencamera": ["I_120000.jpg", "I_120000 (1).jpg", "I_120001.jpg", "I_120001 (1).jpg"],
    "underscore": ["IMG_7.jpg", "IMG_7_1.jpg", "IMG_7_2.jpg", "IMG_8.jpg"],
    "hyphen": ["a.jpg", "a-1.jpg", "a-2.jpg"],
    "tilde": ["PXL_1.jpg", "PXL_1~2.jpg", "PXL_1~3.jpg"],
    "copy": ["a.jpg", "a copy.jpg", "a copy 2.jpg", "a copy 3.jpg"],
    "Windows": ["a.png", "a - Copy.png", "a - Copy (2).png", "a - Copy (3).png"],
    "brackets only": ["b (1).jpg", "b (2).jpg", "b (10).jpg"],
    "in brackets": ["20240601_120000(0).jpg", "20240601_120000(1).jpg", "20240601_120000(10).jpg"],
    "cover": ["I_1_BURST001.jpg", "I_1_BURST002_COVER.jpg", "I_1_BURST003.jpg"],
    "number first": [
        "00000IMG_00000_BURST1.jpg",
        "00001IMG_00001_BURST1_COVER.jpg",
        "00002IMG_00002_BURST1.jpg",
    ],
    "rollover": ["DSC_9998.JPG", "DSC_9999.JPG", "DSC_0001.JPG", "DSC_0002.JPG"],
    "rollover to 0": ["f997.png", "f999.png", "f000.png", "f001.png"],
    "two digits": ["f98.png", "f99.png", "f00.png", "f01.png"],
    "five digits, four count": ["DSC09998.ARW", "DSC09999.ARW", "DSC00001.ARW", "DSC00002.ARW"],
    "DJI": ["DJI_0998.DNG", "DJI_0999.DNG", "DJI_0001.DNG"],
    "day before": ["P6019998.ORF", "P6019999.ORF", "P6010001.ORF", "P6010002.ORF"],
    "no rollover": ["f_0001.png", "f_0002.png", "f_0098.png", "f_0099.png"],
    "growing": ["f_98.png", "f_99.png", "f_100.png", "f_101.png"],
    "half the range": ["f0.png", "f1.png", "f2.png", "f8.png", "f9.png"],
}


@pytest.mark.parametrize("names", NAMES_IN_ORDER.values(), ids=NAMES_IN_ORDER)
@pytest.mark.parametrize("is_timed", [False, True], ids=["no times", "one second"])
def test_names_give_the_order_where_times_do_not(names: list[str], is_timed: bool) -> None:
    stamps = [Stamp(name, NOON if is_timed else None) for name in names]
    found, order = ordered(stamps)
    assert found == names
    assert (SAME_TIMES in order.notes) == (is_timed and order.source == "exif whole seconds")
    assert len({round(b - a, 9) for a, b in itertools.pairwise(order.start_s)}) == 1
    assert not order.strays
    assert not order.several


def test_a_rollover_is_noted_unless_times_confirm_it() -> None:
    names = ["DSC_9998.JPG", "DSC_9999.JPG", "DSC_0001.JPG", "DSC_0002.JPG"]
    _, doubtful = ordered([Stamp(name, NOON) for name in names])
    assert any("DSC_0001.JPG is taken to follow DSC_9999.JPG" in note for note in doubtful.notes)
    seconds = (0, 0, 0, 1)
    found, sure = ordered([at(name, second, 0) for name, second in zip(names, seconds, strict=True)])
    assert found == names
    assert sure.notes == (SAME_TIMES,)


def test_times_overrule_a_rollover_that_did_not_happen() -> None:
    names = ["f_01.png", "f_02.png", "f_98.png", "f_99.png"]
    found, _ = ordered([at(name, n, 0) for n, name in enumerate(names)])
    assert found == names
    assert rolled_over(names) is not None


def test_names_that_do_not_count_are_no_counter() -> None:
    assert not by_name(["a3f.png", "b71.png", "c02.png"]).is_counted
    assert by_name(["a1.png", "a2.png"]).is_counted
    assert rolled_over(["a.png", "b.png"]) is None
    assert rolled_over(["a1.png"]) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IMG_20240601_120000.jpg", (NOON, "")),
        ("PXL_20240601_120000123.jpg", (NOON, "123")),
        ("IMG_20240601_120000_5.jpg", (NOON, "")),
        ("2024-06-01 12.00.00.png", (NOON, "")),
        ("WhatsApp Image 2024-06-01 at 12.00.00.jpeg", (NOON, "")),
        ("00001IMG_00001_BURST20240601120000123_COVER.jpg", (NOON, "123")),
        ("IMG_20240631_120000.jpg", None),
        ("DSC_0001.JPG", None),
    ],
)
def test_times_in_names(name: str, expected: tuple[datetime.datetime, str] | None) -> None:
    assert time_in(name) == expected


def test_times_in_names_order_frames_that_have_no_others() -> None:
    names = ["PXL_20240601_120000050.jpg", "MVIMG_20240601_120000250.jpg", "PXL_20240601_120000450.jpg"]
    found, order = ordered(bare(names))
    assert found == names
    assert order.source == "file names"
    assert order.start_s == pytest.approx((0, 0.2, 0.4))


def test_fractions_in_names_that_count_are_no_times() -> None:
    names = [f"IMG_20240601_12000{n // 4}_{n + 1:03d}.jpg" for n in range(9)]
    found, order = ordered(bare(names))
    assert found == names
    assert order.start_s == pytest.approx([0.25 * n for n in range(9)])


def test_fractions_in_names_complete_times_in_whole_seconds() -> None:
    stamps = [
        Stamp(
            f"PXL_20240601_10000{n // 4}{100 + 250 * (n % 4):03d}.jpg",
            NOON + datetime.timedelta(seconds=n // 4),
        )
        for n in range(9)
    ]
    found, order = ordered(stamps)
    assert found == [stamp.name for stamp in stamps]
    assert order.source == "exif with fractions"
    assert order.start_s == pytest.approx([0.25 * n for n in range(9)])
    other = [replace(stamp, taken=NOON + datetime.timedelta(seconds=7)) for stamp in stamps]
    assert ordered(other)[1].source == "exif whole seconds"


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("names", [[f"IMG_{n:04d}.jpg" for n in range(9)], list("kdfbqacwz")])
def test_sub_seconds_as_written(digits: int, names: list[str]) -> None:
    stamps = [at(name, 0.7 + 0.1 * n, digits) for n, name in enumerate(names)]
    found, order = ordered(stamps)
    assert found == names
    assert order.source == "exif with fractions"
    assert order.start_s == pytest.approx([0.1 * n for n in range(9)])
    assert order.notes == ()


@pytest.mark.parametrize("names", [[f"IMG_{n:04d}.jpg" for n in range(9)], list("kdfbqacwz")])
@pytest.mark.parametrize("first_ms", [5, 20, 940])
def test_sub_seconds_without_leading_zeros(names: list[str], first_ms: int) -> None:
    times = [first_ms + 60 * n for n in range(9)]
    stamps = [
        Stamp(name, NOON + datetime.timedelta(seconds=ms // 1000), str(ms % 1000))
        for name, ms in zip(names, times, strict=True)
    ]
    found, order = ordered(stamps)
    assert found == names
    assert order.start_s == pytest.approx([0.06 * n for n in range(9)])
    assert order.notes == ("sub-seconds are written without leading zeros",)


def test_sub_seconds_without_trailing_zeros_are_fractions() -> None:
    written = ("1", "15", "2", "25", "3", "35")
    found, order = ordered([Stamp(f"{n}.jpg", NOON, text) for n, text in enumerate(written)])
    assert found == [f"{n}.jpg" for n in range(6)]
    assert order.start_s == pytest.approx([0.05 * n for n in range(6)])


@pytest.mark.parametrize("names", [[f"IMG_{n:04d}.jpg" for n in range(9)], list("kdfbqacwz")])
def test_one_frame_without_sub_seconds_is_put_where_it_belongs(names: list[str]) -> None:
    stamps = [at(name, 0.1 * n) for n, name in enumerate(names)]
    stamps[4] = Stamp(names[4], NOON)
    found, order = ordered(stamps)
    assert found == names
    assert order.start_s == pytest.approx([0.1 * n for n in range(9)], abs=0.06)
    assert order.source == "exif with fractions"


def test_one_frame_without_a_time_is_put_where_its_name_says() -> None:
    stamps = [at(f"IMG_{n:04d}.jpg", 0.1 * n) for n in range(9)]
    stamps[4] = Stamp("IMG_0004.jpg")
    found, order = ordered(stamps)
    assert found == [f"IMG_{n:04d}.jpg" for n in range(9)]
    assert order.start_s == pytest.approx([0.1 * n for n in range(9)])
    assert any("1 of the frames have no time" in note for note in order.notes)


def test_a_frame_without_a_time_is_a_stray_where_names_say_nothing() -> None:
    names = list("kdfbqacwz")
    stamps = [at(name, 0.1 * n) for n, name in enumerate(names)]
    stamps[4] = Stamp("q")
    found, order = ordered(stamps)
    assert found == list("kdfbacwz")
    assert [why for _, why in order.strays] == [
        "has no usable time, and the file names do not say where it belongs"
    ]


def test_time_zones_that_differ() -> None:
    stamps = [at(f"IMG_{n:04d}.jpg", 0.1 * n, offset_s=7200) for n in range(4)]
    stamps += [at(f"IMG_{n:04d}.jpg", 0.1 * n - 3600, offset_s=3600) for n in range(4, 9)]
    found, order = ordered(stamps)
    assert found == [f"IMG_{n:04d}.jpg" for n in range(9)]
    assert order.start_s == pytest.approx([0.1 * n for n in range(9)])


def test_a_time_zone_that_was_changed_without_the_clock() -> None:
    stamps = [at(f"IMG_{n:04d}.jpg", 0.1 * n, offset_s=7200 if n < 4 else 3600) for n in range(9)]
    found, order = ordered(stamps)
    assert found == [f"IMG_{n:04d}.jpg" for n in range(9)]
    assert order.start_s == pytest.approx([0.1 * n for n in range(9)])


@pytest.mark.parametrize("shift_s", [-3600.0, 3600.0, -7200.0, 1800.0])
@pytest.mark.parametrize("turn", [2, 4, 7])
@pytest.mark.parametrize("digits", [0, 3])
def test_a_clock_that_is_set_during_the_burst(shift_s: float, turn: int, digits: int) -> None:
    stamps = [at(f"IMG_{n:04d}.jpg", 0.1 * n + (shift_s if n >= turn else 0), digits) for n in range(9)]
    found, order = ordered(stamps)
    assert found == [f"IMG_{n:04d}.jpg" for n in range(9)]
    assert order.start_s[-1] < 2
    assert order.notes
    assert not order.several


YEAR_S = 365 * 86400.0


@pytest.mark.parametrize(
    ("odd", "off_s"),
    [
        *itertools.product((0, 3, 8), (-20 * YEAR_S, 5 * YEAR_S)),
        *itertools.product((1, 3, 7), (-777.0, -40.0, 0.31)),  # at an end, that would be another picture
    ],
)
def test_one_frame_with_a_wrong_time_stays_where_its_name_says(odd: int, off_s: float) -> None:
    stamps = [at(f"IMG_{n:04d}.jpg", 0.1 * n + (off_s if n == odd else 0)) for n in range(9)]
    found, order = ordered(stamps)
    assert found == [f"IMG_{n:04d}.jpg" for n in range(9)]
    assert order.start_s == pytest.approx([0.1 * n for n in range(9)])
    assert any(f"IMG_{odd:04d}.jpg" in note for note in order.notes)
    assert len(order.misdated) == 1


def test_times_decide_where_the_names_contradict_them_and_intervals_are_even() -> None:
    stamps = [at(f"{name}.jpg", 0.1 * n) for n, name in enumerate((3, 1, 7, 2, 5, 4, 9, 8))]
    found, order = ordered(stamps)
    assert found == [f"{n}.jpg" for n in (3, 1, 7, 2, 5, 4, 9, 8)]
    assert order.notes == ("the file names contradict the times; the order is that of the times",)
    swapped = [at(f"{name}.jpg", 0.1 * n) for n, name in enumerate((1, 2, 3, 5, 4, 6, 7, 8))]
    assert ordered(swapped)[0] == [f"{n}.jpg" for n in (1, 2, 3, 5, 4, 6, 7, 8)]


def test_one_picture_minutes_away_is_a_stray() -> None:
    stamps = [at(f"IMG_{n:04d}.jpg", 0.1 * n + (180 if n else 0)) for n in range(9)]
    found, order = ordered(stamps)
    assert found == [f"IMG_{n:04d}.jpg" for n in range(1, 9)]
    assert [why for _, why in order.strays] == ["was taken 3 min before the other frames"]


def test_two_bursts_are_told_apart() -> None:
    times = [0.1 * n for n in range(5)] + [9000.2 + 0.1 * n for n in range(4)]
    _, order = ordered([at(f"IMG_{n:04d}.jpg", time) for n, time in enumerate(times)])
    assert order.several == (
        "has several bursts, 2.5 h apart: IMG_0000.jpg to IMG_0004.jpg, IMG_0005.jpg to IMG_0008.jpg"
    )
    assert order.notes == ()
    _, order = ordered([at(name, time) for name, time in zip("kdfbqacwz", times, strict=True)])
    assert order.several


def test_a_pause_is_noted() -> None:
    times = [0.1 * n for n in range(5)] + [10 + 0.1 * n for n in range(4)]
    _, order = ordered([at(f"IMG_{n:04d}.jpg", time) for n, time in enumerate(times)])
    assert not order.several
    assert any("IMG_0004.jpg and IMG_0005.jpg, 96 times" in note for note in order.notes)
    _, even = ordered([at(f"IMG_{n:04d}.jpg", 600 * n, 0) for n in range(5)])
    assert even.notes == ()


def test_other_names_among_frames_without_times() -> None:
    _, order = ordered(bare(["f1.png", "f2.png", "f3.png", "Screenshot.png"]))
    assert [why for _, why in order.strays] == ["has no time, and its name is unlike the others'"]
    _, order = ordered(bare(["a1.png", "a2.png", "b1.png", "b2.png"]))
    assert any("begin in several ways" in note for note in order.notes)
    found, order = ordered(bare(["first.png", "second.png"]))
    assert (found, order.strays) == (["first.png", "second.png"], ())
    assert order.notes == (
        "there are no times, and file names do not count; the order is that of the alphabet",
    )


def test_numbers_that_leap_are_noted_where_there_are_no_times() -> None:
    _, order = ordered(bare(["f001.png", "f002.png", "f003.png", "f101.png", "f102.png"]))
    assert order.notes == (
        "there are no times, and the numbers leap from f003.png to f101.png; is it one burst?",
    )
    for names in (["f01.png", "f02.png", "f05.png"], [f"f{n:04d}.png" for n in range(0, 500, 50)]):
        assert ordered(bare(names))[1].notes == ()


def test_one_frame_has_an_order() -> None:
    assert find_order([Stamp("a.jpg")]).start_s == (0.0,)
    assert find_order([Stamp("a.jpg", NOON)]).start_s == (0.0,)
    assert find_order([Stamp("a.jpg", NOON, "5")]).start_s == (0.0,)


def test_a_burst_in_order_has_no_wrong_date() -> None:
    stamps = [at(f"IMG_{n:04d}.jpg", 0.1 * n) for n in range(9)]
    stamps[4] = Stamp("IMG_0004.jpg", NOON)
    assert ordered(stamps)[1].misdated == ()


def test_sub_seconds_that_never_change_are_none() -> None:
    stamps = [Stamp(f"IMG_{n:04d}.jpg", NOON + datetime.timedelta(seconds=n // 4), "00") for n in range(9)]
    _, order = ordered(stamps)
    assert order.source == "exif whole seconds"
    assert order.start_s == pytest.approx([0.25 * n for n in range(9)])


@pytest.mark.parametrize("seed", range(200))
def test_any_headers_give_an_order(seed: int) -> None:
    generator = random.Random(seed)
    count = generator.choice([1, 2, 3, 5, 9])
    kind = generator.randrange(4)
    stamps = []
    for n in range(count):
        name = (
            f"DSC_{(9996 + n) % 10000:04d}.jpg",
            f"x ({n}).png",
            f"{generator.random()}.jpg",
            f"{n:x}\udce9",
        )[kind]
        taken = NOON + datetime.timedelta(seconds=generator.choice([0, 1, n, -3600, 10**8]))
        fraction = generator.choice(["", "5", "000", str(generator.randint(0, 999))])
        offset_s = generator.choice([None, 3600.0, 7200.0])
        stamps.append(Stamp(name, taken, fraction, offset_s) if generator.random() < 0.9 else Stamp(name))
    order = find_order(stamps)
    assert sorted([*order.frames, *(n for n, _ in order.strays)]) == list(range(count))
    assert order.start_s[0] == 0
    assert list(order.start_s) == sorted(order.start_s)
    assert len(order.start_s) == len(order.frames)


@pytest.mark.parametrize("date", [(2031, 1, 1), (1904, 1, 1), (1970, 1, 1)])
@pytest.mark.parametrize("count", [2, 3, 9])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_frame_dated_far_away_does_not_lengthen_the_exposure(
    date: tuple[int, int, int], count: int, place: str
) -> None:
    at = {"first": 0, "middle": count // 2, "last": count - 1}[place]
    noon = datetime.datetime(2024, 5, 6, 12)
    stamps = [Stamp(f"f{n}.dng", noon + datetime.timedelta(seconds=n), "5") for n in range(count)]
    stamps[at] = Stamp(f"f{at}.dng", datetime.datetime(*date), "5")
    found = find_order(stamps)
    if count == 2:
        assert found.several.startswith("is hardly one burst")
        return
    assert not found.several
    assert found.frames == tuple(range(count))
    assert found.start_s == pytest.approx(range(count))
    assert found.misdated == (at,)
    assert f"f{at}.dng: dated far away" in found.notes[0]


def test_one_frame_a_day_is_a_burst() -> None:
    noon = datetime.datetime(2024, 5, 6, 12)
    stamps = [Stamp(f"f{n}.dng", noon + datetime.timedelta(days=1.5 * n)) for n in range(5)]
    assert not find_order(stamps).several


@pytest.mark.parametrize("step_s", [0.125, 0.5, 1.0])
@pytest.mark.parametrize(("at", "by_s"), [(7, 5), (7, 40), (0, -5), (0, -40)])
def test_a_wrong_time_at_an_end_does_not_change_the_interval(step_s: float, at: int, by_s: int) -> None:
    """In whole seconds, frames are evenly spaced over the time from the first to the last."""
    start = datetime.datetime(2024, 5, 1, 12)
    taken = [(start + datetime.timedelta(seconds=n * step_s)).replace(microsecond=0) for n in range(8)]
    usual = find_order([Stamp(f"f{n}.dng", time) for n, time in enumerate(taken)]).start_s[1]
    taken[at] += datetime.timedelta(seconds=by_s)
    found = find_order([Stamp(f"f{n}.dng", time) for n, time in enumerate(taken)])
    assert found.frames == tuple(range(8))
    assert found.start_s[1] == pytest.approx(usual, rel=0.2)
    assert any("pass between" in note or "do not count" in note for note in found.notes)


@pytest.mark.parametrize("days", [8, 30, 365])
def test_frames_that_are_evenly_weeks_apart_are_no_burst(days: int) -> None:
    start = datetime.datetime(2001, 1, 1)
    stamps = [Stamp(f"f{n}.dng", start + datetime.timedelta(days=days * n)) for n in range(8)]
    assert "hardly one burst" in find_order(stamps).several
