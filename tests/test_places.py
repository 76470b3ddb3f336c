"""Folders, locales and systems that lack something: the program works there, or says what to do."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KERNEL = (
    "import numpy as np; from longexpo_cli.gpu import blur; from longexpo_cli.gpu.device import choose\n"
    "device = choose('Portable'); light = np.ones((4, 70, 4), np.float16)\n"
    "print(blur.encode(device, device.upload(light), 2, 1).get()[..., :3].sum())\n"
)
CAPABILITIES = (1, 2, 3)  # of root, to read, write and own what is another user's
DROP = 24  # PR_CAPBSET_DROP, prctl(2)


def as_a_user() -> None:
    """Give up what root may do with files of others; for others nothing changes."""
    for capability in CAPABILITIES:
        ctypes.CDLL(None).prctl(DROP, capability, 0, 0, 0)


def run(*words: str, cwd: Path = ROOT, names: Mapping[str, str | None]) -> subprocess.CompletedProcess[bytes]:
    """Run Python with a changed environment; None removes a variable."""
    changed = {**os.environ, "PYTHONPATH": str(ROOT), **names}
    environment = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run(
        [sys.executable, *words], env=environment, cwd=cwd, capture_output=True, timeout=300, check=False,
        preexec_fn=as_a_user,
    )  # fmt: skip


def read_only(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o555)
    return path


def of_another_user(path: Path) -> Path:
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    else:
        path.chmod(0)
    return path


def a_file(path: Path) -> Path:
    path.write_text("in the way")
    return path


def made_by_another_user(path: Path) -> Path:
    """Return a home whose cache was made by another user, as by sudo."""
    (path / ".cache").mkdir(parents=True)
    of_another_user(path / ".cache" / "longexpo")
    of_another_user(path / ".cache" / "pytools")
    return path


PLACES: dict[str, Callable[[Path], Path]] = {
    "read-only": read_only,
    "another user's": of_another_user,
    "a file": a_file,
    "missing": lambda path: read_only(path) / "missing",
    "a cache of another user": made_by_another_user,
}


@pytest.mark.parametrize(
    ("variable", "place", "is_said"),
    [
        *(("HOME", place, True) for place in PLACES),
        ("XDG_CACHE_HOME", "read-only", True),
        ("XDG_CACHE_HOME", "another user's", True),
        ("TMPDIR", "read-only", False),
        ("TMPDIR", "another user's", False),
        ("POCL_CACHE_DIR", "read-only", False),
    ],
)
def test_kernels_run_wherever_folders_cannot_be_written(
    tmp_path: Path, variable: str, place: str, is_said: bool
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    folders: dict[str, str | None] = {"HOME": str(home), "XDG_CACHE_HOME": None, "POCL_CACHE_DIR": None}
    found = run("-c", KERNEL, names=folders | {variable: str(PLACES[place](tmp_path / "place"))})
    assert found.returncode == 0, found.stderr
    assert found.stdout == b"420.0\n"
    assert [b"XDG_CACHE_HOME" in line for line in found.stderr.splitlines()] == [True] * is_said


@pytest.mark.parametrize("home", [None, ""])
def test_kernels_run_without_a_home(tmp_path: Path, home: str | None) -> None:
    """Without HOME the system's list of users says which it is."""
    names = {"XDG_CACHE_HOME": None, "HOME": home, "TMPDIR": str(tmp_path)}
    found = run("-c", KERNEL, names=names)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"420.0\n", b"")
    assert home is None or [path.name for path in tmp_path.iterdir()] == [f"longexpo-kernels-{os.geteuid()}"]


def test_a_cache_that_is_no_absolute_path_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    names = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "cache", "POCL_CACHE_DIR": None}
    found = run("-c", KERNEL, cwd=tmp_path / "here", names=names)
    assert (found.returncode, found.stdout) == (0, b"420.0\n")
    assert not list((tmp_path / "here").iterdir())


