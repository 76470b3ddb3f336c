"""The index of networks, their checksums, running them, and that running them stays private."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from longexpo_cli import assets
from longexpo_cli.errors import EngineError, WeightsError
from longexpo_cli.vision import engines, networks

ENTRY = """
[motion]
file = "motion.onnx"
sha256 = "{sha256}"
licence = "Apache-2.0"
licence_file = "LICENSE.motion"
card = "motion.md"
source = "trained here"
purpose = "Motion lines."
inputs = [{{ name = "pair", shape = [1, 6, "height", "width"], meaning = "two frames" }}]
outputs = [{{ name = "lines", shape = [1, 5, "height", "width"], meaning = "lines and a weight" }}]
metadata = {{ multiple_of = 8, channels = [32, 64, 128] }}
"""
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def write_index(folder: Path, sha256: str = EMPTY_SHA256, content: bytes | None = b"") -> Path:
    (folder / "index.toml").write_text(ENTRY.format(sha256=sha256))
    if content is not None:
        (folder / "motion.onnx").write_bytes(content)
    return folder


@pytest.mark.parametrize("name", sorted(networks.index()))
def test_every_network_has_its_checksum_licence_and_card(name: str) -> None:
    entry = networks.network(name)
    assert networks.verified_file(name) == entry.file
    assert entry.licence_file.stat().st_size > 500
    assert entry.card.read_text("utf-8").startswith(f"# {name}\n")
    assert entry.purpose and entry.source and entry.licence


@pytest.mark.parametrize("name", sorted(networks.index()))
def test_the_index_describes_the_inputs_and_outputs_of_the_file(name: str) -> None:
    entry = networks.network(name)
    session = engines.load_onnxruntime().InferenceSession(entry.file, providers=["CPUExecutionProvider"])
    for listed, actual in ((entry.inputs, session.get_inputs()), (entry.outputs, session.get_outputs())):
        shapes = {value.name: value.shape for value in actual}
        for tensor in listed:
            assert len(tensor.shape) == len(shapes[tensor.name])
            pairs = zip(tensor.shape, shapes[tensor.name], strict=True)
            assert all(expected == found for expected, found in pairs if isinstance(expected, int))


def test_an_entry_holds_every_field_of_the_index(tmp_path: Path) -> None:
    entry = networks.network("motion", write_index(tmp_path))
    assert entry.file == tmp_path / "motion.onnx"
    assert entry.inputs == (networks.Tensor("pair", (1, 6, "height", "width"), "two frames"),)
    assert entry.outputs[0].shape == (1, 5, "height", "width")
    assert entry.metadata == {"multiple_of": 8, "channels": [32, 64, 128]}
    assert networks.verified_file("motion", tmp_path) == entry.file


def test_a_file_with_another_checksum_is_rejected(tmp_path: Path) -> None:
    write_index(tmp_path, content=b"something else")
    with pytest.raises(WeightsError, match=r"motion\.onnx: not the file .*reinstall longexpo"):
        networks.verified_file("motion", tmp_path)
    with pytest.raises(WeightsError):
        networks.run("motion", {}, ["lines"], tmp_path)


def test_one_flipped_bit_is_rejected(tmp_path: Path) -> None:
    packaged = assets.folder("weights")
    for file in ("index.toml", "face_detection_yunet_2023mar.onnx"):
        shutil.copyfile(packaged / file, tmp_path / file)
    broken = tmp_path / "face_detection_yunet_2023mar.onnx"
    content = bytearray(broken.read_bytes())
    content[100_000] ^= 1
    broken.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        networks.verified_file("yunet", tmp_path)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    write_index(tmp_path, content=None)
    with pytest.raises(WeightsError, match=r"motion\.onnx: No such file.*reinstall"):
        networks.verified_file("motion", tmp_path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"'u3net'.*u2netp, yunet"):
        networks.network("u3net")


@pytest.mark.parametrize(
    "text", [None, "[motion\n", "motion = 1\n", '[motion]\nfile = "x"\n', "[motion]\nfile = 1\n"]
)
def test_a_bad_index_is_rejected(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "index.toml").write_text(text)
    with pytest.raises(WeightsError, match=r"index\.toml: .*reinstall longexpo"):
        networks.index(tmp_path)


def test_a_run_returns_the_named_outputs_and_is_reproducible() -> None:
    picture = np.random.default_rng(1).random((1, 3, 320, 320), dtype=np.float32)
    fused, side = networks.run("u2netp", {"input.1": picture}, ["1959", "1960"])
    assert fused.shape == side.shape == (1, 1, 320, 320)
    assert 0 <= fused.min() <= fused.max() <= 1
    (again,) = networks.run("u2netp", {"input.1": picture}, ["1959"])
    assert np.array_equal(again, fused)


RUN_U2NETP = """
import numpy as np
from longexpo_cli.vision import networks
networks.run("u2netp", {"input.1": np.zeros((1, 3, 320, 320), np.float32)}, ["1959"])
"""


def run_in_empty_home(home: Path, script: str, *, prefix: tuple[str, ...] = (), **variables: str) -> str:
    """Run a script in a process whose home, cache and configuration folders are one empty folder."""
    home.mkdir(exist_ok=True)
    names = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR")
    inherited = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = inherited | dict.fromkeys(names, str(home)) | variables
    command = [*prefix, sys.executable, "-c", script]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return result.stdout


def test_a_run_leaves_no_files_in_the_users_folders(tmp_path: Path) -> None:
    run_in_empty_home(tmp_path / "home", RUN_U2NETP)
    assert list((tmp_path / "home").iterdir()) == []


def sockets_opened_by(script: str, folder: Path) -> str:
    """Return what strace says of the sockets of a script that runs in folder/home; "" without strace."""
    log = folder / "strace.txt"
    trace = ("strace", "-f", "-qq", "-e", "trace=socket", "-e", "signal=none", "-o", str(log))
    log.touch()
    may_trace = shutil.which("strace") and subprocess.run([*trace, "true"], check=False).returncode == 0
    run_in_empty_home(folder / "home", script, prefix=trace if may_trace else ())
    return log.read_text()


def test_a_run_opens_no_socket(tmp_path: Path) -> None:
    """strace sees every thread; without it only sockets of Python itself and those still open are seen.

    onnxruntime's telemetry would look up its server after about nine seconds only; the test above sees it at
    once.
    """
    script = f"""
