"""longexpo devices lists what --device takes."""

from __future__ import annotations

import json
from pathlib import Path

from longexpo_cli.gpu.device import available, choose
from tests.commands.conftest import Run, in_a_process


def test_lists_every_device(run: Run) -> None:
    result = run("devices")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        str(n) for n in range(len(available()))
    ]
    assert all(
        ("samples images" in line) != ("samples buffers" in line) for line in result.stdout.splitlines()
    )


def test_json_is_what_choose_takes(run: Run) -> None:
    rows = json.loads(run("devices", "--json").stdout)
    for row in rows:
        assert choose(str(row["number"])).name == row["name"]
        assert row["kind"] in {"CPU", "GPU"}
        assert row["sampling"] == choose(str(row["number"])).info.sampling
        assert (row["kind"], row["sampling"]) != ("CPU", "images")
        assert row["memory_bytes"] > 1 << 20
        assert row["error"] == ""


def test_a_device_that_cannot_run_says_why(tmp_path: Path) -> None:
    result = in_a_process("devices", PATH=str(tmp_path))
    assert result.returncode == 0
    assert "binutils" in result.stdout
