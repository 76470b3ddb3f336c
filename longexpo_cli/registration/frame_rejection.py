"""Which frames a burst is left with, and whether that is enough to be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from longexpo_cli.errors import AlignmentError

GAP = 1  # frames in a row that may fail before what was followed counts as lost


def unbroken(verdict: Sequence[str], reference: int) -> tuple[str, ...]:
    """Return the verdicts with every frame dropped that lies, from the reference, beyond a gap.

    A verdict is "" for a frame that is kept, else why it is dropped. Beyond more than GAP dropped frames in a
    row nothing says that it is still the same thing that is followed.
    """
    result = list(verdict)
    for path in (range(reference + 1, len(verdict)), range(reference - 1, -1, -1)):
        failed, lost = 0, -1
        for n in path:
            if lost >= 0:
                result[n] = f"the subject is lost at frame {lost}"
                continue
            failed = failed + 1 if verdict[n] else 0
            if failed > GAP:
                lost = n - GAP if n > reference else n + GAP
    return tuple(result)


def trust(verdict: Sequence[str], reference: int, least: int) -> None:
    """Raise AlignmentError when fewer than least frames are kept, or none next to the reference is."""
    dropped = [why for why in verdict if why]
    often = f" ({Counter(dropped).most_common(1)[0][0]})" if dropped else ""
    if len(verdict) - len(dropped) < min(least, len(verdict)):
        raise AlignmentError(
            f"the frames cannot be aligned: {len(dropped)} of {len(verdict)} are refused{often}"
        )
    if all(verdict[n] for n in (reference - 1, reference + 1) if 0 <= n < len(verdict)):
        raise AlignmentError(
            f"the frames next to the reference (frame {reference}) cannot be aligned to it{often}; "
            "name another with --reference"
        )
