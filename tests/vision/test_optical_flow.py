"""Optical flow, its checks and the dominant motion on pictures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.vision import optical_flow
from longexpo_cli.vision.patch_matching import patch_matches

MOTION = (3.0, -2.0)  # px, x and y


def texture(seed: int = 1, shape: tuple[int, int] = (96, 128)) -> Array8:
    grain = np.random.default_rng(seed).random(shape).astype(np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), 2)
    return np.asarray(cv2.normalize(smooth, None, 20, 235, cv2.NORM_MINMAX), np.uint8)


def shifted(picture: Array8, x: int, y: int) -> Array8:
    """Return the picture moved by whole pixels; it continues at the opposite edge."""
    return np.ascontiguousarray(np.roll(picture, (y, x), (0, 1)))


def constant(x: float, y: float, shape: tuple[int, int] = (96, 128)) -> Array32:
    return np.broadcast_to(np.array([x, y], np.float32), (*shape, 2)).copy()


def with_lamp(x: int, y: int, size: int = 4) -> Array8:
    """Return a dark, almost plain picture with a bright square."""
    picture = (texture() // 16).astype(np.uint8)
    picture[y : y + size, x : x + size] = 250
    return picture


def test_flow_leads_from_the_source_to_the_target() -> None:
    flow = optical_flow.dis_flow(texture(), shifted(texture(), 3, -2))
    assert np.abs(np.median(flow[16:-16, 16:-16], axis=(0, 1)) - MOTION).max() < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (15, 40), (40, 15)])
def test_pictures_too_small_have_no_flow(shape: tuple[int, int]) -> None:
    flow = optical_flow.dis_flow(np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8))
    assert flow.shape == (*shape, 2)
    assert not flow.any()


def test_warping_by_whole_pixels_is_exact() -> None:
    warped = optical_flow.warp(shifted(texture(), 3, -2), constant(*MOTION))
    assert warped.dtype == np.float32
    assert np.array_equal(warped[2:, :-3], texture()[2:, :-3])


def test_warping_beyond_the_edge_repeats_the_edge() -> None:
    picture = texture()
    assert np.array_equal(optical_flow.warp(picture, constant(1000, 0)), np.repeat(picture[:, -1:], 128, 1))


def test_the_residual_is_the_root_mean_square_in_a_window() -> None:
    source = np.zeros((11, 11), np.uint8)
    target = source.copy()
    target[5, 5] = 100
    residual = optical_flow.residual(source, target)
    assert residual[5, 5] == pytest.approx(100 / optical_flow.RESIDUAL_WINDOW_PX)
    assert residual[3, 3] == pytest.approx(20)
    assert residual[2, 5] == 0
    assert not optical_flow.residual(source, source).any()


def test_true_flow_leaves_no_residual() -> None:
    residual = optical_flow.residual(texture(), shifted(texture(), 3, -2), constant(*MOTION))
    assert residual[5:, :-6].max() < 1e-3
    assert optical_flow.residual(texture(), shifted(texture(), 3, -2)).mean() > 5


def test_a_line_of_true_flow_leaves_nothing_and_one_of_no_flow_the_difference() -> None:
    first = texture()
    second = shifted(first, 3, -2)
    everywhere = np.ones(first.shape, np.bool_)
    inside = np.s_[10:-10, 10:-10]
    assert optical_flow.line_residual(first, second, constant(*MOTION), everywhere)[inside].max() == 0
    still = optical_flow.line_residual(first, second, constant(0, 0), everywhere)
    assert np.allclose(still, optical_flow.residual(first, second), atol=1e-3)


def test_a_line_is_looked_at_all_along() -> None:
    """A post that is in neither frame at the line's ends and middle is on it in between."""
    first = np.full((40, 90), 100, np.uint8)
    second = first.copy()
    first[:, 40:43] = 200
    left = optical_flow.line_residual(first, second, constant(30, 0, first.shape), first > 0)
    assert left[20, 43:69].min() > 50
    assert left[20, :36].max() == 0
    assert left[20, 78:].max() == 0


def test_a_line_says_nothing_outside_of_what_both_pictures_show() -> None:
    first, second = texture(), texture(2)
    shown = np.zeros(first.shape, np.bool_)
    shown[:, :40] = True
    left = optical_flow.line_residual(first, second, constant(4, 0), shown)
    assert (left[:, 50:] == 0).all()
    assert (optical_flow.line_residual(first, second, constant(500, 0), shown) == 0).all()


def test_neighbours_of_a_changed_pixel_count_as_changed() -> None:
    first = np.zeros((7, 7), np.uint8)
    second = first.copy()
    second[3, 3] = 10
    expected = np.zeros((7, 7), bool)
    expected[2:5, 2:5] = True
    assert np.array_equal(optical_flow.changed_mask(first, second, 9.0), expected)
    assert not optical_flow.changed_mask(first, second, 10.0).any()


def test_forward_backward_error_may_be_the_threshold_and_a_part_of_the_length() -> None:
    forward = constant(10, 0)
    allowed = 0.5 + 10 * optical_flow.FORWARD_BACKWARD_RATIO
    within = optical_flow.forward_backward_mask(forward, constant(-10 + 0.99 * allowed, 0), 0.5)
    beyond = optical_flow.forward_backward_mask(forward, constant(-10 + 1.01 * allowed, 0), 0.5)
    assert within.all()
    assert not beyond.any()


def test_magnitude() -> None:
    assert np.array_equal(optical_flow.magnitude(np.array([[3, 4], [0, 0]], np.float32)), [5, 0])


def test_a_lamp_is_found_by_patch_matching_and_replaces_the_flow() -> None:
    first = with_lamp(30, 40)
    second = with_lamp(70, 50)
    unexplained = optical_flow.residual(first, second)
    matches = patch_matches(first, second, unexplained, 4.0)
    assert [40.0, 10.0] in matches.tolist()
    flow, residual = optical_flow.replace_where_better(first, second, constant(0, 0), matches, 4.0)
    assert np.array_equal(flow[41, 31], [40, 10])
    assert not flow[:20].any()
    assert residual[41, 31] < 0.5 * unexplained[41, 31]


def test_of_two_equal_lamps_neither_is_a_match() -> None:
    first = with_lamp(30, 40)
    second = with_lamp(70, 50)
    second[20:24, 70:74] = 250
    second[second == 250] = 230  # with the same brightness either would match exactly
    unexplained = optical_flow.residual(first, second)
    assert patch_matches(first, second, unexplained, 4.0).shape == (0, 2)


def test_the_dominant_motion_is_affine_and_ignores_outliers() -> None:
    rows, columns = np.indices((60, 80), np.float32)
    truth = np.stack([2 + 0.05 * columns, -1 + 0.02 * rows], axis=-1).astype(np.float32)
    flow = truth.copy()
    flow[20:40, 20:50] += 12
    fit = optical_flow.dominant_motion(flow, np.ones((60, 80), np.bool_))
    assert np.abs(fit - truth).max() < 0.05


def test_too_few_points_have_no_dominant_motion() -> None:
    trusted = np.zeros((96, 128), np.bool_)
    trusted[0, : optical_flow.MIN_FIT_POINTS - 1] = True
    assert not optical_flow.dominant_motion(constant(5, 5), trusted).any()
