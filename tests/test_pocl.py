"""PoCL: binaries are cached and rebuilt when damaged; version 3.0's wrong processor names are replaced."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyopencl as cl
import pytest

from longexpo_cli.arrays import Array32
from longexpo_cli.errors import DeviceError
from longexpo_cli.gpu import pocl, pocl_cache
from longexpo_cli.gpu.device import Device, available

SOURCE = """__kernel void root(__global const float *x, __global float *y) {
    int i = get_global_id(0);
    y[i] = sqrt(x[i]) * x[i] + 0.1f;
}"""
VALUES = np.random.default_rng(0).random(4096).astype(np.float32)


@pytest.fixture(scope="module")
def found() -> Any:
    """Return PoCL's device."""
    (device,) = (one for one in available() if one.platform.name.strip() == pocl.PLATFORM)
    Device(device)  # fixes its processor's name
    return device


def rooted(found: Any, cache: Path | None) -> Array32:
    """Run the kernel on VALUES, built by pocl.build or, without a cache, by OpenCL alone."""
    context, flags = cl.Context([found]), cl.mem_flags
    options = ["-cl-std=CL1.2"]
    built: Any = cl.Program(context, SOURCE)
    built = (
        built.build(options) if cache is None else pocl.build(context, found, SOURCE, options, "root", cache)
    )
    result = np.empty_like(VALUES)
    given = cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=VALUES)
    made = cl.Buffer(context, flags.WRITE_ONLY, VALUES.nbytes)
    queue = cl.CommandQueue(context)
    cl.Kernel(built, "root")(queue, VALUES.shape, (64,), given, made)
    cl.enqueue_copy(queue, result, made)
    return result


def binaries(folder: Path) -> list[Path]:
    """Return the cached binaries in a folder."""
    return list(folder.glob("*.bin"))


def test_binaries_are_cached_and_give_the_same_bits(found: Any, tmp_path: Path) -> None:
    plain = rooted(found, None)
    for _ in range(2):
        assert (rooted(found, tmp_path / "kernels") == plain).all()
        assert len(binaries(tmp_path / "kernels")) == 1
    assert np.abs(plain - (np.sqrt(VALUES) * VALUES + np.float32(0.1))).max() < 1e-6


@pytest.mark.parametrize(
    "damage", [lambda data: data[:1000], lambda data: b"", lambda data: data[:-1] + b"?"]
)
def test_a_damaged_binary_is_rebuilt(found: Any, tmp_path: Path, damage: Any) -> None:
    plain = rooted(found, tmp_path)
    (kept,) = binaries(tmp_path)
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert (rooted(found, tmp_path) == plain).all()
    assert len(kept.read_bytes()) == len(whole)


def test_other_options_are_another_program(found: Any, tmp_path: Path) -> None:
    context = cl.Context([found])
    for options in ([], ["-DA"], ["-DA"], ["-DB"]):
        pocl.build(context, found, SOURCE, options, "root", tmp_path)
    assert len(binaries(tmp_path)) == 3


def test_a_folder_that_cannot_be_written_is_not_used(found: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert (rooted(found, tmp_path / "file") == rooted(found, None)).all()


def test_a_binary_without_the_kernel_is_rebuilt(
    found: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = rooted(found, tmp_path)
    (kept,) = binaries(tmp_path)
    whole = kept.read_bytes()
    other = cl.Program(cl.Context([found]), "__kernel void other(__global int *a) { a[0] = 1; }")
    (binary,) = other.build().get_info(cl.program_info.BINARIES)
    pocl_cache.write(kept, binary)
    caplog.set_level(logging.INFO, pocl.__name__)
    assert (rooted(found, tmp_path) == plain).all()
    assert "does not hold the kernel root and is rebuilt" in caplog.text
    assert len(kept.read_bytes()) == len(whole)


def test_a_source_without_the_kernel_is_a_device_error(found: Any, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="without its kernel branch"):
        pocl.build(cl.Context([found]), found, SOURCE, [], "branch", tmp_path)
    assert not binaries(tmp_path)


CHILD = """
import sys; from pathlib import Path
import numpy as np
from longexpo_cli.gpu.device import choose
device, folder = choose("Portable"), Path(sys.argv[1])
for size in (64, 1 << 20):
    for file in sorted(folder.glob("*.cl")):
        values = device.upload(np.arange(size, dtype=np.float32))
        result = device.empty((size,), np.float32)
        device.run(file.stem, (size,), file=file, x=values, y=result)
        print(float(result.get().astype(np.float64).sum()))
"""


def test_processes_that_start_on_an_empty_cache_do_not_disturb_each_other(tmp_path: Path) -> None:
    """They load and run kernels, for two sizes, while others compile the same ones."""
    cache, kernels = tmp_path / "longexpo" / "kernels", tmp_path / "sources"
    kernels.mkdir()
    for n in range(3):
        source = SOURCE.replace("root", f"root_{n}").replace("0.1f", f"{n}.0f")
        (kernels / f"root_{n}.cl").write_text(source)
    command = [sys.executable, "-c", CHILD, str(kernels)]
    folders = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent.parent)}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, env=os.environ | folders, stdout=subprocess.PIPE, text=True)

    processes = [start() for _ in range(3)]
    results = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    assert len(set(results)) == 1
    assert len(results[0].splitlines()) == 6
    kept = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert sorted(path.suffix for path in kept) == ["", *[".bin"] * 3, *[".so"] * 6]
    assert not any(path.is_dir() for path in kept)  # the folders that PoCL had are gone
    again = start()
    assert again.communicate(timeout=300)[0] == results[0]
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == kept


