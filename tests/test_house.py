"""The rules that the repository keeps: layout, order of the stages, documentation, imports, sizes."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from docs import man_pages, options_table, stages_page
from longexpo_cli.commands import COMMANDS
from longexpo_cli.options import COMMON, GROUPS, StageOption
from longexpo_cli.params import Parameter, parameters
from longexpo_cli.recipe import STAGES
from longexpo_cli.stages import ORDER
from tests import conftest

ROOT = Path(__file__).parent.parent
CODE = ("longexpo_cli", "kernels", "tests", "training", "benchmarks", "docs")
FUNCTION_LINES = 60  # a screen, the docstring included
BIGGEST_BYTES = 8 << 20
ENDINGS = {".py", ".cl", ".toml", ".md", ".txt", ".json", ".yml", ""}
UNFINISHED = ("TODO", "FIXME", "XXX", "raise NotImplementedError", "pytest.skip", "mark.skip", "xfail")
MACHINE_PATHS = re.compile(r"/(home|root|Users|tmp|work|farm)/")
HERE = Path(__file__).relative_to(ROOT)


@cache
def files() -> tuple[Path, ...]:
    """Return every file that git tracks or would: what a clone holds, or is about to."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return tuple(Path(name) for name in names if name and (ROOT / name).is_file())


def code(*folders: str) -> list[Path]:
    """Return the code files in some folders."""
    return [path for path in files() if path.parts[0] in folders and path.suffix in {".py", ".cl"}]


@cache
def text(path: Path) -> str:
    """Return a file's text."""
    return (ROOT / path).read_text("utf-8")


def tree(path: Path) -> ast.Module:
    """Return what a file of Python says."""
    return ast.parse(text(path))


def statements(body: ast.AST) -> Iterator[ast.stmt]:
    """Return every statement in it, without going through expressions, which are most of a tree."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for part in getattr(body, name, ()):
            if isinstance(part, ast.stmt):
                yield part
            yield from statements(part)


def declared_by(module: ModuleType) -> list[Parameter]:
    """Return the parameters of a stage's module; a stage without options has no Params."""
    return list(parameters(module.Params)) if hasattr(module, "Params") else []


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_is_a_file_with_its_function_or_fold_and_params(stage: str) -> None:
    module = import_module(f"longexpo_cli.stages.{stage}")
    folds = all(callable(getattr(module, step, None)) for step in ("begin", "add", "finish"))
    assert folds or callable(getattr(module, stage))
    assert all(parameter.meaning for parameter in declared_by(module))
    assert (ROOT / "tests" / "stages" / f"test_{stage}.py").is_file()


def test_the_stages_are_the_files() -> None:
    names = {path.stem for path in files() if path.parent == Path("longexpo_cli/stages")}
    assert names == {"__init__", *ORDER}


