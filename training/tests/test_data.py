"""Scenes with truth, pairs and their augmentation, textures."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training import classical, scenes, srgb
from training.corruption import corrupted
from training.intermediate_flow import warp
from training.lamps import Lamps
from training.net import Motion, render
from training.pairs import Pair, PairSampler, folders, read
from training.paths import Paths
from training.real import INTERVALS, SPLIT, jobs
from training.textures import Textures, load

CPU = torch.device("cpu")


def test_the_same_seed_draws_the_same_pairs(textures: Textures) -> None:
    one, two, other = (scenes.draw(textures, 2, 48, seed) for seed in (7, 7, 8))
    assert torch.equal(one.frames, two.frames) and torch.equal(one.blurred, two.blurred)
    assert not torch.equal(one.frames, other.frames)


def test_scenes_hold_still_pixels_and_large_motion(textures: Textures) -> None:
    drawn = scenes.draw(textures, 24, 64, 1)
    length = torch.hypot(drawn.motion[:, 0], drawn.motion[:, 1])
    assert 0.1 < float((length == 0).float().mean()) < 0.9
    assert float(length.max()) > 24
    assert torch.isfinite(drawn.motion).all()
    assert float(drawn.blurred.min()) >= 0 and float(drawn.blurred.max()) <= 1


def test_true_motion_leads_from_one_frame_to_the_other(textures: Textures) -> None:
    drawn = scenes.draw(textures, 16, 64, 3)
    misses = [
        (warp(drawn.frames[:, there], drawn.motion[:, way]) - drawn.frames[:, here]).abs().amax(1)
        for here, there, way in (
            (slice(0, 3), slice(3, 6), slice(0, 2)), (slice(3, 6), slice(0, 3), slice(2, 4)),
        )
    ]  # fmt: skip
    assert all(float(miss.median()) < 0.04 for miss in misses)
    stays = (drawn.frames[:, :3] - drawn.frames[:, 3:]).abs().amax(1)
    assert all(float(miss.mean()) < 0.6 * float(stays.mean()) for miss in misses)


@pytest.mark.parametrize("kind", sorted(scenes.KINDS))
def test_every_kind_of_scene_has_a_truth_between_its_frames(textures: Textures, kind: str) -> None:
    drawn = scenes.draw(textures, 2, 48, 11, kind)
    assert torch.isfinite(drawn.blurred).all() and torch.isfinite(drawn.motion).all()
    apart = (srgb.decode(drawn.blurred) - srgb.decode(drawn.frames).view(2, 2, 3, 48, 48).mean(1)).abs()
    assert 0 < float(apart.mean()) < 0.15


def test_a_lamps_trail_has_no_gaps(textures: Textures) -> None:
    """A clipped lamp of 3 px on its way of 64 px is drawn often enough that its trail is even."""
    start = torch.tensor([[[-0.5, 0.0]]])
    zero = torch.zeros(1, 1)
    path = Paths(start + torch.tensor([0.5, 0.0]), torch.tensor([[[0.5, 0.0]]]), torch.zeros(1, 1, 2), zero)
    lamp = Lamps(path, zero + 1.0, torch.full((1, 1, 3), 20.0), zero, zero + 1)
    moments = [pair for n in range(scenes.SUBFRAMES) for pair in scenes._moments(n)]
    trail = sum(weight * lamp.picture(time, 128).clamp(0, 1) for time, weight in moments)
    along = trail[0, 0, 62:66].sum(0)[36:92]
    assert float(along.max() / along.min()) < 1.15
    assert {round(sum(w for _, w in scenes._moments(n)), 9) for n in range(scenes.SUBFRAMES)} == {1.0}


def test_a_path_bends_and_changes_speed_between_its_ends() -> None:
    one = torch.tensor(1.0)
    path = Paths(torch.zeros(2), torch.tensor([0.5, 0.0]), torch.tensor([0.0, 0.2]), 0.8 * one)
    assert torch.allclose(path.at(0.0), torch.tensor([-0.5, 0.0]))
    assert torch.allclose(path.at(1.0), torch.tensor([0.5, 0.0]))
    assert float(path.progress(0.5)) == pytest.approx(0.7)
    assert torch.allclose(path.at(0.5), torch.tensor([0.2, 0.2 * 4 * 0.7 * 0.3]))


def test_corrupted_lines_are_wrong_in_a_region_of_a_part_of_the_pictures() -> None:
    lines = torch.tensor([6.0, -2.0, -6.0, 2.0])[None, :, None, None].expand(300, 4, 40, 48)
    found = corrupted(lines, 1 / 3, torch.Generator().manual_seed(3))
    changed = (found - lines).abs().amax(1) > 0.5
    assert 0.25 < float(changed.flatten(1).any(1).float().mean()) < 0.42
    assert 0.03 < float(changed.float().mean()) < 0.25
    assert torch.equal(corrupted(lines, 0.0, torch.Generator()), lines)
    assert torch.allclose(found[:, :2] + found[:, 2:], torch.zeros(()), atol=1e-4), "both frames err alike"


def test_what_rests_is_not_blurred(textures: Textures) -> None:
    drawn = scenes.draw(textures, 16, 64, 5)
    apart = (drawn.blurred - drawn.frames[:, :3]).abs().amax(1)
    resting = (drawn.frames[:, :3] - drawn.frames[:, 3:]).abs().amax(1) < 1 / 512
    assert float(apart[resting].median()) < 0.01


@pytest.mark.parametrize("seed", range(12))
def test_augmented_lines_still_explain_the_blurred_picture(pair: Pair, seed: int) -> None:
    batch = PairSampler([(1.0, [pair])], None, CPU).batch(2, 48, seed, refine=True)
    assert batch.init is not None
    halves = torch.full((2, 2, 48, 48), 0.5)
    found = srgb.encode(render(srgb.decode(batch.frames), Motion(batch.init, None, halves), 32))
    inside = np.s_[..., 6:-6, 6:-6]
    assert float((found - batch.blurred)[inside].abs().max()) < 0.02
    both = PairSampler([(1.0, [replace(pair, halfway=pair.init)])], None, CPU).batch(2, 48, seed, refine=True)
    assert both.halfway is not None and torch.equal(both.halfway, batch.init)
    twisted = srgb.encode(render(srgb.decode(batch.frames), Motion(batch.init.flip(1), None, halves), 32))
    assert float((twisted - batch.blurred)[inside].abs().max()) > 0.05


def test_drawn_scenes_join_pairs_in_memory(textures: Textures, pair: Pair) -> None:
    sampler = PairSampler([(0.5, [pair])], textures, CPU)
    for refine in (False, True):
        batch = sampler.batch(6, 32, 2, refine)
        assert batch.frames.shape == (6, 6, 32, 32) and batch.blurred.shape == (6, 3, 32, 32)
        assert (batch.init is not None) == refine


def test_shares_must_fill_the_batch(pair: Pair) -> None:
    with pytest.raises(ValueError, match="add up to"):
        PairSampler([(0.4, [pair])], None, CPU)


def test_a_folder_of_pictures_is_a_pair(tmp_path: Path, pictures: tuple[np.ndarray, ...], pair: Pair) -> None:
    folder = tmp_path / "some" / "scene"
    folder.mkdir(parents=True)
    for name, picture, bits in zip(("frame_0", "frame_1", "blurred"), pictures, (8, 8, 16), strict=True):
        srgb.write(folder / f"{name}.png", picture, bits)
    assert folders([tmp_path]) == [folder]
    assert torch.equal(read(folder).pictures, pair.pictures)
    with pytest.raises(FileNotFoundError, match="no pairs"):
        folders([tmp_path / "none"])


def test_the_products_lines_are_used_as_often_as_flows(
    tmp_path: Path, pictures: tuple[np.ndarray, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, picture in zip(("frame_0", "frame_1", "blurred"), pictures, strict=True):
        srgb.write(tmp_path / f"{name}.png", picture)
    monkeypatch.setattr(sys, "argv", ["classical", str(tmp_path)])
    classical.main()
    found = read(tmp_path)
    assert found.product_lines is not None and found.product_lines.shape == found.init.shape
    told = replace(found, init=found.init * 0, product_lines=torch.ones_like(found.init))
    batch = PairSampler([(1.0, [told])], None, CPU).batch(40, 16, 0, refine=True)
    assert batch.init is not None
    assert 10 < int((batch.init != 0).flatten(1).any(1).sum()) < 30


def test_flows_lines_point_where_lines_point(pictures: tuple[np.ndarray, ...]) -> None:
    lines = classical.dis(pictures[0], pictures[1])
    assert np.abs(np.median(lines, axis=(0, 1)) - (-4, 2, 4, -2)).max() < 0.3
    assert 3.5 < float(np.median(classical.motion_extent(lines))) < 5.5


def test_no_clip_both_trains_and_validates() -> None:
    tables = tomllib.loads(SPLIT.read_text("utf-8"))
    assert {table["split"] for table in tables.values()} == {"train", "val"}
    assert len(tables) == len(set(tables))
    assert all(INTERVALS % job.gap == 0 for job in jobs())
    assert not {job.name for job in jobs("train")} & {job.name for job in jobs("val")}


def test_packed_textures_come_back(tmp_path: Path) -> None:
    square = (np.indices((32, 32)).sum(0) * 4).astype(np.uint8)
    photo = cv2.imencode(".png", np.dstack([square, square, 0 * square]))[1]
    stamp = cv2.imencode(".png", np.dstack([square] * 4))[1]
    np.savez(
        tmp_path / "t.npz", photos=photo, photos_ends=[len(photo)], stamps=stamp, stamps_ends=[len(stamp)]
    )
    found = load(tmp_path / "t.npz", CPU)
    assert found.photos.shape == (1, 3, 32, 32) and found.stamps.shape == (1, 4, 32, 32)
    assert not found.photos[0, 0].any(), "red first"
    assert np.array_equal(found.photos[0, 2].numpy(), square)
