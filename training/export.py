"""Export a checkpoint's averaged weights to ONNX and check that onnxruntime computes the same.

    python -m training.export training/runs/refine/checkpoint.pt weights/motion.onnx

Inputs: frames 1 6 H W (two RGB pictures, sRGB values 0..1); refining networks also take init 1 4 H W, the
lines of optical flow (classical.dis). Outputs: lines 1 4 H W px, weights 1 2 H W. Networks with bends also
have bends 1 4 H W px, and weights 1 4 H W (net.Motion); the metadata's `contract` is then 2, else 1. H and W
are multiples of `multiple` in the metadata. Prints the entry for weights/index.toml and the time per pair,
also as a multiple of a matrix product's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import torch
from torch import Tensor, nn

from longexpo_cli.arrays import Array32
from longexpo_cli.vision import engines
from training import quantization
from training.models import OUTPUTS, from_checkpoint, load_checkpoint
from training.net import MotionNet
from training.simplify import simplify

VERSION = "2"
_INIT = "OpenCV DIS medium, 8-bit grey: second to first, first to second"
_OPSET = 18  # grid sampling as onnxruntime runs it on any processor
_SIZES = ((96, 128), (128, 64), (200, 264))  # checked; all differ from the traced size
# Differences due to the order of float32 sums, at motions of tens of pixels.
_TOLERANCE_PX = 2e-2
_TOLERANCE_WEIGHT = 2e-3
_TIMED_SIZE = (384, 512)
_ROUNDS = 7
_MATRIX_SIDE = 2048


def main() -> None:
    """Export, check and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    saved = load_checkpoint(options.checkpoint)
    net = quantize_weights(from_checkpoint(options.checkpoint))
    training = {"steps": saved["step"], "minutes": round(saved["minutes"], 1), **saved["options"]}
    export(net, options.out, training)
    sizes = [tuple(-(-side // net.shape.multiple) * net.shape.multiple for side in size) for size in _SIZES]
    differences = [parity(net, options.out, (rows, columns), options.threads) for rows, columns in sizes]
    print(f"torch and onnxruntime differ by at most {max(a[0] for a in differences):.1e} px, "
          f"weights by {max(a[1] for a in differences):.1e}")  # fmt: skip
    print(timing(net, options.out, options.threads))
    print(f'file = "{options.out.name}"\nsha256 = "{hashlib.sha256(options.out.read_bytes()).hexdigest()}"')


def quantize_weights(net: MotionNet) -> MotionNet:
    """Quantize a network's convolutions in place, to the values that the exported file has."""
    with torch.no_grad():
        for weight in net.parameters():
            if quantization.is_convolution(weight):
                weight.copy_(quantization.dequantize(*quantization.quantize(weight)))
    return net


def export(net: MotionNet, out: Path, training: dict[str, Any]) -> None:
    """Write a quantized network as ONNX with its metadata, convolutions as 8-bit integers.

    onnxruntime converts them to float32 once, when it opens the file, and computes in float32.
    """
    side = 8 * net.shape.multiple
    inputs = (torch.rand(1, 6, side, side), *([torch.randn(1, 4, side, side)] if net.shape.refine else []))
    names = ["frames", *(["init"] if net.shape.refine else [])]
    outputs = _outputs(net)
    free = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        # The tracing exporter announces its successor, which needs more packages.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _OutputsOnly(net), inputs, str(out), input_names=names, output_names=outputs,
            dynamic_axes=dict.fromkeys(names + outputs, free), opset_version=_OPSET, dynamo=False,
        )  # fmt: skip
    model = _with_int8_weights(onnx.load(out))
    onnx.checker.check_model(model, full_check=True)
    facts = {
        "light": "srgb",
        "multiple": str(net.shape.multiple),
        "contract": "2" if net.shape.bends else "1",
        "version": VERSION,
        "init": _INIT if net.shape.refine else "none",
        "shape": json.dumps(net.shape.facts()),
        "training": json.dumps(training),
    }
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(simplify(model), out)


class _OutputsOnly(nn.Module):
    """A network without the outputs that are None, as the exporter requires."""

    def __init__(self, net: MotionNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, frames: Tensor, init: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the outputs in the order of _outputs."""
        return tuple(part for part in self.net(frames, init) if part is not None)


def _outputs(net: MotionNet) -> list[str]:
    return [name for name in OUTPUTS if name != "bends" or net.shape.bends]


def _with_int8_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its convolutions' weights as int8 times a scale per output channel."""
    graph = model.graph
    nodes = []
    initializers = []
    for tensor in graph.initializer:
        weight = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        if not quantization.is_convolution(weight):
            initializers.append(tensor)
            continue
        integers, scale = (part.numpy() for part in quantization.quantize(weight))
        name = tensor.name
        initializers.append(onnx.numpy_helper.from_array(integers, f"{name}.whole"))
        initializers.append(onnx.numpy_helper.from_array(scale, f"{name}.step"))
        nodes.append(
            onnx.helper.make_node("Cast", [f"{name}.whole"], [f"{name}.float"], to=onnx.TensorProto.FLOAT)
        )
        nodes.append(onnx.helper.make_node("Mul", [f"{name}.float", f"{name}.step"], [name]))
    nodes.extend(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(initializers)
    graph.node.extend(nodes)
    return model


def parity(net: MotionNet, path: Path, size: tuple[int, int], threads: int) -> tuple[float, float]:
    """Return the largest difference of the exported network's lines and bends (px) and of its weights.

    ValueError if one exceeds its tolerance.
    """
    inputs = _inputs(net, size)
    with torch.inference_mode():
        known = [part.numpy() for part in _OutputsOnly(net)(*map(torch.from_numpy, inputs.values()))]
    outputs = _session(path, threads).run(_outputs(net), inputs)
    apart = [float(np.abs(one - other).max()) for one, other in zip(outputs, known, strict=True)]
    differences = max(apart[:-1]), apart[-1]
    if differences[0] > _TOLERANCE_PX or differences[1] > _TOLERANCE_WEIGHT:
        raise ValueError(
            f"{path}: off by {differences[0]:.2g} px and {differences[1]:.2g} in weight at {size}"
        )
    return differences


def timing(net: MotionNet, path: Path, threads: int) -> str:
    """Return a pair's time in seconds and relative to a float32 matrix product on the same threads."""
    session, inputs = _session(path, threads), _inputs(net, _TIMED_SIZE)
    pair_s = _best(lambda: session.run(_outputs(net), inputs))
    matrix = torch.rand(_MATRIX_SIDE, _MATRIX_SIDE)
    product_s = _best(lambda: matrix @ matrix)
    size = path.stat().st_size / 2**20
    return (
        f"{pair_s:.3f} s per pair of {_TIMED_SIZE[1]} x {_TIMED_SIZE[0]} on {threads} threads, "
        f"{pair_s / product_s:.2f} times a {_MATRIX_SIDE} x {_MATRIX_SIDE} float32 product "
        f"({product_s:.3f} s); {size:.2f} MiB"
    )


def _inputs(net: MotionNet, size: tuple[int, int]) -> dict[str, Array32]:
    random = np.random.default_rng(0)
    inputs = {"frames": random.random((1, 6, *size), np.float32)}
    if net.shape.refine:
        inputs["init"] = 4 * random.standard_normal((1, 4, *size), np.float32)
    return inputs


def _session(path: Path, threads: int) -> Any:
    onnxruntime = engines.load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _best(run: Callable[[], object]) -> float:
    run()
    seconds = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
