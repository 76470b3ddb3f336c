"""Frames that slipped by a period of a repeated texture: found and put back; sound paths stay as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.registration.aliases import aliases_of, smallest_steps
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.still_layer import Layer
from longexpo_cli.registration.trajectories import Registration, Trajectories
from tests.registration.drawn_evidence import evidence_of

HEIGHT, WIDTH, SCALE, FRAMES, REFERENCE, PERIOD = 120, 160, 4, 7, 3, 16.0
SHAKE = np.array([(0.6, -0.4), (-0.8, 0.5), (0.5, 0.9), (0, 0), (-0.7, -0.6), (0.9, 0.2), (-0.3, 0.7)])


def _tiles() -> tuple[Evidence, Trajectories]:
    """Return tiles of one period in x and y on the path SHAKE, and points on them."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    greys = []
    for n in range(FRAMES):
        u, v = (2 * np.pi * (at - SHAKE[n, k]) / PERIOD for k, at in enumerate((x, y)))
        light = 120 + 30 * np.sin(u) + 20 * np.sin(2 * u + 1) + 30 * np.sin(v) + 20 * np.cos(2 * v)
        grain = np.random.default_rng(n).normal(0, 1, light.shape)
        greys.append(np.clip(np.rint(light + grain), 0, 255).astype(np.uint8))
    return evidence_of(greys, REFERENCE, SCALE)


def _on(trajectories: Trajectories, path: Array64) -> Registration:
    maps = np.tile(np.eye(3), (FRAMES, 1, 1))
    maps[:, :2, 2] = (path - path[REFERENCE]) * trajectories.normalization.low_px
    return replace(Registration.initial(trajectories), maps=maps)


def _slipped(frames: tuple[int, ...], by: float) -> Array64:
    path = SHAKE.copy()
    path[list(frames), 0] += by * PERIOD
    return path


def _miss_px(registration: Registration) -> float:
    shift = registration.maps[:, :2, 2] / registration.trajectories.normalization.low_px
    return float(np.hypot(*(shift - (SHAKE - SHAKE[REFERENCE])).T).max())


def test_slipped_frames_are_put_back_though_no_alias_has_their_place() -> None:
    evidence, points = _tiles()
    one_px = points.normalization.low_px
    off = _on(points, _slipped((5, 6), -1))
    alias = _on(points, _slipped((0, 1, 4, 5, 6), -2))
    found = smallest_steps(evidence, off, [alias], one_px)
    assert _miss_px(off) > 15
    assert _miss_px(found) < 0.2


def test_a_sound_path_is_returned_as_it_is() -> None:
    evidence, points = _tiles()
    right = _on(points, SHAKE)
    alias = _on(points, _slipped((0, 1, 2, 4, 5, 6), 1))
    assert smallest_steps(evidence, right, [alias], points.normalization.low_px) is right
    assert smallest_steps(evidence, right, [], points.normalization.low_px) is right


def test_only_layers_of_the_same_texture_are_aliases() -> None:
    evidence, points = _tiles()
    right, alias, wrong = (
        _on(points, path) for path in (SHAKE, _slipped((4, 5, 6), 1), _slipped((0, 1, 2, 4, 5, 6), 0.4))
    )
    layers = [Layer(registration, evidence.fit(registration)) for registration in (right, alias, wrong)]
    assert aliases_of(evidence, layers[0], layers[1:]) == [alias]
