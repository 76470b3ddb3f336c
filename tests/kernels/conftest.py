"""Kernels run on every device present and, once more, as on a device unlike it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from longexpo_cli.gpu.capabilities import device_info
from longexpo_cli.gpu.device import Device, available

WAYS = [(n, other) for n in range(len(available())) for other in (False, True)]


@cache
def _device(number: int, other: bool) -> Device:
    """Return a device as it is; other: as if it had its own memory and images, or had not."""
    found = available()[number]
    info = device_info(found)
    if other:
        largest = (int(found.image2d_max_height), int(found.image2d_max_width))
        info = replace(info, is_cpu=False, max_image_px=(0, 0) if any(info.max_image_px) else largest)
    return Device(found, info)


def _name(way: tuple[int, bool]) -> str:
    device = _device(*way)
    return f"{device.name.replace(' ', '-')}-{device.info.sampling}"


@pytest.fixture(params=WAYS, ids=_name)
def device(request: pytest.FixtureRequest) -> Device:
    """Every OpenCL device present, sampling frames from buffers and, as GPUs do, from images."""
    return _device(*request.param)
