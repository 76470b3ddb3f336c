"""Contract 2 of the motion network: bends and weights that change, rendered, against exact arcs."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks import rotating_discs
from longexpo_cli import memory_estimate
from longexpo_cli.arrays import Array
from longexpo_cli.errors import WeightsError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import blur
from longexpo_cli.types import Frame, MotionField
from longexpo_cli.vision import motion_network, networks
from tests import onnx_files

LINEAR = blur.Params(soft_gamma=1.0)
HALVES = np.array([0.5, 0.5])
ENTRY = """
[motion]
file = "motion.onnx"
sha256 = "{sha256}"
licence = "Apache-2.0"
licence_file = "LICENSE.motion"
card = "motion.md"
source = "made here"
purpose = "Known bends."
inputs = []
outputs = [{outputs}]
metadata = {{ multiple = 32, light = "srgb", contract = {contract} }}
"""


def use_network(
    monkeypatch: pytest.MonkeyPatch, folder: Path, bends: Array, weights: Array = HALVES, contract: int = 2
) -> None:
    """Have the motion network be one whose bends are a matrix 4 4 times the initial lines."""
    content = onnx_files.motion_network(bends, weights)
    channels = {"lines": 4, "weights": len(weights)} | ({"bends": 4} if bends.any() else {})
    rows = ", ".join(
        f'{{ name = "{name}", shape = [1, {count}, "height", "width"], meaning = "" }}'
        for name, count in channels.items()
    )
    (folder / "motion.onnx").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / "index.toml").write_text(ENTRY.format(sha256=sha256, outputs=rows, contract=contract))
    network, run = networks.network, networks.run
    monkeypatch.setattr(networks, "network", lambda name, weights=folder: network(name, weights))
    monkeypatch.setattr(networks, "run", lambda name, inputs, outputs: run(name, inputs, outputs, folder))


def arc_bends(step_deg: float) -> Array:
    """Return the matrix from chords to bends of things that turn by an angle from frame to frame.

    An arc leaves the middle of its chord c outward by |c| / 2 tan(angle / 4); a path leaves its line by a
    quarter of its bend, the other way as lines pull.
    """
    turn = 2 * np.tan(np.radians(step_deg) / 4) * np.array([[0.0, 1.0], [-1.0, 0.0]])
    return np.block([[turn, np.zeros((2, 2))], [np.zeros((2, 2)), -turn]])


def refined(scene: rotating_discs.Scene, first: int) -> MotionField:
    """Return the lines that the network makes of a pair's exact chords."""
    frames = [
        Frame(
            rotating_discs.to_low(scene.light(n)).astype(np.float32), rotating_discs.LOW, rotating_discs.SHOT
        )
        for n in (first, first + 1)
    ]
    return motion_network.refine(frames[0], frames[1], scene.motion_field(first), 0.15)


def discs(step_deg: float) -> rotating_discs.Scene:
    """Return a lamp and a larger disc that turn by the same angle, over an even ground."""
    scene = rotating_discs.two_discs(0.05, step_deg)
    turning = tuple(dataclasses.replace(disc, step_deg=step_deg) for disc in scene.discs)
    return dataclasses.replace(scene, discs=turning)


@pytest.mark.parametrize(("step_deg", "least_db"), [(25.0, 51.0), (40.0, 50.0), (60.0, 44.0)])
def test_known_bends_draw_arcs_without_a_neighbouring_pair(
    device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step_deg: float, least_db: float
) -> None:
    """Two frames alone do not say that a path is an arc: without bends it is straight."""
    use_network(monkeypatch, tmp_path, arc_bends(step_deg))
    scene = discs(step_deg)
    frames, truth, trail = [scene.light(n) for n in (0, 1)], scene.long_exposure(1), scene.trail(1)
    field = refined(scene, 0)
    assert field.bend is not None
    bent = rotating_discs.blur_along_curves(device, frames, [field], LINEAR)
    unknown = dataclasses.replace(field, bend=None)
    straight = rotating_discs.blur_along_curves(device, frames, [unknown], LINEAR)
    assert rotating_discs.psnr(bent, truth, trail) > least_db
    assert rotating_discs.psnr(straight, truth, trail) < 30
    assert abs((bent - 0.05).sum() / (truth - 0.05).sum() - 1) < 0.01


