"""Log: one line per stage with its seconds and its decision (INFO), one line per value (DEBUG)."""

from __future__ import annotations

import logging
import time
from functools import singledispatchmethod
from pathlib import Path

import numpy as np

from longexpo_cli.types import (
    Alignment,
    Burst,
    Change,
    MergeAccumulator,
    Photograph,
    Print,
    Selection,
    Subject,
    Tracks,
    Trail,
)

logger = logging.getLogger(__name__)


class Log:
    """Logs the stages of one burst.

    A stage that returns a single value is logged at once. Stages that alternate in a loop over frames are
    logged after the loop, each with its total time.
    """

    def __init__(self, source: Path) -> None:
        self._name = source.name or str(source)
        self._looping: dict[str, float] = {}  # seconds per stage in the current loop
        self._merged = 0
        self._refused = 0
        self._notes: list[str] = []
        self._last = time.perf_counter()

    def on_loop(self, stage: str, steps: int) -> None:
        """Log that a loop starts."""
        logger.info("%s: %s starts, %d steps", self._name, stage, steps)

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Log a decision, or add up the time of a step."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        if isinstance(value, MergeAccumulator):
            self._merged = value.frames
        decision = self._decision(value)
        if decision is None:
            self._looping[stage] = self._looping.get(stage, 0.0) + seconds
            position = "" if index is None else f" {index}"
            logger.debug("%s: %s%s: %s, %.3f s", self._name, stage, position, type(value).__name__, seconds)
            return
        self._finish_loop()
        self._line(stage, seconds, decision)

    def _finish_loop(self) -> None:
        for stage, seconds in self._looping.items():
            merged = f"{self._merged} frames merged" if stage == "merge" else ""
            self._line(stage, seconds, merged)
        self._looping.clear()

    def _line(self, stage: str, seconds: float, decision: str) -> None:
        logger.info("%s: %s %.2f s%s", self._name, stage, seconds, f", {decision}" if decision else "")

    @singledispatchmethod
    def _decision(self, value: object) -> str | None:
        """Return the decision in a value as text, "" for none; None when the value is a step of a loop."""
        return None

    @_decision.register
    def _(self, value: Burst) -> str:
        for path, why in value.refused[self._refused :]:
            logger.info("%s: %s refused: %s", self._name, path.name, why)
        self._refused = len(value.refused)
        notes = value.all_notes
        for note in notes if self._notes != [*notes] else ():
            logger.info("%s: note: %s", self._name, note)
        self._notes = [*notes]
        height, width = value.shots[0].size_px
        brackets = f", {len(value.brackets)} bracketed frames" if value.brackets else ""
        return f"{len(value.shots)} frames of {width}x{height}{brackets}"

    @_decision.register
    def _(self, value: Subject) -> str:
        return f"saliency peak {value.score:.2f}, {'subject found' if value.found else 'no subject'}"

    @_decision.register
    def _(self, value: Tracks) -> str:
        return f"{value.at_px.shape[1]} tracks"

    @_decision.register
    def _(self, value: int) -> str:
        return f"frame {value}"

    @_decision.register
    def _(self, value: Alignment) -> str:
        kept = [not reason for reason in value.reject_reason]
        for frame, reason in enumerate(value.reject_reason):
            if reason:
                logger.info("%s: frame %d dropped: %s", self._name, frame, reason)
        residual = float(np.median(value.residual_px[kept])) if any(kept) else np.nan
        trust = "" if value.confidence is None else f", confidence {value.confidence:.2f}"
        frames = f"reference frame {value.reference}, {sum(kept)} of {len(kept)} frames"
        return f"{frames}, median {residual:.2f} px{trust}{_moves(value.relative_motion)}"

    @_decision.register
    def _(self, value: Selection) -> str:
        frames = value.frames
        trail = f"trail {value.reached_percent:.1f} % of the diagonal, {value.target_percent:.1f} % wanted"
        return f"frames {frames[0]} to {frames[-1]}, {trail}"

    @_decision.register
    def _(self, value: Trail) -> str:
        return (
            f"trail {value.rendered_percent:.2f} % of the diagonal rendered, {value.chosen_percent:.2f} % "
            f"chosen, {value.asked_percent:.2f} % asked for"
        )

    @_decision.register
    def _(self, value: Change) -> str:
        shift, factor = float(np.percentile(value.shift_px, 99)), value.noise
        return (
            f"changed as by a shift of up to {shift:.1f} half-resolution px, {factor:.1f} x the noise stated"
        )

    @_decision.register
    def _(self, value: Photograph) -> str:
        return f"{value.keep_sharp.mean():.0%} of the picture from the sharp exposure"

    @_decision.register
    def _(self, value: Print) -> str:
        return f"{value.profile}, gain map of {value.gain_high_ev:.1f} EV"

    @_decision.register
    def _(self, value: tuple) -> str:  # type: ignore[type-arg]  # singledispatch takes plain classes only
        return ", ".join(map(str, value))


def _moves(relative_motion: float | None) -> str:
    """Return how far a subject moves against its surroundings, "" in the foreground look."""
    if relative_motion is None:
        return ""
    if np.isnan(relative_motion):
        return ", the subject's surroundings show no motion"
    return f", the subject moves {100 * relative_motion:.1f} % of the diagonal against its surroundings"
