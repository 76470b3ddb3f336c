"""The orders in which the frames of a burst are visited, starting from a reference frame."""

from __future__ import annotations


def outward(reference: int, count: int) -> tuple[range, range]:
    """Return the frames after the reference in time order, and those before it, last first."""
    return range(reference + 1, count), range(reference - 1, -1, -1)


def nearest_first(reference: int, count: int) -> list[int]:
    """Return all frames but the reference by distance from it; of two at equal distance the earlier first."""
    others = (n for n in range(count) if n != reference)
    return sorted(others, key=lambda n: (abs(n - reference), n))