def test_listing_the_stages_imports_nothing() -> None:
    body = ast.parse(text(Path("longexpo_cli/stages/__init__.py")))
    assert not [node for node in ast.walk(body) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_the_pipeline_reads_in_order() -> None:
    called = text(Path("longexpo_cli/pipeline.py")).split("def render", 1)[1]
    decide = [f"{stage}.{stage}(" for stage in ("load", "subject", "track")]
    decide += ["reference.reference(", "align.align(", "select.select("]
    end = ["demosaic.demosaic(", "denoise.denoise(", "composite.composite(", "finish.finish("]
    second_pass = [
        "merge.begin(",
        "blur.begin(",
        "merge.add(",
        "self.streaked(",  # the pair before
        "self.initial_motion,",
        "blur.finish(",
    ]
    for calls in ([*decide, *end], [*second_pass, "merge.finish("]):
        places = [called.index(call) for call in calls]
        assert places == sorted(places), calls
    assert all(call in called for call in ("develop.develop(", "predict.refined(", "blur.add("))
    batch = text(Path("longexpo_cli/batch.py")).split("def _render", 1)[1]
    assert batch.index(" render(") < batch.index("write.write(")


@pytest.mark.parametrize("path", [path for path in code(*CODE) if path.suffix == ".py"], ids=str)
def test_functions_fit_on_a_screen(path: Path) -> None:
    functions = [node for node in statements(tree(path)) if isinstance(node, ast.FunctionDef)]
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions}
    assert not {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES}


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a file imports."""
    nodes = list(statements(tree(path)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    "path",
    [p for p in code("benchmarks", "training", "docs") if p.suffix == ".py" and "tests" not in p.parts],
    ids=str,
)
def test_only_tests_import_tests(path: Path) -> None:
    assert "tests" not in imported(path)


@pytest.mark.parametrize("kernel", [p.stem for p in files() if p.parts[0] == "kernels" and "_" in p.stem])
def test_a_kernel_has_its_caller_its_twin_and_its_tests(kernel: str) -> None:
    stage = kernel.partition("_")[0]
    assert stage in ORDER
    assert re.search(rf"__kernel void {kernel}\s*\(", text(Path(f"kernels/{kernel}.cl")))
    caller = caller_of(kernel, Path(f"longexpo_cli/gpu/{stage}.py"))
    assert re.search(rf"^def {caller}\(", text(Path(f"tests/reference/{stage}.py")), re.M), caller
    tests = [text(path) for path in files() if path.match(f"tests/kernels/test_{stage}*.py")]
    assert any(f".{caller}(" in test or f" {caller}(" in test for test in tests), caller


def caller_of(kernel: str, path: Path) -> str:
    """Return the name of the one function in a file that runs a kernel; its twin has the same name."""
    functions = [node for node in tree(path).body if isinstance(node, ast.FunctionDef)]
    names = {
        f.name for f in functions for n in ast.walk(f) if isinstance(n, ast.Constant) and n.value == kernel
    }
    assert len(names) == 1, f"{kernel} is run by {names or 'no function'}"
    return names.pop()


@pytest.mark.parametrize("path", [p for p in files() if p.suffix in ENDINGS and p != HERE], ids=str)
def test_nothing_unfinished_and_no_machines_paths(path: Path) -> None:
    content = text(path)
    assert not MACHINE_PATHS.search(content)
    if path.parts[0] in CODE:
        assert not [word for word in UNFINISHED if word in content]


def test_nothing_large_is_tracked() -> None:
    assert not [str(path) for path in files() if (ROOT / path).stat().st_size > BIGGEST_BYTES]


def test_the_readme_has_every_option_as_it_is() -> None:
    assert options_table.current() == options_table.table(), "run `make docs`"


def test_the_man_pages_say_what_help_says() -> None:
    made = {path.name: path.read_text("utf-8") for path in man_pages.FOLDER.iterdir()}
    assert made == man_pages.pages(), "run `make man`"


def test_the_page_of_the_stages_says_what_the_code_says() -> None:
    assert text(Path("docs/stages.md")) == stages_page.page(), "run `make docs`"
    assert {path.stem for path in (ROOT / "docs" / "stages").glob("*.jpg")} == set(ORDER)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_documented_tested_and_known_by_its_first_line(command: str) -> None:
    module = import_module(f"longexpo_cli.commands.{command}")
    assert module.command.help
    assert "Examples:\n  longexpo " in module.command.epilog
    assert all(option.help for option in options_table.options_of(command))
    assert f"longexpo {command}" in text(Path("README.md"))
    assert (ROOT / "tests" / "commands" / f"test_{command}.py").is_file()


def test_the_commands_are_the_files() -> None:
    names = {path.stem for path in files() if path.parent == Path("longexpo_cli/commands")}
    assert names == {"__init__", *COMMANDS}


def test_every_stage_parameter_is_an_option_of_render() -> None:
    shown = options_table.options_of("render")
    options = {(option.stage, option.parameter.name) for option in shown if isinstance(option, StageOption)}
    modules = {stage: import_module(f"longexpo_cli.stages.{stage}") for stage in ORDER}
    assert options == {
        (s, parameter.name) for s, module in modules.items() for parameter in declared_by(module)
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_has_two_meanings(command: str) -> None:
    options = options_table.options_of(command)
    names = [name for option in options for name in [*option.opts, *option.secondary_opts]]
    assert len(names) == len(set(names))


def test_help_has_a_place_for_every_option() -> None:
    assert [stage for stages in GROUPS.values() for stage in stages] == list(STAGES)
    assert set(COMMON) <= {option.name for option in options_table.options_of("render")}


def test_the_dockerfile_copies_what_the_package_is_built_from() -> None:
    project = tomllib.loads(text(Path("pyproject.toml")))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], "LICENSE"}
    needed |= {*wheel["packages"], *wheel["force-include"], *wheel["shared-data"]}
    lines = [line.split()[1:-1] for line in text(Path("Dockerfile")).splitlines() if line.startswith("COPY ")]
    assert {name for names in lines for name in names} == needed


def test_every_network_is_in_the_index_with_checksum_and_licence() -> None:
    weights = ROOT / "weights"
    index = tomllib.loads(text(Path("weights/index.toml")))
    assert {entry["file"] for entry in index.values()} == {path.name for path in weights.glob("*.onnx")}
    for entry in index.values():
        assert hashlib.sha256((weights / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
        assert (weights / entry["licence_file"]).is_file()
        assert (weights / entry["card"]).is_file()


@pytest.mark.parametrize(
    "recipe", sorted(ROOT.glob("sample_bursts/*/recipe.toml")), ids=lambda p: p.parent.name
)
def test_a_sample_burst_has_a_sound_recipe_and_an_origin(recipe: Path) -> None:
    from longexpo_cli.recipe import Recipe

    Recipe.from_toml(recipe)
    assert re.search(r"CC0|CC BY \d|MIT|Apache-2.0", (recipe.parent / "ORIGIN.md").read_text("utf-8"))


def test_only_one_module_imports_what_runs_networks() -> None:
    pattern = re.compile(r"^\s*(import|from) (onnxruntime|openvino)", re.M)
    importers = [str(path) for path in code(*CODE) if pattern.search(text(path))]
    assert importers == ["longexpo_cli/vision/engines.py"]


def test_the_long_tests_are_files() -> None:
    assert not [name for name in conftest.LONG if not (ROOT / "tests" / name).exists()]


def test_ci_runs_the_readmes_test_command() -> None:
    assert "make test" in text(Path("README.md"))
    assert text(Path(".ci/run")).rstrip().endswith("make test")
