"""The synthetic world's truths hold, and its files say what was put in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import rawpy
import tifffile

from longexpo_cli.colour import soft_gamma
from longexpo_cli.errors import OutputError
from longexpo_cli.geometry import Grid, project
from longexpo_cli.synth.burst import Summary, write_burst
from longexpo_cli.synth.ground_truth import masks, trail_percent, true_flow, true_position, true_to_frame
from longexpo_cli.synth.render import coverage, frame_camera, reference_camera, render, true_long_exposure
from longexpo_cli.synth.sensor import Sensor, camera_colours, record, unprocess
from longexpo_cli.synth.world import World
from longexpo_cli.types import Array32, Array64, Mode
from tests import dng, worlds
from tests.images import read_image

WORLDS = [worlds.tripod, worlds.handheld, worlds.rolling, worlds.panning]


def pulled(light: Array32, at: Array64) -> Array32:
    """Sample a picture at points H W 2, bicubic; NaN outside."""
    x, y = (at[..., n].astype(np.float32) for n in range(2))
    return cv2.remap(light, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=(np.nan,) * 3)


def everywhere(world: World) -> Array64:
    height, width = world.size_px
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)


def typical(difference: Array32) -> float:
    return float(np.nanmedian(np.abs(difference)))


def test_the_light_is_in_range_and_the_lamp_above_white() -> None:
    light = render(worlds.tripod())
    backdrop = coverage_of_all(worlds.tripod()) == 0
    assert light.shape == (96, 128, 3) and light.dtype == np.float32
    assert 0.03 < light[backdrop].min() < 0.15 and 0.4 < light[backdrop].max() < 0.63
    assert light.max() > 2  # the lamp


def coverage_of_all(world: World) -> Array32:
    return np.max([coverage(world, n) for n in range(len(world.movers))], axis=0)


def test_a_still_world_gives_equal_frames() -> None:
    world = worlds.still()
    frames = [render(world, t, frame_camera(world, t)) for t in world.times_s]
    assert all(np.array_equal(frame, frames[0]) for frame in frames)
    assert np.array_equal(true_long_exposure(world, world.times_s[0], world.times_s[-1]), frames[0])


@pytest.mark.parametrize("make", WORLDS)
def test_the_reference_camera_is_the_reference_frames(make: Callable[..., World]) -> None:
    world = make()
    frame = render(world, 0.0, frame_camera(world, 0.0))
    assert np.abs(render(world) - frame).max() < 1e-5


def test_a_whole_row_of_poses_draws_what_one_pose_draws() -> None:
    world = worlds.handheld()
    camera = frame_camera(world, world.times_s[0])
    rows = world.size_px[0]
    spread = type(camera)(
        np.repeat(camera.to_world, rows, 0), np.repeat(camera.near, rows, 0), np.repeat(camera.time_s, rows)
    )
    # The two samplers round their coordinates differently, by about 1e-4 texels.
    assert np.abs(render(world, 0.0, spread) - render(world, 0.0, camera)).max() < 1e-2


@pytest.mark.parametrize("make", WORLDS)
def test_the_true_alignment_finds_the_light(make: Callable[..., World]) -> None:
    world = make()
    at, n = everywhere(world), 0
    t = world.times_s[n]
    frame = render(world, t, frame_camera(world, t))
    truth = render(world, t, reference_camera(world, t))
    aligned = pulled(frame, true_position(world, n, at))
    off = pulled(frame, true_position(world, n, at) + 1.0)
    assert typical(aligned - truth) < 0.004 < 0.25 * typical(off - truth)


def test_the_homography_is_the_global_shutters_position() -> None:
    for world in (worlds.handheld(), worlds.panning()):
        at = everywhere(world)
        for n in range(len(world.times_s)):
            difference = project(true_to_frame(world, n), at) - true_position(world, n, at)
            assert np.abs(difference).max() < 1e-9
        assert np.abs(true_to_frame(world, world.reference) - np.eye(3)).max() < 1e-12


def test_the_panning_alignment_is_a_similarity_that_grows() -> None:
    world = worlds.panning()
    first, last = true_to_frame(world, 0), true_to_frame(world, 4)
    for matrix in (first, last):
        assert matrix[0, 0] == pytest.approx(matrix[1, 1]) and matrix[0, 1] == pytest.approx(-matrix[1, 0])
        assert np.array_equal(matrix[2], (0, 0, 1))
    growth = np.sqrt(np.linalg.det(last[:2, :2]) / np.linalg.det(first[:2, :2]))
    assert growth == pytest.approx(np.exp(0.012 * 4), rel=1e-6)


def test_the_hand_shakes_as_much_as_asked() -> None:
    world = worlds.handheld((96, 128), 31, 30.0)  # 3 px a frame at this size
    middle = np.array([64.0, 48.0])
    way = np.array([project(true_to_frame(world, n), middle) for n in range(31)])
    steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    assert 1.0 < np.sqrt((steps**2).mean()) < 6.0


@pytest.mark.parametrize("make", WORLDS)
def test_flow_moves_pixels_where_it_says(make: Callable[..., World]) -> None:
    world = make((480, 640), 5)  # large enough that sampling the pictures costs less than a wrong line
    t0, t1 = 0.0, world.times_s[3]
    at, flow = everywhere(world), true_flow(world, t0, t1)
    before, after = render(world, t0), render(world, t1)
    thing = coverage(world, 0, t0) > 0.999  # nothing hides it
    where = thing if world.followed is None else coverage(world, 0, t0) == 0

    def wrong(by: tuple[float, float]) -> float:
        return typical((pulled(after, at + flow + by) - before)[where])

    beside = min(wrong(by) for by in ((0.25, 0.0), (-0.25, 0.0), (0.0, 0.25), (0.0, -0.25)))
    assert wrong((0.0, 0.0)) < min(1e-3, 0.5 * beside)
    if world.followed is None:
        # 44 px a frame at 1280 pixels' width; a rolling shutter changes it a little
        assert np.abs(np.linalg.norm(flow[thing], axis=-1) - 22).max() < 0.2
    else:
        assert np.abs(flow[thing]).max() < 1e-3
        assert 4 < np.abs(flow).max() < 12  # 4 px of driving and 4 of growth at the far edge


def test_flow_on_a_coarser_grid_is_in_its_pixels() -> None:
    world = worlds.panning()
    fine, coarse = true_flow(world, 0, 0.1), true_flow(world, 0, 0.1, Grid.over(*world.size_px, 4))
    assert coarse.shape == (24, 32, 2)
    corner = fine[0:4, 0:4].mean((0, 1)) / 4  # the backdrop's flow is affine: its mean is its middle's
    assert np.allclose(coarse[0, 0], corner, atol=1e-4)


def test_nothing_moves_means_exactly_no_flow() -> None:
    assert np.abs(true_flow(worlds.still(), 0, 0.1)).max() == 0


@pytest.mark.parametrize("make", WORLDS)
def test_the_truth_is_the_mean_of_its_sub_frames(make: Callable[..., World]) -> None:
    world = make()
    t0, t1 = world.times_s[0], world.times_s[-1]
    times, weights = np.linspace(t0, t1, 9), np.array([0.5, 1, 1, 1, 1, 1, 1, 1, 0.5]) / 8
    frames = np.array([render(world, t) for t in times])
    mean = np.tensordot(weights, frames, 1)
    assert np.abs(true_long_exposure(world, t0, t1, 9) - mean).max() < 2e-5
    white = 2.0
    bright = np.tensordot(weights, soft_gamma(np.clip(frames / white, 0, 1), 3.0), 1)
    soft = true_long_exposure(world, t0, t1, 9, 3.0, white)
    assert np.abs(soft - soft_gamma(bright, 1 / 3) * white).max() < 2e-5
    binned = true_long_exposure(world, t0, t1, 9, cell=2)
    assert np.abs(binned - cv2.resize(mean, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)).max() < 2e-5


def test_soft_gamma_brightens_the_lamps_trail_and_leaves_the_still_alone() -> None:
    world = worlds.only("lamp")
    t0, t1 = world.times_s[0], world.times_s[-1]
    plain = np.clip(true_long_exposure(world, t0, t1, 129), 0, 1)
    soft = true_long_exposure(world, t0, t1, 129, 3.0, Sensor().white)
    parts = masks(world, t0, t1, Sensor(), 129)
    assert np.abs(soft - plain)[parts.static].max() < 1e-5
    assert 0 < parts.clipped.mean() < 0.1
    assert not (parts.clipped & (parts.static | parts.trail)).any()


def test_masks_split_the_picture() -> None:
    world = worlds.tripod((192, 256), 5)
    t0, t1 = world.times_s[0], world.times_s[-1]
    parts = masks(world, t0, t1, Sensor())
    frames = np.array([render(world, t) for t in np.linspace(t0, t1, 17)])
    change = np.ptp(frames, axis=0).max(-1)
    assert change[parts.static].max() < 2e-3
    assert not (parts.static & parts.trail).any() and not ((parts.static | parts.trail) & parts.clipped).any()
    inner = np.zeros(world.size_px, bool)
    inner[4:-4, 4:-4] = True
    assert ((parts.trail | parts.clipped) | (change < 0.02))[inner].all()
    far = cv2.dilate((change > 1e-3).astype(np.uint8), np.ones((11, 11), np.uint8)) == 0
    assert parts.static[inner & far].all() and parts.trail.mean() > 0.05


def test_the_trail_is_the_longest_way() -> None:
    world = worlds.only("straight", frames=5)
    # 44 px a frame over 4 intervals at 1280 pixels' width and 960 pixels' height
    assert trail_percent(world, world.times_s[0], world.times_s[-1]) == pytest.approx(100 * 176 / 1600)


def test_the_sensor_reads_the_light() -> None:
    sensor = Sensor(noise=(0.0, 0.0))
    light = np.full((4, 4, 3), 0.25, np.float32)
    mosaic = record(light, sensor, np.random.default_rng(0))
    span = 4095 - 64
    assert np.abs(camera_colours(light, sensor) - 0.25 / sensor.gains).max() < 1e-6
    assert (mosaic[0::2, 1::2] == 64 + round(0.25 * span)).all()
    assert (mosaic[0::2, 0::2] == 64 + round(0.125 * span)).all()
    assert (record(light * 40, sensor, np.random.default_rng(0)) == 4095).all()


def test_the_noise_has_the_profiles_variance() -> None:
    sensor = Sensor(noise=(1e-3, 1e-5))
    light = np.full((400, 400, 3), 0.3, np.float32)
    green = record(light, sensor, np.random.default_rng(0))[0::2, 1::2]
    variance = ((green - 64.0) / (4095 - 64)).var()
    assert 0.97 < variance / (1e-3 * 0.3 + 1e-5) < 1.03


def test_unprocessing_keeps_black_grey_order_and_white() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    light = unprocess(grey, 0.6)
    assert np.abs(light[0, 0]).max() < 1e-6 and np.abs(light[0, -1] - 0.6).max() < 1e-3
    assert (np.diff(light[0, :, 1]) > 0).all() and np.abs(light - light[..., 1:2]).max() < 1e-6


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.suffix != ".npz" and path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_burst_depends_only_on_the_seed(tmp_path: Path) -> None:
    def write(name: str, seed: int) -> Summary:
        return write_burst(
            tmp_path / name, frames=3, size=(64, 64), seed=seed, rolling_shutter=True, parallax=True
        )

    one = write("a", seed=5)
    two = write("b", seed=5)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    write("c", seed=6)
    assert digest(tmp_path / "a") != digest(tmp_path / "c")
    assert len(one.frames) == 3 and one.reference == two.reference == 1


@pytest.mark.parametrize("look", ["foreground", "background"])
def test_a_burst_comes_with_its_truth(tmp_path: Path, look: Mode) -> None:
    made = write_burst(tmp_path, look=look, frames=3, size=(96, 128), phase="GBRG", noise=(0.0, 0.0))
    facts = json.loads((made.truth / "alignment.json").read_text())
    assert facts["mode"] == look and np.array(facts["to_frame"]).shape == (3, 3, 3)
    assert facts["white"] == Sensor().white and facts["trail_percent"] == made.trail_percent > 1
    lines = np.load(made.truth / "lines.npz")
    assert lines["delta"].shape == (2, 2, 48, 64, 2) and lines["scale"] == 2
    light = tifffile.imread(made.truth / "reference.tif")
    with rawpy.imread(str(made.frames[1])) as raw:
        green = (raw.raw_image_visible[0::2, 0::2] - 64.0) / (4095 - 64)
    expected = np.clip(camera_colours(light, Sensor())[0::2, 0::2, 1], 0, 1)
    assert np.abs(green - expected).max() < 0.51 / (4095 - 64) + 1e-5
    long = tifffile.imread(made.truth / "long_exposure.tif")
    static = read_image(made.truth / "static.png", cv2.IMREAD_GRAYSCALE) > 0
    trail = read_image(made.truth / "trail.png", cv2.IMREAD_GRAYSCALE) > 0
    change = np.abs(long - light).max(-1)
    assert static.any() and trail.any()
    assert change[static].max() < 1e-3 and np.percentile(change[trail], 90) > 0.01


@pytest.mark.parametrize(
    ("frames", "size", "phase", "message"),
    [
        (1, (96, 128), "RGGB", "at least 2 frames"),
        (2, (95, 128), "RGGB", "even sides"),
        (2, (96, 128), "RGBG", "colour pattern"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(
    tmp_path: Path, frames: int, size: tuple[int, int], phase: str, message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        write_burst(tmp_path / "out", frames=frames, size=size, phase=phase)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_frames_is_left_alone(tmp_path: Path) -> None:
    dng.tiny(tmp_path / "mine.dng")
    with pytest.raises(OutputError, match="holds DNG files already"):
        write_burst(tmp_path, frames=2, size=(96, 128))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.dng"]
