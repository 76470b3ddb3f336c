"""A render asks nothing of a network and leaves no file but its results and the cache of compiled kernels."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from longexpo_cli.gpu import pocl_cache

ROOT = Path(__file__).parent.parent
CALLS = "trace=socket,connect,sendto,sendmsg,openat,open,creat"
SOCKET = re.compile(r"AF_(INET6?|NETLINK|PACKET)")
CREATED = re.compile(r'(?:openat|open|creat)\((?:AT_FDCWD, )?"([^"]+)",[^)]*O_CREAT[^)]*\) += +\d')


def is_allowed(command: list[str]) -> bool:
    """Whether the system lets this user run a command."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


class Places:
    """A user's folders, empty but for compiled kernels, and a folder for results."""

    def __init__(self, folder: Path) -> None:
        self.home, self.out, self.temporary, self.here = (
            folder / name for name in ("home", "out", "temporary", "here")
        )
        for path in (self.out, self.temporary, self.here):
            path.mkdir(parents=True)
        self.kernels = pocl_cache.folder()
        (self.home / ".cache" / "longexpo").mkdir(parents=True)
        (self.home / ".cache" / "longexpo" / "kernels").symlink_to(self.kernels, target_is_directory=True)

    def render(self, burst: Path, *under: str) -> subprocess.CompletedProcess[str]:
        """Render a burst under another program, without what the environment says of folders."""
        names = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
        names |= {"HOME": str(self.home), "TMPDIR": str(self.temporary), "PYTHONPATH": str(ROOT)}
        names |= {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [*under, sys.executable, "-m", "longexpo_cli", "render", str(burst), "-o", f"{self.out}/"]
        return subprocess.run(
            command, env=names, cwd=self.here, capture_output=True, text=True, timeout=300, check=False
        )

    def require_clean(self) -> None:
        """Assert that nothing is left but results and caches."""
        assert {path.name for path in self.home.iterdir()} == {".cache"}
        assert {path.name for path in (self.home / ".cache").iterdir()} <= {"longexpo", "pytools", "pyopencl"}
        assert [path.name for path in (self.home / ".cache" / "longexpo").iterdir()] == ["kernels"]
        assert not list(self.temporary.iterdir())
        assert not list(self.here.iterdir())
        endings = ("jpg", "json", "tif")
        assert sorted(path.name for path in self.out.iterdir()) == [
            f"street.foreground.{end}" for end in endings
        ]


ALONE = ["unshare", "-r", "-n"]
TRACED = ["strace", "-f", "-qq", "-e", CALLS, "-o"]


# Not run where the system has no network namespaces for this user, or none may trace.
@pytest.mark.parametrize("under", [ALONE] if is_allowed(ALONE) else [])
def test_a_render_without_a_network_is_whole(tmp_path: Path, shared_burst: Path, under: list[str]) -> None:
    places = Places(tmp_path)
    found = places.render(shared_burst, *under)
    assert found.returncode == 0, found.stderr
    places.require_clean()


@pytest.mark.parametrize("under", [TRACED] if is_allowed([*TRACED, os.devnull]) else [])
def test_a_render_opens_no_connection_and_writes_nowhere_else(
    tmp_path: Path, shared_burst: Path, under: list[str]
) -> None:
    places = Places(tmp_path / "user")
    found = places.render(shared_burst, *under, str(tmp_path / "trace"))
    assert found.returncode == 0, found.stderr
    places.require_clean()
    lines = (tmp_path / "trace").read_text(errors="replace").splitlines()
    assert [line for line in lines if SOCKET.search(line)] == []
    created = {Path(match[1]).absolute() for line in lines if (match := CREATED.search(line))}
    assert any(path.is_relative_to(places.out) for path in created)
    allowed = (
        places.out,
        places.temporary,
        places.home / ".cache",
        places.kernels,
        Path("/dev"),
        Path("/proc"),
    )
    assert [path for path in created if not any(path.is_relative_to(place) for place in allowed)] == []
