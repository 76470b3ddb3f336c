"""Tracks against pictures whose motion is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32, Array64
from longexpo_cli.geometry import Grid
from longexpo_cli.stages import track as stage
from longexpo_cli.stages.track import Params, track
from longexpo_cli.types import Mode, Preview, Subject, Tracks

HEIGHT, WIDTH = 240, 320
GRID = Grid(8, HEIGHT, WIDTH)
FULL = (HEIGHT * 8, WIDTH * 8)
OVERSAMPLING = 4  # the texture is drawn this many times finer
BORDER = 50  # pixels of the texture beyond the picture, to the left, above and below


@cache
def _texture(right: int = 100) -> Array64:
    """Return a texture of four octaves, OVERSAMPLING times finer than the previews, with a border."""
    random = np.random.default_rng(0)
    height, width = (HEIGHT + 2 * BORDER) * OVERSAMPLING, (WIDTH + BORDER + right) * OVERSAMPLING
    layers = []
    for size in (2, 4, 8, 16):
        noise = random.standard_normal(
            (height // (size * OVERSAMPLING) + 2, width // (size * OVERSAMPLING) + 2)
        )
        layers.append(size**0.5 * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC))
    total = np.sum(layers, axis=0)
    return cv2.blur(np.clip(120 + 35 * total / total.std(), 0, 255), (OVERSAMPLING, OVERSAMPLING))


def _view(texture: Array64, shift: Sequence[float], noise: float = 1.0) -> Array8:
    at = OVERSAMPLING * (np.array(shift) + BORDER) + OVERSAMPLING / 2 - 0.5
    pull = np.array([[OVERSAMPLING, 0, at[0]], [0, OVERSAMPLING, at[1]]])
    picture = cv2.warpAffine(texture, pull, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    picture = picture + np.random.default_rng(int(abs(at[0]) * 100)).normal(0, noise, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _preview(grey: Array8) -> Preview:
    return Preview(grey, np.ones(grey.shape, np.float16), GRID)


def _subject(weight: Array32) -> Subject:
    return Subject(weight, weight, 0 * weight, float(weight.max()), bool(weight.any()), GRID, "")


NO_SUBJECT = _subject(np.zeros((HEIGHT, WIDTH), np.float32))


def _errors(tracks: Tracks, shifts: Array64, anchor: int, frame: int) -> Array64:
    """Return how far tracks are off the truth, in low pixels."""
    both = tracks.seen[frame] & tracks.seen[anchor]
    moved = (tracks.at_px[frame] - tracks.at_px[anchor])[both] / GRID.scale
    return np.hypot(*(moved + shifts[frame] - shifts[anchor]).T)


@pytest.mark.long
def test_drift_does_not_add_up() -> None:
    random = np.random.default_rng(1)
    shifts = random.normal(0, 3, (9, 2)).cumsum(0)
    texture = _texture()
    tracks = track([_preview(_view(texture, s)) for s in shifts], NO_SUBJECT, 4, "foreground", FULL, Params())
    assert tracks.scale == 8
    assert tracks.seen[4].sum() > 1000
    for frame in (0, 3, 5, 8):
        error = _errors(tracks, shifts, 4, frame)
        assert len(error) > 0.8 * tracks.seen[4].sum()
        assert error.mean() < 0.05
        assert np.quantile(error, 0.99) < 0.3


def test_still_pictures_give_still_tracks() -> None:
    grey = _view(_texture(), (0, 0))
    tracks = track([_preview(grey)] * 3, NO_SUBJECT, 1, "foreground", FULL, Params())
    assert np.array_equal(tracks.at_px[0], tracks.at_px[1])
    assert np.array_equal(tracks.at_px[1], tracks.at_px[2])
    assert tracks.seen.all()


def test_large_motion_is_followed() -> None:
    shifts = np.array([[0.0, 0.0], [61.3, -40.2]])  # 73 pixels of the previews at once
    texture = _texture()
    tracks = track([_preview(_view(texture, s)) for s in shifts], NO_SUBJECT, 0, "foreground", FULL, Params())
    error = _errors(tracks, shifts, 0, 1)
    assert len(error) > 0.4 * tracks.seen[0].sum()  # a third of the picture has left
    assert np.median(error) < 0.05


def test_tracks_are_as_dense_as_the_weight() -> None:
    weight = np.zeros((HEIGHT, WIDTH), np.float32)
    weight[:, : WIDTH // 2] = 0.8
    grey = _preview(_view(_texture(), (0, 0)))
    density: dict[Mode, float] = {"background": 0.8 / 0.1, "foreground": 0.2 / 1.0}
    for mode, expected in density.items():
        tracks = track([grey, grey], _subject(weight), 0, mode, FULL, Params())
        left = tracks.at_px[0, :, 0] < FULL[1] / 2
        assert 0.8 < left.sum() / max((~left).sum(), 1) / expected < 1.25
        assert np.allclose(tracks.weight, np.where(left, 0.8, 0), atol=1e-6)


def test_a_small_subject_is_given_denser_points_in_the_background_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = np.zeros((HEIGHT, WIDTH), np.float32)
    weight[100:140, 150:180] = 0.5  # 48 cells of the draw, of which half win
    grey = _preview(_view(_texture(), (0, 0)))

    def with_min_points(count: int, mode: Mode) -> Tracks:
        monkeypatch.setattr(stage, "MIN_SUBJECT_POINTS", count)
        return track([grey, grey], _subject(weight), 0, mode, FULL, Params())

    few, many = (with_min_points(count, "background") for count in (0, 80))
    assert 15 < (few.weight > 0.4).sum() < 35
    assert 65 < (many.weight > 0.4).sum() < 95
    assert (few.weight == 0).sum() == pytest.approx((many.weight == 0).sum(), abs=3)  # nowhere else
    on_it = GRID.from_full(many.at_px[0][many.weight > 0.4])
    apart = np.abs(on_it[:, None] - on_it).max(-1) + np.eye(len(on_it)) * 9
    assert apart.min() >= 1  # no point twice
    foreground = [with_min_points(count, "foreground") for count in (0, 80)]
    assert np.array_equal(foreground[0].at_px, foreground[1].at_px)


def test_no_more_points_than_asked_for() -> None:
    grey = _preview(_view(_texture(), (0, 0)))
    tracks = track([grey, grey], NO_SUBJECT, 0, "foreground", FULL, Params(points=400))
    assert 330 < tracks.seen.shape[1] < 470


@pytest.mark.long
def test_what_leaves_is_replaced_and_takes_its_neighbours_weight() -> None:
    shifts = np.stack([np.linspace(0, 330, 11), np.zeros(11)], -1)
    texture = _texture(right=350)
    previews = [_preview(_view(texture, s)) for s in shifts]
    weight = np.zeros((HEIGHT, WIDTH), np.float32)
    weight[: HEIGHT // 2] = 1
    tracks = track(previews, _subject(weight), 0, "background", FULL, Params())
    late = tracks.seen[10]
    assert late.sum() > 150
    assert not (late & tracks.seen[0]).any()
    height = tracks.at_px[10, :, 1] / FULL[0]
    assert tracks.weight[late & (height < 0.25)].mean() > 0.85
    assert tracks.weight[late & (height > 0.75)].mean() < 0.15
    middle = tracks.weight[late & (height > 0.4) & (height < 0.6)]
    # The border stays where it was, though the upper side is ten times as dense.
    assert 0.3 < np.average(middle, weights=1 / np.maximum(middle, 0.1)) < 0.7


def test_without_texture_there_is_nothing_but_noise_to_follow() -> None:
    random = np.random.default_rng(0)
    empty = [_preview(np.full((HEIGHT, WIDTH), 90, np.uint8))] * 3
    assert track(empty, NO_SUBJECT, 1, "foreground", FULL, Params()).at_px.shape == (3, 0, 2)
    noisy = [
        _preview(np.rint(random.normal(90, 3, (HEIGHT, WIDTH))).clip(0, 255).astype(np.uint8))
        for _ in range(3)
    ]
    assert track(noisy, NO_SUBJECT, 1, "foreground", FULL, Params()).seen.all(0).sum() < 20


def test_the_same_pictures_give_the_same_tracks() -> None:
    texture = _texture()
    previews = [_preview(_view(texture, (3 * n, n))) for n in range(3)]
    first, second = (track(previews, NO_SUBJECT, 1, "foreground", FULL, Params()) for _ in range(2))
    assert np.array_equal(first.at_px, second.at_px)
    assert np.array_equal(first.seen, second.seen)


def test_sharpness_is_read_around_the_point() -> None:
    grey = _view(_texture(), (0, 0))
    energy = np.zeros(grey.shape, np.float16)
    energy[:, WIDTH // 2 :] = 2
    preview = Preview(grey, energy, GRID)
    tracks = track([preview, preview], NO_SUBJECT, 0, "foreground", FULL, Params())
    x = GRID.from_full(tracks.at_px[0])[:, 0]
    assert np.all(tracks.sharpness[0, x > WIDTH // 2 + stage.SHARPNESS_WINDOW_PX] == 2)
    assert np.all(tracks.sharpness[0, x < WIDTH // 2 - stage.SHARPNESS_WINDOW_PX] == 0)
