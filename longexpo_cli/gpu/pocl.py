"""Workarounds for PoCL 3.0, the OpenCL driver for CPUs that pip installs, and a cache of its binaries.

Linker: PoCL calls the system linker `ld` and aborts the process if there is none, so this is checked first.

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
for the kernels of a render. Its binaries load in 2 ms; they are cached here, one file per program. Those of
other versions, drivers and processors are deleted when they have not been loaded for a long time.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import logging
import os
import platform
import re
import shutil
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from longexpo_cli.errors import DeviceError

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
_AVX512_NAMES = {
    *(b"skylake-avx512", b"cascadelake", b"cooperlake", b"cannonlake", b"icelake-client"),
    *(b"icelake-server", b"rocketlake", b"sapphirerapids", b"tigerlake"),
}
_AVX2_NAMES = {b"haswell", b"broadwell", b"skylake", b"alderlake"}
_INLINING_NAMES = {b"skylake-avx512": _AVX512_NAMES, b"haswell": _AVX2_NAMES}
_DIGEST_BYTES = 32  # of the SHA-256 checksum in front of a binary
_LOCK_TIMEOUT_S = 120.0  # a build takes a second or two; a process that hangs must not block the others
_UNFINISHED = "unfinished-"  # in front of the names of files that are being written
_UNUSED_S = 90 * 86400.0  # binaries that no run has loaded for this long are deleted
_LOADED_AGAIN_S = 86400.0  # a binary's date, that of its last use, is renewed at most this often
_LEFTOVER_S = 3600.0  # files of interrupted writes are deleted after this long; a write takes milliseconds
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

    cache is the folder of binaries, by default longexpo/kernels in $XDG_CACHE_HOME or ~/.cache. A binary
    that is missing, damaged or without the kernel (as an aborted build leaves it) is rebuilt and replaced.
    A new binary is loaded too, so that the first run's results are those of the next. One process builds at
    a time; a folder that cannot be written is not used. A build deletes binaries that have not been loaded
    for _UNUSED_S. DeviceError when the rebuilt program has no such kernel.
    """
    folder = cache or _cache()
    path = folder / f"{_key(cl_device, source, options)}.bin"
    program = _load(context, cl_device, path, kernel)
    if program is not None:
        _renew(path)
        return program
    with _locked(folder):
        _delete_unused(folder)
        program = _load(context, cl_device, path, kernel)  # another process may have built it meanwhile
        return program or _rebuild(context, cl_device, source, options, kernel, path)


def _rebuild(context: Any, cl_device: Any, source: str, options: list[str], kernel: str, path: Path) -> Any:
    """Return a program built from source, by way of its binary, which is written to path."""
    import pyopencl as cl

    (binary,) = cl.Program(context, source).build(options).get_info(cl.program_info.BINARIES)
    program = cl.Program(context, [cl_device], [binary]).build()
    if not _has_kernel(program, kernel):
        raise DeviceError(
            f"{cl_device.name.strip()}: PoCL built a program without its kernel {kernel}; "
            "delete PoCL's cache ($POCL_CACHE_DIR or ~/.cache/pocl) and try again"
        )
    _write(path, binary)
    return program


def _load(context: Any, cl_device: Any, path: Path, kernel: str) -> Any:
    """Return the program of a cached binary; None when the file is missing, damaged or without the kernel."""
    import pyopencl as cl

    binary = _read(path)
    if binary is None:
        return None
    try:
        program = cl.Program(context, [cl_device], [binary]).build()
    except cl.Error:
        program = None
    if program is None or not _has_kernel(program, kernel):
        _LOG.info("PoCL: %s does not hold the kernel %s and is rebuilt", path, kernel)
        return None
    return program


def _has_kernel(program: Any, kernel: str) -> bool:
    import pyopencl as cl

    return kernel in program.get_info(cl.program_info.KERNEL_NAMES).split(";")


def _key(cl_device: Any, source: str, options: list[str]) -> str:
    """Return a hash of what a binary depends on: driver, processor, options (and its name), source."""
    driver = (cl_device.platform.version, cl_device.version, cl_device.driver_version, cl_device.name)
    return hashlib.sha256("\0".join((*driver, _processor(), *options, source)).encode()).hexdigest()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "longexpo" / "kernels"


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock file while building: PoCL's own cache is shared by all processes.

    The lock ends with its process. After _LOCK_TIMEOUT_S, and where files cannot be locked, go on without
    it.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / "lock").open("a"))
            deadline = time.monotonic() + _LOCK_TIMEOUT_S
            while not _try_lock(file.fileno()):
                if time.monotonic() > deadline:
                    _LOG.warning("another process has held %s for %.0f s", file.name, _LOCK_TIMEOUT_S)
                    break
                time.sleep(0.05)
        except OSError as error:
            _LOG.info("PoCL: building without a lock (%s)", error)
        yield


def _try_lock(descriptor: int) -> bool:
    """Try to take the lock and return whether that succeeded; OSError where files cannot be locked."""
    try:
        import fcntl
    except ImportError as error:
        raise OSError("no file locks on this system") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> bytes | None:
    """Return the binary in a file, None where there is no file or its checksum is wrong."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, binary = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return binary if hashlib.sha256(binary).digest() == digest else None


def _write(path: Path, binary: bytes) -> None:
    """Write a checksum and a binary, atomically; nothing when the folder cannot be written."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_UNFINISHED, delete=False) as file:
            file.write(hashlib.sha256(binary).digest() + binary)
        Path(file.name).replace(path)


def _renew(path: Path) -> None:
    """Date a binary as used now, unless its date is a recent one or cannot be changed."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _LOADED_AGAIN_S:
            os.utime(path)


def _delete_unused(folder: Path) -> None:
    """Delete binaries that have not been used for long, and what interrupted writes left.

    Only files that are named as those of this cache are deleted. A process that is about to read one builds
    its program again.
    """
    try:
        files = [(path, path.lstat()) for path in folder.iterdir()]
    except OSError:
        return
    now = time.time()
    for path, status in files:
        is_binary = re.fullmatch(r"[0-9a-f]{64}\.bin", path.name) is not None
        is_leftover = re.fullmatch(rf"({_UNFINISHED}|tmp)\w{{8}}", path.name) is not None
        limit_s = _UNUSED_S if is_binary else _LEFTOVER_S
        if (is_binary or is_leftover) and stat.S_ISREG(status.st_mode) and now - status.st_mtime > limit_s:
            with contextlib.suppress(OSError):
                path.unlink()


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
