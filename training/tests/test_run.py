"""A run, cut into pieces, exported and measured."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from training import evaluate, export, ramp_ablation, srgb, train
from training.models import FLOW_PREFIX, archive, from_checkpoint, load_network, predictor_of
from training.net import SHAPES, Motion, MotionNet, Shape
from training.pairs import Pair, PairSampler
from training.state import State, resume, save
from training.train import _STATIC_LINE_COST, _loss, _options, _step

LEAN = Shape((8, 16), 1, 2, refine=True)
STAGED = Shape((8, 16), 1, 2, True, ((2, 8, 6), (1, 8, 8)))
BENT = Shape((8, 16), 1, 2, True, ((2, 8, 6), (1, 8, 8)), bends=True)


@pytest.fixture
def scene(tmp_path: Path, pictures: tuple[np.ndarray, ...]) -> Path:
    """A folder with one pair."""
    folder = tmp_path / "pairs" / "scene"
    folder.mkdir(parents=True)
    for name, picture in zip(("frame_0", "frame_1", "blurred"), pictures, strict=True):
        srgb.write(folder / f"{name}.png", picture, 16 if name == "blurred" else 8)
    return folder


@pytest.fixture
def run(tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished piece of a small run."""
    monkeypatch.setitem(SHAPES, "refine", LEAN)
    numbers = ["--minutes", "0.02", "--plan", "0.1", "--every", "0.01", "--batch", "2", "--crop", "32"]
    arguments = ["--real", str(scene.parent), "--val-real", str(scene.parent), "--val-synthetic"]
    arguments = ["train", *numbers, *arguments, "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", arguments)
    train.main()
    return tmp_path / "run"


def test_a_run_goes_on_from_its_checkpoint(run: Path) -> None:
    first = torch.load(run / "checkpoint.pt", weights_only=True)
    train.main()
    second = torch.load(run / "checkpoint.pt", weights_only=True)
    assert 0 < first["step"] < second["step"]
    assert second["minutes"] == pytest.approx(2 * first["minutes"], rel=0.6)
    lines = (run / "log.csv").read_text().splitlines()
    assert lines[0].startswith("minutes,step,rate,loss") and len(lines) >= 3
    assert (run / "plot.png").is_file()


def test_a_checkpoint_holds_weights_moments_and_average(run: Path) -> None:
    options = _options()
    state = resume(options, torch.device("cpu"))
    assert state.step > 0 and state.net.shape == LEAN
    assert len(state.optimiser.state) == len(list(state.net.parameters()))
    average = from_checkpoint(run / "checkpoint.pt")
    for slow, mine in zip(average.parameters(), state.average.parameters(), strict=True):
        assert torch.equal(slow, mine)


def test_a_networks_own_stages_lie_beside_the_checkpoint(tmp_path: Path, run: Path) -> None:
    options = _options()
    options.out, options.stages_rate = tmp_path, 0.1
    net, average = MotionNet(STAGED), MotionNet(STAGED)
    own = [p for name, p in net.named_parameters() if name.startswith(FLOW_PREFIX)]
    rest = [p for name, p in net.named_parameters() if not name.startswith(FLOW_PREFIX)]
    optimiser = torch.optim.AdamW([{"params": rest, "share": 1.0}, {"params": own, "share": 0.1}])
    frames, init = torch.rand(1, 6, 32, 32), torch.randn(1, 4, 32, 32)
    net(frames, init).lines.square().sum().backward()
    optimiser.step()
    save(State(net, average, optimiser, step=1), options)
    assert not any(
        name.startswith(FLOW_PREFIX)
        for name in torch.load(tmp_path / "checkpoint.pt", weights_only=True)["net"]
    )
    found = from_checkpoint(tmp_path / "checkpoint.pt")
    for (name, mine), other in zip(found.named_parameters(), average.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=2e-3), name
    archive(tmp_path / "checkpoint.pt", tmp_path / "kept.pt")
    export.quantize_weights(average)
    kept = from_checkpoint(tmp_path / "kept.pt")
    for (name, mine), other in zip(kept.named_parameters(), average.parameters(), strict=True):
        assert not name.startswith(FLOW_PREFIX) or torch.allclose(mine, other, atol=5e-3), name
    again = resume(options, torch.device("cpu"))
    assert again.step == 1 and len(again.optimiser.param_groups) == 2
    assert all(parameter.requires_grad for parameter in again.net.parameters())
    options.stages_rate = 0.0
    frozen = resume(options, torch.device("cpu")).net
    learns = {name.startswith(FLOW_PREFIX): p.requires_grad for name, p in frozen.named_parameters()}
    assert learns == {True: False, False: True}


