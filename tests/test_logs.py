"""Messages go to stderr, one line each, from the level that was asked for."""

from __future__ import annotations

import logging
import os

import pytest

from longexpo_cli import logs

LEVELS = {-1: ["error"], 0: ["warning", "error"], 1: ["info", "warning", "error"]}
ALL = ["debug", "info", "warning", "error"]


@pytest.fixture(autouse=True)
def restored() -> object:
    """Put the package's logger back as it was."""
    package = logging.getLogger(logs.PACKAGE)
    level, handlers = package.level, list(package.handlers)
    yield
    package.setLevel(level)
    package.handlers[:] = handlers


@pytest.mark.parametrize(("verbosity", "shown"), [*LEVELS.items(), (2, ALL), (3, ALL)])
def test_verbosity_decides_what_is_shown(
    capsys: pytest.CaptureFixture[str], verbosity: int, shown: list[str]
) -> None:
    logs.configure(logs.level_of(verbosity))
    assert logs.level() == logs.level_of(verbosity)
    for name in ALL:
        getattr(logging.getLogger("longexpo_cli.stages.blur"), name)("%s of %d", name, 3)
    captured = capsys.readouterr()
    assert captured.err == "".join(f"longexpo: {name} of 3\n" for name in shown)
    assert captured.out == ""


def test_configured_twice_prints_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        logs.configure(logging.INFO)
    logging.getLogger("longexpo_cli").info("once")
    assert capsys.readouterr().err == "longexpo: once\n"


def test_other_packages_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(logging.DEBUG)
    logging.getLogger("matplotlib").info("not ours")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("straße_é.png", "straße_é.png"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
        ("a\ud83d.png", r"a\ud83d.png"),
        ("two\nlines\x1b[2J", r"two\x0alines\x1b[2J"),
    ],
)
def test_any_file_name_is_one_readable_line(
    capsys: pytest.CaptureFixture[str], name: str, shown: str
) -> None:
    logs.configure(logging.WARNING)
    logging.getLogger("longexpo_cli").warning("%s: skipped", name)
    assert capsys.readouterr().err == f"longexpo: {shown}: skipped\n"
