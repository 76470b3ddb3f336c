"""The benchmarks' own logic: tables, the file of results, programs found or not, what a process cost."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import (
    align,
    align_panning,
    dis_mean,
    edges,
    measure,
    panning_scenes,
    peers,
    print_files,
    results,
    stages,
    tripod_burst,
)
from benchmarks.__main__ import PARTS, Tee, main
from longexpo_cli import colour
from longexpo_cli.gpu.device import Device
from longexpo_cli.observers.clock import Spent
from longexpo_cli.types import Alignment

MIB = 1 << 20


def test_a_table_is_aligned() -> None:
    text = results.table(("peer", "s", "dB"), [("mean", "0.3", "30.6"), ("DIS x32", "10.25", "")], "")
    assert text.splitlines() == [
        "peer         s    dB",
        "mean       0.3  30.6",
        "DIS x32  10.25",
    ]


def test_a_section_is_replaced_and_nothing_else() -> None:
    document = "# Results\n\nBy hand.\n"
    for name in ("speed", "peers"):
        document = results.with_section(document, name, f"old {name}")
    changed = results.with_section(document + "\nMore by hand.\n", "speed", "new speed \\1")
    assert changed == document.replace("old speed", "new speed \\1") + "\nMore by hand.\n"
    assert results.with_section(changed, "speed", "new speed \\1") == changed
    assert changed.index("By hand.") < changed.index("speed") < changed.index("old peers")


def test_the_first_section_and_one_that_does_not_end() -> None:
    document = results.with_section("", "blur", "figures")
    assert document.startswith("<!-- blur")
    with pytest.raises(ValueError, match="blur has no end"):
        results.with_section(document.replace("<!-- end of blur -->", ""), "blur", "others")


def test_figures_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    body = results.section_body("Whole renders", "Seconds.", "today, here", "  s 1.0\n")
    for _ in range(2):
        results.write("speed", body, path)
    text = path.read_text("utf-8")
    assert text.count("## Whole renders\n\nSeconds.\n\n*today, here*\n\n```\n  s 1.0\n```\n") == 1
    assert text.startswith("# Results\n")


def test_the_machine_is_named_without_its_paths(tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: Some CPU 3000\nmodel name\t: Another\n")
    assert results.processor(facts) == "Some CPU 3000"
    assert results.processor(tmp_path / "missing")
    assert results.cores() >= 1
    said = results.machine()
    assert all(word in said for word in (results.processor(), "OpenCL", "numpy", "load"))
    assert "/" not in said


def test_what_is_printed_is_shown_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    kept = Tee(sys.stdout)
    print("1.0 s", file=kept)
    assert kept.getvalue() == capsys.readouterr().out == "1.0 s\n"


def test_every_benchmark_says_what_it_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(title and part.__doc__ and callable(part.main) for title, part in PARTS.values())
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "nothing is not one of quality" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright", "9.0.2"),
        ("ffmpeg version 5.1.9-0+deb12u1 Copyright", "5.1.9"),
        ("ffmpeg version N-109542-g4a1f4b2 Copyright", "N-109542-g4a1f4b2"),
    ],
)
def test_the_versions_of_ffmpeg(said: str, version: str) -> None:
    match = peers.FFMPEG.match(said)
    assert match is not None
    assert match[1] == version


def test_a_program_is_known_by_what_it_says(tmp_path: Path) -> None:
    for name, words in (
        ("other", "Converts FAT to NTFS"),
        ("real", "Version: ImageMagick 7.1.1-43 Q16 x86_64"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{words}'\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    other, real = str(tmp_path / "other"), str(tmp_path / "real")
    assert peers.find_program((None, other, real), peers.MAGICK) == (real, "7.1.1-43")
    assert peers.find_program((None, other), peers.MAGICK) == ("", "")


def test_ffmpeg_mixes_every_picture_between(tmp_path: Path) -> None:
    words = peers.ffmpeg_arguments(tmp_path, 10, tmp_path / "out.png")
    filters = words[words.index("-vf") + 1]
    assert "minterpolate=fps=32:" in filters
    assert "tmix=frames=289,trim=start_frame=288" in filters


def test_rows_are_ratios_first() -> None:
    first = peers.Outcome("ours", measure.Cost(4.0, 8.0, 400 * MIB), 35.0, 40.0)
    other = peers.Outcome("other", measure.Cost(10.0, 10.0, 100 * MIB), 34.5, 41.25)
    late = peers.Outcome("late", measure.Cost(180.0, 300.0, 800 * MIB, timed_out=True), failure="timed out")
    missing = peers.Outcome("missing", failure="not installed")
    assert peers.row(first, first)[1:5] == ["1.00", "1.00", "+0.0", "+0.0"]
    assert peers.row(other, first) == ["other", "2.50", "0.25", "-0.5", "+1.2", "10.0", "100", "34.5", "41.2"]
    assert peers.row(late, first) == ["late", "> 45.00", "> 2.00", "-", "-", "> 180.0", "> 800", "-", "-"]
    assert peers.row(missing, first) == ["missing", "-", "-", "-", "-", "not installed", "-", "-", "-"]
    assert len(peers.HEAD) == len(peers.row(late, first))


def test_a_process_costs_its_time_and_memory() -> None:
    spent = measure.cost(sys.executable, "-c", "import time; held = b'x' * (64 << 20); time.sleep(0.2)")
    assert 0.2 < spent.wall_s < 10
    assert 64 * MIB < spent.peak_bytes < 128 * MIB
    assert not spent.timed_out


def test_a_process_ends_at_its_limit() -> None:
    began = time.perf_counter()
    spent = measure.cost(sys.executable, "-c", "import time; time.sleep(60)", limit_s=0.5)
    assert spent.timed_out
    assert 0.5 <= spent.wall_s < time.perf_counter() - began < 20


def test_a_process_that_fails_says_so() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        measure.cost(sys.executable, "-c", "raise SystemExit('no frames')")
    assert b"no frames" in failure.value.stderr


def test_a_peers_failure_and_absence_are_reported(tmp_path: Path) -> None:
    light = np.zeros((4, 4, 3), np.float32)
    burst = tripod_burst.TripodBurst(tmp_path, tmp_path, light, np.ones((4, 4), bool), np.ones((4, 4), bool))
    missing = peers.run_peer(peers.Peer("x", (), tmp_path), burst, 9)
    failing = peers.run_peer(
        peers.Peer("x", (sys.executable, "-c", "raise SystemExit(3)"), tmp_path), burst, 9
    )
    assert (missing.failure, failing.failure) == ("not installed", "failed (3)")
    assert missing.spent is failing.spent is None


def test_stages_are_charged_with_their_own_peaks() -> None:
    ledger = stages.StageProfiler()
    held = np.ones(1 << 24)  # 128 MiB
    ledger.on_value("develop", held, 0)
    del held
    ledger.on_value("align", None, None)
    ledger.on_value("write", None, None)
    assert list(ledger.spent) == [stages.BEFORE, "develop", "align", "write"]
    peak = {name: entry.peak_bytes for name, entry in ledger.spent.items()}
    assert peak["align"] > peak["write"] + 100 * MIB  # the array was still there when align began
    assert peak["develop"] > peak["write"] + 100 * MIB


def test_stages_are_shown_as_shares() -> None:
    spent = {
        "load": Spent(1.0, 100 * MIB),
        "blur": Spent(3.0, 200 * MIB),
        stages.WHOLE: Spent(4.0, 200 * MIB),
    }
    rows = stages.rows({"foreground": spent, "background": {stages.WHOLE: Spent(2.0, MIB)}})
    assert rows[0] == ["load", "25%", "1.00", "100", "0%", "0.00", "0"]
    assert rows[-1] == [stages.WHOLE, "100%", "4.00", "200", "100%", "2.00", "1"]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_pictures_are_read_as_light_red_first(depth: type[np.integer], tmp_path: Path) -> None:
    red = np.zeros((2, 3, 3), depth)
    red[..., 2] = np.iinfo(depth).max  # cv2 has blue first
    cv2.imwrite(str(tmp_path / "red.png"), red)
    assert np.array_equal(tripod_burst.read_srgb(tmp_path / "red.png"), np.broadcast_to((1, 0, 0), (2, 3, 3)))


def test_flow_fills_the_way_between_two_frames() -> None:
    rng = np.random.default_rng(0)
    ground = cv2.GaussianBlur(rng.integers(0, 256, (96, 160, 3)).astype(np.uint8), (0, 0), 3)
    ground = cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX)
    shift, inside = 8, np.s_[16:-16, 32:-32]
    steps = [colour.srgb_decode(np.roll(ground, n, 1).astype(np.float32) / 255) for n in range(shift + 1)]
    true = (np.sum(steps[1:-1], axis=0) + (steps[0] + steps[-1]) / 2) / shift
    x, y = np.meshgrid(np.arange(160, dtype=np.float32), np.arange(96, dtype=np.float32))
    total, grid = np.zeros(ground.shape, np.float32), np.stack([x, y], -1)
    dis_mean.add_between(total, (ground, np.roll(ground, shift, 1)), grid, 1 / dis_mean.BETWEEN)
    error, ghosts = (np.abs(light - true)[inside].mean() for light in (total, (steps[0] + steps[-1]) / 2))
    assert error < 1e-5
    assert ghosts > 0.01


def test_flow_leaves_a_still_picture_alone() -> None:
    still = np.full((48, 64, 3), 100, np.uint8)
    still[16:32, 20:40] = (30, 200, 90)
    x, y = np.meshgrid(np.arange(64, dtype=np.float32), np.arange(48, dtype=np.float32))
    total = np.zeros(still.shape, np.float32)
    dis_mean.add_between(total, (still, still), np.stack([x, y], -1), 1 / dis_mean.BETWEEN)
    assert np.abs(total - colour.srgb_decode(still.astype(np.float32) / 255)).max() < 1e-5


@pytest.mark.parametrize(
    ("kind", "seed"), [("shake", 0), ("repeated", 3), ("repeated", 11), ("mist", 1), ("mist", 3)]
)
def test_what_stands_still_is_aligned(kind: str, seed: int, device: Device) -> None:
    outcome = align.burst(kind, seed, device)
    assert not outcome.refusal
    assert outcome.error_px < 0.5
    alignment = outcome.alignment
    assert alignment is not None and alignment.explained is not None and alignment.corner_px is not None
    assert alignment.explained.min() > 0.4
    assert 0 < np.delete(alignment.corner_px, alignment.reference).max() < 1


def test_what_has_nothing_to_hold_on_to_is_refused(device: Device) -> None:
    outcome = align.burst("nothing", 0, device)
    assert "cannot be aligned" in outcome.refusal
    assert not outcome.wrong
    assert align.row("nothing", [outcome]) == ["nothing", "1", "0", "1", "0", "", ""]


@pytest.mark.parametrize("kind", ["rigid, followed", "approaching", "runner", "horse", "walkers"])
def test_the_true_motion_of_a_panning_scene_is_judged_faultless(kind: str) -> None:
    scene = panning_scenes.MOVING[kind](np.random.default_rng(3))
    body = scene.body(panning_scenes.MIDDLE)
    at = np.concatenate([pixels for pixels, _ in body])
    there = np.concatenate([to for _, to in body], axis=1)
    half = [align_panning.similarity(at, to) for to in there]
    to_full = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
    full = np.stack([to_full @ each @ np.linalg.inv(to_full) for each in half])
    size = (2 * scene.size[0], 2 * scene.size[1])
    reasons = ("",) * panning_scenes.FRAMES
    true = Alignment("background", panning_scenes.MIDDLE, size, full, None, np.zeros(len(full)), reasons)
    outcome = align_panning.judge(scene, true)
    assert outcome.right and outcome.kept == panning_scenes.FRAMES
    assert outcome.residual_px < (0.05 if scene.rigid else 1.0)
    assert outcome.direction_deg < (4 if kind == "walkers" else 0.05)
    assert outcome.sharpness > 0.9
    ground = scene.ground(panning_scenes.MIDDLE)
    assert ground is not None
    held = np.stack([to_full @ each @ np.linalg.inv(to_full) for each in ground])
    wrong = align_panning.judge(scene, replace(true, to_frame=held))
    assert wrong.wrong and wrong.residual_px > 5


@pytest.mark.parametrize(
    ("kind", "seed", "residual_px", "direction_deg"),
    [
        ("rigid, small", 1, 0.3, 4),  # its tracks drift with the ground by six pixels
        ("runner", 8, 0.4, 2),  # no mask, and no similarity over the whole burst
        ("juggler", 2, 0.4, 2),  # the mask holds as many limbs and balls as body
        ("wrong mask", 4, 1.0, 3),  # inverted
    ],
)
def test_a_panning_subject_is_held(
    kind: str, seed: int, residual_px: float, direction_deg: float, device: Device
) -> None:
    outcome = align_panning.burst(f"panning: {kind}", seed, device)
    assert outcome.right, outcome.describe()
    assert outcome.residual_px < residual_px
    assert outcome.direction_deg < direction_deg
    assert outcome.kept == panning_scenes.FRAMES


def test_a_fast_boat_that_small_windows_lose_is_held(device: Device) -> None:
    outcome = align_panning.burst("panning: boat at sea", 9, device)
    assert outcome.right, outcome.describe()
    assert outcome.residual_px < 0.2 and outcome.kept == panning_scenes.FRAMES


@pytest.mark.parametrize("kind", panning_scenes.STANDING)
def test_a_picture_of_what_stands_still_is_a_wrong_panning_picture(kind: str) -> None:
    scene = panning_scenes.STANDING[kind](np.random.default_rng(0))
    size = (2 * scene.size[0], 2 * scene.size[1])
    frames = panning_scenes.FRAMES
    still = np.stack([np.eye(3)] * frames)
    rendered = Alignment("background", 4, size, still, None, np.zeros(frames), ("",) * frames)
    assert align_panning.judge(scene, rendered).wrong
    assert not align_panning.Outcome(False, "refused").wrong


def test_a_reader_is_judged_by_its_pixels() -> None:
    expected = np.linspace(0, 1, 4 * 5 * 3).reshape(4, 5, 3)
    assert print_files.verdict(np.rint(expected * 65535).astype(np.uint16), expected, "print") == "right"
    assert print_files.verdict(np.rint(expected * 1023).astype(np.uint16), expected, "avif") == "right"
    assert print_files.verdict(expected + 2.55 / 255, expected, "jpeg") == "right"
    assert print_files.verdict(np.clip(expected - 10 / 255, 0, 1), expected, "print")[:2] in ("9.", "10")
    assert print_files.verdict(expected * 0.9, expected, "light") == "5.00 %"
    for unread in (None, expected[1:]):
        assert print_files.verdict(unread, expected, "light") == "no"


def test_the_subject_before_posts_has_their_colours_and_all_areas() -> None:
    scene = edges.edge(0, sub_frames=33)
    sizes = {name: int(where.sum()) for name, where in scene.areas.items()}
    assert min(sizes.values()) > 300, sizes
    assert (scene.mask[scene.areas["subject"]] > 0.999).all()
    assert (scene.mask[scene.areas["streaks"]] < 0.001).all()
    assert not (scene.areas["rim"] & ~scene.areas["subject"]).any()
    assert not (scene.areas["beside"] & scene.areas["streaks"]).any()
    for area in ("rods", "rim"):
        inside = scene.truth[scene.areas[area]].mean(axis=0)
        outside = scene.truth[scene.areas["streaks"]].mean(axis=0)
        assert np.abs(np.log(inside / outside)).max() < np.log(3)
