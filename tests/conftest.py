"""Fixtures every test may use, and the marker of the tests that `make quick` leaves out."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from longexpo_cli.arrays import Array
from longexpo_cli.files import raw
from longexpo_cli.gpu import device as device_module
from longexpo_cli.gpu.device import Device, available, choose
from longexpo_cli.vision import networks
from tests import worlds

HERE = Path(__file__).parent
# Most of the time: kernels against their twins, whole renders, networks, synthetic bursts. In other files,
# the tests that look at many pictures have the marker themselves.
LONG = (
    "commands/test_batch.py",
    "commands/test_completion.py",
    "commands/test_info.py",
    "commands/test_inputs.py",
    "commands/test_preview.py",
    "commands/test_render.py",
    "commands/test_replay.py",
    "commands/test_resume.py",
    "commands/test_verify.py",
    "fuzz",
    "golden",
    "kernels",
    "registration/test_motion_gate.py",
    "registration/test_still_layer.py",
    "registration/test_subject_refinement.py",
    "registration/test_subject_tracking.py",
    "stages/test_align.py",
    "stages/test_blur.py",
    "stages/test_blur_paths.py",
    "stages/test_predict.py",
    "stages/test_subject.py",
    "test_api.py",
    "test_benchmarks.py",
    "test_burst_estimate.py",
    "test_cluster.py",
    "test_contact_sheet.py",
    "test_crash_guard.py",
    "test_longer_exposures.py",
    "test_memory_estimate.py",
    "test_places.py",
    "test_pocl.py",
    "test_privacy.py",
    "test_processes.py",
    "test_python_page.py",
    "test_reliability.py",
    "test_replay.py",
    "test_synth.py",
    "test_verify_page.py",
    "vision/test_even_light.py",
    "vision/test_flicker.py",
    "vision/test_impossible_values.py",
    "vision/test_jpeg_damage.py",
    "vision/test_motion_contract.py",
    "vision/test_motion_guess.py",
    "vision/test_motion_network.py",
    "vision/test_networks.py",
    "vision/test_patch_matching.py",
    "vision/test_saliency.py",
    "vision/test_shifted_values.py",
    "vision/test_torn_parts.py",
)
QUICK = "not slow and not long"  # of `make quick`

NetworkResults = dict[tuple[str, tuple[str, ...], str], list[Array]]


@cache
def _is_long(path: Path) -> bool:
    return any(path.is_relative_to(HERE / name) for name in LONG)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what `make quick` leaves out."""
    is_left_out = config.option.markexpr == QUICK and _is_long(collection_path)
    return True if is_left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the files and folders in LONG."""
    for item in items:
        if _is_long(item.path):
            item.add_marker("long")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what is no Unicode in what a test has printed, which xdist cannot pass on: names of files."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@cache
def _device(number: int) -> Device:
    return Device(available()[number])


@pytest.fixture(params=range(len(available())), ids=lambda n: available()[n].name.strip().replace(" ", "-"))
def device(request: pytest.FixtureRequest) -> Device:
    """Every OpenCL device present, one test each."""
    return _device(request.param)


@pytest.fixture
def opened_raw_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names, without endings, of the files that LibRaw opens from now on, as it does."""
    opened: list[str] = []
    open_raw = raw._open

    def noted(path: Path) -> Any:
        opened.append(path.stem)
        return open_raw(path)

    monkeypatch.setattr(raw, "_open", noted)
    return opened


@pytest.fixture(scope="session")
def one_device() -> Device:
    """Return the device that is chosen by default, for tests of what does not depend on the device."""
    return _device(0)


@cache
def _chosen(selector: str) -> Device:
    return _device(0) if selector == "auto" else choose(selector)


@pytest.fixture
def kept_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command line use a device again: to load its kernels takes as long as a small render."""
    monkeypatch.setattr(device_module, "choose", lambda selector="auto": _chosen(selector))


@pytest.fixture(scope="session")
def shared_burst(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder "street" with a burst of five frames of 160 x 120 pixels: do not change it."""
    return worlds.write_frames(tmp_path_factory.mktemp("bursts") / "street", "foreground", (120, 160))


@pytest.fixture(scope="session")
def panning_burst(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder "car" with a burst that follows a car: do not change it."""
    return worlds.write_frames(tmp_path_factory.mktemp("bursts") / "car", "background", (180, 240))


@pytest.fixture(scope="session")
def _network_results() -> NetworkResults:
    return {}


@pytest.fixture
def cached_networks(monkeypatch: pytest.MonkeyPatch, _network_results: NetworkResults) -> None:
    """Run a network once per input and session: U2NetP takes most of the time of a small render.

    tests/vision/test_networks.py checks that a network gives the same output for the same input.
    """
    run = networks.run

    def run_once(
        name: str, inputs: Mapping[str, Array], outputs: Sequence[str], weights: Path | None = None
    ) -> list[Array]:
        digest = hashlib.sha256(f"{networks.engine()} {weights}".encode())
        for key, values in sorted(inputs.items()):
            digest.update(f"{key} {values.shape} {values.dtype}".encode())
            digest.update(values.tobytes())
        call = (name, tuple(outputs), digest.hexdigest())
        if call not in _network_results:
            _network_results[call] = run(name, inputs, outputs, weights)
        return [values.copy() for values in _network_results[call]]

    monkeypatch.setattr(networks, "run", run_once)