import os, sys
def refuse(event, arguments):
    assert not event.startswith("socket."), event
sys.addaudithook(refuse)
{RUN_U2NETP}
folder = "/proc/self/fd"
if os.path.isdir(folder):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        assert not (os.path.islink(path) and os.readlink(path).startswith("socket:")), path
"""
    assert "socket(" not in sockets_opened_by(script, tmp_path)


def test_the_users_own_telemetry_setting_is_kept(tmp_path: Path) -> None:
    script = """
import os
from longexpo_cli.vision import engines
engines.load_onnxruntime()
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
    home = tmp_path / "home"
    assert run_in_empty_home(home, script).strip() == "1"
    assert run_in_empty_home(home, script, ORT_DISABLE_TELEMETRY="true").strip() == "true"


def test_an_unknown_engine_is_an_error() -> None:
    with pytest.raises(EngineError, match="'tensorrt'; there are onnxruntime, openvino"):
        networks.choose_engine("tensorrt")


def test_an_engine_that_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match=r"pip install 'longexpo\[fast\]'"):
        networks.choose_engine("openvino")


@pytest.fixture
def openvino() -> Iterator[None]:
    networks.choose_engine("openvino")
    yield
    networks.choose_engine("onnxruntime")


# Largest differences of outputs; faces are logits, motion px and weights.
@pytest.mark.parametrize(("name", "bound"), [("motion", 0.01), ("u2netp", 1e-3), ("yunet", 1e-3)])
def test_engines_agree(openvino: None, name: str, bound: float) -> None:
    entry = networks.network(name)
    rng = np.random.default_rng(7)
    free = 320 if name == "motion" else 640  # px of a side that the network leaves open
    inputs = {
        tensor.name: rng.random(
            [free if isinstance(side, str) else side for side in tensor.shape], np.float32
        )
        for tensor in entry.inputs
    }
    outputs = [tensor.name for tensor in entry.outputs]
    found, again = (networks.run(name, inputs, outputs) for _ in range(2))
    networks.choose_engine("onnxruntime")
    expected = networks.run(name, inputs, outputs)
    for one, two, other in zip(found, again, expected, strict=True):
        assert np.array_equal(one, two)
        assert one.shape == other.shape
        assert 0 < np.abs(one - other).max() < bound


def test_openvino_leaves_no_file_and_opens_no_socket(tmp_path: Path) -> None:
    script = f"from longexpo_cli.vision import networks\nnetworks.choose_engine('openvino')\n{RUN_U2NETP}"
    assert "socket(" not in sockets_opened_by(script, tmp_path)
    assert list((tmp_path / "home").iterdir()) == []