def test_an_installation_may_be_read_only(tmp_path: Path) -> None:
    for name in ("longexpo_cli", "kernels", "weights"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        found = run("-c", KERNEL, cwd=tmp_path, names={"PYTHONPATH": str(tmp_path)})
        assert (found.returncode, found.stdout, found.stderr) == (0, b"420.0\n", b"")
        found = run("-m", "longexpo_cli", "weights", cwd=tmp_path, names={"PYTHONPATH": str(tmp_path)})
        assert found.returncode == 0
        where = "import longexpo_cli; print(longexpo_cli.__file__)"
        found = run("-c", where, cwd=tmp_path, names={"PYTHONPATH": str(tmp_path)})
        assert found.stdout.startswith(bytes(tmp_path))
    finally:
        for path in [tmp_path, *tmp_path.rglob("*")]:
            path.chmod(0o755)


def linker(folder: Path, text: str) -> str:
    """Return a PATH on which `ld` is a file with this text."""
    folder.mkdir()
    (folder / "ld").write_text(text)
    (folder / "ld").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "no program", "#!/bin/sh\nexit 0\n"])
def test_a_linker_that_fails_is_an_error(tmp_path: Path, shared_burst: Path, text: str) -> None:
    names = {"HOME": str(tmp_path), "XDG_CACHE_HOME": None, "PATH": linker(tmp_path / "bin", text)}
    found = run("-m", "longexpo_cli", "render", str(shared_burst), "-o", f"{tmp_path}/out/", names=names)
    assert found.returncode == 1
    (line,) = found.stderr.splitlines()
    assert b"cannot compile" in line
    assert b"apt install binutils" in line


# A linker without compilers' packages: libraries of C and of GCC are only in a folder of ours.
BARE_LINKER = """#!/bin/sh
for word in "$@"; do
  case "$word" in -L*linked)
    (cd "${word#-L}" && ls -L libc.so libgcc.so libgcc_s.so > /dev/null) && exec LINKER "$@" ;;
  esac
done
for name in gcc gcc_s c; do echo "ld.bfd: cannot find -l$name: No such file or directory" >&2; done
exit 1
"""


def test_a_linker_without_the_files_for_compilers_is_shown_the_libraries(
    tmp_path: Path, shared_burst: Path
) -> None:
    text = BARE_LINKER.replace("LINKER", shutil.which("ld") or "")
    names = {"HOME": str(tmp_path), "XDG_CACHE_HOME": None, "PATH": linker(tmp_path / "bin", text)}
    found = run("-c", KERNEL, names=names)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"420.0\n", b"")
    text = text.replace("linked", "nowhere")
    (tmp_path / "bin" / "ld").write_text(text)
    names["XDG_CACHE_HOME"] = str(tmp_path / "other")
    found = run("-m", "longexpo_cli", "render", str(shared_burst), "-o", f"{tmp_path}/out/", names=names)
    assert found.returncode == 1
    assert b"cannot find -lgcc" in found.stderr
    assert b"libc6-dev" in found.stderr


def test_no_linker_and_no_driver_are_errors(tmp_path: Path, shared_burst: Path) -> None:
    words = ("-m", "longexpo_cli", "render", str(shared_burst), "-o", f"{tmp_path}/out/")
    for names, remedy in (
        ({"PATH": str(tmp_path)}, b"apt install binutils"),
        ({"OCL_ICD_VENDORS": f"{tmp_path}/none", "OPENCL_VENDOR_PATH": f"{tmp_path}/none"}, b"pip install"),
    ):
        found = run(*words, names=names)
        assert found.returncode == 1
        (line,) = found.stderr.splitlines()
        assert remedy in line


@pytest.mark.parametrize("limit_mib", [400, 700, 1000, 1200, 1400])
def test_too_little_memory_is_one_line(tmp_path: Path, shared_burst: Path, limit_mib: int) -> None:
    script = (
        "import resource, sys; from longexpo_cli.__main__ import main\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({limit_mib} << 20,) * 2)\n"
        "sys.argv = ['longexpo', 'render', *sys.argv[1:]]; main()\n"
    )
    found = run("-c", script, str(shared_burst), "-o", f"{tmp_path}/out/", names={})
    lines = found.stderr.splitlines()
    assert found.returncode in (0, 1), found.stderr
    if found.returncode:
        assert b"memory" in lines[-1]
        assert all(line.startswith(b"longexpo: ") for line in lines), found.stderr
        assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("utf8", ["0", "1"])
def test_names_of_any_bytes_are_read_in_any_locale(tmp_path: Path, shared_burst: Path, utf8: str) -> None:
    burst = tmp_path / os.fsdecode(b"caf\xe9 \xc3\xa9")
    shutil.copytree(shared_burst, burst)
    names = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": utf8, "PYTHONCOERCECLOCALE": "0"}
    found = run("-m", "longexpo_cli", "info", str(burst), names=names)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(bytes(burst) + b": 5 frames")
