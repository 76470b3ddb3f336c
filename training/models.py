"""Trained networks as functions of two pictures: checkpoints run by torch, ONNX files by onnxruntime."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from longexpo_cli.arrays import Array32
from longexpo_cli.vision import engines
from training import classical, quantization
from training.net import MotionNet, Shape


class Prediction(NamedTuple):
    """The motion of a pair (net.Motion): lines H W 4 px, weights H W 2 or 4, bends H W 4 px or None."""

    lines: Array32
    weights: Array32
    bends: Array32 | None = None


# From two pictures H W 3 (sRGB 0..1) to their motion, and to lines H W 4 (px) alone.
LinesMethod = Callable[[Array32, Array32], Prediction]
LinesStart = Callable[[Array32, Array32], Array32]

STAGES_FILE = "{}-stages.pt"  # beside a checkpoint of that name: float16 weights of its flow stages
OUTPUTS = ("lines", "bends", "weights")  # of an exported network, in order; bends only if it has them
FLOW_PREFIX = "halfway."  # of the flow stages' weights in a checkpoint (MotionNet.halfway)


@dataclass(frozen=True, slots=True)
class Network:
    """A network ready to run: run maps frames 1 6 H W to arrays 1 C H W by the names of OUTPUTS.

    Networks with refine take classical lines 1 4 H W as well. H and W are multiples of `multiple`.
    """

    run: Callable[..., dict[str, Array32]]
    multiple: int
    refine: bool


def shape_of(checkpoint: dict[str, object]) -> Shape:
    """Return the shape of a checkpoint's network."""
    facts = checkpoint["shape"]
    assert isinstance(facts, dict)
    halfway = tuple(tuple(stage) for stage in facts.get("halfway", ()))
    return Shape(**{**facts, "widths": tuple(facts["widths"]), "halfway": halfway})


def averaged_weights(checkpoint: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the averaged weights, which are exported; a checkpoint stores their difference to the last."""
    average = checkpoint["average"]
    return {
        name: value + average[name].float() if name in average else value
        for name, value in checkpoint["net"].items()
    }


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint with the weights of its flow stages, which are in a file beside it."""
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if saved["shape"].get("halfway"):
        saved["net"].update({name: _stage_weight(stored) for name, stored in _load_stages(path).items()})
    return saved


def _load_stages(path: Path) -> dict[str, Any]:
    """Return the contents of the file of flow stages beside a checkpoint."""
    beside = path.with_name(STAGES_FILE.format(path.stem))
    stages: dict[str, Any] = torch.load(beside, map_location="cpu", weights_only=True)
    return stages


def _stage_weight(stored: torch.Tensor | tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return a flow stage's weight: float16 as training writes it, or quantized by `archive`."""
    return quantization.dequantize(*stored) if isinstance(stored, tuple) else stored.float()


def archive(path: Path, out: Path) -> None:
    """Copy a checkpoint to out, and its flow stages beside it, quantized as in an exported network."""
    shutil.copyfile(path, out)
    stages = {
        name: quantization.quantize(weight.float()) if quantization.is_convolution(weight) else weight
        for name, weight in _load_stages(path).items()
    }
    torch.save(stages, out.with_name(STAGES_FILE.format(out.stem)))


def from_checkpoint(path: Path) -> MotionNet:
    """Return the network of a checkpoint with its averaged weights, ready to run."""
    saved = load_checkpoint(path)
    net = MotionNet(shape_of(saved))
    net.load_state_dict(averaged_weights(saved))
    return net.eval().requires_grad_(False)


def load_network(path: Path, threads: int) -> Network:
    """Open a checkpoint or an exported network."""
    return _onnx(path, threads) if path.suffix == ".onnx" else _torch(path)


def predictor_of(network: Network, start: LinesStart = classical.dis) -> LinesMethod:
    """Return the network as a function of two pictures H W 3 (sRGB 0..1) of any size.

    start estimates the classical lines that a refining network takes.
    """

    def predict(first: Array32, second: Array32) -> Prediction:
        height, width = first.shape[:2]
        margin = ((0, -height % network.multiple), (0, -width % network.multiple), (0, 0))
        inputs = [np.concatenate([first, second], axis=2)]
        if network.refine:
            inputs.append(start(first, second))
        padded = [np.pad(part, margin, mode="edge").transpose(2, 0, 1)[None] for part in inputs]
        outputs = network.run(*(np.ascontiguousarray(part) for part in padded))
        found = {
            name: np.ascontiguousarray(part[0].transpose(1, 2, 0)[:height, :width])
            for name, part in outputs.items()
        }
        return Prediction(**found)

    return predict


def _onnx(path: Path, threads: int) -> Network:
    onnxruntime = engines.load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    if metadata["light"] != "srgb":
        raise ValueError(f"{path}: takes {metadata['light']} light; only sRGB values are supported")
    names = [value.name for value in session.get_inputs()]
    existing = {value.name for value in session.get_outputs()}
    wanted = [name for name in OUTPUTS if name in existing]

    def run(*inputs: Array32) -> dict[str, Array32]:
        found = session.run(wanted, dict(zip(names, inputs, strict=True)))
        return dict(zip(wanted, found, strict=True))

    return Network(run, int(metadata["multiple"]), "init" in names)


def _torch(path: Path) -> Network:
    net = from_checkpoint(path)

    @torch.inference_mode()
    def run(*inputs: Array32) -> dict[str, Array32]:
        motion = net(*(torch.from_numpy(part) for part in inputs))
        return {name: part.numpy() for name, part in motion._asdict().items() if part is not None}

    return Network(run, net.shape.multiple, net.shape.refine)
