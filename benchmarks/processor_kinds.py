"""A suite that `longexpo verify` makes on this processor, verified by code for other kinds of processors.

The kinds are forced: PoCL gets the function library of the kind, copied over the one that it selects by this
processor's features, and generates code for the kind's name. The kernels of each kind are compiled anew. Only
x86-64 processors with AVX2 can run code for all of them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from longexpo_cli.synth import burst
from longexpo_cli.types import Mode

KINDS = {  # name for the compiler, function library
    "AVX-512": (b"skylake-avx512", "avx512"),
    "AVX2": (b"haswell", "avx2"),
    "SSE4": (b"x86-64-v2", "sse41"),
}
PACKAGES = ("pyopencl", "pocl_binary_distribution")
SIZE_PX, FRAMES = (240, 320), 6
LOOKS: tuple[Mode, ...] = ("foreground", "background")
# Runs when Python starts: processor names of PoCL are replaced once the module that does so is imported.
FORCE = """
import importlib.abc, importlib.machinery, sys

class Forced(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "longexpo_cli.gpu.pocl":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            module.usable_name = lambda found, flags: {name!r}
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Forced())
"""


def main() -> None:
    """Print what differs, by kind."""
    features = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for look in LOOKS:
            suite = root / look
            (suite / "bursts").mkdir(parents=True)
            burst.write_burst(suite / "bursts" / "drawn", look=look, size=SIZE_PX, frames=FRAMES, seed=3)
            shutil.rmtree(suite / "bursts" / "drawn" / "truth")
            (suite / "recipes").mkdir()
            (suite / "recipes" / "looks.toml").write_text(f'mode = "{look}"\n', encoding="utf-8")
            verify(suite, dict(os.environ))
        kinds = [kind for kind in KINDS if kind != "AVX-512" or "avx512f" in features]
        own = {"this processor again": dict(os.environ)}
        for kind, environment in (own | {kind: forced(root / kind, *KINDS[kind]) for kind in kinds}).items():
            for look in LOOKS:
                print(f"{kind}, {look}: {verify(root / look, environment)}")


def forced(folder: Path, name: bytes, library: str) -> dict[str, str]:
    """Return the environment of a process for which PoCL generates code for a kind of processor."""
    site = folder / "site"
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"{package} is not installed: PoCL's files are not known")
        shutil.copytree(Path(spec.origin).parent, site / package)
    libraries = site / "pocl_binary_distribution" / ".libs" / "share" / "pocl"
    (chosen,) = libraries.glob(f"kernel-*-{library}.bc")
    content = chosen.read_bytes()
    for other in libraries.glob("kernel-*.bc"):
        other.write_bytes(content)
    (site / "sitecustomize.py").write_text(FORCE.replace("{name!r}", repr(name)), encoding="utf-8")
    paths = [str(site), str(Path(__file__).parents[1])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "XDG_CACHE_HOME": str(folder / "cache")}


def verify(suite: Path, environment: dict[str, str]) -> str:
    """Return what `longexpo verify` prints of a suite, a line a picture, and its exit code."""
    command = [sys.executable, "-m", "longexpo_cli", "verify", str(suite)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if "max_delta_e" in line]
    return "\n  ".join([f"exit code {done.returncode}", *lines])


if __name__ == "__main__":
    main()
