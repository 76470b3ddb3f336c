"""The sidecar records which frames were used, which were not, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from longexpo_cli import __version__
from longexpo_cli.gpu.device import Device
from longexpo_cli.observers import sidecar
from longexpo_cli.observers.clock import Clock
from longexpo_cli.recipe import STAGES, Recipe
from longexpo_cli.registration.confidence import LOW_CONFIDENCE
from longexpo_cli.stages import ORDER
from longexpo_cli.types import TimestampSource
from tests.observers import values


@pytest.fixture
def document() -> dict[str, Any]:
    """Return a sidecar after a round trip through JSON."""
    return values.document()


def test_frames_used_dropped_and_refused(document: dict[str, Any]) -> None:
    assert [(f["frame"], f["file"], f["trail"], f["merged"]) for f in document["frames"]] == [
        (0, "0.dng", True, False),
        (1, "1.dng", True, True),
    ]
    assert document["frames"][0]["residual_px"] == 0.1
    assert document["dropped"] == [{"frame": 2, "file": "2.dng", "why": "too few tracks agree"}]
    assert document["refused"] == [{"file": "bad.dng", "why": "the file is empty"}]
    assert document["not_needed"] == []
    assert document["reference"] == 1


def test_how_it_was_made(document: dict[str, Any]) -> None:
    assert document["longexpo"] == __version__
    assert document["mode"] == "foreground"
    assert set(document["recipe"]) == set(STAGES)
    assert document["predictor"] == "test"
    assert document["device"]["name"] == "a device"
    assert set(sidecar.LIBRARIES) < set(document["versions"])
    assert document["outputs"] == ["out.jpg"]
    assert document["trail"] == {
        "target_percent": 30.0,
        "reached_percent": None,
        "rendered_percent": 2.5,
        "unfollowed_percent": None,
        "met": False,
    }


def test_time_and_memory_of_every_stage(document: dict[str, Any]) -> None:
    assert set(document["stages"]) == set(ORDER)
    assert all(entry["peak_bytes"] > 1 << 20 for entry in document["stages"].values())
    assert document["seconds"] >= max(entry["seconds"] for entry in document["stages"].values())


def test_notes_are_not_repeated(document: dict[str, Any]) -> None:
    assert document["notes"] == [
        "bad.dng was skipped: the file is empty",
        "2.dng was dropped: too few tracks agree",
        "no times: file order is used",
        "the burst is too short",
    ]


@pytest.mark.parametrize(
    ("source", "seconds"), [("file order", None), ("file names", 0.075), ("video", 0.075)]
)
def test_without_times_the_time_of_the_trail_is_not_known(
    source: TimestampSource, seconds: float | None
) -> None:
    shots = tuple(replace(shot, timestamp_source=source) for shot in values.SHOTS)
    assert values.document(replace(values.BURST, shots=shots))["exposure_s"] == seconds


def test_dropped_frames_of_a_video_are_told_apart() -> None:
    video = [replace(shot, path=Path("a.mp4"), frame=2 * n) for n, shot in enumerate(values.SHOTS)]
    alignment = replace(values.ALIGNMENT, reject_reason=("", "far", "far"))

    def said(source: TimestampSource) -> list[str]:
        burst = replace(values.BURST, shots=tuple(replace(shot, timestamp_source=source) for shot in video))
        lines = sidecar.notes(burst, values.SUBJECT, alignment, values.SELECTION, values.TRAIL)
        return [line for line in lines if "dropped" in line]

    assert said("video") == ["a.mp4 #2 was dropped: far", "a.mp4 #4 was dropped: far"]
    assert said("file order") == ["a.mp4 was dropped: far"]


def test_a_low_confidence_is_a_note_and_a_high_one_is_not() -> None:
    def said(confidence: float | None) -> str:
        alignment = replace(values.ALIGNMENT, confidence=confidence)
        return " ".join(
            sidecar.notes(values.BURST, values.SUBJECT, alignment, values.SELECTION, values.TRAIL)
        )

    assert "the alignment may be wrong" in said(LOW_CONFIDENCE - 0.01)
    assert "probability of 12%" in said(0.12)
    assert "may be wrong" not in said(LOW_CONFIDENCE)
    assert "may be wrong" not in said(None)


def test_the_confidence_is_in_the_sidecar(document: dict[str, Any]) -> None:
    assert document["confidence"] == {"alignment": values.ALIGNMENT.confidence}


@pytest.mark.parametrize(("moved", "percent"), [(0.031, 3.1), (float("nan"), None), (None, None)])
def test_how_far_the_subject_moves_against_its_surroundings(moved: float | None, percent: float) -> None:
    device = SimpleNamespace(name="a device", platform="a platform", peak_bytes=1)
    written = sidecar.document(
        recipe=Recipe(),
        device=cast(Device, device),
        burst=values.BURST,
        subject=values.SUBJECT,
        alignment=replace(values.ALIGNMENT, relative_motion=moved),
        selection=values.SELECTION,
        trail=values.TRAIL,
        merged=(1,),
        predictor="",
        exposure_s=0.075,
        light_s=0.02,
        clock=Clock(),
        outputs=(),
    )
    assert written["subject"]["relative_motion_percent"] == (percent and pytest.approx(percent))


def test_every_file_has_a_verdict(document: dict[str, Any]) -> None:
    assert [tuple(entry.values()) for entry in document["verdicts"]] == [
        (0, "0.dng", "used", "in the trail; residual 0.10 px"),
        (1, "1.dng", "used", "in the trail and the sharp exposure; the reference"),
        (2, "2.dng", "dropped", "too few tracks agree"),
        (None, "bad.dng", "refused", "the file is empty"),
    ]


def test_brackets_and_frames_left_out_are_named() -> None:
    longer = replace(values.SHOTS[0], path=Path("long.dng"), exposure_scale=0.25)
    burst = replace(values.BURST, brackets=(longer,), numbers=(2, 3, 5), skipped=((4, "4.dng"),))
    noted = sidecar.notes(burst, values.SUBJECT, values.ALIGNMENT, values.SELECTION, values.TRAIL)
    assert "long.dng was set aside: it is exposed 2.0 EV more than the burst" in noted
    found = sidecar.verdicts(burst, values.ALIGNMENT, values.SELECTION, (1,))
    assert [(entry["number"], entry["verdict"]) for entry in found] == [
        (2, "used"),
        (3, "used"),
        (4, "skipped"),
        (5, "dropped"),
        (None, "set aside"),
        (None, "refused"),
    ]
