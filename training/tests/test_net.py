"""The networks and the renderer of equation 6."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from longexpo_cli import colour
from tests.reference import blur
from training import srgb
from training.intermediate_flow import _prune_channels, warp
from training.models import averaged_weights, load_checkpoint
from training.net import SHAPES, Motion, MotionNet, Shape, render
from training.state import copy_weights
from training.tests.conftest import smooth


def test_light_has_the_products_curve() -> None:
    value = torch.linspace(0, 1, 300, dtype=torch.float64)
    assert np.abs(srgb.decode(value).numpy() - colour.srgb_decode(value.numpy())).max() < 1e-12
    assert np.abs(srgb.encode(value).numpy() - colour.srgb_encode(value.numpy())).max() < 1e-12


def test_ours_has_the_size_that_its_widths_imply() -> None:
    assert 1.00e6 < sum(p.numel() for p in MotionNet(SHAPES["ours"]).parameters()) < 1.05e6


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_fresh_network_keeps_lines_and_halves_weights(name: str) -> None:
    net = MotionNet(SHAPES[name])
    side = 2 * SHAPES[name].multiple
    frames = torch.rand(2, 6, side, 2 * side)
    init = torch.randn(2, 4, side, 2 * side) if SHAPES[name].refine else None
    halfway = torch.randn(2, 4, side, 2 * side) if SHAPES[name].halfway else None
    lines, bends, weights = net(frames, init, halfway)
    kept = halfway if init is None or halfway is not None else init
    assert torch.allclose(lines, torch.zeros(2, 4, side, 2 * side) if kept is None else kept, atol=1e-6)
    assert (bends is not None) == SHAPES[name].bends and (bends is None or not bends.any())
    assert torch.equal(weights, torch.full((2, 4 if SHAPES[name].bends else 2, side, 2 * side), 0.5))


def test_what_the_start_calls_still_stays_still() -> None:
    net = MotionNet(SHAPES["refine"])
    torch.nn.init.normal_(net.leave.weight)
    init = torch.zeros(1, 4, 32, 64)
    init[..., 40:] = 2.0
    lines = net(torch.rand(1, 6, 32, 64), init).lines
    assert not lines[..., :36].any()
    assert bool((lines[..., 36:] != init[..., 36:]).any())


def test_a_narrower_chain_leaves_out_the_channels_that_lead_to_nothing() -> None:
    random = torch.Generator().manual_seed(2)
    chain = [torch.randn(size, generator=random) for _ in range(3) for size in ((6, 6, 3, 3), (6,), (6,))]
    chain[3][:, [1, 4]] = 0  # what the second layer takes of the first's channels
    chain[6][:, [0, 5]] = 0
    x = torch.randn(1, 6, 9, 9, generator=random)

    def through(chain: list[torch.Tensor]) -> torch.Tensor:
        y = x
        for n in range(0, len(chain), 3):
            y = F.prelu(F.conv2d(y, chain[n], chain[n + 1], padding=1), chain[n + 2])
        return y

    whole = through(chain)
    _prune_channels(chain, 4)
    assert [len(part) for part in chain[1::3]] == [4, 4, 6]
    assert torch.allclose(through(chain), whole, atol=1e-4)


def test_a_network_with_stages_begins_with_a_smaller_ones_answer() -> None:
    small = MotionNet(Shape((8, 16), 1, 2, refine=True))
    torch.nn.init.normal_(small.leave.weight, std=0.1)
    large = MotionNet(Shape((8, 16), 1, 2, True, ((2, 8, 8),)))
    copy_weights(large, small.state_dict())
    frames, start = torch.rand(1, 6, 32, 32), 5 + torch.randn(1, 4, 32, 32)
    mine, its = large(frames, start + 1, start), small(frames, start)
    assert torch.allclose(mine.lines, its.lines, atol=1e-4)
    assert torch.allclose(mine.weights, its.weights, atol=1e-4)


def test_a_network_with_bends_begins_as_the_one_without_exactly() -> None:
    checkpoint = Path("training/checkpoints/halfway.pt")
    theirs = averaged_weights(load_checkpoint(checkpoint))
    straight, bent = MotionNet(SHAPES["halfway"]), MotionNet(SHAPES["bends"])
    for net in (straight, bent):
        copy_weights(net, theirs)
        net.eval().requires_grad_(False)
    frames, init = torch.rand(1, 6, 64, 96), 5 * torch.randn(1, 4, 64, 96)
    known, found = straight(frames, init), bent(frames, init)
    assert found.bends is not None and known.bends is None
    assert float((known.lines - init).abs().max()) > 1, "a trained network"
    assert torch.equal(found.lines, known.lines) and not found.bends.any()
    assert torch.equal(found.weights, torch.cat([known.weights] * 2, 1))
    frames = srgb.decode(frames)
    assert float((render(frames, found, 5) - render(frames, known, 5)).abs().max()) < 1e-6


def test_bends_stay_0_where_the_start_is_still() -> None:
    net = MotionNet(Shape((8, 16), 1, 2, refine=True, bends=True))
    torch.nn.init.normal_(net.leave.weight)
    init = torch.zeros(1, 4, 32, 64)
    init[..., 40:] = 2.0
    bends = net(torch.rand(1, 6, 32, 64), init).bends
    assert not bends[..., :36].any() and bool(bends[..., 44:].any())


def test_what_changes_may_move_though_classical_lines_call_it_still() -> None:
    net = MotionNet(Shape((8, 16), 1, 2, True, ((2, 8, 8),)))
    frames = torch.full((1, 6, 32, 64), 0.4)
    frames[:, :3, 8:24, 8:24] += 0.2
    found = torch.full((1, 4, 32, 64), 3.0)
    lines = net(frames, torch.zeros(1, 4, 32, 64), found).lines
    assert torch.equal(lines[..., 10:22, 10:22], found[..., 10:22, 10:22])
    assert not lines[..., 40:].any()


def test_weights_sum_to_one_after_training_moved_them() -> None:
    for shape in (Shape((8, 8), 1), Shape((8, 8), 1, refine=True, bends=True)):
        net = MotionNet(shape)
        torch.nn.init.normal_(net.leave.weight)
        weights = net(torch.rand(1, 6, 16, 16), torch.ones(1, 4, 16, 16) if shape.refine else None).weights
        assert all(float((both.detach().sum(1) - 1).abs().max()) < 1e-6 for both in weights.split(2, 1))


def test_pulling_by_whole_pixels_is_exact_inside_and_clamps_outside() -> None:
    picture = torch.rand(1, 3, 12, 16)
    offset = torch.tensor([3.0, -2.0])[None, :, None, None].expand(1, 2, 12, 16)
    moved = warp(picture, offset)
    assert float((moved[..., 2:, :13] - picture[..., :10, 3:]).abs().max()) < 1e-5
    assert float((moved[..., 2:, 13:] - picture[..., :10, -1:]).abs().max()) < 1e-5


def test_the_renderer_is_the_kernels_twin() -> None:
    height, width, count = 40, 48, 9
    frames = smooth(3, 6, height, width)
    random = torch.Generator().manual_seed(4)
    angle = 6.28 * torch.rand(2, height, width, generator=random)
    lines = torch.stack([part for a in angle for part in (5 * a.cos(), 5 * a.sin())])[None]
    weight = torch.rand(1, 1, height, width, generator=random)
    motion = Motion(lines, None, torch.cat([weight, 1 - weight], 1))
    found = render(frames, motion, count)[0].permute(1, 2, 0).numpy()
    first, second = (
        np.concatenate([f.permute(1, 2, 0).numpy(), np.ones((height, width, 1))], 2)
        for f in frames[0].split(3)
    )
    delta = np.stack([part.permute(1, 2, 0).numpy() for part in lines[0].split(2)])
    truth = blur.paths(
        np.zeros((height, width, 4)),
        first,
        second,
        delta,
        np.tile(delta, 2),
        weight[0, 0].numpy(),
        half_per_low=1.0,
        start=0.0,
        stop=1.0,
        time_weight=1.0,
        spacing=5.0001 / count,
        max_samples=64,
    )
    inside = np.s_[6:-6, 6:-6]
    assert np.abs(found[inside] - truth[inside][..., :3]).max() < 2e-5


def test_still_frames_stay_as_they_are() -> None:
    frame = smooth(5, 3, 16, 16)
    still = Motion(torch.zeros(1, 4, 16, 16), None, torch.full((1, 2, 16, 16), 0.5))
    found = render(torch.cat([frame, frame], 1), still, 7)
    assert float((found - frame).abs().max()) < 1e-6


def test_a_dots_trail_is_even_from_end_to_end() -> None:
    frames = torch.zeros(1, 6, 8, 64)
    frames[:, :3, :, 10] = frames[:, 3:, :, 50] = 1.0
    lines = torch.tensor([-40.0, 0.0, 40.0, 0.0])[None, :, None, None].expand(1, 4, 8, 64)
    trail = render(frames, Motion(lines, None, torch.full((1, 2, 8, 64), 0.5)), 80)[0, 0, 4]
    assert float(trail[12:49].max() / trail[12:49].min()) < 1.05
    assert float(trail[:9].max()) == float(trail[52:].max()) == 0


def test_a_bent_line_samples_along_its_parabola() -> None:
    height, width = 24, 40
    frames = torch.zeros(1, 6, height, width)
    frames[:, :3, 12, 20] = 1.0
    lines, bends = torch.zeros(1, 4, height, width), torch.zeros(1, 4, height, width)
    lines[:, 0], bends[:, 1] = -16.0, 24.0
    all_first = torch.cat([torch.ones(1, 1, height, width), torch.zeros(1, 1, height, width)], 1)
    found = render(frames, Motion(lines, bends, all_first), 400)[0, 0]
    for s in (0.25, 0.5, 0.75):
        across, down = 20 + 16 * s, 12 - 24 * s * (1 - s)
        assert float(found[round(down), round(across)]) > 0.01
        assert float(found[12, round(across)]) == 0, "a straight line would pass here"


def test_weights_are_linear_between_the_intervals_ends() -> None:
    frames = torch.cat([torch.full((1, 3, 4, 4), 0.2), torch.full((1, 3, 4, 4), 1.0)], 1)
    ends = torch.tensor([0.9, 0.1, 0.3, 0.7])[None, :, None, None].expand(1, 4, 4, 4)
    found = render(frames, Motion(torch.zeros(1, 4, 4, 4), None, ends), 2000)
    time = (np.arange(2000) + 0.5) / 2000
    first, second = (1 - time) * (0.9 - 0.6 * time), time * (0.1 + 0.6 * time)
    truth = (0.2 * first + 1.0 * second).sum() / (first + second).sum()
    assert float((found - truth).abs().max()) < 1e-4
