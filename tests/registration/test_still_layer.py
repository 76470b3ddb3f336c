"""Layers of drawn pictures: which is in front, which stands still, which is near; one that no track shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array32, Array64, Flags
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import mesh_offset
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.hidden_layer import hidden_layer
from longexpo_cli.registration.mesh import fit_mesh
from longexpo_cli.registration.near_layer import find_depths
from longexpo_cli.registration.occlusion import compare
from longexpo_cli.registration.refine import refine
from longexpo_cli.registration.still_layer import Layer, choose_still
from longexpo_cli.registration.trajectories import Registration, Trajectories
from tests.registration.drawn_evidence import evidence_of

HEIGHT, WIDTH, SCALE, FRAMES, REFERENCE = 180, 240, 4, 7, 3
SIZE_PX = (HEIGHT * SCALE, WIDTH * SCALE)
DELAY = np.arange(FRAMES) - REFERENCE
SHAKE = np.array([(0.6, -0.4), (-0.8, 0.5), (0.5, 0.9), (0, 0), (-0.7, -0.6), (0.9, 0.2), (-0.3, 0.7)])
Shape = Callable[[Array64, Array64], Flags]


def _texture(seed: int, sigma: float = 1.5) -> Array32:
    """Return a canvas of grey levels about 120, as contrasted for every sigma."""
    random = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT + 80, WIDTH + 80)), (0, 0), sigma)
    return (120 + 45 * noise / noise.std()).astype(np.float32)


def _seen(canvas: Array32, shift: Array64) -> Array32:
    """Return a canvas's picture when its content has moved by shift (x, y) pixels."""
    pull = np.array([[1, 0, 40 - shift[0]], [0, 1, 40 - shift[1]]], np.float64)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(canvas, pull, (WIDTH, HEIGHT), flags=flags), np.float32)


def _evidence(
    front: Shape, front_path: Array64, back_path: Array64, front_sigma: float = 1.5, back_sigma: float = 1.5
) -> tuple[Evidence, Trajectories]:
    """Return the evidence, and points, of two layers on paths T 2 (pixels); the front one has a shape."""
    y, x = np.mgrid[: HEIGHT + 80, : WIDTH + 80].astype(np.float64)
    alpha = front(x - 40, y - 40).astype(np.float32)
    near, far = _texture(1, front_sigma), _texture(2, back_sigma)
    greys = []
    for n in range(FRAMES):
        opacity = _seen(alpha, front_path[n])
        light = _seen(far, back_path[n])
        light += opacity * (_seen(near, front_path[n]) - light)
        grain = np.random.default_rng(n).normal(0, 1.0, light.shape)
        greys.append(np.clip(np.rint(light + grain), 0, 255).astype(np.uint8))
    return evidence_of(greys, REFERENCE, SCALE)


def _on(trajectories: Trajectories, path: Array64) -> Registration:
    """Return a registration whose maps are the shifts of a path T 2 (pixels) from the reference."""
    result = Registration.initial(trajectories)
    shift = (path - path[REFERENCE]) * trajectories.normalization.low_px
    maps = np.broadcast_to(np.eye(3), (FRAMES, 3, 3)).copy()
    maps[:, :2, 2] = shift
    return replace(result, maps=maps)


def _layer(evidence: Evidence, trajectories: Trajectories, path: Array64) -> Layer:
    """Return the layer of a path, by tracks of its own."""
    registration = refine(evidence, _on(trajectories, path), trajectories.normalization.low_px)
    return Layer(registration, evidence.fit(registration))


def _disc(x: Array64, y: Array64) -> Flags:
    return np.hypot(x - 120, y - 90) < 55


def _bottom(x: Array64, y: Array64) -> Flags:
    return y > 100


def _left(x: Array64, y: Array64) -> Flags:
    return x < 120


def _roofs(x: Array64, y: Array64) -> Flags:
    return y > 90 + 25 * np.sign(np.sin(x / 9))


def _discs(x: Array64, y: Array64) -> Flags:
    return np.hypot(x % 26 - 13, y % 26 - 13) < 10


def _miss_px(registration: Registration, path: Array64) -> float:
    """Return how far at most a registration's maps put the centre from a path, pixels."""
    low_px = registration.trajectories.normalization.low_px
    shift = registration.maps[:, :2, 2] / low_px
    return float(np.hypot(*(shift - (path - path[REFERENCE])).T).max())


def test_small_windows_correct_maps_that_are_half_a_pixel_off() -> None:
    evidence, points = _evidence(_disc, SHAKE + DELAY[:, None] * [3.0, 1.0], SHAKE)
    off = _on(points, SHAKE + np.array([0.6, -0.4]) * (DELAY[:, None] != 0))
    assert _miss_px(off, SHAKE) > 0.7
    assert _miss_px(refine(evidence, off, points.normalization.low_px), SHAKE) < 0.15


def test_what_hides_the_other_is_in_front() -> None:
    moving = SHAKE + DELAY[:, None] * [2.0, 0.5]
    evidence, points = _evidence(_disc, moving, SHAKE)
    front, back = _layer(evidence, points, moving), _layer(evidence, points, SHAKE)
    overlap = compare(front.fit, back.fit)
    assert overlap.in_front == 1
    assert compare(back.fit, front.fit).in_front == -1
    assert overlap.first[90, 120]
    assert overlap.second[20, 20]
    assert not overlap.first[20, 20]


