"""Trained networks as functions of two pictures: from a checkpoint (torch) or as exported (onnxruntime)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longexpo_cli.arrays import Array32
from longexpo_cli.vision import networks
from training import classical, rounding
from training.net import MotionNet, Shape

Lines = Callable[[Array32, Array32], tuple[Array32, Array32]]
STAGES = "{}-stages.pt"  # beside a checkpoint of that name: float16 weights of the network's own stages
OWN = "halfway."  # begins the names of these weights
Start = Callable[[Array32, Array32], Array32]


@dataclass(frozen=True, slots=True)
class Network:
    """run takes frames 1 6 H W (and classical lines 1 4 H W if refine) and gives lines and weights.

    H and W are multiples of multiple.
    """

    run: Callable[..., list[Array32]]
    multiple: int
    refine: bool


def shape_of(checkpoint: dict[str, object]) -> Shape:
    """Return the shape of a checkpoint's network."""
    facts = checkpoint["shape"]
    assert isinstance(facts, dict)
    halfway = tuple(tuple(stage) for stage in facts.get("halfway", ()))
    return Shape(**{**facts, "widths": tuple(facts["widths"]), "halfway": halfway})


def averaged(checkpoint: dict[str, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the averaged weights, which are what is exported; stored as the difference to the last ones."""
    average = checkpoint["average"]
    return {
        name: value + average[name].float() if name in average else value
        for name, value in checkpoint["net"].items()
    }


def checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint with the weights of its network's own stages, which lie in a file beside it."""
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if saved["shape"].get("halfway"):
        stages = torch.load(path.with_name(STAGES.format(path.stem)), map_location="cpu", weights_only=True)
        saved["net"].update({name: _unpacked(kept) for name, kept in stages.items()})
    return saved


def _unpacked(kept: torch.Tensor | tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return a stage's weight: float16 as training leaves it, or the steps that `pack` keeps of it."""
    return rounding.value(*kept) if isinstance(kept, tuple) else kept.float()


def pack(path: Path, kept: Path) -> None:
    """Copy a checkpoint and its stages to where they are kept, the latter as an exported network has them."""
    shutil.copyfile(path, kept)
    stages = torch.load(path.with_name(STAGES.format(path.stem)), map_location="cpu", weights_only=True)
    packed = {
        name: rounding.steps(value.float()) if value.dim() == rounding.KERNEL else value
        for name, value in stages.items()
    }
    torch.save(packed, kept.with_name(STAGES.format(kept.stem)))


def from_checkpoint(path: Path) -> MotionNet:
    """Return the network of a checkpoint with its averaged weights, ready to run."""
    saved = checkpoint(path)
    net = MotionNet(shape_of(saved))
    net.load_state_dict(averaged(saved))
    return net.eval().requires_grad_(False)


def opened(path: Path, threads: int) -> Network:
    """Open a checkpoint or an exported network."""
    return _onnx(path, threads) if path.suffix == ".onnx" else _torch(path)


def lines_of(network: Network, start: Start = classical.dis) -> Lines:
    """Return what makes lines H W 4 (px) and weights H W 2 of two pictures H W 3 (sRGB 0..1) of any size.

    start makes the classical lines that a refining network begins with.
    """

    def lines(first: Array32, second: Array32) -> tuple[Array32, Array32]:
        height, width = first.shape[:2]
        margin = ((0, -height % network.multiple), (0, -width % network.multiple), (0, 0))
        parts = [np.concatenate([first, second], axis=2)]
        parts += [start(first, second)] if network.refine else []
        padded = [np.pad(part, margin, mode="edge").transpose(2, 0, 1)[None] for part in parts]
        found = network.run(*(np.ascontiguousarray(part) for part in padded))
        delta, weights = (part[0].transpose(1, 2, 0)[:height, :width] for part in found)
        return np.ascontiguousarray(delta), np.ascontiguousarray(weights)

    return lines


def _onnx(path: Path, threads: int) -> Network:
    onnxruntime = networks.load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    known = session.get_modelmeta().custom_metadata_map
    if known["light"] != "srgb":
        raise ValueError(f"{path}: wants {known['light']} light; networks made here take sRGB values")
    names = [put.name for put in session.get_inputs()]

    def run(*inputs: Array32) -> list[Array32]:
        return list(session.run(["lines", "weights"], dict(zip(names, inputs, strict=True))))

    return Network(run, int(known["multiple"]), "init" in names)


def _torch(path: Path) -> Network:
    net = from_checkpoint(path)

    @torch.inference_mode()
    def run(*inputs: Array32) -> list[Array32]:
        return [part.numpy() for part in net(*(torch.from_numpy(part) for part in inputs))]

    return Network(run, net.shape.multiple, net.shape.refine)
