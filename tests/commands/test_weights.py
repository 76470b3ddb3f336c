"""longexpo weights lists the networks and verifies their checksums."""

from __future__ import annotations

import json

import pytest

from longexpo_cli.errors import WeightsError
from longexpo_cli.vision import networks
from tests.commands.conftest import Run


def test_lists_every_network_with_its_licence(run: Run) -> None:
    result = run("weights")
    assert result.exit_code == 0
    for name, network in networks.index().items():
        assert f"{name}: " in result.stdout
        assert network.licence in result.stdout
        assert f"ok: sha256 {network.sha256}" in result.stdout


def test_json(run: Run) -> None:
    rows = json.loads(run("weights", "--json").stdout)
    assert {row["name"]: row["error"] for row in rows} == dict.fromkeys(networks.index(), "")


def test_a_failed_checksum_exits_with_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise WeightsError(f"{name}: the checksum differs")

    monkeypatch.setattr(networks, "verified_file", broken)
    result = run("weights")
    assert result.exit_code == 1
    assert "the checksum differs" in result.stdout
