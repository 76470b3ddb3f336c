"""The simplified graph: no PReLU and no transposition of six axes, and the same results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from longexpo_cli.vision import engines
from training import export
from training.net import MotionNet, Shape

STAGED = Shape((8, 16), 1, 2, True, ((2, 8, 6), (1, 8, 8)))


def exported(folder: Path, monkeypatch: pytest.MonkeyPatch, steepest: float) -> tuple[Path, Path]:
    """Return files of a random network as it is traced, and simplified; its PReLUs slope up to steepest."""
    torch.manual_seed(4)
    net = MotionNet(STAGED).eval()
    torch.nn.init.normal_(net.leave.weight, std=0.1)
    for module in net.modules():
        if isinstance(module, torch.nn.PReLU):
            torch.nn.init.uniform_(module.weight, -0.5, steepest)
    net = export.quantize_weights(net)
    paths = folder / "traced.onnx", folder / "simple.onnx"
    with monkeypatch.context() as patched:
        patched.setattr(export, "simplify", lambda model: model)
        export.export(net, paths[0], {})
    export.export(net, paths[1], {})
    return paths


def operations(path: Path) -> list[str]:
    """Return what the nodes of a graph do, transpositions with their axes."""
    nodes = onnx.load(path).graph.node
    return [n.op_type + (str(n.attribute[0].ints) if n.op_type == "Transpose" else "") for n in nodes]


@pytest.mark.parametrize("steepest", [1.0, 1.5])
def test_results_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steepest: float) -> None:
    """PReLUs with a slope above 1 stay as they are."""
    traced, simple = exported(tmp_path, monkeypatch, steepest)
    onnx.checker.check_model(str(simple), full_check=True)
    random = np.random.default_rng(1)
    inputs = {"frames": random.random((1, 6, 64, 96), np.float32)}
    inputs["init"] = 3 * random.standard_normal((1, 4, 64, 96), np.float32)
    runtime = engines.load_onnxruntime()
    results = [
        runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["lines", "weights"], inputs)
        for path in (traced, simple)
    ]
    for one, other in zip(*results, strict=True):
        assert np.abs(one - other).max() < 1e-4
    assert ("PRelu" in operations(simple)) == (steepest > 1)


def test_unshuffling_is_a_strided_convolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced, simple = (operations(path) for path in exported(tmp_path, monkeypatch, 1.0))
    six_axes = "Transpose[0, 1, 3, 5, 2, 4]"
    assert traced.count(six_axes) == 1
    assert six_axes not in simple
    assert simple.count("Reshape") < traced.count("Reshape")