def test_the_pairs_around_take_the_place_of_bends(
    device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A network that knows no bend does not straighten what neighbouring pairs say is an arc."""
    scene = discs(40.0)
    frames, truth, trail = [scene.light(n) for n in range(4)], scene.long_exposure(3), scene.trail(3)
    use_network(monkeypatch, tmp_path, arc_bends(40.0))
    fields = [refined(scene, n) for n in range(3)]
    none = [dataclasses.replace(f, bend=np.zeros_like(f.displacement)) for f in fields]
    unknown = [dataclasses.replace(f, bend=np.full_like(f.displacement, np.nan)) for f in fields]
    found, without, guessed = (
        rotating_discs.psnr(rotating_discs.blur_along_curves(device, frames, f, LINEAR), truth, trail)
        for f in (fields, none, unknown)
    )
    assert found > 55
    assert guessed > 55
    straight = rotating_discs.psnr(rotating_discs.blur_along_lines(device, frames, fields), truth, trail)
    assert straight + 2 < without < found - 5  # straight only where the run begins and ends


def test_a_network_without_bends_gives_none_and_the_same_picture(
    device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Contract 1 is what contract 2 reduces to: weights that do not change are equal to 1 x 2 ones."""
    scene = discs(25.0)
    frames = [scene.light(n) for n in range(2)]
    pictures = []
    for number, weights in enumerate((np.array([0.25, 0.75]), np.array([0.25, 0.75, 0.25, 0.75]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with monkeypatch.context() as patched:
            use_network(patched, folder, np.zeros((4, 4)), weights, contract=number + 1)
            field = refined(scene, 0)
        assert field.bend is None
        assert (field.end_weight is None) == (number == 0)
        moves = (field.displacement != 0).any(axis=(0, 3))
        assert (field.blend_weight[~moves] == 0.5).all()
        pictures.append(rotating_discs.blur_along_curves(device, frames, [field], LINEAR))
    assert np.array_equal(pictures[0], pictures[1])


def test_weights_change_from_the_first_channels_to_the_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_network(monkeypatch, tmp_path, arc_bends(25.0), np.array([0.9, 0.1, 0.2, 0.8]))
    field = refined(discs(25.0), 0)
    assert field.end_weight is not None and field.bend is not None
    moves = (field.displacement != 0).any(axis=(0, 3)) & ~np.isnan(field.bend).any(axis=(0, 3))
    assert moves.any()
    assert np.abs(field.blend_weight[moves] - 0.9).max() < 1e-6
    assert np.abs(field.end_weight[moves] - 0.2).max() < 1e-6
    still = (field.displacement == 0).all(axis=(0, 3))
    assert (field.end_weight[still] == 0.5).all()
    assert (field.bend[:, still] == 0).all()


def test_outside_a_frame_bends_are_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_network(monkeypatch, tmp_path, arc_bends(25.0))
    grid = Grid(8, 64, 96)
    rng = np.random.default_rng(1)
    coverage = np.ones(grid.shape, np.float32)
    coverage[:, :10] = 0
    light = rng.random((2, *grid.shape, 3)).astype(np.float32)
    frames = [Frame(part, grid, rotating_discs.SHOT, coverage) for part in light]
    lines = np.full((2, *grid.shape, 2), 3, np.float32)
    start = MotionField(lines, np.full(grid.shape, 0.5, np.float32), grid, "dis")
    field = motion_network.refine(frames[0], frames[1], start, 0.15)
    assert field.bend is not None
    assert np.isnan(field.bend[:, :, :10]).all()
    assert np.isfinite(field.bend[:, :, 10:]).any()


def test_another_contract_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_network(monkeypatch, tmp_path, arc_bends(25.0), contract=3)
    with pytest.raises(WeightsError, match=r"contract 3 .*newer longexpo"):
        refined(discs(25.0), 0)


def test_bends_and_changing_weights_count_in_the_memory_of_a_pair(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe, shot = Recipe(), rotating_discs.SHOT
    plain = memory_estimate.estimate(shot, recipe, images=False)
    use_network(monkeypatch, tmp_path, arc_bends(25.0), np.array([0.5, 0.5, 0.5, 0.5]))
    counted = memory_estimate._of_the_network(recipe)
    assert sum(counted.values()) == 2
    assert memory_estimate.estimate(shot, recipe, images=False).total_bytes >= plain.total_bytes
    flow = recipe.with_values({("predict", "predictor"): "dis"})
    assert not any(memory_estimate._of_the_network(flow).values())
