"""The index of networks, the check of their files, and running them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from longexpo_cli import assets
from longexpo_cli.errors import WeightsError
from longexpo_cli.vision import networks

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
ZEROS = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of an empty file


def written(folder: Path, sha256: str = ZEROS, content: bytes | None = b"") -> Path:
    (folder / "index.toml").write_text(ENTRY.format(sha256=sha256))
    if content is not None:
        (folder / "motion.onnx").write_bytes(content)
    return folder


@pytest.mark.parametrize("name", sorted(networks.index()))
def test_every_network_is_whole_and_has_its_licence_and_card(name: str) -> None:
    entry = networks.network(name)
    assert networks.checked(name) == entry.file
    assert entry.licence_file.stat().st_size > 500
    assert entry.card.read_text("utf-8").startswith(f"# {name}\n")
    assert entry.purpose and entry.source and entry.licence


@pytest.mark.parametrize("name", sorted(networks.index()))
def test_inputs_and_outputs_are_those_of_the_file(name: str) -> None:
    import onnxruntime

    entry = networks.network(name)
    session = onnxruntime.InferenceSession(entry.file, providers=["CPUExecutionProvider"])
    for ours, theirs in ((entry.inputs, session.get_inputs()), (entry.outputs, session.get_outputs())):
        shapes = {value.name: value.shape for value in theirs}
        for tensor in ours:
            assert len(tensor.shape) == len(shapes[tensor.name])
            pairs = zip(tensor.shape, shapes[tensor.name], strict=True)
            assert all(mine == yours for mine, yours in pairs if isinstance(mine, int))


def test_an_entry_holds_everything_the_index_says(tmp_path: Path) -> None:
    entry = networks.network("motion", written(tmp_path))
    assert entry.file == tmp_path / "motion.onnx"
    assert entry.inputs == (networks.Tensor("pair", (1, 6, "height", "width"), "two frames"),)
    assert entry.outputs[0].shape == (1, 5, "height", "width")
    assert entry.metadata == {"multiple_of": 8, "channels": [32, 64, 128]}
    assert networks.checked("motion", tmp_path) == entry.file


def test_another_file_is_refused(tmp_path: Path) -> None:
    written(tmp_path, content=b"something else")
    with pytest.raises(WeightsError, match=r"motion\.onnx: not the file .*reinstall longexpo"):
        networks.checked("motion", tmp_path)
    with pytest.raises(WeightsError):
        networks.run("motion", {}, ["lines"], tmp_path)


def test_one_flipped_bit_is_refused(tmp_path: Path) -> None:
    packaged = assets.folder("weights")
    for file in ("index.toml", "face_detection_yunet_2023mar.onnx"):
        shutil.copyfile(packaged / file, tmp_path / file)
    broken = tmp_path / "face_detection_yunet_2023mar.onnx"
    content = bytearray(broken.read_bytes())
    content[100_000] ^= 1
    broken.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        networks.checked("yunet", tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    written(tmp_path, content=None)
    with pytest.raises(WeightsError, match=r"motion\.onnx: No such file.*reinstall"):
        networks.checked("motion", tmp_path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"'u3net'.*u2netp, yunet"):
        networks.network("u3net")


@pytest.mark.parametrize(
    "text", [None, "[motion\n", "motion = 1\n", '[motion]\nfile = "x"\n', "[motion]\nfile = 1\n"]
)
def test_a_bad_index_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "index.toml").write_text(text)
    with pytest.raises(WeightsError, match=r"index\.toml: .*reinstall longexpo"):
        networks.index(tmp_path)


def test_a_run_gives_the_outputs_asked_for_and_the_same_bits_again() -> None:
    picture = np.random.default_rng(1).random((1, 3, 320, 320), dtype=np.float32)
    fused, side = networks.run("u2netp", {"input.1": picture}, ["1959", "1960"])
    assert fused.shape == side.shape == (1, 1, 320, 320)
    assert 0 <= fused.min() <= fused.max() <= 1
    (again,) = networks.run("u2netp", {"input.1": picture}, ["1959"])
    assert np.array_equal(again, fused)