def test_the_folder_of_a_killed_process_is_deleted_later(tmp_path: Path) -> None:
    cache = tmp_path / "longexpo" / "kernels"
    code = "import os; from longexpo_cli.gpu.device import choose; choose('Portable'); os._exit(9)"
    folders = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent.parent)}
    for code_of_end in (code, code.replace("; os._exit(9)", "")):
        subprocess.run([sys.executable, "-c", code_of_end], env=os.environ | folders, check=False)
        (left,) = cache.glob("process-*")  # too young to be deleted by the second one
    os.utime(left, (0, 0))
    pocl_cache._delete_leftovers(cache)
    assert not list(cache.glob("process-*"))
    held = cache / "process-abcd1234"
    held.mkdir()
    os.utime(held, (0, 0))
    with (held / "in-use").open("a") as file:
        assert pocl_cache.try_lock(file.fileno())
        os.utime(held, (0, 0))
        pocl_cache._delete_leftovers(cache)
    assert held.exists()


@pytest.mark.parametrize("ending", [".bin", "-64-1-1-goffs0.so"])
def test_other_bytes_behind_a_checksum_are_not_loaded(found: Any, tmp_path: Path, ending: str) -> None:
    """The checksum is of the name as well, so that what belongs to another program is told."""
    rooted(found, tmp_path / "first")  # PoCL's first binary of a program differs from those of later builds
    plain = rooted(found, tmp_path)
    (binary,) = binaries(tmp_path)
    whole = binary.read_bytes()
    target = tmp_path / f"{binary.stem}{ending}"
    other = np.random.default_rng(0).bytes(9000)
    for content in (hashlib.sha256(other).digest() + other, hashlib.sha256(whole[32:]).digest() + whole[32:]):
        target.write_bytes(content)
        assert pocl_cache.read(target) is None
        assert (rooted(found, tmp_path) == plain).all()
    assert binary.read_bytes() == whole
    pocl_cache.write(binary, other)
    assert pocl_cache.read(binary) == other
    assert (rooted(found, tmp_path) == plain).all()  # PoCL itself refuses it


def aged(path: Path, days: float) -> Path:
    """Write a file that was last used days ago."""
    path.write_bytes(b"old")
    os.utime(path, (time.time() - 86400 * days,) * 2)
    return path


def test_a_build_deletes_binaries_that_were_long_unused(found: Any, tmp_path: Path) -> None:
    """Programs of earlier versions have names of their own, which no run asks for again."""
    old = [aged(tmp_path / f"{digit * 64}{end}", 91) for digit in "a1" for end in (".bin", "-1-1-1.so")]
    old += [aged(tmp_path / name, 1) for name in ("unfinished-abcd1234", "tmpab_d1234")]
    kept = [aged(tmp_path / f"{'b' * 64}.bin", 89)]
    kept += [aged(tmp_path / name, 365) for name in ("notes.txt", "lock", "c.bin", f"{'d' * 64}.bin.txt")]
    folder = tmp_path / f"{'e' * 64}.bin"
    folder.mkdir()
    os.utime(folder, (0, 0))
    elsewhere = aged(tmp_path / "elsewhere", 365)
    link = tmp_path / f"{'f' * 64}.bin"
    link.symlink_to(elsewhere)
    rooted(found, tmp_path)
    assert not [path for path in old if path.exists()]
    assert all(path.exists() for path in [*kept, folder, link, elsewhere])
    assert len(binaries(tmp_path)) == 5


def test_a_binary_in_use_is_never_old(found: Any, tmp_path: Path) -> None:
    rooted(found, tmp_path)
    (binary,) = binaries(tmp_path)
    long_ago = time.time() - 86400 * 365
    os.utime(binary, (long_ago, long_ago))
    rooted(found, tmp_path)
    assert time.time() - binary.stat().st_mtime < 60
    used = binary.stat().st_mtime_ns
    rooted(found, tmp_path)
    assert binary.stat().st_mtime_ns == used  # a run a minute later writes nothing


