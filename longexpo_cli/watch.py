"""Watch: the pipeline shows every value it makes to the observers, and goes on with the same value."""

from __future__ import annotations

from typing import Protocol, TypeVar

V = TypeVar("V")


class Observer(Protocol):
    """Something that looks at values: pictures of them, clocks, progress bars, the sidecar."""

    def see(self, stage: str, value: object, index: int | None) -> None:
        """Take note of a value that a stage has just made; index is the frame or pair, None for the burst."""

    def expect(self, stage: str, steps: int) -> None:
        """Take note that the stage will be seen so many times."""


class Watch:
    """Calls every observer in order; `watch("predict", predict(a, b), n)` returns the lines it was given."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def __call__(self, stage: str, value: V, index: int | None = None) -> V:
        """Show the value to all observers and return it."""
        for observer in self._observers:
            observer.see(stage, value, index)
        return value

    def expect(self, stage: str, steps: int) -> None:
        """Announce a loop of so many steps."""
        for observer in self._observers:
            observer.expect(stage, steps)