def test_layers_that_never_overlap_do_not_tell_which_is_in_front() -> None:
    evidence, points = _evidence(_disc, SHAKE, SHAKE)
    layer = _layer(evidence, points, SHAKE)
    assert compare(layer.fit, layer.fit).in_front == 0


@pytest.mark.parametrize("speed", [1.5, 3.0])
def test_a_mover_of_any_speed_does_not_stand_still(speed: float) -> None:
    moving = SHAKE + DELAY[:, None] * [speed, 0.4 * speed]
    evidence, points = _evidence(_disc, moving, SHAKE)
    layers = [_layer(evidence, points, moving), _layer(evidence, points, SHAKE)]
    assert choose_still(evidence, layers) == 1
    assert choose_still(evidence, layers[::-1]) == 0


def test_a_mover_that_cancels_the_drift_of_the_hand_is_given_away_by_what_it_hides() -> None:
    drift = 1.2 * SHAKE + DELAY[:, None] * [0.5, 0.0]
    cancelled = drift - DELAY[:, None] * [1.05, 0.0]
    evidence, points = _evidence(_disc, cancelled, drift)
    layers = [_layer(evidence, points, cancelled), _layer(evidence, points, drift)]
    assert choose_still(evidence, layers) == 1


def test_a_still_thing_before_soft_clouds_stands_still() -> None:
    clouds = SHAKE + DELAY[:, None] * [1.5, 0.3]
    evidence, points = _evidence(_roofs, SHAKE, clouds, back_sigma=3.0)
    layers = [_layer(evidence, points, clouds), _layer(evidence, points, SHAKE)]
    assert compare(layers[1].fit, layers[0].fit).in_front == 1
    assert choose_still(evidence, layers) == 1


def test_a_tripod_needs_no_other_cue() -> None:
    still = np.zeros((FRAMES, 2))
    clouds = DELAY[:, None] * np.array([0.6, 0.0])
    evidence, points = _evidence(_bottom, still, clouds)
    assert choose_still(evidence, [_layer(evidence, points, clouds), _layer(evidence, points, still)]) == 1


def test_halves_that_part_alike_are_refused() -> None:
    hand = SHAKE.copy()
    hand[-1] = hand[0]
    apart = DELAY[:, None] * [0.0, 1.2]
    evidence, points = _evidence(_left, hand + apart, hand - apart)
    layers = [_layer(evidence, points, hand + apart), _layer(evidence, points, hand - apart)]
    with pytest.raises(AlignmentError, match="--mask"):
        choose_still(evidence, layers)


def test_a_layer_that_no_track_shows_is_found_by_what_another_leaves() -> None:
    moving = SHAKE + DELAY[:, None] * [3.0, -1.0]
    evidence, points = _evidence(_discs, moving, SHAKE)
    known = _layer(evidence, points, moving)
    hidden = hidden_layer(evidence, known.registration, known.fit)
    assert hidden is not None
    assert _miss_px(hidden, SHAKE) < 1.5
    assert _miss_px(refine(evidence, hidden, points.normalization.low_px), SHAKE) < 0.15


def test_a_single_layer_hides_none() -> None:
    evidence, points = _evidence(_disc, SHAKE, SHAKE)
    known = _layer(evidence, points, SHAKE)
    assert known.fit.share > 0.95
    assert hidden_layer(evidence, known.registration, known.fit) is None


def _parallax_px(near: bool) -> float:
    """Return the largest error of the mesh on the near layer, pixels away from its edge."""
    path = SHAKE + DELAY[:, None] * [0.8, 0.1]
    evidence, points = _evidence(_bottom, path, SHAKE)
    far, close = _layer(evidence, points, SHAKE), _layer(evidence, points, path)
    depths = find_depths(evidence, far, [close] if near else [])
    mesh = fit_mesh(far.registration, 16, points.normalization.low_px, depths)
    at = np.stack(np.meshgrid(np.arange(20, 220, 10), np.arange(112, 170, 10)), -1).reshape(-1, 2)
    full = evidence.grid.to_full(at)
    worst = []
    for n in range(FRAMES):
        offset = np.zeros_like(full) if mesh is None else mesh_offset(mesh[n], SIZE_PX, full)
        offset = offset * points.normalization.diagonal_px / SCALE
        worst.append(np.hypot(*(offset - (path - SHAKE)[n]).T).max())
    return max(worst)


def test_a_near_layer_brings_its_own_map() -> None:
    assert _parallax_px(near=True) < 0.25
    assert _parallax_px(near=False) > 0.5


def test_what_is_not_cut_by_the_border_or_moves_far_is_not_near() -> None:
    slow = SHAKE + DELAY[:, None] * [0.8, 0.1]
    for shape, path in ((_disc, slow), (_bottom, SHAKE + DELAY[:, None] * [4.0, 0.0])):
        evidence, points = _evidence(shape, path, SHAKE)
        depths = find_depths(evidence, _layer(evidence, points, SHAKE), [_layer(evidence, points, path)])
        assert not depths.near
        assert not depths.label.any()
        assert depths.moving[130 if shape is _bottom else 90, 120]
        assert not depths.moving[20, 20]
