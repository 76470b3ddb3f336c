"""Fixtures every test may use."""

from __future__ import annotations

from functools import cache

import pytest

from longexpo_cli.gpu.device import Device, available


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
