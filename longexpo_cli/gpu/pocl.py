"""Defects of PoCL 3.0, the OpenCL for CPUs that pip installs, seen to before it is used.

It calls the system linker and aborts the process without one. And it asks LLVM 14 for the name of the
processor, which is wrong for processors that are newer than LLVM 14. Some (AMD family 26) are called
"generic", which the compiler inside PoCL then refuses ("unknown target CPU 'generic'", pocl issue 1049).
Others get the name of their predecessor (Zen 4 is "znver3", which has no AVX-512), while PoCL selects its
function library by the features that the processor really has (AVX-512): code generation then aborts the
process ("LLVM ERROR: Cannot select"). No environment variable overrides the name, so it is replaced in the
device's record by that of the processor which the selected function library was compiled for. LLVM inlines a
function only into code for a processor with all of the function's features: under a name like x86-64-v4
every vload and clamp is a call, and the blur takes half as long again.

What it caches of a program it finds by the preprocessed source, and preprocessing takes 30 ms: a second for
the kernels of a render. Its binaries load in 2 ms; they are kept here.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

from longexpo_cli.errors import DeviceError

PLATFORM = "Portable Computing Language"

# Names of processors by what code for them may use, in the words of /proc/cpuinfo.
_AVX2 = {"avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "abm", "popcnt", "cx16"}
_LEVELS = (
    (b"skylake-avx512", _AVX2 | {"adx", "aes", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    (b"haswell", _AVX2),
    (b"x86-64-v2", {"sse4_2", "ssse3", "popcnt", "cx16"}),
)
# What LLVM 14 calls processors with AVX-512; under any other name it generates no code for it.
_AVX512_NAMES = {
    *(b"skylake-avx512", b"cascadelake", b"cooperlake", b"cannonlake", b"icelake-client"),
    *(b"icelake-server", b"rocketlake", b"sapphirerapids", b"tigerlake"),
}
_DIGEST = 32  # bytes, of the checksum before a binary
_kept: dict[bytes, Any] = {}  # the names must outlive the device's record, which points at them


def require_linker() -> None:
    """Raise DeviceError, naming the missing package, when PoCL would abort for want of a linker."""
    if shutil.which("ld") is None:
        raise DeviceError(
            "the system linker `ld` is not on the PATH and OpenCL on the CPU needs it: "
            "install the package binutils (apt install binutils)"
        )


def name_processor(cl_device: Any) -> None:
    """Replace a PoCL device's processor name where code generated for that name would fail."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return
    address: int = cl_device.int_ptr
    memory = os.open("/proc/self/mem", os.O_RDONLY)
    try:
        record = os.pread(memory, 1024, address)  # a failed read is an error here, never a crash
        words = struct.unpack(f"<{len(record) // 8}Q", record[: len(record) // 8 * 8])
        triple_seen = False
        for index, word in enumerate(words):
            text = _text_at(memory, word)
            if triple_seen and text is not None:
                name = usable_name(text, _flags())
                if name != text:
                    ctypes.c_uint64.from_address(address + 8 * index).value = _named(name)
                return
            triple_seen = text is not None and text.startswith(b"x86_64-")
    except OSError:
        return
    finally:
        os.close(memory)


def usable_name(name: bytes, flags: set[str]) -> bytes:
    """Return the name under which LLVM 14 generates code for a processor with flags that it calls name."""
    level = next((known for known, needs in _LEVELS if needs <= flags), b"x86-64")
    too_old = level in _AVX512_NAMES and name not in _AVX512_NAMES
    return level if name == b"generic" or too_old else name


def build(context: Any, cl_device: Any, source: str, options: list[str], cache: Path | None = None) -> Any:
    """Return a program built on a PoCL device, from the binary that an earlier process kept in a folder.

    cache is the user's, longexpo/kernels in $XDG_CACHE_HOME or ~/.cache, unless it is named. Programs are
    told apart by all that makes them; a binary that is missing or damaged is made anew, and used like any
    other, so that the first run's pictures are the next one's. A folder that takes nothing is done without.
    """
    import pyopencl as cl

    made_of = (cl_device.platform.version, cl_device.version, cl_device.driver_version, cl_device.name)
    key = hashlib.sha256("\0".join((*made_of, _processor(), *options, source)).encode()).hexdigest()
    kept = (cache or _cache()) / f"{key}.bin"
    binary = _read(kept)
    if binary is None:
        (binary,) = cl.Program(context, source).build(options).get_info(cl.program_info.BINARIES)
        _keep(kept, binary)
    return cl.Program(context, [cl_device], [binary]).build()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "longexpo" / "kernels"


def _read(path: Path) -> bytes | None:
    """Return the binary in a file, None where there is no file or it is not what was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, binary = data[:_DIGEST], data[_DIGEST:]
    return binary if hashlib.sha256(binary).digest() == digest else None


def _keep(path: Path, binary: bytes) -> None:
    """Write a binary behind its checksum, whole or not at all; several processes may do so at once."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(binary).digest() + binary)
        Path(file.name).replace(path)


def _processor() -> str:
    """Return what this machine's processor is and can do: code for one may not run on another."""
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


def _flags() -> set[str]:
    """Return what this processor can do, in the words of /proc/cpuinfo."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def _named(name: bytes) -> int:
    buffer = _kept.setdefault(name, ctypes.create_string_buffer(name))
    return ctypes.addressof(buffer)
