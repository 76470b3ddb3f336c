"""Decode the frames of a burst ahead of the stage that uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.stages import develop
from longexpo_cli.types import Burst, Mosaic

Decoded = Mosaic | UnreadableFrameError  # the sensor values, or why the frame cannot be used


def decode_ahead(burst: Burst, indices: Sequence[int], ahead: int) -> Iterator[tuple[int, Decoded]]:
    """Yield (index, frame) in the order of indices; up to ahead frames are decoded while the caller works.

    Decoding runs in threads, so at most ahead + 1 decoded frames are in memory.
    """

    def decode(index: int) -> Decoded:
        try:
            return develop.read(burst.shots[index])
        except UnreadableFrameError as error:
            return error

    with ThreadPoolExecutor(max_workers=ahead) as pool:
        queue = deque(pool.submit(decode, index) for index in indices[:ahead])
        for position, index in enumerate(indices):
            decoded = queue.popleft().result()
            if position + ahead < len(indices):
                queue.append(pool.submit(decode, indices[position + ahead]))
            yield index, decoded


def in_time_order(
    burst: Burst, indices: Sequence[int], reference: int
) -> Iterator[tuple[int, Mosaic | None]]:
    """Yield (index, mosaic) of the frames in indices and of the reference, in time order.

    The reference, which the caller has decoded already, is None; of the others one is decoded ahead.
    UnreadableFrameError when a frame that the first pass could read no longer can be.
    """
    others = sorted({*indices} - {reference})
    pending = True
    for index, decoded in decode_ahead(burst, others, ahead=1):
        if pending and index > reference:
            pending = False
            yield reference, None
        if isinstance(decoded, UnreadableFrameError):
            raise decoded
        yield index, decoded
    if pending:
        yield reference, None
