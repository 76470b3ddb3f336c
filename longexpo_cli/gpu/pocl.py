"""Workarounds for PoCL 3.0, the OpenCL driver for CPUs that pip installs, and a cache of its binaries.

Linker: PoCL calls the system linker `ld` and aborts the process if there is none, so this is checked first.
It links with the libraries of C and of GCC by the names that compilers' packages give them: where these are
missing, the linker is shown a folder with links of such names to the libraries that this process uses.

Processor name: PoCL 3.0 asks LLVM 14 for the name of the processor, which is wrong for processors newer
than LLVM 14. Some (AMD family 26) are called "generic", which the compiler inside PoCL then rejects
("unknown target CPU 'generic'", pocl issue 1049). Others get the name of their predecessor (Zen 4 is
"znver3", which has no AVX-512), while PoCL selects its function library by the features that the processor
has (AVX-512): code generation then aborts the process ("LLVM ERROR: Cannot select"). And LLVM inlines a
function only into code for a processor with all features of the one that the function's library was compiled
for: for the names of AMD's processors, which lack Haswell's ERMSB, and for those like x86-64-v4, every vload
and clamp is a call, and kernels take up to twice as long. No option overrides the name, so it is replaced in
the device's record by that of the processor which the selected function library was compiled for. This is
done for PoCL 3.0 only, and not when LONGEXPO_NO_POCL_FIX=1 is set.

Cache: PoCL caches programs by their preprocessed source, and preprocessing takes 30 ms per program, a second
for the kernels of a render. Its binaries load in 2 ms; they are cached (pocl_cache.py), one file per program,
with a file for each size of work-groups that a kernel was compiled for.

Compiler: where PoCL cannot compile (the linker fails, programs may not run from its folder), it aborts the
process. So before a process compiles for the first time, another one tries to.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import re
import shutil
import signal
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from longexpo_cli.errors import DeviceError
from longexpo_cli.gpu import pocl_cache

PLATFORM = "Portable Computing Language"
NO_FIX = "LONGEXPO_NO_POCL_FIX"  # environment variable; 1: leave the processor's name as it is
_LOG = logging.getLogger(__name__)

# Processor names and the features that code for them may use, as /proc/cpuinfo spells them.
_AVX2 = {"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm", "popcnt", "cx16"}
_LEVELS = (
    (b"skylake-avx512", _AVX2 | {"adx", "aes", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    (b"haswell", _AVX2),
    (b"x86-64-v2", {"sse4_2", "ssse3", "popcnt", "cx16"}),
)
# Names, in LLVM 14, of the processors with all features of the one that a function library was compiled for.
_AVX512_NAMES = {  # cannonlake, icelake-client and rocketlake lack CLWB
    *(b"skylake-avx512", b"cascadelake", b"cooperlake", b"icelake-server", b"sapphirerapids", b"tigerlake")
}
_MAPS = Path("/proc/self/maps")
# What PoCL links with, by the names in the packages of compilers, and by those of any system; the second is
# glibc's up to 2.33. Of libgcc there is only the shared part, which has what kernels need.
_LIBRARIES = {
    "c": r"libc(\.so\.6|-2\.\d+\.so)",
    "m": r"libm(\.so\.6|-2\.\d+\.so)",
    "gcc": r"libgcc_s\.so\.1",
    "gcc_s": r"libgcc_s\.so\.1",
}
_MISSING = re.compile(rb"-l(c|m|gcc|gcc_s)(?![\w-])")
_LINKER = re.compile(r"\bld(\.\w+)?: ")
_LIBRARY_PATH = "LIBRARY_PATH"  # of clang, which PoCL links by: folders that the linker looks into
_TRIAL_S = 120.0  # longer than any compiler takes that works; an aborted one ends at once
_TRIAL = "__kernel void trial(__global float *x) { x[get_global_id(0)] += 1; }"
_AVX2_NAMES = {b"haswell", b"broadwell", b"skylake", b"alderlake"}
_INLINING_NAMES = {b"skylake-avx512": _AVX512_NAMES, b"haswell": _AVX2_NAMES}
_names: dict[bytes, Any] = {}  # C strings; they must outlive the device's record, which points to them


def require_linker() -> None:
    """Raise DeviceError, naming the missing package, when PoCL would abort without a linker."""
    if shutil.which("ld") is None:
        raise DeviceError(
            "the system linker `ld` is not on the PATH and OpenCL on the CPU needs it: "
            "install the package binutils (apt install binutils)"
        )


def needs_name_fix(cl_device: Any) -> bool:
    """Whether a PoCL device is of the version with the wrong processor names, and the fix is not disabled."""
    is_affected = re.search(r"PoCL 3\.0\b", cl_device.platform.version) is not None
    return is_affected and os.environ.get(NO_FIX) != "1"


def compile_options(cl_device: Any) -> list[str]:
    """Fix a device's processor name and return the options that its programs are compiled with.

    PoCL's cache does not know the name, so that a macro holds it: code for another name is not taken for
    this one's. Warnings are not printed: all are about vectors as arguments of functions that are inlined.
    """
    name = fix_processor_name(cl_device)
    return ["-w"] if name is None else ["-w", f"-DLONGEXPO_PROCESSOR={name}"]


def fix_processor_name(cl_device: Any) -> str | None:
    """Replace a PoCL 3.0 device's processor name where code for that name would fail or call every function.

    Return the name that code is generated for, None on devices that are left alone.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64" or not needs_name_fix(cl_device):
        return None
    address: int = cl_device.int_ptr
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        record = os.pread(memory, 1024, address)  # a failed read is an OSError here, never a crash
        words = struct.unpack(f"<{len(record) // 8}Q", record[: len(record) // 8 * 8])
        triple_found = False
        for index, word in enumerate(words):
            text = _text_at(memory, word)
            if triple_found and text is not None:
                name = usable_name(text, _processor_flags())
                if name != text:
                    ctypes.c_uint64.from_address(address + 8 * index).value = _c_string(name)
                    _LOG.info("PoCL: processor name %s replaced by %s", text.decode(), name.decode())
                return name.decode()
            triple_found = text is not None and text.startswith(b"x86_64-")
    except OSError:
        return None
    finally:
        os.close(memory)
    return None


def usable_name(name: bytes, flags: set[str]) -> bytes:
    """Return a name for which LLVM 14 generates code on a processor with these flags that it calls `name`.

    Where the function library is one for AVX2 or AVX-512, it is a name for which LLVM inlines its functions.
    """
    level = next((known for known, needs in _LEVELS if needs <= flags), b"x86-64")
    is_kept = name != b"generic" and name in _INLINING_NAMES.get(level, {name})
    return name if is_kept else level


def build(
    context: Any, cl_device: Any, source: str, options: list[str], kernel: str, cache: Path | None = None
) -> Any:
    """Return a program with a kernel, built on a PoCL device or loaded from the binary of an earlier build.

    cache is the folder of binaries, by default that of pocl_cache. A binary that is missing, damaged or
    without the kernel (as an aborted build leaves it) is rebuilt and replaced. A new binary is loaded too, so
    that the first run's results are those of the next. One process builds at a time; a folder that cannot be
    written is not used. A build deletes what has not been loaded for long. DeviceError when the rebuilt
    program has no such kernel, or PoCL cannot compile.
    """
    folder = cache or pocl_cache.folder()
    path = folder / f"{_key(cl_device, source, options)}.bin"
    program = _load(context, cl_device, path, kernel)
    if program is not None:
        pocl_cache.renew(path)
        return program
    require_compiler()
    with pocl_cache.locked(folder):
        pocl_cache.delete_unused(folder)
        program = _load(context, cl_device, path, kernel)  # another process may have built it meanwhile
        return program or _rebuild(context, cl_device, source, options, kernel, path)


def _rebuild(context: Any, cl_device: Any, source: str, options: list[str], kernel: str, path: Path) -> Any:
    """Return a program built from source, by way of its binary, which is written to path."""
    import pyopencl as cl

    before = pocl_cache.program_folders()
    (binary,) = cl.Program(context, source).build(options).get_info(cl.program_info.BINARIES)
    program = cl.Program(context, [cl_device], [binary]).build()
    if not _has_kernel(program, kernel):
        raise DeviceError(
            f"{cl_device.name.strip()}: PoCL built a program without its kernel {kernel}; reinstall longexpo"
        )
    pocl_cache.write(path, binary)
    pocl_cache.adopt(path, kernel, before)
    return program


def _load(context: Any, cl_device: Any, path: Path, kernel: str) -> Any:
    """Return the program of a cached binary; None when the file is missing, damaged or without the kernel."""
    import pyopencl as cl

    binary = pocl_cache.read(path)
    if binary is None:
        return None
    before = pocl_cache.program_folders()
    try:
        program = cl.Program(context, [cl_device], [binary]).build()
    except cl.Error:
        program = None
    if program is None or not _has_kernel(program, kernel):
        _LOG.info("PoCL: %s does not hold the kernel %s and is rebuilt", path, kernel)
        return None
    if not pocl_cache.adopt(path, kernel, before):
        require_compiler()  # it compiles when the kernel first runs
    return program


@cache
def require_compiler() -> None:
    """Raise DeviceError where PoCL aborts the process that compiles, as another process tries.

    Where the linker misses only libraries that this process uses, it is told where they are.
    """
    done = _try_to_compile()
    if done is not None and done.returncode:
        missing = {name.decode() for name in _MISSING.findall(done.stderr)}
        if missing and _show_libraries(missing):
            done = _try_to_compile()
    if done is None or not done.returncode:
        return
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
    said = next((line for line in lines if _LINKER.search(line) or line.startswith("error")), lines[-1])
    raise DeviceError(
        f"OpenCL on the CPU (PoCL) cannot compile ({_ending(done.returncode)}: {said}): see that the "
        "linker `ld` works (apt install binutils gcc libc6-dev), that memory is left, and that programs may "
        f"run from {pocl_cache.folder()}"
    )


def _try_to_compile() -> subprocess.CompletedProcess[bytes] | None:
    """Return how a process ended that compiled a kernel, None where that was not to be tried."""
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    code = "from longexpo_cli.gpu import pocl; pocl.compile_trial()"
    try:
        return subprocess.run(
            [sys.executable, "-P", "-c", code],
            capture_output=True,
            timeout=_TRIAL_S,
            check=False,
            env=os.environ | {"PYTHONPATH": paths},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOG.info("PoCL: its compiler was not tried (%s)", error)
        return None


def _show_libraries(names: set[str]) -> bool:
    """Have the linker look where links of these names lead to this process's libraries; whether there are."""
    found = {name: _library(name) for name in names}
    links = {f"lib{name}.so": path for name, path in found.items() if path is not None}
    folder = pocl_cache.linked(links) if len(links) == len(names) else None
    if folder is None:
        return False
    before = os.environ.get(_LIBRARY_PATH)
    os.environ[_LIBRARY_PATH] = os.pathsep.join(filter(None, (str(folder), before)))
    _LOG.info("PoCL: the linker finds %s in %s", ", ".join(sorted(links)), folder)
    return True


def _library(name: str) -> Path | None:
    """Return the file of a library in this process, or beside its C library; None where it is not known."""
    try:
        lines = _MAPS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    loaded = [Path(line.split(maxsplit=5)[-1]) for line in lines if line.endswith((".so", ".so.1", ".so.6"))]
    beside = [path.parent / "libgcc_s.so.1" for path in loaded if re.fullmatch(_LIBRARIES["c"], path.name)]
    usable = [path for path in (*loaded, *beside) if re.fullmatch(_LIBRARIES[name], path.name)]
    return next((path for path in usable if path.exists()), None)


def _ending(code: int) -> str:
    """Return how a process ended, by the code that subprocess has."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def compile_trial() -> None:
    """Compile and run a kernel; PoCL aborts the process where that is not possible."""
    import numpy as np

    with pocl_cache.own_folder():
        import pyopencl as cl

        platforms = [found for found in cl.get_platforms() if found.name.strip() == PLATFORM]
        cl_device = platforms[0].get_devices()[0]
    fix_processor_name(cl_device)
    context = cl.Context([cl_device])
    program = cl.Program(context, _TRIAL).build(["-cl-std=CL1.2"])
    values = np.zeros(64, np.float32)
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.USE_HOST_PTR
    queue = cl.CommandQueue(context)
    cl.Kernel(program, "trial")(queue, (64,), (64,), cl.Buffer(context, flags, hostbuf=values))
    queue.finish()


def _has_kernel(program: Any, kernel: str) -> bool:
    import pyopencl as cl

    return kernel in program.get_info(cl.program_info.KERNEL_NAMES).split(";")


def _key(cl_device: Any, source: str, options: list[str]) -> str:
    """Return a hash of what a binary depends on: driver, processor, options (and its name), source."""
    driver = (cl_device.platform.version, cl_device.version, cl_device.driver_version, cl_device.name)
    return hashlib.sha256("\0".join((*driver, _processor(), *options, source)).encode()).hexdigest()


def _processor() -> str:
    """Return the processor's model and features: code for one may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return " ".join(platform.uname())
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _text_at(memory: int, address: int) -> bytes | None:
    """Return the C string at an address of this process, None where nothing is mapped."""
    if not 0x10000 < address < 1 << 47:
        return None
    try:
        return os.pread(memory, 32, address).split(b"\0")[0]
    except OSError:
        return None


def _processor_flags() -> set[str]:
    """Return this processor's features as /proc/cpuinfo spells them."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def _c_string(name: bytes) -> int:
    buffer = _names.setdefault(name, ctypes.create_string_buffer(name))
    return ctypes.addressof(buffer)
