"""The subject of drawn pictures (a ball, a face, a sky) and of masks: what is found and what is rejected."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli import colour, geometry
from longexpo_cli.arrays import Array, Array32
from longexpo_cli.errors import LongexpoError
from longexpo_cli.geometry import Grid
from longexpo_cli.stages.subject import (
    Params,
    from_mask,
    from_points,
    points_of_small_mask,
    read_mask,
    subject,
)
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Frame, Point, Subject
from longexpo_cli.vision import saliency
from tests.drawings import ball, disc, iou, portrait, sky, small_ball_on_meadow

pytestmark = pytest.mark.usefixtures("cached_networks")
STAGE = "longexpo_cli.stages.subject."  # the module; the package holds the function of that name


def frame(picture: Array, orientation: int = 1, exposure: float = 1.0, scale: int = 8) -> Frame:
    """Return an sRGB picture H W 3, 0..255, as the low frame of a photo that is scale times as large."""
    light = colour.srgb_decode(picture.astype(np.float32) / 255) * np.float32(exposure)
    light = light @ colour.between("srgb", "rec2020").T.astype(np.float32)
    stored = np.asarray(geometry.as_stored(light, orientation), np.float32)
    height, width = stored.shape[:2]
    return Frame(
        stored,
        Grid(scale, height, width),
        plain_shot((height * scale, width * scale), orientation=orientation),
    )


def centroid(weight: Array32) -> tuple[float, float]:
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return float((columns * weight).sum() / weight.sum()), float((rows * weight).sum() / weight.sum())


def is_same(a: Subject, b: Subject) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("weight", "alpha", "faces"))


@pytest.fixture(scope="module")
def red_ball() -> Subject:
    return subject(frame(ball()), Params())


def test_a_ball_on_a_sky_is_found_where_it_is(red_ball: Subject) -> None:
    assert red_ball.found and red_ball.score >= 0.95
    assert red_ball.weight.dtype == np.float32 and red_ball.weight.shape == red_ball.grid.shape
    assert np.hypot(*np.subtract(centroid(red_ball.weight), (110, 130))) <= 2
    assert iou(red_ball.alpha > 0.5, disc(110, 130, 34)) >= 0.93
    assert not red_ball.faces.any()


def test_every_weight_is_0_or_above_the_floor(red_ball: Subject) -> None:
    weight = red_ball.weight
    assert weight.max() == 1 and weight.min() == 0
    assert weight[weight > 0].min() >= 0.43
    assert np.array_equal(weight > 0, red_ball.alpha >= np.float32(0.43))
    assert ((red_ball.alpha > 0) & (red_ball.alpha < 0.43)).any()  # the floor made a difference


def test_the_same_frame_gives_the_same_bits(red_ball: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the networks run again
    low = frame(ball())
    before = low.light.copy()
    assert is_same(subject(low, Params()), red_ball)
    assert np.array_equal(low.light, before)


@pytest.mark.parametrize("exposure", [0.02, 8.0])
def test_the_exposure_does_not_matter(red_ball: Subject, exposure: float) -> None:
    other = subject(frame(ball(), exposure=exposure), Params())
    assert np.abs(other.weight - red_ball.weight).max() <= 0.02


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_photo_gives_the_rotated_subject(red_ball: Subject, orientation: int) -> None:
    low = frame(ball(), orientation)
    found = subject(low, Params())
    assert found.weight.shape == low.grid.shape
    assert np.abs(geometry.upright(found.weight, orientation) - red_ball.weight).max() <= 1e-3
    assert geometry.upright(found.alpha, orientation).argmax() == red_ball.alpha.argmax()


def test_pixels_outside_the_frame_do_not_affect_the_exposure(red_ball: Subject) -> None:
    low = frame(ball())
    coverage = np.ones(low.grid.shape, np.float32)
    coverage[:, 250:] = 0
    light = low.light * coverage[..., None]
    cut = subject(Frame(light, low.grid, low.shot, coverage), Params())
    assert cut.found and iou(cut.weight > 0, red_ball.weight > 0) >= 0.9


@pytest.mark.parametrize("kind", ["sky", "black", "white", "noise", "not a number"])
def test_no_subject_is_a_valid_answer(kind: str) -> None:
    noise = np.random.default_rng(3).normal(128, 20, (240, 320, 3)).clip(0, 255)
    flat = {"black": 0.0, "white": 255.0, "not a number": np.nan}
    picture = {"sky": sky(), "noise": noise}.get(kind, np.full((240, 320, 3), flat.get(kind, 0.0)))
    found = subject(frame(picture), Params())
    assert not found.found
    assert not found.score >= 0.5
    assert found.note.startswith("no subject: saliency peaks at")
    assert not found.weight.any() and not found.alpha.any() and not found.faces.any()


@pytest.mark.parametrize(
    ("constant", "limit", "reason"),
    [("MIN_AREA_PERCENT", 10.0, "under 10 %"), ("MAX_AREA_PERCENT", 2.0, "over 2 %")],
)
def test_a_subject_of_the_wrong_size_is_rejected(
    monkeypatch: pytest.MonkeyPatch, constant: str, limit: float, reason: str
) -> None:
    monkeypatch.setattr(STAGE + constant, limit)
    found = subject(frame(ball()), Params())
    assert not found.found and found.score > 0.95
    assert reason in found.note and not found.weight.any()


def test_an_uncertain_subject_is_rejected() -> None:
    found = subject(frame(ball()), Params(saliency_peak=1.0))
    assert not found.found and found.score > 0.95
    assert "under 1" in found.note and not found.weight.any()


def test_what_covers_the_whole_border_is_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    salient = np.ones((24, 32), np.float32)
    salient[8:16, 8:24] = 0
    monkeypatch.setattr(STAGE + "saliency_map", lambda picture: (salient, 0.99))
    with monkeypatch.context() as patch:
        patch.setattr(STAGE + "MAX_AREA_PERCENT", 100.0)
        found = subject(frame(sky(24, 32)), Params())
    assert not found.found and "100 % of the border" in found.note
    face = np.array([[2, 0, 8, 8]], np.float32)
    monkeypatch.setattr(STAGE + "detect_faces", lambda picture, min_score: face)
    assert subject(frame(sky(24, 32)), Params()).found


def test_a_face_counts_double_and_stays_on_the_person() -> None:
    found = subject(frame(portrait()), Params())
    assert found.found and "faces: 1" in found.note
    assert np.hypot(*np.subtract(centroid(found.faces), (160, 100))) <= 12
    assert found.faces[100, 160] >= 0.95
    assert (found.faces <= found.alpha).all()
    body = found.weight[210, 160] / found.alpha[210, 160]
    assert found.weight[100, 160] / found.alpha[100, 160] == pytest.approx(2 * body, rel=0.05)
    assert found.weight.max() == 1


def test_the_face_of_a_rotated_photo_is_rotated_too() -> None:
    upright = subject(frame(portrait()), Params())
    rotated = subject(frame(portrait(), orientation=6), Params())
    assert np.abs(geometry.upright(rotated.faces, 6) - upright.faces).max() <= 1e-3
    assert rotated.faces.shape == (320, 240)


def test_a_small_subject_is_refined_on_a_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    low = frame(small_ball_on_meadow())
    truth = disc(232, 92, 7)
    refined = subject(low, Params())
    monkeypatch.setattr(saliency, "CROP_MAX_AREA", 0.0)  # every crop is too large
    unrefined = subject(low, Params())
    assert refined.found and refined.score >= unrefined.score
    assert iou(refined.weight > 0, truth) >= max(iou(unrefined.weight > 0, truth), 0.5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 13), (300, 2)])
def test_any_size_is_accepted(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]) -> None:
    for constant, limit in (("MIN_AREA", 0.0), ("MAX_AREA", 100.0), ("MAX_BORDER", 100.0)):
        monkeypatch.setattr(f"{STAGE}{constant}_PERCENT", limit)
    picture = np.random.default_rng(2).integers(0, 255, (*shape, 3))
    found = subject(frame(picture), Params(saliency_peak=0.0))
    assert found.weight.shape == shape
    assert np.isfinite(found.weight).all() and found.weight.max() == 1


def test_a_mask_is_the_subject() -> None:
    mask = disc(110 * 2 + 0.5, 130 * 2 + 0.5, 68, (480, 640)).astype(np.uint8) * 255
    found = from_mask(mask, frame(sky()))
    assert found.found and found.score == 1 and not found.faces.any()
    assert iou(found.weight > 0.5, disc(110, 130, 34)) >= 0.98
    assert np.hypot(*np.subtract(centroid(found.weight), (110, 130))) <= 0.02
    assert "from the mask" in found.note


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_upright_as_the_photo_is_displayed(orientation: int) -> None:
    mask = disc(60, 200, 30).astype(np.float32)
    found = from_mask(mask, frame(sky(), orientation))
    assert np.allclose(geometry.upright(found.weight, orientation), mask, atol=1e-6)


def test_masks_of_every_type_give_the_same_subject() -> None:
    low = frame(sky(24, 32))
    flags = disc(20, 10, 6, (24, 32))
    truth = flags.astype(np.float32)
    colours = np.repeat(truth[..., None], 3, 2)
    transparent = np.dstack([colours, np.ones_like(truth)])
    kinds: list[Array] = [
        flags,
        truth,
        truth.astype(np.float64),
        (truth * 255).astype(np.uint8),
        (truth * 65535).astype(np.uint16),
        colours,
        transparent,
        truth[..., None],
        np.dstack([truth, np.ones_like(truth)]),
    ]
    for mask in kinds:
        assert np.array_equal(from_mask(mask, low).weight, truth)


def test_a_mask_fits_a_grid_that_extends_beyond_the_photo() -> None:
    low = Frame(np.zeros((7, 13, 3), np.float32), Grid.over(51, 99, 8), plain_shot((51, 99)))
    mask = np.zeros((51, 99), np.uint8)
    mask[48:, 96:] = 255  # the corner cell holds 3 x 3 pixels of the photo and nothing else
    weight = from_mask(mask, low).weight
    assert weight[6, 12] == 1 and weight.sum() == 1


def test_unusable_masks_are_rejected() -> None:
    low = frame(sky())
    for mask, reason in (
        (np.zeros((240, 320), np.uint8), "black everywhere"),
        (np.full((240, 320), np.nan, np.float32), "black everywhere"),
        (np.ones((320, 240), np.uint8), "240 x 320 px but the photo, seen upright, 2560 x 1920"),
        (np.ones((5,), np.uint8), "no picture"),
        (np.ones((0, 0), np.uint8), "no picture"),
    ):
        with pytest.raises(LongexpoError, match=reason):
            from_mask(mask, low)
    from_mask(np.ones((320, 240), np.uint8), frame(sky(320, 240), orientation=6))


def test_a_mask_is_read_from_a_file(tmp_path: Path) -> None:
    mask = disc(20, 10, 6, (24, 32)).astype(np.uint8) * 255
    assert cv2.imwrite(str(tmp_path / "mask.png"), mask)
    found = from_mask(read_mask(tmp_path / "mask.png"), frame(sky(24, 32)))
    assert np.array_equal(found.weight, mask.astype(np.float32) / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("is_percent", [False, True])
def test_a_subject_grows_from_a_point_of_the_upright_picture(orientation: int, is_percent: bool) -> None:
    picture = ball()
    height, width = picture.shape[:2]
    low = frame(picture, orientation)
    point = Point(100 * 110.5 / width, 100 * 130.5 / height, True) if is_percent else Point(883.5, 1043.5)
    grey = np.full(low.grid.shape, 128, np.uint8)
    found = from_points([point], low, [grey, grey, grey], 1, Params())
    assert found.found and "grown from 1 point" in found.note
    assert iou(geometry.upright(found.alpha, orientation) > 0.5, disc(110, 130, 34)) > 0.9


def test_a_point_outside_the_picture_is_an_error() -> None:
    low = frame(sky(24, 32))
    grey = np.full(low.grid.shape, 128, np.uint8)
    with pytest.raises(LongexpoError, match="256 x 192 px"):
        from_points([Point(256, 10)], low, [grey], 0, Params())


def test_a_small_mask_marks_its_subject_and_a_large_one_covers_it() -> None:
    low = frame(sky())
    small = disc(110, 130, 2).astype(np.float32) + disc(30, 40, 2)
    points = points_of_small_mask(small, low)
    height, width = small.shape
    assert sorted((point.x * width / 100, point.y * height / 100) for point in points) == [
        pytest.approx((30.5, 40.5), abs=0.6),
        pytest.approx((110.5, 130.5), abs=0.6),
    ]
    assert all(point.is_percent for point in points)
    assert points_of_small_mask(disc(110, 130, 34).astype(np.float32), low) == ()
    assert points_of_small_mask(np.zeros(low.grid.shape, np.float32), low) == ()


def test_a_point_on_nothing_is_refused_and_a_small_mask_on_nothing_is_used_as_drawn() -> None:
    low = frame(sky(96, 128))
    grey = np.full(low.grid.shape, 128, np.uint8)
    point = Point(50, 50, is_percent=True)
    with pytest.raises(LongexpoError, match="draw it with --mask"):
        from_points([point], low, [grey], 0, Params())
    drawn = np.zeros(low.grid.shape, np.float32)
    drawn[46:50, 62:66] = 1
    found = from_points([point], low, [grey], 0, Params(), drawn)
    assert np.array_equal(found.alpha, drawn) and "no larger outline" in found.note
