"""Frames vote: a tag that is damaged in one frame changes no picture, in whichever frame it is."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array16, Array64
from longexpo_cli.errors import BurstError
from longexpo_cli.files import jpeg, votes
from longexpo_cli.files.votes import Stated
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop, load
from longexpo_cli.survey import survey
from longexpo_cli.synth.dng import COLOR_MATRIX, DngMetadata, write_dng
from longexpo_cli.types import NoiseProfile, Shot
from longexpo_cli.watch import Watch
from tests.dng import START

BLACK, WHITE = 64, 4095
NOISE = (2e-4, 1e-6)
# What is wrong with one frame's tags.
WRONG: dict[str, Mapping[str, Any]] = {
    "white higher": {"white_dn": 16383},
    "white lower": {"white_dn": 1023},
    "white a little lower": {"white_dn": 3583},
    "no black": {"black_dn": (0, 0, 0, 0)},
    "one black": {"black_dn": (64, 64, 64, 576)},
    "black too high": {"black_dn": (2112, 2112, 2112, 2112)},
    "balance": {"as_shot_neutral": (0.05, 1.0, 0.9)},
    "balance a little": {"as_shot_neutral": (0.75, 1.0, 0.625)},
    "matrix": {"color_matrix": COLOR_MATRIX[::-1]},
    "noise": {"noise": (0.2, 1e-2)},
    "less noise": {"noise": (1e-9, 1e-12)},
    "pattern": {"cfa": "BGGR"},
}
PLACES = [(3, 0), (3, 1), (3, 2), (9, 0), (9, 4), (9, 8)]


def scene(seed: int, size: tuple[int, int] = (32, 48)) -> Array16:
    """Return a mosaic RGGB of one colour with noise."""
    values = np.tile(np.array([[0.2, 0.4], [0.4, 0.25]]), (size[0] // 2, size[1] // 2))
    light = values + np.random.default_rng(seed).normal(0, 0.01, size)
    return np.rint(BLACK + light * (WHITE - BLACK)).astype(np.uint16)


def write_burst(folder: Path, count: int, wrong: Mapping[int, Mapping[str, Any]]) -> None:
    for n in range(count):
        start = START + datetime.timedelta(seconds=n / 8)
        tags: dict[str, Any] = {"noise": NOISE, "start": start, **wrong.get(n, {})}
        write_dng(folder / f"frame_{n}.dng", scene(n), DngMetadata(**tags))


def colour(shot: Shot) -> Array64:
    """Return the mean light of a frame in the working space."""
    mosaic = develop.read(shot)
    own = mosaic.shot
    assert own.cfa is not None
    light = np.zeros(3)
    for at, letter in enumerate(own.cfa):
        plane = mosaic.values[at // 2 :: 2, at % 2 :: 2].astype(np.float64)
        value = (plane.mean() - own.black_dn[at]) / (own.white_dn - own.black_dn[at])
        light["RGB".index(letter)] += value / own.cfa.count(letter)
    balanced = light * np.array(own.wb_gains) * own.exposure_scale
    return np.asarray(own.camera_to_working @ balanced)


@pytest.mark.long
@pytest.mark.parametrize(("count", "place"), PLACES)
@pytest.mark.parametrize("what", WRONG)
def test_one_frames_wrong_tag_changes_no_light(tmp_path: Path, what: str, count: int, place: int) -> None:
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    write_burst(tmp_path / "right", count, {})
    write_burst(tmp_path / "wrong", count, {place: WRONG[what]})
    right = load.load(tmp_path / "right", load.Params())
    found = load.load(tmp_path / "wrong", load.Params())
    bad = f"frame_{place}.dng"
    named = [path.name for path, _ in found.refused] + [n for note in found.all_notes for n in note.split()]
    assert any(name.rstrip(",;") == bad for name in named)
    assert len(found.shots) >= count - 1
    for shot in found.shots:
        assert colour(shot) == pytest.approx(colour(right.shots[0]), rel=0.03)
        profile = right.shots[0].noise
        assert (shot.noise.scale, shot.noise.offset) == pytest.approx((profile.scale, profile.offset))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("what", [name for name in WRONG if "noise" not in name])
def test_two_frames_that_contradict_each_other_are_refused(tmp_path: Path, what: str, place: int) -> None:
    write_burst(tmp_path, 2, {place: WRONG[what]})
    with pytest.raises(BurstError, match="frames differ in"):
        load.load(tmp_path, load.Params())


def test_of_two_noise_profiles_that_contradict_each_other_none_is_used(tmp_path: Path) -> None:
    write_burst(tmp_path, 2, {0: WRONG["noise"]})
    found = load.load(tmp_path, load.Params())
    assert found.shots[0].noise == found.shots[1].noise
    assert found.shots[0].noise.scale < 1e-3
    assert any("noise profiles" in note for note in found.notes)


def test_an_automatic_white_balance_that_drifts_is_evened(tmp_path: Path) -> None:
    drift = {n: {"as_shot_neutral": (0.4 + 0.04 * n, 1.0, 0.7 - 0.03 * n)} for n in range(7)}
    write_burst(tmp_path, 7, drift)
    found = load.load(tmp_path, load.Params())
    assert len(found.shots) == 7
    assert {shot.wb_gains for shot in found.shots} == {found.shots[0].wb_gains}
    assert found.shots[0].wb_gains[0] == pytest.approx(1 / 0.52, rel=1e-4)
    assert not any("white balance" in note for note in found.notes)


def test_black_that_varies_with_the_temperature_is_each_frames_own(tmp_path: Path) -> None:
    write_burst(tmp_path, 5, {n: {"black_dn": (62 + n,) * 4} for n in range(5)})
    found = load.load(tmp_path, load.Params())
    assert not found.refused
    assert [develop.read(shot).shot.black_dn[0] for shot in found.shots] == [62, 63, 64, 65, 66]


def stated(iso: float = 100, black: float = 512, white: float = 16000, noise: float = 1e-4) -> Stated:
    profile = NoiseProfile(noise * iso / 100, 1e-6 * (iso / 100) ** 2)
    return Stated("a.dng", iso, (black,) * 4, (white,), (2.0, 1.0, 1.5), np.eye(3), profile)


def test_levels_may_depend_on_the_iso() -> None:
    frames = [stated(100, white=13600), stated(100, white=13600), stated(200), stated(200), stated(400)]
    assert votes.agree(frames).odd == ()


def test_a_level_alone_with_its_iso_is_compared_with_all() -> None:
    frames = [stated(200, white=4000), stated(100), stated(100), stated(100)]
    assert [n for n, _ in votes.agree(frames).odd] == [0]


def test_two_of_one_iso_are_judged_by_the_rest() -> None:
    frames = [stated(200, black=0), stated(200), stated(100), stated(100), stated(100)]
    assert [n for n, _ in votes.agree(frames).odd] == [0]


def test_levels_that_contradict_each_other_at_every_iso_are_a_tie() -> None:
    frames = [stated(200, black=0), stated(200), stated(100, black=0), stated(100)]
    assert votes.agree(frames).tie == "black or white level"


def test_noise_may_grow_with_the_iso() -> None:
    frames = [stated(iso) for iso in (100, 200, 400, 800)]
    assert [profile.scale for profile in votes.agree(frames).noise if profile] == [
        frame.noise.scale for frame in frames if frame.noise
    ]


def test_the_place_of_a_frame_does_not_matter() -> None:
    frames = [stated(black=0), stated(), stated(), stated(noise=1.0), stated()]
    for turn in range(5):
        turned = frames[turn:] + frames[:turn]
        found = votes.agree(turned)
        assert [turned[n].black_dn[0] for n, _ in found.odd] == [0]
        assert sum(profile == frames[1].noise for profile in found.noise) == 4


def test_an_exposure_compensation_unlike_the_others_is_not_used() -> None:
    frames = [Stated("a.dng", 100, (0,), (1000,), None, None, None, ev) for ev in (0.3, 9.0, 0.5)]
    found = votes.agree(frames)
    assert found.baseline_ev == (0.3, 0.5, 0.5)
    assert "a.dng" in found.notes[0]


def with_one_exposure(device: Device, folder: Path, place: int, factor: float, **tags: Any) -> list[float]:
    """Write five frames, one of them brighter by a factor, with tags of its own; return light as rendered."""
    for n in range(5):
        start = START + datetime.timedelta(seconds=n / 8)
        own: dict[str, Any] = {"noise": NOISE, "start": start, **(tags if n == place else {})}
        values = (scene(n, (64, 96)).astype(np.float64) - BLACK) * (factor if n == place else 1.0) + BLACK
        write_dng(folder / f"frame_{n}.dng", np.rint(values).astype(np.uint16), DngMetadata(**own))
    burst = load.load(folder, load.Params())
    found, *_ = survey(burst, None, develop.Params(low_side=64), device, Watch())
    assert len(found.shots) == 5
    is_named = any(f"frame_{place}.dng is exposed like" in note for note in found.all_notes)
    assert is_named == (factor == 1)
    assert any("brought to one brightness" in note for note in found.all_notes) != is_named
    return [float(colour(shot)[1]) for shot in found.shots]


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("tags", [{"exposure_s": 1 / 960}, {"exposure_s": 1 / 100}, {"iso": 50}])
def test_a_frame_that_is_as_bright_as_the_others_is_exposed_like_them(
    one_device: Device, tmp_path: Path, place: int, tags: Mapping[str, Any]
) -> None:
    light = with_one_exposure(one_device, tmp_path, place, 1.0, **tags)
    assert light == pytest.approx([light[(place + 1) % 5]] * 5, rel=0.03)


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_frame_that_is_as_dark_as_its_header_says_is_brought_to_one_brightness(
    one_device: Device, tmp_path: Path, place: int
) -> None:
    light = with_one_exposure(one_device, tmp_path, place, 0.25, exposure_s=1 / 240)
    assert light == pytest.approx([light[(place + 1) % 5]] * 5, rel=0.03)


def tables(quality: int) -> bytes:
    data = bytes(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
    return jpeg.quantization_tables(data)


def test_quantization_tables_of_another_quality_are_no_damage() -> None:
    usual = tables(90)
    assert len(usual) == 2 * 65
    for quality in range(50, 100):
        assert votes.damaged_tables([tables(quality)] * 2 + [tables(quality + 1)]) == []
        assert votes.damaged_tables([tables(quality + 1)] * 2 + [tables(quality)]) == []
    assert votes.damaged_tables([usual, usual, b""]) == []
    assert votes.damaged_tables([b"", b"", usual]) == []


@pytest.mark.parametrize("at", [0, 1, 20, 100])
def test_a_few_other_numbers_in_a_quantization_table_are_damage(at: int) -> None:
    usual = tables(90)
    flipped = usual[:at] + bytes([usual[at] ^ 0x20]) + usual[at + 1 :]
    assert votes.damaged_tables([flipped, usual, usual]) == [0]
    assert votes.damaged_tables([usual, flipped, usual, usual]) == [1]
    assert votes.damaged_tables([usual, flipped]) == []


def test_a_jpeg_with_a_damaged_quantization_table_is_passed_over(tmp_path: Path) -> None:
    for n in range(3):
        values = np.random.default_rng(n).integers(0, 256, (32, 48, 3)).astype(np.uint8)
        data = bytearray(cv2.imencode(".jpg", values)[1].tobytes())
        data[data.index(b"\xff\xdb") + 12] ^= 0x40 if n == 0 else 0
        (tmp_path / f"f{n}.jpg").write_bytes(data)
    found = load.load(tmp_path, load.Params())
    assert [path.name for path, _ in found.refused] == ["f0.jpg"]
    assert "quantization" in found.refused[0][1]


STORED = {"Compression": "1", "Predictor": "none", "RowsPerStrip": "16", "bytes behind the picture": "none"}


def test_a_tag_of_storage_that_one_frame_has_alone_is_damage() -> None:
    odd = STORED | {"Predictor": "2"}
    assert votes.odd_structures([STORED, odd, STORED]) == [(1, "Predictor is 2, not none")]
    assert votes.odd_structures([STORED, odd, STORED, odd]) == []
    assert votes.odd_structures([STORED] * 3) == []
    assert votes.odd_structures([{}] * 3) == []


def test_frames_of_another_program_are_stored_otherwise() -> None:
    other = STORED | {"Compression": "5", "Predictor": "2", "RowsPerStrip": "64"}
    assert votes.odd_structures([STORED, other, STORED]) == []
