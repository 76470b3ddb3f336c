"""PoCL's binaries are kept, found again, and made anew when they are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyopencl as cl
import pytest

from longexpo_cli.gpu import pocl
from longexpo_cli.gpu.device import Device, available

SOURCE = """__kernel void root(__global const float *x, __global float *y) {
    int i = get_global_id(0);
    y[i] = sqrt(x[i]) * x[i] + 0.1f;
}"""
VALUES = np.random.default_rng(0).random(4096).astype(np.float32)


@pytest.fixture(scope="module")
def found() -> Any:
    """PoCL's device."""
    (device,) = (one for one in available() if one.platform.name.strip() == pocl.PLATFORM)
    Device(device)  # names its processor
    return device


def rooted(found: Any, cache: Path | None) -> npt.NDArray[np.float32]:
    """What the kernel makes of VALUES, built by pocl.build or, without a cache, by OpenCL alone."""
    context, flags = cl.Context([found]), cl.mem_flags
    options = ["-cl-std=CL1.2"]
    built: Any = cl.Program(context, SOURCE)
    built = built.build(options) if cache is None else pocl.build(context, found, SOURCE, options, cache)
    result = np.empty_like(VALUES)
    given = cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=VALUES)
    made = cl.Buffer(context, flags.WRITE_ONLY, VALUES.nbytes)
    queue = cl.CommandQueue(context)
    cl.Kernel(built, "root")(queue, VALUES.shape, (64,), given, made)
    cl.enqueue_copy(queue, result, made)
    return result


def test_binaries_are_kept_and_give_the_same_bits(found: Any, tmp_path: Path) -> None:
    plain = rooted(found, None)
    for _ in range(2):
        assert (rooted(found, tmp_path / "kernels") == plain).all()
        assert len(list((tmp_path / "kernels").iterdir())) == 1
    assert np.abs(plain - (np.sqrt(VALUES) * VALUES + np.float32(0.1))).max() < 1e-6


@pytest.mark.parametrize(
    "damage", [lambda data: data[:1000], lambda data: b"", lambda data: data[:-1] + b"?"]
)
def test_a_damaged_binary_is_made_anew(found: Any, tmp_path: Path, damage: Any) -> None:
    plain = rooted(found, tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert (rooted(found, tmp_path) == plain).all()
    assert len(kept.read_bytes()) == len(whole)


def test_other_options_are_another_program(found: Any, tmp_path: Path) -> None:
    context = cl.Context([found])
    for options in ([], ["-DA"], ["-DA"], ["-DB"]):
        pocl.build(context, found, SOURCE, options, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_takes_nothing_is_done_without(found: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert (rooted(found, tmp_path / "file") == rooted(found, None)).all()


AVX2 = {"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm", "popcnt", "cx16"}
AVX512 = AVX2 | {"adx", "aes", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


@pytest.mark.parametrize(
    ("name", "flags", "usable"),
    [
        (b"generic", AVX512, b"skylake-avx512"),
        (b"generic", AVX2, b"haswell"),
        (b"generic", set(), b"x86-64"),
        (b"znver3", AVX512, b"skylake-avx512"),  # what LLVM 14 makes of Zen 4
        (b"znver3", AVX2, b"znver3"),
        (b"haswell", AVX2, b"haswell"),
        (b"icelake-server", AVX512, b"icelake-server"),
    ],
)
def test_a_processor_gets_a_name_that_has_its_features(name: bytes, flags: set[str], usable: bytes) -> None:
    assert pocl.usable_name(name, flags) == usable
