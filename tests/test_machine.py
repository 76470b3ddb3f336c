"""Cores and memory of this machine."""

from __future__ import annotations

from pathlib import Path

from longexpo_cli import machine


def test_memory_is_the_systems_or_what_a_container_may_use(tmp_path: Path) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "group"
    group.mkdir()
    meminfo.write_text("MemTotal:       8000 kB\nMemFree:  100 kB\nMemAvailable:    5000 kB\n")
    assert machine.available_bytes(meminfo, group) == 5000 * 1024
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000000\n")
    assert machine.available_bytes(meminfo, group) == 5000 * 1024
    (group / "memory.max").write_text("3000000\n")
    assert machine.available_bytes(meminfo, group) == 2_000_000
    (group / "memory.stat").write_text("anon 5\ninactive_file 400000\n")
    assert machine.available_bytes(meminfo, group) == 2_400_000
    assert machine.available_bytes(tmp_path / "none", group) == 2_400_000
    assert machine.available_bytes(tmp_path / "none", tmp_path) == 0
    (group / "memory.current").write_text("9000000\n")
    assert machine.available_bytes(meminfo, group) == 0


def test_this_machine_has_some() -> None:
    assert machine.cores() >= 1
    assert machine.available_bytes() >= 0