def test_a_lock_that_is_never_released_only_delays(
    found: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pocl_cache, "LOCK_TIMEOUT_S", 0.2)
    with (tmp_path / "lock").open("a") as held:
        assert pocl_cache.try_lock(held.fileno())
        assert (rooted(found, tmp_path) == rooted(found, None)).all()
    assert "another process has held" in caplog.text


AVX2 = {"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm", "popcnt", "cx16"}
AVX512 = AVX2 | {"adx", "aes", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


@pytest.mark.parametrize(
    ("name", "flags", "usable"),
    [
        (b"generic", AVX512, b"skylake-avx512"),
        (b"generic", AVX2, b"haswell"),
        (b"generic", set(), b"x86-64"),
        (b"znver3", AVX512, b"skylake-avx512"),  # what LLVM 14 makes of Zen 4
        (b"znver3", AVX2, b"haswell"),  # LLVM 14 would inline no function of PoCL's into code for it
        (b"znver1", AVX2, b"haswell"),
        (b"haswell", AVX2, b"haswell"),
        (b"skylake", AVX2, b"skylake"),
        (b"bdver2", set(), b"bdver2"),  # AVX without AVX2 has a library of its own
        (b"icelake-server", AVX512, b"icelake-server"),
        (b"rocketlake", AVX512, b"skylake-avx512"),  # what LLVM 14 makes of Sapphire Rapids; lacks CLWB
        (b"icelake-client", AVX512, b"skylake-avx512"),
    ],
)
def test_a_processor_gets_a_name_that_has_its_features(name: bytes, flags: set[str], usable: bytes) -> None:
    assert pocl.usable_name(name, flags) == usable


class Record:
    """A device of PoCL as far as its processor's name goes: a record of pointers, one of them to the name."""

    def __init__(self, version: str, name: bytes) -> None:
        texts = [ctypes.create_string_buffer(text) for text in (b"x86_64-unknown-linux-gnu", name)]
        self.words = (ctypes.c_uint64 * 128)(7, 0, *(ctypes.addressof(text) for text in texts))
        self.int_ptr = ctypes.addressof(self.words)
        self.platform = SimpleNamespace(version=version)
        self.texts = texts

    @property
    def name(self) -> bytes:
        return ctypes.string_at(self.words[3])


def test_functions_of_the_library_are_inlined(found: Any) -> None:
    """Code for a processor without a feature of the library's has a call for every fmax and vload."""
    source = """__kernel void brighter(__global const half *x, __global float *y) {
        float4 four = clamp(vload_half4(get_global_id(0), x), 0.0f, 1.0f);
        y[get_global_id(0)] = fmax(four.x, four.w);
    }"""
    program = cl.Program(cl.Context([found]), source).build(pocl.compile_options(found))
    (binary,) = program.get_info(cl.program_info.BINARIES)
    assert b"brighter" in binary
    called = re.findall(rb"\0_Z\d+_cl_\w+(?=\0)", binary)  # names in the table of symbols of the code
    assert not called or not pocl._processor_flags() >= AVX2


POCL_3 = "OpenCL 3.0 PoCL 3.0-rc2  Linux, Release, RELOC, LLVM 14.0.6"


@pytest.fixture
def avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a processor with AVX-512, on Linux, with the fix enabled."""
    monkeypatch.setattr(pocl, "_processor_flags", lambda: AVX512)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.delenv(pocl.NO_FIX, raising=False)


@pytest.mark.usefixtures("avx512")
def test_a_wrong_name_is_replaced_and_logged_in_pocl_3(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, pocl.__name__)
    device = Record(POCL_3, b"znver3")
    assert pocl.fix_processor_name(device) == "skylake-avx512"
    assert device.name == b"skylake-avx512"
    assert caplog.messages == ["PoCL: processor name znver3 replaced by skylake-avx512"]


@pytest.mark.usefixtures("avx512")
def test_a_right_name_is_kept_and_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, pocl.__name__)
    device = Record(POCL_3, b"icelake-server")
    assert pocl.fix_processor_name(device) == "icelake-server"
    assert device.name == b"icelake-server"
    assert not caplog.messages


@pytest.mark.usefixtures("avx512")
@pytest.mark.parametrize("version", ["OpenCL 3.0 PoCL 5.0  Linux", "OpenCL 3.0 PoCL 3.1  Linux", "CUDA 12"])
def test_other_versions_are_left_alone(version: str) -> None:
    device = Record(version, b"znver3")
    assert pocl.compile_options(device) == ["-w"]
    assert device.name == b"znver3"


@pytest.mark.usefixtures("avx512")
def test_the_fix_can_be_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGEXPO_NO_POCL_FIX", "1")
    device = Record(POCL_3, b"znver3")
    assert pocl.compile_options(device) == ["-w"]
    assert device.name == b"znver3"
