"""All that a training run goes on from, and its file.

A checkpoint holds the network, its averaged weights as the difference to it and the optimiser's moments as
bfloat16; the averaged weights of a network's own stages lie beside it as float16, so that no file is larger
than 16 MiB. These stages' moments start anew with every piece.
"""

from __future__ import annotations

import argparse
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from training.models import OWN, STAGES, averaged, checkpoint, shape_of
from training.net import SHAPES, MotionNet

_NORMS = 64  # gradients whose median norm is kept
_BETAS, _DECAY = (0.9, 0.99), 1e-4  # of AdamW


@dataclass(slots=True)
class State:
    """All that a run goes on from."""

    net: MotionNet
    average: MotionNet
    optimiser: torch.optim.Optimizer
    step: int = 0
    minutes: float = 0.0
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=_NORMS))


def opened(options: argparse.Namespace, device: torch.device) -> State:
    """Return the state of the checkpoint in the run's folder, or a fresh one."""
    path = options.out / "checkpoint.pt"
    saved: dict[str, Any] | None = checkpoint(path) if path.is_file() else None
    shape = shape_of(saved) if saved else SHAPES[options.net]
    net, average = (MotionNet(shape).to(device, memory_format=torch.channels_last) for _ in range(2))
    if saved:
        net.load_state_dict(saved["net"])
    else:
        begin(net, options.begin)
    average.load_state_dict(averaged(saved) if saved else net.state_dict())
    average.requires_grad_(False)
    own = [p for name, p in net.named_parameters() if name.startswith(OWN)]
    rest = [p for name, p in net.named_parameters() if not name.startswith(OWN)]
    for parameter in own:
        parameter.requires_grad_(options.stages_rate > 0)
    groups = [{"params": rest, "share": 1.0}]
    if own and options.stages_rate > 0:
        groups.append({"params": own, "share": options.stages_rate})
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


def begin(net: MotionNet, other: Path | None) -> None:
    """Give a fresh network the weights that it can begin with: its own stages RIFE's, the rest another's."""
    if net.shape.halfway:
        net.halfway.begin()
    if other is not None:
        take(net, averaged(checkpoint(other)))


@torch.no_grad()
def take(net: MotionNet, theirs: dict[str, torch.Tensor]) -> None:
    """Take what a smaller network has learnt.

    It fills the first channels of each layer, and what it did not know counts nothing at first.
    """
    for name, mine in net.named_parameters():
        if name in theirs:
            its = theirs[name]
            mine.zero_()
            mine[tuple(slice(side) for side in its.shape)] = its


def save(state: State, options: argparse.Namespace) -> None:
    last = {name: value.cpu() for name, value in state.net.state_dict().items()}
    average = {name: value.cpu() for name, value in state.average.state_dict().items()}
    own = {name: value.half() for name, value in average.items() if name.startswith(OWN)}
    last = {name: value for name, value in last.items() if name not in own}
    kept = [state.optimiser.state[p] for p in state.optimiser.param_groups[0]["params"]]
    moments = [tuple(one[name].cpu().bfloat16() for name in ("exp_avg", "exp_avg_sq")) for one in kept]
    shape = state.net.shape
    facts = {**shape.facts(), "widths": list(shape.widths), "halfway": [list(s) for s in shape.halfway]}
    told = {name: str(value) for name, value in vars(options).items()}
    whole = {
        "shape": facts, "net": last, "moments": moments, "step": state.step, "minutes": state.minutes,
        "average": {name: (average[name] - value).half() for name, value in last.items()}, "options": told,
    }  # fmt: skip
    for name, content in (("checkpoint.pt", whole), (STAGES.format("checkpoint"), own)):
        if content:
            torch.save(content, options.out / "unfinished")
            (options.out / "unfinished").replace(options.out / name)
