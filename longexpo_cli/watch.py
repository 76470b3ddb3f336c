"""Watch: passes every intermediate value of the pipeline to the observers and returns it unchanged."""

from __future__ import annotations

from typing import Protocol, TypeVar

V = TypeVar("V")


class Observer(Protocol):
    """Receives every value of the pipeline when it is computed; must not change it."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Receive a value that a stage has just returned; index is its frame or pair, None for the burst."""

    def on_loop(self, stage: str, steps: int) -> None:
        """Handle the start of a loop in which the stage will return `steps` values."""


class Watch:
    """Calls every observer in order; `watch("predict", predict(a, b), n)` returns the result of predict."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def __call__(self, stage: str, value: V, index: int | None = None) -> V:
        """Pass the value to all observers and return it."""
        for observer in self._observers:
            observer.on_value(stage, value, index)
        return value

    def on_loop(self, stage: str, steps: int) -> None:
        """Announce a loop in which the stage returns `steps` values."""
        for observer in self._observers:
            observer.on_loop(stage, steps)
