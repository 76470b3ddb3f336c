"""Files that crash, hang or overfill what decodes them cost one frame: with faults that are provoked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from longexpo_cli import crash_guard
from tests import worlds

ROOT = Path(__file__).parent.parent
# Runs when Python starts: faults in the first Python function of this name that opens the file.
FAULTS = """
import ctypes, os, sys, threading
from longexpo_cli import crash_guard

crash_guard.LIMIT_S, crash_guard.LIMIT_BYTES = 2.0, 1 << 28
faults = [fault.split(":") for fault in os.environ["FAULTS"].split()]

def spin():
    while True:
        pass

def fill():
    parts = []
    while True:
        parts.append(bytearray(b"x") * (1 << 24))

def in_another_thread():
    libc = ctypes.CDLL(None)
    thread = ctypes.c_ulong()
    abort = ctypes.cast(libc.abort, ctypes.c_void_p)
    libc.pthread_create(ctypes.byref(thread), None, abort, None)
    libc.pause()

DO = {"crash": lambda: ctypes.string_at(0), "abort": os.abort, "hang": spin, "bomb": fill}
DO["library"] = in_another_thread

def hook(event, arguments):
    is_decoding = threading.get_ident() in crash_guard._state.active
    for kind, function, name in faults if event == "open" and is_decoding else ():
        frame = sys._getframe() if name in str(arguments[0]) else None
        while frame is not None and frame.f_code.co_name != function:
            frame = frame.f_back
        if frame is not None:
            DO[kind]()

