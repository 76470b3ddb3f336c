"""Which frames of a video are predicted from damaged ones, in the order in which they were decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_MOST_REORDERED = 16  # frames that H.264 and H.265 decode before one that is shown earlier


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame as it is shown; time is what it was sent with, in ticks, or None.

    is_damaged: it is itself; is_key: frames after it do not need earlier ones; is_reference: others may be
    predicted from it.
    """

    frame: Any
    time: int | None
    is_damaged: bool
    is_key: bool
    is_reference: bool


class Prediction:
    """Spreads damage to the frames that are predicted from it.

    A frame that is shown before one from which it is predicted is held back until that one has come.
    """

    def __init__(self) -> None:
        self._sent = 0
        self._numbers: dict[int, int] = {}  # of packets, in the order in which they are decoded, by time
        self._waiting: deque[tuple[Decoded, int | None]] = deque()
        self._come: set[int] = set()
        self._whole = 0  # all numbers below it have come, or do not matter
        self._keys, self._damaged = [0], list[int]()
        self._is_after_damage = False  # as frames are shown

    def sent(self, time: int | None) -> None:
        """Note that the packet of the frame with this time is the next that is decoded."""
        if time is not None:
            self._numbers[time] = self._sent
        self._sent += 1

    def add(self, decoded: Decoded) -> Iterator[tuple[Any, bool]]:
        """Add the next frame as shown; yield those that are ready, and whether they are damaged."""
        number = None if decoded.time is None else self._numbers.pop(decoded.time, None)
        self._waiting.append((decoded, number))
        if number is not None:
            self._come.add(number)
            if decoded.is_key:
                self._keys = sorted({*self._keys, number})[-_MOST_REORDERED:]
            if decoded.is_damaged and decoded.is_reference:
                self._damaged.append(number)
        while self._waiting and self._is_ready():
            yield self._released()

    def rest(self) -> Iterator[tuple[Any, bool]]:
        """Yield the frames that are still held back, as no more come."""
        while self._waiting:
            yield self._released()

    def _key_before(self, number: int) -> int:
        return max((key for key in self._keys if key <= number), default=0)

    def _is_ready(self) -> bool:
        number = self._waiting[0][1]
        if number is None or len(self._waiting) > _MOST_REORDERED:
            return True
        self._whole = max(self._whole, self._key_before(number))
        while self._whole in self._come:
            self._come.remove(self._whole)
            self._whole += 1
        return self._whole >= number

    def _released(self) -> tuple[Any, bool]:
        decoded, number = self._waiting.popleft()
        self._is_after_damage &= not decoded.is_key
        is_damaged = decoded.is_damaged or self._is_after_damage
        if number is not None:
            key = self._key_before(number)
            is_damaged |= any(key <= other < number for other in self._damaged)
        self._is_after_damage |= decoded.is_damaged and decoded.is_reference
        return decoded.frame, is_damaged
