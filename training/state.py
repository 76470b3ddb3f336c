"""The state of a training run, and its checkpoint files.

A checkpoint holds the network's weights, the difference of the averaged weights to them, and the optimiser's
moments as bfloat16. The averaged weights of the flow stages (IntermediateFlow) are in a second file as
float16, so that no file exceeds 16 MiB; these stages' moments are not saved.
"""

from __future__ import annotations

import argparse
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from training.models import FLOW_PREFIX, STAGES_FILE, averaged_weights, load_checkpoint, shape_of
from training.net import SHAPES, MotionNet

_NORM_COUNT = 64  # latest gradient norms, whose median limits the next
_BETAS, _DECAY = (0.9, 0.99), 1e-4  # of AdamW


@dataclass(slots=True)
class State:
    """The state of a run: network, averaged weights, optimiser, progress and the latest gradient norms."""

    net: MotionNet
    average: MotionNet
    optimiser: torch.optim.Optimizer
    step: int = 0
    minutes: float = 0.0
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=_NORM_COUNT))


def resume(options: argparse.Namespace, device: torch.device) -> State:
    """Return the state of the checkpoint in the run's folder, or a fresh one."""
    path = options.out / "checkpoint.pt"
    saved: dict[str, Any] | None = load_checkpoint(path) if path.is_file() else None
    shape = shape_of(saved) if saved else SHAPES[options.net]
    net, average = (MotionNet(shape).to(device, memory_format=torch.channels_last) for _ in range(2))
    if saved:
        net.load_state_dict(saved["net"])
    else:
        initialize(net, options.begin)
    average.load_state_dict(averaged_weights(saved) if saved else net.state_dict())
    average.requires_grad_(False)
    flow_weights = [p for name, p in net.named_parameters() if name.startswith(FLOW_PREFIX)]
    rest = [p for name, p in net.named_parameters() if not name.startswith(FLOW_PREFIX)]
    for parameter in flow_weights:
        parameter.requires_grad_(options.stages_rate > 0)
    groups = [{"params": rest, "share": 1.0}]
    if flow_weights and options.stages_rate > 0:
        groups.append({"params": flow_weights, "share": options.stages_rate})
    optimiser = torch.optim.AdamW(groups, lr=options.rate, betas=_BETAS, weight_decay=_DECAY)
    state = State(net, average, optimiser)
    if saved:
        state.step, state.minutes = saved["step"], saved["minutes"]
        for parameter, (first, second) in zip(rest, saved["moments"], strict=True):
            optimiser.state[parameter] = {
                "step": torch.tensor(float(state.step)),
                "exp_avg": first.float().to(parameter),
                "exp_avg_sq": second.float().to(parameter),
            }
    return state


def initialize(net: MotionNet, other: Path | None) -> None:
    """Initialize a new network from another checkpoint, if given; flow stages that this lacks from RIFE."""
    theirs = averaged_weights(load_checkpoint(other)) if other is not None else {}
    if net.shape.halfway and not any(name.startswith(FLOW_PREFIX) for name in theirs):
        net.halfway.load_rife()
    copy_weights(net, theirs)


@torch.no_grad()
def copy_weights(net: MotionNet, theirs: dict[str, torch.Tensor]) -> None:
    """Copy a smaller network's weights into the first channels of each layer; the other channels become 0.

    Layers that the smaller network lacks are left as they are.
    """
    for name, ours in net.named_parameters():
        if name in theirs:
            source = theirs[name]
            ours.zero_()
            ours[tuple(slice(side) for side in source.shape)] = source


def save(state: State, options: argparse.Namespace) -> None:
    """Write checkpoint.pt and, for networks with flow stages, checkpoint-stages.pt; each atomically."""
    last = {name: value.cpu() for name, value in state.net.state_dict().items()}
    average = {name: value.cpu() for name, value in state.average.state_dict().items()}
    flow_weights = {name: value.half() for name, value in average.items() if name.startswith(FLOW_PREFIX)}
    last = {name: value for name, value in last.items() if name not in flow_weights}
    optimiser_states = [state.optimiser.state[p] for p in state.optimiser.param_groups[0]["params"]]
    moments = [
        tuple(one[name].cpu().bfloat16() for name in ("exp_avg", "exp_avg_sq")) for one in optimiser_states
    ]
    shape = state.net.shape
    facts = {**shape.facts(), "widths": list(shape.widths), "halfway": [list(s) for s in shape.halfway]}
    option_texts = {name: str(value) for name, value in vars(options).items()}
    contents = {
        "shape": facts,
        "net": last,
        "moments": moments,
        "step": state.step,
        "minutes": state.minutes,
        "average": {name: (average[name] - value).half() for name, value in last.items()},
        "options": option_texts,
    }
    for name, content in (("checkpoint.pt", contents), (STAGES_FILE.format("checkpoint"), flow_weights)):
        if content:
            torch.save(content, options.out / "unfinished")
            (options.out / "unfinished").replace(options.out / name)
