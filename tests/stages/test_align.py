"""Alignment against tracks whose truth is known: what it finds, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import Grid, project, pull, push
from longexpo_cli.gpu.device import Device
from longexpo_cli.registration import joint
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.trajectories import Registration, Trajectories
from longexpo_cli.stages import develop, load, subject, track
from longexpo_cli.stages.align import Params, _moves, _unexplained, align, seen_from, surrounding_motion, warp
from longexpo_cli.survey import survey
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Alignment, DeviceFrame, Mode, Preview, Subject, Tracks
from longexpo_cli.watch import Watch
from tests.registration.simulated_tracks import (
    CENTER,
    HEIGHT,
    NOISE_PX,
    PROBES,
    SCALE,
    SIZE,
    WIDTH,
    Motion,
    TrackSimulator,
    alignment_error_px,
    concatenate,
    similarity,
)


def drift(n: int, at: Array64) -> Array64:
    """Move points as a hand that turns and drifts by 225 px over 30 frames."""
    k = n - 15
    return project(similarity(1e-3 * np.sin(k), 1 + 2e-4 * k, 7.5 * k, 4 * np.sin(0.7 * k)), at)


def still(n: int, at: Array64) -> Array64:
    """Return the points where they were: nothing moves."""
    return at


def leftward(step: float) -> Motion:
    """Return the drift of the hand plus a motion to the left by step pixels a frame."""
    return lambda n, at: drift(n, at) - np.array([step * (n - 15), 0])


def test_a_drifting_hand_is_undone_to_a_fraction_of_a_low_pixel() -> None:
    simulator = TrackSimulator(30, 15)
    tracks = concatenate(
        simulator.moving_layer(simulator.random_points(800), drift),
        simulator.moving_layer(simulator.random_points(150), leftward(40)),
        simulator.random_walks(600),
    )
    alignment = align(tracks, "foreground", 15, Params())
    assert alignment.reject_reason == ("",) * 30
    assert alignment_error_px(alignment, drift).max() < 0.15 * SCALE
    assert np.array_equal(alignment.to_frame[15], np.eye(3))
    others = np.delete(alignment.residual_px, 15)
    assert others.min() > 0.5 * NOISE_PX
    assert others.max() < 3 * NOISE_PX
    assert alignment.mesh is None


@pytest.mark.parametrize("step", [3, 10, 60])
def test_a_mover_with_more_tracks_than_the_background_is_not_the_background(step: float) -> None:
    simulator = TrackSimulator(30, 15)
    around = simulator.random_points(500)
    middle = (np.abs(around - CENTER) < (0.38 * WIDTH, 0.38 * HEIGHT)).all(1)
    mover = simulator.moving_layer(simulator.random_points(900, (0.12, 0.12, 0.88, 0.88)), leftward(step))
    tracks = concatenate(simulator.moving_layer(around[~middle], drift), mover)
    assert (~middle).sum() < 0.3 * 900
    alignment = align(tracks, "foreground", 15, Params())
    border = PROBES[(np.abs(PROBES - CENTER) > (0.4 * WIDTH, 0.4 * HEIGHT)).any(1)]
    assert alignment_error_px(alignment, drift, border).max() < 0.5 * SCALE


def test_every_track_has_its_layer_and_every_frame_its_support() -> None:
    simulator = TrackSimulator(12, 6)
    box = (0.05, 0.05, 0.95, 0.95)
    tracks = concatenate(
        simulator.moving_layer(simulator.random_points(500, box), drift),
        simulator.moving_layer(simulator.random_points(200, (0.3, 0.3, 0.6, 0.6)), leftward(20), weight=0.9),
        simulator.random_walks(300),
    )
    alignment = align(tracks, "foreground", simulator.reference, Params())
    assert alignment.layer is not None and alignment.inliers is not None and alignment.covered is not None
    assert (alignment.layer[:500] == 0).mean() > 0.98
    assert (alignment.layer[500:] == 0).mean() < 0.02
    assert (alignment.inliers >= 450).all()
    assert (alignment.covered > 0.6).all()


def test_the_panning_look_names_subject_and_background() -> None:
    simulator = TrackSimulator(12, 6)
    tracks = concatenate(
        simulator.moving_layer(simulator.random_points(500), still),
        simulator.moving_layer(simulator.random_points(300, (0.3, 0.3, 0.6, 0.6)), leftward(40), weight=1.0),
    )
    alignment = align(tracks, "background", simulator.reference, Params())
    assert alignment.layer is not None
    assert (alignment.layer[500:] == 0).mean() > 0.95
    assert (alignment.layer[:500] == 1).mean() > 0.95


def test_a_tripod_stays_exactly_where_it_is() -> None:
    simulator = TrackSimulator(12, 6)
    tracks = concatenate(
        simulator.moving_layer(simulator.random_points(500), still),
        simulator.moving_layer(simulator.random_points(200), leftward(60)),
    )
    alignment = align(tracks, "foreground", 6, Params())
    assert np.array_equal(alignment.to_frame, np.tile(np.eye(3), (12, 1, 1)))
    assert alignment.mesh is None


def test_perspective_is_followed() -> None:
    def turning(n: int, at: Array64) -> Array64:
        k = n - 5
        bent: Array64 = np.array([[1, 0, 6 * k], [0, 1, -4 * k], [1.5e-7 * k, 1e-7 * k, 1]])
        return project(bent, at)

    simulator = TrackSimulator(11, 5)
    alignment = align(
        simulator.moving_layer(simulator.random_points(900), turning), "foreground", 5, Params()
    )
    assert alignment_error_px(alignment, turning).max() < 0.15 * SCALE


def test_a_rolling_shutter_is_corrected_by_the_mesh() -> None:
    def rolling(n: int, at: Array64) -> Array64:
        wobble = 12 * np.sin(at[..., 1] / HEIGHT * 4 + n) * (n != 5)
        return drift(n + 10, at) + np.stack([wobble, 0 * wobble], -1)

    simulator = TrackSimulator(11, 5)
    tracks = concatenate(
        simulator.moving_layer(simulator.random_points(1500), rolling), simulator.random_walks(200)
    )
    with_mesh = align(tracks, "foreground", 5, Params())
    without = align(tracks, "foreground", 5, Params(mesh_cells=0))
    assert with_mesh.mesh is not None
    assert not with_mesh.mesh[5].any()
    inner = PROBES[(np.abs(PROBES - CENTER) < 0.4 * np.array([WIDTH, HEIGHT])).all(1)]
    stiff, bent = (np.delete(alignment_error_px(a, rolling, inner), 5).mean() for a in (without, with_mesh))
    assert stiff > 4
    assert bent < 0.3 * stiff
    assert np.nanmean(with_mesh.residual_px) < 0.7 * np.nanmean(without.residual_px)


def test_parallax_is_corrected_by_the_mesh_within_its_limit() -> None:
    def near_and_far(n: int, at: Array64) -> Array64:
        near = 1 / (1 + np.exp(-(at[..., 1] - 2000) / 200))
        return drift(n + 10, at) + np.stack([2.5 * (n - 5) * near, 0 * near], -1)

    simulator = TrackSimulator(11, 5)
    tracks = simulator.moving_layer(simulator.random_points(1500), near_and_far)
    alignment = align(tracks, "foreground", 5, Params())
    assert alignment.mesh is not None
    assert np.hypot(*alignment.mesh.reshape(-1, 2).T).max() <= 0.006 * np.hypot(*SIZE)
    assert np.median(alignment_error_px(alignment, near_and_far)) < 0.5 * SCALE


def test_tracks_that_start_later_align_frames_without_tracks_of_the_reference() -> None:
    def sweep(n: int, at: Array64) -> Array64:
        return at + np.array([400.0 * (n - 2), 0])

    simulator = TrackSimulator(15, 2)
    cohorts = []
    for start in range(2, 15, 3):  # each starts full in a later frame
        cohort = TrackSimulator(15, start, seed=start)
        back = cohort.random_points(300) - (400.0 * (start - 2), 0)
        cohorts.append(cohort.moving_layer(back, sweep))
    tracks = concatenate(*cohorts)
    assert not (tracks.seen[2] & tracks.seen[14]).any()
    alignment = align(tracks, "foreground", simulator.reference, Params())
    assert alignment.reject_reason == ("",) * 15
    for n in range(15):
        there = cohorts[-1].at_px[14][:50] - (400.0 * (14 - n), 0)
        back = project(np.asarray(np.linalg.inv(alignment.to_frame[n])), there)
        assert np.abs(sweep(n, back) - there).max() < 0.6 * SCALE


SAMPLES = Path(__file__).parent.parent.parent / "sample_bursts"


@pytest.mark.parametrize("name", ["traffic", "overtaking"])
def test_a_reference_at_an_end_of_the_burst_loses_no_frames(name: str, one_device: Device) -> None:
    burst = load.load(SAMPLES / name, load.Params())
    burst, previews, anchor, low = survey(burst, None, develop.Params(), one_device, Watch())
    found = subject.subject(low, subject.Params())
    size_px = burst.shots[0].size_px
    tracks = track.track(previews, found, anchor, "foreground", size_px, track.Params())
    last = len(burst.shots) - 1
    at_end, central = (align(tracks, "foreground", n, Params(), previews) for n in (last, anchor))
    assert at_end.reference == last
    assert at_end.reject_reason == central.reject_reason == ("",) * (last + 1)
    corners = np.array([[0, 0], [size_px[1] - 1, 0], [0, size_px[0] - 1], [size_px[1] - 1, size_px[0] - 1]])
    for n in range(last):
        there = project(central.to_frame[n] @ np.linalg.inv(central.to_frame[last]), corners)
        assert np.abs(project(at_end.to_frame[n], corners) - there).max() < 1.5


def test_an_alignment_is_seen_from_another_frame() -> None:
    def bent(n: int, at: Array64) -> Array64:
        return drift(n, at) + np.stack([3 * np.sin(at[:, 1] / 900 + n), np.zeros(len(at))], axis=-1)

    simulator = TrackSimulator(9, 4)
    alignment = align(simulator.moving_layer(simulator.random_points(900), bent), "foreground", 4, Params())
    assert alignment.mesh is not None
    other = seen_from(alignment, 7)
    assert (other.reference, other.kept_count) == (7, 9)
    assert np.array_equal(other.to_frame[7], np.eye(3)) and other.residual_px[7] == 0
    assert other.mesh is not None and not other.mesh[7].any()
    at = np.random.default_rng(0).uniform((300, 300), (WIDTH - 300, HEIGHT - 300), (200, 2))
    for n in range(9):
        before = push(alignment.to_frame[7], alignment.mesh_of(7), SIZE, at)
        there = pull(alignment.to_frame[n], alignment.mesh_of(n), SIZE, before)
        assert np.abs(pull(other.to_frame[n], other.mesh_of(n), SIZE, at) - there).max() < 0.15


def test_an_alignment_is_not_seen_from_a_rejected_frame() -> None:
    simulator = TrackSimulator(9, 4)
    tracks = simulator.moving_layer(simulator.random_points(300), drift)
    tracks.at_px[7] += np.random.default_rng(0).normal(0, 400, tracks.at_px[7].shape)
    alignment = align(tracks, "foreground", 4, Params())
    with pytest.raises(AlignmentError, match="frame 7, to which the others are aligned, is rejected"):
        seen_from(alignment, 7)


def test_a_frame_that_went_wrong_is_dropped_and_named() -> None:
    simulator = TrackSimulator(9, 4)
    tracks = simulator.moving_layer(simulator.random_points(300), drift)
    random = np.random.default_rng(0)
    tracks.at_px[7] += random.normal(0, 400, tracks.at_px[7].shape)
    tracks.seen[1, 8:] = False
    tracks.seen[0, 8:] = False
    alignment = align(tracks, "foreground", 4, Params())
    assert [bool(v) for v in alignment.reject_reason] == [n in (0, 1, 7) for n in range(9)]
    assert "inlier tracks" in alignment.reject_reason[1]
    assert "residual" in alignment.reject_reason[7]
    assert np.isnan(alignment.residual_px[[0, 1, 7]]).all()
    assert np.array_equal(alignment.to_frame[7], np.eye(3))


def test_an_unreliable_alignment_is_an_error() -> None:
    simulator = TrackSimulator(9, 4)
    nothing = simulator.moving_layer(simulator.random_points(0), drift)
    with pytest.raises(AlignmentError, match=r"too few inlier tracks \(0\)"):
        align(nothing, "foreground", 4, Params())
    with pytest.raises(AlignmentError, match="8 of 9 are rejected"):
        align(simulator.random_walks(500), "foreground", 4, Params())
    small = simulator.moving_layer(simulator.random_points(200, (0.5, 0.5, 0.6, 0.6)), drift)
    with pytest.raises(AlignmentError, match="inlier tracks cover only"):
        align(small, "foreground", 4, Params())
    tracks = simulator.moving_layer(simulator.random_points(300), drift)
    tracks.seen[[3, 5]] = False
    with pytest.raises(
        AlignmentError, match=r"next to the reference.*choose another reference with --reference"
    ):
        align(tracks, "foreground", 4, Params())


def approaching(n: int, at: Array64) -> Array64:
    """Move points as a subject in the centre that approaches by 2.5 % a frame, sways and sinks."""
    k = n - 6
    return project(similarity(2e-3 * np.sin(k), 1.025**k, 9 * k, 12 * np.sin(0.8 * k)), at)


def passing(n: int, at: Array64) -> Array64:
    """Move points as the background, seen by a camera that follows the subject."""
    return at + np.array([-60.0 * (n - 6) + 6 * np.sin(n - 6), 0])


BOX = (0.4, 0.35, 0.6, 0.7)


def test_an_approaching_subject_stands_still() -> None:
    simulator = TrackSimulator(13, 6)
    subject = simulator.moving_layer(simulator.random_points(180, BOX), approaching, weight=0.9)
    inside = simulator.moving_layer(
        simulator.random_points(60, BOX), passing, weight=0.6
    )  # background that the weight spills on
    tracks = concatenate(subject, inside, simulator.moving_layer(simulator.random_points(300), passing))
    alignment = align(tracks, "background", 6, Params())
    on_it = simulator.random_points(50, BOX)
    assert alignment_error_px(alignment, approaching, on_it).max() < 0.5 * SCALE
    for n in range(13):
        assert np.sqrt(np.linalg.det(alignment.to_frame[n, :2, :2])) == pytest.approx(
            1.025 ** (n - 6), abs=3e-3
        )
    assert alignment.reject_reason == ("",) * 13
    assert alignment.mesh is None


def test_how_the_surroundings_of_a_held_subject_move_is_known() -> None:
    """A place of the ground in one aligned frame goes to where the next aligned frame shows it."""
    simulator = TrackSimulator(13, 6)
    subject = simulator.moving_layer(simulator.random_points(180, BOX), approaching, weight=0.9)
    tracks = concatenate(subject, simulator.moving_layer(simulator.random_points(300), passing))
    alignment = align(tracks, "background", 6, Params())
    grid = Grid.over(HEIGHT, WIDTH, 16)
    weight = np.zeros(grid.shape, np.float32)
    weight[5:9, 5:9] = 0.5
    found = Subject(weight, weight, 0 * weight, 1.0, True, grid, "")
    moved = surrounding_motion(alignment, 3, 4, found)
    assert moved is not None
    assert (moved.outside == (weight == 0)).all()
    at = CENTER + np.array([[0.0, 0.0], [-300.0, 200.0]])  # of the reference
    held = [np.linalg.inv(alignment.to_frame[n]) for n in (3, 4)]
    first, second = (project(held[n], passing(3 + n, at)) for n in (0, 1))
    column, row = np.rint(grid.from_full(first)).astype(int).T
    assert np.abs(moved.motion[row, column] * grid.scale - (second - first)).max() < 1.5
    alone = replace(alignment, surroundings=None)
    assert surrounding_motion(alone, 3, 4, found) is None
    unknown = np.array(alignment.surroundings)
    unknown[4] = np.nan
    assert surrounding_motion(replace(alignment, surroundings=unknown), 3, 4, found) is None


def test_surroundings_with_few_tracks_in_a_corner_are_not_known() -> None:
    simulator = TrackSimulator(9, 4)
    subject = simulator.moving_layer(simulator.random_points(180, BOX), still, weight=0.9)
    corner = simulator.moving_layer(simulator.random_points(30, (0.05, 0.05, 0.12, 0.12)), leftward(4))
    alignment = align(concatenate(subject, corner), "background", 4, Params())
    assert alignment.surroundings is None or np.isnan(alignment.surroundings).all()


def test_limbs_do_not_shake_the_body() -> None:
    def swinging(n: int, at: Array64) -> Array64:
        return approaching(n, at) + np.array([60 * np.sin(1.3 * n), 30 * np.cos(1.3 * n)]) * (n != 6)

    simulator = TrackSimulator(13, 6)
    body = simulator.moving_layer(simulator.random_points(120, BOX), approaching, weight=0.9)
    legs = simulator.moving_layer(simulator.random_points(70, (0.4, 0.7, 0.6, 0.85)), swinging, weight=0.9)
    tracks = concatenate(body, legs, simulator.moving_layer(simulator.random_points(200), passing))
    alignment = align(tracks, "background", 6, Params())
    assert alignment_error_px(alignment, approaching, simulator.random_points(50, BOX)).max() < 0.6 * SCALE


def test_trail_smoothness_makes_background_trails_smoother(monkeypatch: pytest.MonkeyPatch) -> None:
    def shaken(n: int, at: Array64) -> Array64:
        return passing(n, at) + np.array([0, 16.0 * (-1) ** n]) * (n != 6)

    simulator = TrackSimulator(13, 6)
    subject = simulator.moving_layer(simulator.random_points(30, BOX), approaching, weight=0.9)
    tracks = concatenate(subject, simulator.moving_layer(simulator.random_points(400), shaken))
    bends = []
    for weight in (0.0, 0.3):
        monkeypatch.setattr(joint, "TRAIL_SMOOTHNESS", weight)
        alignment = align(tracks, "background", 6, Params(residual_px=9))
        maps = [np.asarray(np.linalg.inv(h)) for h in alignment.to_frame]
        where = np.stack([project(h, shaken(n, PROBES)) for n, h in enumerate(maps)])
        bends.append(np.abs(np.diff(where, 2, axis=0)).mean())
    assert bends[1] < 0.8 * bends[0]


def test_without_a_subject_the_layer_that_moves_on_its_own_stands_still() -> None:
    simulator = TrackSimulator(13, 6)
    mover = simulator.moving_layer(simulator.random_points(150, BOX), approaching)
    tracks = concatenate(mover, simulator.moving_layer(simulator.random_points(500), passing))
    alignment = align(tracks, "background", 6, Params())
    assert alignment_error_px(alignment, approaching, simulator.random_points(50, BOX)).max() < 0.6 * SCALE


def test_without_anything_that_moves_on_its_own_the_background_mode_is_refused() -> None:
    simulator = TrackSimulator(13, 6)
    tracks = concatenate(
        simulator.moving_layer(simulator.random_points(500), passing), simulator.random_walks(100)
    )
    with pytest.raises(AlignmentError, match="--mask"):
        align(tracks, "background", 6, Params())


def test_warp_brings_a_moved_picture_back(device: Device) -> None:
    height, width = 60, 80
    y, x = np.mgrid[:height, :width]
    light = np.ones((height, width, 4), np.float16)
    light[..., :3] = (0.5 + 0.2 * np.sin(x / 5) + 0.2 * np.cos(y / 7))[..., None]
    grid = Grid.over(2 * height, 2 * width, 2)
    mesh = np.zeros((1, 3, 4, 2))
    mesh[..., 0] = 4.0
    maps = np.array([[[1, 0, 6.0], [0, 1, -4.0], [0, 0, 1]]])
    alignment = Alignment("foreground", 0, (2 * height, 2 * width), maps, mesh, np.zeros(1), ("",))
    frame = DeviceFrame(device.upload(light), grid, plain_shot((2 * height, 2 * width)))
    out = warp(device, frame, alignment, 0)  # 6 + 4 full pixels are 5 half ones
    assert out.grid == grid
    assert np.array_equal(out.light.get()[2:, :-5], light[:-2, 5:])
    unmoved = replace(alignment, mesh=None, to_frame=np.eye(3)[None])
    assert np.array_equal(warp(device, frame, unmoved, 0).light.get(), light)


def _burst(motion: Motion) -> Tracks:
    simulator = TrackSimulator(9, 4)
    return concatenate(
        simulator.moving_layer(simulator.random_points(600), motion), simulator.random_walks(200)
    )


@pytest.mark.parametrize("mode", ["foreground", "background"])
def test_without_alignment_frames_are_as_they_are(mode: Mode) -> None:
    found = align(_burst(drift), mode, 4, Params(method="none"))
    assert np.array_equal(found.to_frame, np.tile(np.eye(3), (9, 1, 1)))
    assert found.reject_reason == ("",) * 9 and found.mesh is None
    assert np.isnan(found.residual_px).all()


def test_a_tripod_is_believed_where_nothing_moved_and_refused_where_the_camera_did() -> None:
    found = align(_burst(still), "foreground", 4, Params(method="tripod"))
    assert np.array_equal(found.to_frame, np.tile(np.eye(3), (9, 1, 1)))
    with pytest.raises(AlignmentError, match=r"the camera moved: frame .* px.*--align auto"):
        align(_burst(drift), "foreground", 4, Params(method="tripod"))
    with pytest.raises(AlignmentError, match="camera that moves"):
        align(_burst(still), "background", 4, Params(method="tripod"))


@pytest.mark.parametrize(
    ("away", "explained", "rejected"),
    [
        (0.3, 0.85, False),
        (0.9, 0.85, False),
        (1.1, 0.85, True),
        (8.0, 0.85, True),
        (8.0, 0.88, False),
        (0.3, 0.03, True),
    ],
)
def test_a_map_that_hardly_moves_is_as_good_as_none(away: float, explained: float, rejected: bool) -> None:
    points = Trajectories.from_tracks(_burst(still), 4)
    grid = Grid(SCALE, HEIGHT // SCALE, WIDTH // SCALE)
    previews = [Preview(np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.float16), grid)] * 9
    maps = np.tile(np.eye(3), (9, 1, 1))
    maps[1, 0, 2] = away * SCALE / 2 / points.normalization.diagonal_px
    maps[2] = np.nan
    evidence = Evidence.of(previews, points)
    moves = _moves(evidence, replace(Registration.initial(points), maps=maps))
    assert not moves[[0, 2]].any()
    shares = np.full(9, explained)
    why = _unexplained(shares, np.full(9, 0.91), moves, ("",) * 9, 4)
    assert bool(why[1]) is rejected