def test_training_lowers_the_loss(pair: Pair, run: Path) -> None:
    options, cpu = _options(), torch.device("cpu")
    options.out = run / "fresh"
    torch.manual_seed(0)
    state = resume(options, cpu)
    wrong = Pair(pair.pictures, pair.init * 0.6)
    batch = PairSampler([(1.0, [wrong])], None, cpu).batch(2, 48, 0, refine=True)
    losses = [_step(state, batch, 3e-3, options, cpu) for _ in range(60)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.25


def test_lines_cost_where_nothing_changes(pair: Pair) -> None:
    still = Pair(pair.pictures[:3].repeat(3, 1, 1), pair.init * 0)
    batch = PairSampler([(1.0, [still])], None, torch.device("cpu")).batch(1, 48, 0, refine=True)
    weights = torch.full((1, 2, 48, 48), 0.5)
    rest, one = torch.zeros(1, 4, 48, 48), torch.ones(1, 4, 48, 48)
    at_rest, moving = Motion(rest, rest, weights), Motion(one, rest, weights)
    same = batch.blurred
    price = float(_loss(same, batch, moving, 0.0)) - float(_loss(same, batch, at_rest, 0.0))
    assert price == pytest.approx(_STATIC_LINE_COST, rel=1e-3)
    bent = Motion(rest, one, weights)
    assert float(_loss(same, batch, bent, 0.0)) == pytest.approx(float(_loss(same, batch, moving, 0.0)))


@pytest.mark.parametrize("shape", [LEAN, STAGED, BENT, Shape((8, 16), 1, 2), Shape((8, 8), 1, 1)], ids=str)
def test_the_exported_network_is_the_same(shape: Shape, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = MotionNet(shape).eval()
    torch.nn.init.normal_(net.leave.weight, std=0.1)
    path = tmp_path / "net.onnx"
    export.export(export.quantize_weights(net), path, {"steps": 1})
    for size in ((32, 48), (64, 40)):
        assert export.parity(net, path, size, 1)[0] < 1e-3
    model = onnx.load(path)
    outputs = [output.name for output in model.graph.output]
    assert outputs == (["lines", "bends", "weights"] if shape.bends else ["lines", "weights"])
    known = {entry.key: entry.value for entry in model.metadata_props}
    assert known["contract"] == ("2" if shape.bends else "1")
    assert known["light"] == "srgb" and known["multiple"] == str(shape.multiple)


def test_networks_take_pictures_of_any_size(tmp_path: Path, run: Path) -> None:
    export.export(from_checkpoint(run / "checkpoint.pt"), tmp_path / "net.onnx", {})
    first, second = (np.random.default_rng(n).random((37, 51, 3), np.float32) for n in (0, 1))
    results = [
        predictor_of(load_network(path, 1))(first, second)
        for path in (tmp_path / "net.onnx", run / "checkpoint.pt")
    ]
    for found in results:
        assert found.lines.shape == (37, 51, 4) and found.weights.shape == (37, 51, 2)
    assert np.abs(results[0].lines - results[1].lines).max() < 0.02, "kept with 255 steps a channel"


def test_measuring(
    scene: Path,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    what = ["--pairs", str(scene.parent), "--nets", str(run / "checkpoint.pt")]
    where = ["--out", str(tmp_path / "scores.csv"), "--pictures", str(tmp_path / "seen")]
    monkeypatch.setattr(sys, "argv", ["evaluate", *what, *where])
    evaluate.main()
    table = capsys.readouterr().out
    assert "| mean |" in table and "checkpoint.pt" in table
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 6
    assert (tmp_path / "seen" / "scene.dis.png").is_file()


def test_scores_know_the_truth(pictures: tuple[np.ndarray, ...]) -> None:
    truth = pictures[2]
    moves = np.full(truth.shape[:2], 5.0, np.float32)
    perfect = evaluate.score("a", "b", truth, truth, moves, 0.0)
    assert perfect.db == 100 and perfect.ssim == pytest.approx(1, abs=1e-4)
    off = evaluate.score("a", "b", truth + np.float32(0.1), truth, moves, 0.0)
    assert off.db == pytest.approx(20, abs=0.01)
    assert off.classes_db["2-8"] == pytest.approx(20, abs=0.01) and np.isnan(off.classes_db["8-24"])


def test_a_gap_in_the_middle_of_a_trail_is_seen() -> None:
    first, second, truth = ramp_ablation.scene()
    assert ramp_ablation.middle(truth, truth) == 1
    mean = srgb.encode(sum(srgb.decode(torch.from_numpy(frame)) for frame in (first, second)) / 2)
    assert ramp_ablation.middle(mean.numpy(), truth) < 0.4
