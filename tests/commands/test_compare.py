"""longexpo compare measures differences, and exits 1 beyond the limit."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import tifffile

from longexpo_cli import comparison, comparison_report, metrics
from longexpo_cli.arrays import Array, Array8
from longexpo_cli.commands import compare
from longexpo_cli.files import jpeg_output, png_output
from longexpo_cli.files.icc import Space
from longexpo_cli.files.jpeg_segments import GainRange
from longexpo_cli.files.result_tags import OutputMetadata
from tests.commands.conftest import Run
from tests.images import read_image


def picture(path: Path, shift: float = 0.0, shape: tuple[int, int] = (600, 40)) -> Array8:
    """Write a random picture, brighter by shift, and return it, red first."""
    noise = np.random.default_rng(5).integers(20, 200, (*shape, 3))
    values = np.clip(noise + shift, 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(path), values[..., ::-1])
    return values


def test_equal_pictures(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    result = run("compare", tmp_path / "a.png", tmp_path / "a.png", "--max-delta-e", "0", "--json")
    assert result.exit_code == 0
    differences = json.loads(result.stdout)
    assert differences == {
        "name": "a.png",
        "passed": True,
        "failures": [],
        "not_finite": 0,
        "not_finite_differ": 0,
        "max_delta_e": 0.0,
        "mean_delta_e": 0.0,
        "max_ev": 0.0,
        "max_gain_ev": 0.0,
        "psnr_db": None,
        "ssim": pytest.approx(1, abs=1e-12),
    }


@pytest.mark.parametrize("rows", [7, 11, 40, 256, 259, 600])
def test_strips_give_what_the_whole_gives(run: Run, tmp_path: Path, rows: int) -> None:
    a = picture(tmp_path / "a.png", shape=(rows, 40))
    b = picture(tmp_path / "b.png", 3.0, shape=(rows, 40))
    result = run("compare", tmp_path / "a.png", tmp_path / "b.png", "--json", "--max-delta-e", "9")
    differences = json.loads(result.stdout)
    delta = metrics.delta_e_2000(metrics.srgb_to_lab(a), metrics.srgb_to_lab(b))
    assert differences["max_delta_e"] == pytest.approx(delta.max(), rel=1e-9)
    assert differences["mean_delta_e"] == pytest.approx(delta.mean(), rel=1e-9)
    assert differences["psnr_db"] == pytest.approx(metrics.psnr(a, b, 255), rel=1e-9)
    assert differences["ssim"] == pytest.approx(metrics.ssim(a, b, 255), rel=1e-9)


def test_beyond_the_limit_exits_with_1(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", 12.0)
    result = run("compare", tmp_path / "a.png", tmp_path / "b.png")
    assert result.exit_code == 1
    assert result.stdout.startswith("max_delta_e ")
    assert run("compare", tmp_path / "a.png", tmp_path / "b.png", "--max-delta-e", "50").exit_code == 0


def test_scene_linear_files(run: Run, tmp_path: Path) -> None:
    light = np.linspace(0, 2, 300 * 20 * 3, dtype=np.float32).reshape(300, 20, 3)
    for name, scale in (("a", 1.0), ("b", 1.5)):
        assert cv2.imwrite(str(tmp_path / f"{name}.tif"), light * np.float32(scale))
    assert run("compare", tmp_path / "a.tif", tmp_path / "a.tif").exit_code == 0
    assert run("compare", tmp_path / "a.tif", tmp_path / "b.tif").exit_code == 1
    tifffile.imwrite(tmp_path / "half.tif", light.astype(np.float16), photometric="rgb")
    assert run("compare", tmp_path / "a.tif", tmp_path / "half.tif", "--max-delta-e", "0.6").exit_code == 0


def test_pictures_that_cannot_be_compared_are_one_line(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "small.png", shape=(20, 20))
    cv2.imwrite(str(tmp_path / "light.tif"), np.ones((600, 40, 3), np.float32))
    (tmp_path / "no.png").write_text("no picture")
    for other in ("small.png", "light.tif", "no.png"):
        result = run("compare", tmp_path / "a.png", tmp_path / other)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert other in result.stderr
    assert "no.png: unsupported image format" in result.stderr
    assert run("compare", tmp_path / "a.png", tmp_path / "nowhere.png").exit_code == 2


LIGHT = np.random.default_rng(3).uniform(0, 0.9, (40, 50, 3)).astype(np.float32)


def write_light(path: Path, light: Array) -> Path:
    tifffile.imwrite(path, np.asarray(light, np.float32), photometric="rgb")
    return path


def broken(change: Callable[[Array], None]) -> Array:
    light = LIGHT.copy()
    change(light)
    return light


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_number_fails(run: Run, tmp_path: Path, value: float) -> None:
    a = write_light(tmp_path / "a.tif", LIGHT)
    b = write_light(tmp_path / "b.tif", broken(lambda light: light.__setitem__((7, 9, 1), value)))
    for pair in ((a, b), (b, a)):
        result = run("compare", *pair, "--max-delta-e", "100", "--max-ev", "100")
        assert result.exit_code == 1
        assert "1 pixels are numbers in one picture only" in result.stderr
    same = run("compare", b, b, "--json")
    assert (same.exit_code, json.loads(same.stdout)["not_finite"]) == (0, 1)
    assert "no numbers, the same in both" in same.stderr


def test_other_values_that_are_no_numbers_fail_too(run: Run, tmp_path: Path) -> None:
    nan = write_light(tmp_path / "nan.tif", np.full_like(LIGHT, np.nan))
    infinite = write_light(tmp_path / "inf.tif", np.full_like(LIGHT, np.inf))
    light = write_light(tmp_path / "a.tif", LIGHT)
    for pair in ((light, nan), (nan, infinite), (infinite, light)):
        assert run("compare", *pair).exit_code == 1
    assert run("compare", nan, nan).exit_code == 0


@pytest.mark.parametrize(("ratio", "code"), [(1.05, 0), (2**0.149, 0), (2**0.151, 1), (50, 1)])
def test_light_above_white_is_judged(run: Run, tmp_path: Path, ratio: float, code: int) -> None:
    """CIEDE2000 is that of light cut at white: 0 here."""
    a = write_light(tmp_path / "a.tif", broken(lambda light: light.__setitem__((3, 4), 4)))
    b = write_light(tmp_path / "b.tif", broken(lambda light: light.__setitem__((3, 4), (4, 4, 4 * ratio))))
    result = run("compare", a, b, "--json")
    assert result.exit_code == code
    measured = json.loads(result.stdout)
    assert measured["max_ev"] == pytest.approx(np.log2(ratio), abs=1e-6)
    assert measured["max_delta_e"] == 0


def test_the_limits_meet_at_white() -> None:
    white = metrics.light_to_lab(np.ones(3), "rec2020")
    darker = metrics.light_to_lab(np.full(3, 2**-comparison.MAX_EV), "rec2020")
    assert metrics.delta_e_2000(white, darker) == pytest.approx(2.3, abs=0.01)
    maximum = next(param for param in compare.command.params if param.name == "max_ev")
    assert maximum.default == comparison.MAX_EV


def test_light_outside_of_srgb_and_below_black_is_judged(run: Run, tmp_path: Path) -> None:
    """Green of Rec.2020 has negative red in sRGB."""
    a = write_light(tmp_path / "a.tif", broken(lambda light: light.__setitem__((3, 4), (0, 0.5, 0))))
    b = write_light(tmp_path / "b.tif", broken(lambda light: light.__setitem__((3, 4), (0.08, 0.5, 0))))
    assert run("compare", a, b).exit_code == 1
    dark = write_light(tmp_path / "c.tif", broken(lambda light: light.__setitem__((3, 4), -5)))
    black = write_light(tmp_path / "d.tif", broken(lambda light: light.__setitem__((3, 4), 0)))
    assert run("compare", dark, black).exit_code == 1


def test_alpha_is_judged_and_what_it_hides_is_not(run: Run, tmp_path: Path) -> None:
    opaque = np.full((20, 20, 4), 200, np.uint8)
    opaque[..., 3] = 255
    hole, filled = opaque.copy(), opaque.copy()
    hole[5, 5, 3], filled[5, 5] = 0, (1, 2, 3, 0)
    for name, values in (("a", opaque), ("b", hole), ("c", filled), ("d", opaque[..., :3])):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), values)
    assert run("compare", tmp_path / "a.png", tmp_path / "b.png").exit_code == 1
    assert run("compare", tmp_path / "b.png", tmp_path / "c.png").exit_code == 0
    assert run("compare", tmp_path / "a.png", tmp_path / "d.png").exit_code == 0


def test_colours_are_those_that_the_profile_says(run: Run, tmp_path: Path) -> None:
    values = np.full((20, 20, 3), (250, 40, 30), np.uint8)
    spaces: tuple[Space, ...] = ("srgb", "display-p3")
    for space in spaces:
        data = png_output.encode_png(values, space, OutputMetadata(), "print")
        (tmp_path / f"{space}.png").write_bytes(data)
    assert run("compare", tmp_path / "srgb.png", tmp_path / "display-p3.png").exit_code == 1
    assert run("compare", tmp_path / "srgb.png", tmp_path / "srgb.png").exit_code == 0
    cv2.imwrite(str(tmp_path / "untagged.png"), values[..., ::-1])
    assert run("compare", tmp_path / "srgb.png", tmp_path / "untagged.png").exit_code == 0


def test_gain_maps_are_judged(run: Run, tmp_path: Path) -> None:
    """They are all that HDR screens show beyond the picture itself."""
    sdr = np.full((48, 64, 3), 120, np.uint8)

    def write(name: str, gain: Array8 | None, high_ev: float = 2.0) -> Path:
        data = jpeg_output.encode_jpeg(sdr, "srgb", OutputMetadata(), 95, gain, GainRange(-0.5, high_ev))
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    flat = np.full((12, 16), 51, np.uint8)
    step = flat.copy()
    step[:, 8:] = 153
    a, without, other = write("a.jpg", flat), write("without.jpg", None), write("other.jpg", step)
    assert comparison.read(a).gain_ev == pytest.approx(np.full((12, 16), -0.5 + 2.5 * 0.2), abs=0.011)
    assert comparison.read(without).gain_ev is None
    result = run("compare", a, other, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["max_gain_ev"] == pytest.approx(1.0, abs=0.05)
    assert "EV of the gain maps is above 0.15" in result.stderr
    assert run("compare", a, write("range.jpg", flat, 5.0)).exit_code == 1
    assert "only one has a gain map" in run("compare", a, without).stderr
    assert run("compare", without, without).exit_code == 0
    assert run("compare", a, a, "--max-ev", "0").exit_code == 0
    data = a.read_bytes()
    (tmp_path / "lists.jpg").write_bytes(data.replace(b'hdrgm:GainMapMax="2"', b"hdrgm:GainMapMax ***"))
    assert "a range for each colour" in run("compare", a, tmp_path / "lists.jpg").stderr
    (tmp_path / "cut.jpg").write_bytes(data[: data.index(b"hdrgm:GainMapMax=") + 200])
    assert run("compare", a, tmp_path / "cut.jpg").exit_code == 1


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return two folders: equal, different, missing here and there, another size, and what is no picture."""
    a, b = tmp_path / "a", tmp_path / "b"
    for root in (a, b):
        (root / "night").mkdir(parents=True)
        picture(root / "same.png")
        picture(root / "size.png", shape=(20, 20) if root == b else (30, 30))
        (root / "same.json").write_text("{}" if root == a else "[]")
    picture(a / "night" / "<b>.png")
    picture(b / "night" / "<b>.png", 12.0)
    picture(a / "gone.png")
    picture(b / "new.png")
    return a, b


