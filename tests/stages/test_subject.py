"""Pictures drawn here: a ball, a face, a sky; what is found, where, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from longexpo_cli import colour, geometry
from longexpo_cli.errors import LongexpoError
from longexpo_cli.geometry import Grid
from longexpo_cli.stages.subject import Params, from_mask, read_mask, subject
from longexpo_cli.types import Array8, Array32, Frame, NoiseProfile, Shot, Subject
from longexpo_cli.vision import saliency as sight

FLOOR = 0.43


def frame(picture: npt.NDArray[Any], orientation: int = 1, exposure: float = 1.0, scale: int = 8) -> Frame:
    """An sRGB picture H W 3, 0..255, as the low frame of a photo that is scale times as large."""
    light = colour.srgb_decode(picture.astype(np.float32) / 255) * np.float32(exposure)
    light = light @ colour.between("srgb", "rec2020").T.astype(np.float32)
    stored = np.asarray(geometry.as_stored(light, orientation), np.float32)
    height, width = stored.shape[:2]
    return Frame(stored, Grid(scale, height, width), shot((height * scale, width * scale), orientation))


def shot(size_px: tuple[int, int], orientation: int = 1) -> Shot:
    return Shot(
        Path("drawn"), 0, size_px, orientation, 0.0, "file order", None, None, None, "linear",
        (0.0,), 1.0, (1.0, 1.0, 1.0), np.eye(3), NoiseProfile(0, 0), 1.0, "drawn",
    )  # fmt: skip


def sky(height: int = 240, width: int = 320) -> Array8:
    top, bottom = np.array([90.0, 140.0, 220.0]), np.array([200.0, 220.0, 245.0])
    part = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to(top * (1 - part) + bottom * part, (height, width, 3)).astype(np.uint8)


def ball(x: float = 110, y: float = 130, radius: float = 34, picture: Array8 | None = None) -> Array8:
    """A shaded red ball on a sky, drawn at four times the size."""
    canvas = np.repeat(np.repeat(sky() if picture is None else picture, 4, 0), 4, 1)
    for part in np.linspace(1, 0.1, 16):
        centre = int(4 * (x - radius * (1 - part) * 0.4)), int(4 * (y - radius * (1 - part) * 0.4))
        shade = (int(150 + 90 * (1 - part)), int(20 + 90 * (1 - part)), 25)
        cv2.circle(canvas, centre, int(4 * radius * part), shade, -1, cv2.LINE_AA)
    return cv2.resize(canvas, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)  # type: ignore[no-any-return]


def portrait(x: float = 160, y: float = 100, r: float = 44) -> Array8:
    """A person's head and shoulders, drawn at eight times the size; the face's ellipse is 0.8 r by 1.1 r."""
    canvas = np.full((240 * 8, 320 * 8, 3), (150, 170, 140), np.uint8)

    def ellipse(
        dx: float, dy: float, a: float, b: float, tone: tuple[int, int, int], wide: float = 0
    ) -> None:
        centre, axes = (int((x + dx * r) * 8), int((y + dy * r) * 8)), (int(a * r * 8), int(b * r * 8))
        cv2.ellipse(canvas, centre, axes, 0, 0, 360, tone, int(wide * r * 8) or -1)

    ellipse(0, -0.15, 1.02, 1.35, (60, 40, 30))
    ellipse(0, 1.3, 0.4, 0.6, (185, 140, 115))
    ellipse(0, 2.6, 1.9, 1.1, (50, 60, 130))
    ellipse(0, 0.1, 0.8, 1.1, (205, 160, 135))
    for side in (-1, 1):
        ellipse(side * 0.36, -0.35, 0.22, 0.05, (60, 40, 30))
        ellipse(side * 0.36, -0.12, 0.2, 0.13, (180, 130, 110))
        ellipse(side * 0.36, -0.1, 0.17, 0.08, (240, 240, 240))
        ellipse(side * 0.36, -0.1, 0.085, 0.085, (50, 35, 30))
    ellipse(0, 0.33, 0.13, 0.05, (150, 105, 85))
    ellipse(0, 0.62, 0.3, 0.1, (150, 70, 70))
    canvas = cv2.GaussianBlur(canvas, (0, 0), 0.24 * r)
    return cv2.resize(canvas, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)  # type: ignore[no-any-return]


def disc(x: float, y: float, radius: float, shape: tuple[int, int] = (240, 320)) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(columns - x, rows - y) <= radius)


def centroid(weight: Array32) -> tuple[float, float]:
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return float((columns * weight).sum() / weight.sum()), float((rows * weight).sum() / weight.sum())


def overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def same(a: Subject, b: Subject) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("weight", "alpha", "faces"))


@pytest.fixture(scope="module")
def red_ball() -> Subject:
    return subject(frame(ball()), Params())


def test_a_ball_on_a_sky_is_found_where_it_is(red_ball: Subject) -> None:
    assert red_ball.found and red_ball.score >= 0.95
    assert red_ball.weight.dtype == np.float32 and red_ball.weight.shape == red_ball.grid.shape
    assert np.hypot(*np.subtract(centroid(red_ball.weight), (110, 130))) <= 2
    assert overlap(red_ball.alpha > 0.5, disc(110, 130, 34)) >= 0.93
    assert not red_ball.faces.any()


def test_every_weight_is_nothing_or_above_the_floor(red_ball: Subject) -> None:
    weight = red_ball.weight
    assert weight.max() == 1 and weight.min() == 0
    assert weight[weight > 0].min() >= FLOOR
    assert np.array_equal(weight > 0, red_ball.alpha >= np.float32(FLOOR))
    assert ((red_ball.alpha > 0) & (red_ball.alpha < FLOOR)).any()  # the floor took something


def test_the_same_frame_gives_the_same_bits(red_ball: Subject) -> None:
    low = frame(ball())
    before = low.light.copy()
    assert same(subject(low, Params()), red_ball)
    assert np.array_equal(low.light, before)


@pytest.mark.parametrize("exposure", [0.02, 8.0])
def test_the_exposure_does_not_matter(red_ball: Subject, exposure: float) -> None:
    other = subject(frame(ball(), exposure=exposure), Params())
    assert np.abs(other.weight - red_ball.weight).max() <= 0.02


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_gives_the_turned_subject(red_ball: Subject, orientation: int) -> None:
    low = frame(ball(), orientation)
    found = subject(low, Params())
    assert found.weight.shape == low.grid.shape
    assert np.abs(geometry.upright(found.weight, orientation) - red_ball.weight).max() <= 1e-3
    assert geometry.upright(found.alpha, orientation).argmax() == red_ball.alpha.argmax()


def test_light_beyond_the_known_part_does_not_set_the_exposure(red_ball: Subject) -> None:
    low = frame(ball())
    known = np.ones(low.grid.shape, np.float32)
    known[:, 250:] = 0
    light = low.light * known[..., None]
    cut = subject(Frame(light, low.grid, low.shot, known), Params())
    assert cut.found and overlap(cut.weight > 0, red_ball.weight > 0) >= 0.9


@pytest.mark.parametrize("kind", ["sky", "black", "white", "noise", "not a number"])
def test_nothing_is_a_valid_answer(kind: str) -> None:
    noise = np.random.default_rng(3).normal(128, 20, (240, 320, 3)).clip(0, 255)
    flat = {"black": 0.0, "white": 255.0, "not a number": np.nan}
    picture = {"sky": sky(), "noise": noise}.get(kind, np.full((240, 320, 3), flat.get(kind, 0.0)))
    found = subject(frame(picture), Params())
    assert not found.found
    assert not found.score >= 0.5
    assert found.note.startswith("no subject: saliency peaks at")
    assert not found.weight.any() and not found.alpha.any() and not found.faces.any()


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (Params(area_min=10.0), "under 10 %"),
        (Params(area_max=2.0), "over 2 %"),
        (Params(saliency_peak=1.0), "under 1"),
    ],
)
def test_what_is_too_small_too_large_or_too_unsure_is_refused(params: Params, why: str) -> None:
    found = subject(frame(ball()), params)
    assert not found.found and found.score > 0.95
    assert why in found.note and not found.weight.any()


def test_what_takes_the_whole_border_is_the_scene() -> None:
    kept = np.ones((24, 32), np.float32)
    kept[8:16, 8:24] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sight, "saliency", lambda *_: (kept, 0.99))
        found = subject(frame(sky(24, 32)), Params(area_max=100.0))
        assert not found.found and "100 % of the border" in found.note
        patch.setattr(sight, "faces", lambda *_: np.array([[2, 0, 8, 8]], np.float32))
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


def test_the_face_of_a_turned_photo_is_turned_too() -> None:
    upright = subject(frame(portrait()), Params())
    turned = subject(frame(portrait(), orientation=6), Params())
    assert np.abs(geometry.upright(turned.faces, 6) - upright.faces).max() <= 1e-3
    assert turned.faces.shape == (320, 240)


def test_a_second_look_follows_what_is_small() -> None:
    rng = np.random.default_rng(5)
    meadow = cv2.GaussianBlur(rng.normal(0, 60, (240, 320, 3)), (0, 0), 1.5) * 2 + (70, 120, 50)
    picture = ball(232, 92, 7, np.clip(meadow, 0, 255).astype(np.uint8))
    there = disc(232, 92, 7)
    once, twice = (subject(frame(picture), Params(second_look=again)) for again in (False, True))
    assert twice.found and twice.score >= once.score
    assert overlap(twice.weight > 0, there) >= max(overlap(once.weight > 0, there), 0.5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 13), (300, 2)])
def test_any_size_goes_through(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(2).integers(0, 255, (*shape, 3))
    found = subject(frame(picture), Params(saliency_peak=0.0, area_min=0.0, area_max=100.0, border_max=100.0))
    assert found.weight.shape == shape
    assert np.isfinite(found.weight).all() and found.weight.max() == 1


def test_a_mask_is_the_subject() -> None:
    mask = disc(110 * 2 + 0.5, 130 * 2 + 0.5, 68, (480, 640)).astype(np.uint8) * 255
    found = from_mask(mask, frame(sky()))
    assert found.found and found.score == 1 and not found.faces.any()
    assert overlap(found.weight > 0.5, disc(110, 130, 34)) >= 0.98
    assert np.hypot(*np.subtract(centroid(found.weight), (110, 130))) <= 0.02
    assert "from the mask" in found.note


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_upright_as_the_photo_is_seen(orientation: int) -> None:
    mask = disc(60, 200, 30).astype(np.float32)
    found = from_mask(mask, frame(sky(), orientation))
    assert np.allclose(geometry.upright(found.weight, orientation), mask, atol=1e-6)


def test_masks_of_every_kind_mean_the_same() -> None:
    low = frame(sky(24, 32))
    flags = disc(20, 10, 6, (24, 32))
    truth = flags.astype(np.float32)
    colours = np.repeat(truth[..., None], 3, 2)
    transparent = np.dstack([colours, np.ones_like(truth)])
    kinds: list[npt.NDArray[Any]] = [
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


def test_a_mask_fits_a_grid_that_sticks_out() -> None:
    low = Frame(np.zeros((7, 13, 3), np.float32), Grid.over(51, 99, 8), shot((51, 99)))
    mask = np.zeros((51, 99), np.uint8)
    mask[48:, 96:] = 255  # the corner cell holds 3 x 3 pixels of the photo and nothing else
    weight = from_mask(mask, low).weight
    assert weight[6, 12] == 1 and weight.sum() == 1


def test_masks_that_name_nothing_are_refused() -> None:
    low = frame(sky())
    for mask, why in (
        (np.zeros((240, 320), np.uint8), "black everywhere"),
        (np.full((240, 320), np.nan, np.float32), "black everywhere"),
        (np.ones((320, 240), np.uint8), "240 x 320 px but the photo, seen upright, 2560 x 1920"),
        (np.ones((5,), np.uint8), "no picture"),
        (np.ones((0, 0), np.uint8), "no picture"),
    ):
        with pytest.raises(LongexpoError, match=why):
            from_mask(mask, low)
    from_mask(np.ones((320, 240), np.uint8), frame(sky(320, 240), orientation=6))


def test_a_mask_is_read_from_a_file(tmp_path: Path) -> None:
    mask = disc(20, 10, 6, (24, 32)).astype(np.uint8) * 255
    assert cv2.imwrite(str(tmp_path / "mask.png"), mask)
    found = from_mask(read_mask(tmp_path / "mask.png"), frame(sky(24, 32)))
    assert np.array_equal(found.weight, mask.astype(np.float32) / 255)
