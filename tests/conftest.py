"""Fixtures every test may use, and the marker of the tests that `make quick` leaves out."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from longexpo_cli.gpu.device import Device, available

HERE = Path(__file__).parent
LONG = (  # most of the time: kernels against their twins, whole renders, networks, synthetic bursts
    "kernels",
    "golden",
    "commands/test_batch.py",
    "commands/test_render.py",
    "stages/test_align.py",
    "stages/test_blur_paths.py",
    "stages/test_subject.py",
    "test_api.py",
    "test_memory_estimate.py",
    "test_synth.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the files and folders in LONG."""
    for item in items:
        if any(item.path.is_relative_to(HERE / name) for name in LONG):
            item.add_marker("long")


@cache
def _device(number: int) -> Device:
    return Device(available()[number])


@pytest.fixture(params=range(len(available())), ids=lambda n: available()[n].name.strip().replace(" ", "-"))
def device(request: pytest.FixtureRequest) -> Device:
    """Every OpenCL device present, one test each."""
    return _device(request.param)


@pytest.fixture(scope="session")
def one_device() -> Device:
    """Return the device that is chosen by default, for tests of what does not depend on the device."""
    return _device(0)