sys.addaudithook(hook)
"""


def run(folder: Path, faults: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run longexpo with faults, each "kind:function:file"."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(FAULTS)
    names = {"PYTHONPATH": f"{folder / 'site'}{os.pathsep}{ROOT}", "FAULTS": faults}
    command = [sys.executable, "-m", "longexpo_cli", *map(str, words)]
    return subprocess.run(
        command, env=os.environ | names, capture_output=True, text=True, timeout=300, check=False
    )


def test_files_that_end_their_decoder_cost_one_frame_each(tmp_path: Path) -> None:
    burst = worlds.write_frames(tmp_path / "street", "foreground", (120, 160), 7)
    whys = {
        "crash": "crashes its decoder (SIGSEGV)",
        "library": "crashes its decoder (SIGABRT)",
        "hang": "takes too much time or memory",
        "bomb": "takes too much time or memory",
    }
    names = [f"frame_{n:02}.dng" for n in range(1, 5)]
    faults = " ".join(f"{kind}:read_mosaic:{name}" for kind, name in zip(whys, names, strict=True))
    found = run(tmp_path, faults, "render", burst, "-o", f"{tmp_path / 'out'}/")
    assert found.returncode == 0, found.stderr
    document = json.loads((tmp_path / "out" / "street.foreground.json").read_text())
    refused = {one["file"]: one["why"] for one in document["refused"]}
    assert list(refused) == names
    for name, why in zip(names, whys.values(), strict=True):
        assert why in refused[name]
        assert f"{name}: it" in found.stderr


def test_bursts_that_are_done_are_not_done_again(tmp_path: Path, shared_burst: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(shared_burst, tmp_path / name)
    (tmp_path / "none").mkdir()
    (tmp_path / "b" / "frame_03.dng").rename(tmp_path / "b" / "frame_09.dng")
    folders = [tmp_path / name for name in ("none", "a", "b")]
    found = run(tmp_path, "crash:read_mosaic:frame_09", "render", *folders, "-o", f"{tmp_path / 'out'}/")
    assert found.returncode == 1  # of the burst without frames
    assert found.stdout.splitlines() == [
        str(tmp_path / "out" / f"{name}.foreground.{ending}")
        for name in "ab"
        for ending in ("tif", "jpg", "json")
    ]


def test_workers_of_a_batch_leave_out_a_file_as_well(tmp_path: Path, shared_burst: Path) -> None:
    shutil.copytree(shared_burst, tmp_path / "in" / "street")
    found = run(tmp_path, "crash:read_mosaic:frame_01", "batch", tmp_path / "in", "-o", tmp_path / "out")
    assert found.returncode == 0, found.stderr
    assert "frame_01.dng: it crashes its decoder" in found.stderr
    assert (tmp_path / "out" / "street.foreground.jpg").exists()


def test_info_names_files_that_end_their_decoder(tmp_path: Path, shared_burst: Path) -> None:
    whys = {
        "crash:read_tags:frame_04": "it crashes its decoder (SIGSEGV)",
        "abort:_inspect:frame_03": "it crashes its decoder (SIGABRT)",
        "hang:read_metadata:frame_00": "its decoder takes too much time or memory",
    }
    found = run(tmp_path, " ".join(whys), "info", shared_burst)
    assert found.returncode == 0
    for fault, why in whys.items():
        assert f"{fault.rpartition(':')[2]}.dng: is damaged: {why}" in found.stdout


def test_a_crash_that_no_file_explains_is_one_line(tmp_path: Path, shared_burst: Path) -> None:
    (tmp_path / "site").mkdir()
    faults = FAULTS.replace("threading.get_ident() in", "threading.get_ident() not in")
    (tmp_path / "site" / "sitecustomize.py").write_text(faults)
    names = {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}", "FAULTS": "abort:input_entry:frame_01"}
    command = [sys.executable, "-m", "longexpo_cli", "render", str(shared_burst), "-o", f"{tmp_path}/out/"]
    found = subprocess.run(command, env=os.environ | names, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1].startswith("longexpo: the program was ended by SIGABRT")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_signals_reach_the_process_that_works(
    tmp_path: Path, shared_burst: Path, number: signal.Signals, code: int
) -> None:
    """A file that takes for ever is being decoded; when the watching process is killed, the other ends."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(FAULTS.replace("= 2.0,", "= 60.0,"))
    fault = "hang:read_tags:frame_01"
    (tmp_path / "temporary").mkdir()
    names = {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}", "FAULTS": fault}
    names |= {"TMPDIR": f"{tmp_path}/temporary"}
    command = [sys.executable, "-m", "longexpo_cli", "render", str(shared_burst), "-o", f"{tmp_path}/out/"]
    with subprocess.Popen(command, env=os.environ | names, stderr=subprocess.PIPE, text=True) as watching:
        children = Path(f"/proc/{watching.pid}/task/{watching.pid}/children")
        worker = 0
        for _ in range(600):
            worker = int((children.read_text().split() or ["0"])[0])
            if worker and len(list(Path(f"/proc/{worker}/task").iterdir())) > 2:  # its own threads run
                break
            time.sleep(0.05)
        watching.send_signal(number)
        watching.wait(60)
        for _ in range(600):
            if not Path(f"/proc/{worker}").exists():
                break
            time.sleep(0.05)
        assert not Path(f"/proc/{worker}").exists()
        assert watching.returncode == code
    assert list((tmp_path / "temporary").iterdir()) == []


def test_nothing_is_noted_where_no_process_watches(tmp_path: Path) -> None:
    @crash_guard.guarded()
    def size(path: Path) -> int:
        return path.stat().st_size

    assert size(Path(__file__)) > 0
    assert not crash_guard._state.active
    assert crash_guard.done() == (0, 0)
    crash_guard.count(3)
    assert crash_guard.done() == (0, 0)


def test_modules_in_the_folder_of_the_call_are_not_imported(tmp_path: Path, shared_burst: Path) -> None:
    for name in ("numpy", "click", "longexpo_cli"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of anybody')")
    code = "from longexpo_cli.__main__ import main; main()"
    command = [sys.executable, "-P", "-c", code, "info", str(shared_burst)]
    names = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(command, env=names, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert ": 5 frames" in found.stdout


@pytest.mark.parametrize(
    ("words", "is_needed"),
    [
        (["preview", "burst"], True),
        (["render", "a"], True),
        (["-v", "info", "a"], True),
        (["render", "--help"], False),
        (["batch", "a"], False),
        (["--version"], False),
        ([], False),
    ],
)
def test_commands_that_decode_are_watched(
    monkeypatch: pytest.MonkeyPatch, words: list[str], is_needed: bool
) -> None:
    monkeypatch.delenv("LONGEXPO_GUARD", raising=False)
    assert crash_guard.is_needed(words) == is_needed