def test_folders_are_compared_by_names(run: Run, folders: tuple[Path, Path]) -> None:
    result = run("compare", *folders, "--json")
    assert result.exit_code == 1
    found = {entry["name"]: entry for entry in json.loads(result.stdout)}
    assert {name: entry["passed"] for name, entry in found.items()} == {
        "same.png": True,
        "size.png": False,
        "night/<b>.png": False,
        "gone.png": False,
        "new.png": False,
    }
    assert "has no partner" in found["gone.png"]["failures"][0]
    assert len(result.stderr.splitlines()) == 4
    lines = run("compare", *folders).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["night/<b>.png", "same.png"]
    assert run("compare", folders[0], folders[0]).exit_code == 0


def test_folders_without_pictures_are_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert run("compare", tmp_path / "a", tmp_path / "a").exit_code == 1
    picture(tmp_path / "b.png")
    assert run("compare", tmp_path / "a", tmp_path / "b.png").exit_code == 2


def test_a_report_shows_the_differences(run: Run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    report = tmp_path / "report"
    assert run("compare", *folders, "--report", report).exit_code == 1
    page = (report / "index.html").read_text("utf-8")
    assert "night/&lt;b&gt;.png" in page
    assert "<b>" not in page
    assert page.count('class="failed"') == 4
    assert not re.search(r'(src|href)="(?!data:|same|night)', page)
    assert not read_image(report / "same.png.difference.png").any()
    shown = read_image(report / "night" / "<b>.png.difference.png")
    assert shown.shape == (600, 40, 3)
    assert (shown[..., 0] > 200).any()
    inside = run("compare", *folders, "--report", folders[1] / "report")
    assert inside.exit_code == 1
    assert "choose another --report" in inside.stderr


def test_a_difference_picture_shows_limits_and_what_is_no_number(tmp_path: Path) -> None:
    def change(light: Array) -> None:
        light[0, 0], light[0, 1], light[0, 2], light[0, 3] = np.nan, 4, 1.5, 0

    other = broken(change)
    other[0, 0], other[0, 1], other[0, 2] = 0, 2, 1.6
    a, b = (
        comparison.read(write_light(tmp_path / f"{n}.tif", x))
        for n, x in (("a", broken(change)), ("b", other))
    )
    shown = comparison_report.difference_picture(a, b, 2.3, 0.15)
    assert shown[0, 0].tolist() == [255, 0, 255]
    assert shown[0, 1, 0] == 255
    assert 0 < shown[0, 2, 0] == shown[0, 2, 1] < 96
    assert not shown[0, 3:].any()
    assert comparison_report.difference_picture(a, b, 0, 0)[0, 2].tolist() == [255, 0, 0]


def test_junit_names_every_pair(run: Run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[0] / os.fsdecode(b"\xe9\x01.png")).write_bytes((folders[0] / "same.png").read_bytes())
    junit = tmp_path / "compare.xml"
    run("compare", *folders, "--junit", junit)
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("6", "5")
    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    assert failed == {"size.png", "night/<b>.png", "gone.png", "new.png", r"\xe9\x01.png"}


def test_junit_never_replaces_a_picture(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "link.png").hardlink_to(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    result = run("compare", tmp_path / "a.png", tmp_path / "a.png", "--junit", tmp_path / "link.png")
    assert result.exit_code == 1
    assert "is an input" in result.stderr
    assert (tmp_path / "a.png").read_bytes() == before
