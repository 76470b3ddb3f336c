"""Pictures of decisions: colours where the tracks are, sizes, legends, what is dropped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Flags
from longexpo_cli.observers import decisions, pictures
from longexpo_cli.types import Alignment, Pair, Preview, Selection, Tracks
from tests.observers import values

SHIFT_PX = 8.0  # of frame 0 and 2 against the reference, full pixels: two low ones
GROUP_AT = np.array([[10.0, 8.0], [30.0, 8.0], [50.0, 8.0], [10.0, 28.0], [30.0, 28.0]])  # one of each group


def scene(mode: str = "foreground") -> tuple[Tracks, Alignment]:
    """Return one track of each group, all still, seen by a camera that moves; the last frame is dropped."""
    shift = np.array([SHIFT_PX, 0.0, -SHIFT_PX])
    at_px = GROUP_AT + np.stack([shift, 0 * shift], -1)[:, None]
    weight = np.array([0.0, 0.0, 0.0, 1.0, 0.0], np.float32)
    seen = np.ones(at_px.shape[:2], np.bool_)
    tracks = Tracks(at_px, seen, weight, np.ones(seen.shape, np.float32), values.FULL.shape, 4)
    maps = np.array([np.eye(3)] * 3)
    maps[:, 0, 2] = shift
    layer = np.array([0, 1, 2, -1, -1])
    alignment = replace(values.ALIGNMENT, mesh=None, to_frame=maps, layer=layer)
    return tracks, replace(alignment, mode=mode)  # type: ignore[arg-type]


def has(picture: Array8, x: float, y: float, color: pictures.Color, zoom: int) -> bool:
    """Whether a picture of the low grid, enlarged, has a colour within 3 pixels of a full point."""
    column, row = np.round((values.LOW.from_full([x, y]) + 0.5) * zoom - 0.5).astype(int)
    near = picture[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4].astype(int)
    return bool((np.abs(near - color).max(axis=-1) < 30).any())


def test_every_track_is_in_one_group() -> None:
    tracks, alignment = scene()
    groups = decisions.track_groups(tracks, alignment)
    assert np.array_equal(sum(chosen.astype(int) for _, _, chosen in groups), np.ones(5))
    names = {name: np.flatnonzero(chosen).tolist() for name, _, chosen in groups}
    assert names == {
        "background, held still": [0],
        "other layer 1": [1],
        "other layer 2": [2],
        "other layer 3": [],
        "subject, not held": [3],
        "rejected": [4],
    }
    panning = {name for name, _, chosen in decisions.track_groups(*scene("background")) if chosen.any()}
    assert {"subject, held still", "background"} < panning


def test_more_layers_than_colours_share_the_last() -> None:
    tracks, alignment = scene()
    many = replace(alignment, layer=np.array([0, 3, 4, 5, -1]))
    chosen = {name: flags for name, _, flags in decisions.track_groups(tracks, many)}
    assert np.flatnonzero(chosen["other layer 3"]).tolist() == [1, 2, 3]


def test_tracks_have_the_colour_of_their_layer() -> None:
    tracks, alignment = scene()
    picture = decisions.layers(tracks, alignment, values.preview())
    width, height = values.LOW.width * pictures.ZOOM, values.LOW.height * pictures.ZOOM
    assert picture.shape[1] == width
    assert picture.shape[0] > height + 5 * pictures.TEXT_LINE_PX  # a legend of the title and five groups
    colors = (decisions.HELD, *decisions.OTHER_LAYERS[:2], decisions.SUBJECT, decisions.REJECTED)
    for (x, y), color in zip(GROUP_AT, colors, strict=True):
        assert has(picture[:height], x, y, color, pictures.ZOOM), color
        assert sum(has(picture[:height], x, y, other, pictures.ZOOM) for other in colors) == 1
        assert (picture[height:] == color).all(axis=-1).any()


def test_aligned_tracks_are_dots_and_dropped_frames_are_not_drawn() -> None:
    tracks, alignment = scene()
    paths, seen = decisions.aligned_paths(tracks, alignment)
    assert np.allclose(paths[:2], GROUP_AT)
    assert seen[:2].all()
    assert not seen[2].any()


@pytest.mark.parametrize(("off_px", "factor"), [(0.4, 20), (4.0, 2), (40.0, 1)])
def test_residuals_are_enlarged_by_a_factor_that_suits_them(off_px: float, factor: int) -> None:
    tracks, alignment = scene()
    tracks.at_px[0, :, 1] += off_px  # full pixels, downwards
    picture = decisions.residuals(tracks, alignment, values.preview(), 0)
    length_px = min(off_px / values.LOW.scale * factor * decisions.VECTOR_ZOOM, decisions.MAX_VECTOR_PX)
    end = GROUP_AT[0] + np.array([0, length_px / decisions.VECTOR_ZOOM * values.LOW.scale])
    inside = values.LOW.height * decisions.VECTOR_ZOOM
    if length_px < decisions.VECTOR_PX:
        assert has(picture[:inside], end[0], end[1], decisions.HELD, decisions.VECTOR_ZOOM)
        beyond = end + np.array([0, 6 * values.LOW.scale / decisions.VECTOR_ZOOM])
        assert not has(picture[:inside], beyond[0], beyond[1], decisions.HELD, decisions.VECTOR_ZOOM)
    assert has(picture[:inside], 10, 8, decisions.HELD, decisions.VECTOR_ZOOM)


def stripes(shift: int) -> Preview:
    """Return a preview of vertical stripes, shifted to the right by low pixels."""
    row = np.array([60, 60, 200, 200, 200], np.uint8)[(np.arange(values.LOW.width) - shift) % 5]
    return replace(values.preview(), grey=np.tile(row, (values.LOW.height, 1)))


def halves(picture: Array8) -> tuple[Array8, Array8]:
    """Return the two sides of a picture of differences, each of the enlarged low grid."""
    height, width = 2 * values.LOW.height, 2 * values.LOW.width
    return picture[:height, :width], picture[:height, width + 2 : 2 * width + 2]


def test_the_difference_is_grey_after_alignment_and_signed_before() -> None:
    _, alignment = scene()
    two = int(SHIFT_PX / values.LOW.scale)
    before, after = halves(decisions.difference(stripes(0), stripes(two), alignment, 0))
    expected = stripes(two).grey.astype(int) - stripes(0).grey
    assert ((before[::2, ::2, 0] == 255) == (expected > 0)).all()
    assert ((before[::2, ::2, 0] == 0) == (expected < 0)).all()
    assert (before[::2, ::2][expected == 0] == decisions.MID_GREY).all()
    inside: Flags = np.arange(values.LOW.width) + two < values.LOW.width
    assert (after[::2, ::2][:, inside] == decisions.MID_GREY).all()
    assert (after[::2, -2:] == 0).all()  # outside the frame


def test_the_difference_of_a_dropped_frame_has_one_side() -> None:
    _, alignment = scene()
    _, after = halves(decisions.difference(stripes(0), stripes(2), alignment, 2))
    assert (after == decisions.MID_GREY).all()


def test_the_weight_of_the_subject_follows_the_alignment() -> None:
    _, alignment = scene("background")
    weight = np.zeros(values.LOW.shape, np.float32)
    weight[3:6, 4:8] = 1
    subject = replace(values.SUBJECT, weight=weight)
    moved = decisions.weight_in(subject, 1, alignment, 0)
    two = int(SHIFT_PX / values.LOW.scale)
    assert np.allclose(moved[:, two:], weight[:, :-two], atol=1e-3)


def test_the_subject_is_laid_over_the_frames() -> None:
    tracks, alignment = scene("background")
    weight = np.zeros(values.LOW.shape, np.float32)
    weight[:, :7] = 1
    subject = replace(values.SUBJECT, weight=weight)
    previews = [values.preview()] * values.FRAMES
    with_alignment = decisions.subject_strip(previews, subject, 1, tracks, alignment)
    alone = decisions.subject_strip(previews, subject, 1, tracks, None)
    width = decisions.THUMBNAIL_PX
    assert alone.shape[1] == values.FRAMES * (width + 2) - 2
    height = width * values.LOW.height // values.LOW.width

    def orange(picture: Array8, frame: int) -> list[int]:
        """Return the low columns of a frame that the weight is laid over."""
        cell = picture[:height, frame * (width + 2) : frame * (width + 2) + width].astype(int)
        share = (cell[..., 0] - cell[..., 2] > 40).mean(axis=0)
        return np.flatnonzero(share[8::16] > 0.5).tolist()

    assert orange(alone, 1) == list(range(7))
    assert orange(alone, 0) == orange(alone, 2) == []  # where it is was not looked for
    assert orange(with_alignment, 0) == list(range(2, 9))  # moved to the right by two low pixels
    assert orange(with_alignment, 2) == []  # dropped


def test_the_run_says_what_became_of_every_frame() -> None:
    _, alignment = scene()
    previews = [values.preview()] * values.FRAMES
    strip = decisions.run_strip(previews, alignment, values.SELECTION, values.BURST)
    step = decisions.THUMBNAIL_PX + 2
    corners = [tuple(map(int, strip[1, frame * step + 1])) for frame in range(values.FRAMES)]
    assert corners == [decisions.HELD, decisions.YELLOW, decisions.REJECTED]
    alone = Selection(1, (Pair(1, 2, 0.0, 1.0, 1.0),), 30.0, 30.0, "")
    kept = replace(alignment, reject_reason=("", "", ""))
    strip = decisions.run_strip(previews, kept, alone)
    assert tuple(map(int, strip[1, 1])) == decisions.NOT_NEEDED


def test_frames_of_a_video_are_named_by_number() -> None:
    clip = replace(values.SHOTS[2], path=Path("clip.mp4"), frame=17, timestamp_source="video")
    burst = replace(values.BURST, shots=(*values.SHOTS[:2], clip))
    assert decisions._file_name(burst, 2) == " video frame 17"
    assert decisions._file_name(burst, 0) == " 0.dng"


def test_captions_fit_and_are_never_lost() -> None:
    text = "a " * 60 + "averyveryverylongword" * 5
    lines = pictures.text_lines(text, 240)
    assert all(len(line) * pictures.TEXT_ADVANCE_PX <= 240 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    cell = pictures.captioned(np.zeros((20, 240, 3), np.uint8), "one line", lines=3)
    assert cell.shape == (20 + 3 * pictures.TEXT_LINE_PX + 2 * pictures.TEXT_MARGIN_PX, 240, 3)
    assert cell[20:].min() < 100 and cell[20:].max() == 255
