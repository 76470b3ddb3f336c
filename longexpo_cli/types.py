"""The values that pass between the stages.

CONVENTIONS, true everywhere:

- Arrays are C-order ``[y, x, channel]``; light is float32 (half floats on the device), geometry float64.
- A pixel's centre has integer coordinates; between grids ``full = (low + 0.5) * s - 0.5`` (geometry.Grid).
- Maps pull (backward warping): ``to_frame[t] @ (x, y, 1)`` is the position in frame t of reference pixel
  (x, y); a mesh adds its offset after the homography. ``other(x + flow_x, y + flow_y) = this(x, y)``.
- Light is linear Rec.2020, D65, 1.0 = sensor white of the reference exposure; white balance is divided by
  its smallest gain, so light may exceed 1.
- Names carry units (``_px``, ``_s``, ``_ev``, ``_dn``). Tracks, Alignment, residuals: full reference pixels;
  MotionField: low pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array8 as Array8
from longexpo_cli.arrays import Array16 as Array16
from longexpo_cli.arrays import Array32 as Array32
from longexpo_cli.arrays import Array64 as Array64
from longexpo_cli.arrays import Flags as Flags
from longexpo_cli.arrays import Indices as Indices
from longexpo_cli.arrays import OnDevice as OnDevice
from longexpo_cli.geometry import Grid

Mode = Literal["foreground", "background"]
SensorKind = Literal["", "Bayer", "quad Bayer", "X-Trans", "monochrome", "linear"]
TimestampSource = Literal[
    "exif with fractions", "exif whole seconds", "file names", "file order", "video", "caller"
]


@dataclass(frozen=True, slots=True)
class NoiseProfile:
    """Variance of a raw value x in 0..1 (black to white): scale * x + offset (DNG 1.4, NoiseProfile)."""

    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class Transfer:
    """How stored values become linear light, both 0..1 from black to white (colour.decode).

    curve "gamma" is a power of gamma; "sampled" interpolates samples, the light at equally spaced values from
    0 to 1. "hlg" is scene light, "pq" light on the display, 1.0 = its peak. "decoded": the file is decoded to
    light of the working space, float32, because no curve and matrix describe its values.
    """

    curve: Literal["linear", "srgb", "gamma", "bt709", "pq", "hlg", "sampled", "decoded"] = "linear"
    gamma: float = 1.0
    samples: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LineGain:
    """Factors of the light of each line of a frame: gain N 3 (R, G, B of the camera) float32.

    axis 0: the lines are rows, 1: columns. They are those of a grid with pixels of scale full-resolution
    pixels, and interpolated between them.
    """

    gain: Array32
    axis: int
    scale: int


@dataclass(frozen=True, slots=True)
class DarkFrames:
    """Dark frames of a burst, and the burst's exposure time as a multiple of that of each."""

    paths: tuple[Path, ...]
    scales: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """The metadata of one frame, from its file's headers; no pixels.

    frame is the index inside a video, else 0; fields is how that is deinterlaced. size_px is (height, width)
    of the visible area as stored. start_s is the start of the exposure, in seconds after that of the burst's
    first frame; timestamp_source says where it comes from. cfa is the 2x2 pattern, row by row ("RGGB"), None
    when every pixel has three colours. transfer turns stored values into light; black_dn has one level per
    pattern position, or per channel, and encoded pictures have the same for all channels. wb_gains are the
    gains of R, G, B divided by the smallest; of pictures, the light of white_dn, which is above 1 where they
    hold more than white.
    camera_to_working maps white-balanced camera colours to the working space; its rows sum to 1.
    exposure_scale multiplies light, so that all frames have the brightness of the reference exposure. notes
    has one sentence for each value that was replaced or estimated. baseline_ev is the exposure compensation
    that the camera wants in a print (DNG BaselineExposure); light is not multiplied by it. defects N 2 int32
    are the places (y, x) of pixels of the sensor whose values are replaced when the frame is read, after dark
    is subtracted; line_gain then evens its light. stored_orientation is the EXIF orientation of a file whose
    pixels are stored turned against those of the other frames, else None; size_px and orientation are those
    of the others. is_dated is False where the date in the file is not believed. sensor is the kind of sensor
    of a RAW file, "linear" where it has three colours for each pixel; "" of pictures and videos. reduced_from
    is the shot as it is in its file, where this one is of a smaller size (files.reduced). checksum is the
    CRC-32 of the values that were read, before dark is subtracted; None before, and where it is not used.
    light H W 3 float32 is that of a frame in memory, which has no file: path is only its name.
    """

    path: Path
    frame: int
    size_px: tuple[int, int]
    orientation: int
    start_s: float
    timestamp_source: TimestampSource
    exposure_s: float | None
    iso: float | None
    cfa: str | None
    transfer: Transfer
    black_dn: tuple[float, ...]
    white_dn: float
    wb_gains: tuple[float, float, float]
    camera_to_working: Array64
    noise: NoiseProfile
    exposure_scale: float
    camera: str
    notes: tuple[str, ...] = ()
    baseline_ev: float = 0.0
    defects: npt.NDArray[np.int32] | None = None
    line_gain: LineGain | None = None
    dark: DarkFrames | None = None
    fields: Literal["", "as flagged", "top first", "bottom first"] = ""
    f_number: float | None = None
    stored_orientation: int | None = None
    is_dated: bool = True
    sensor: SensorKind = ""
    reduced_from: Shot | None = None
    checksum: int | None = None
    light: Array32 | None = None

    def is_same(self, other: Shot) -> bool:
        """Whether both are of one frame with one set of corrections; arrays make == ambiguous."""
        corrections = ("defects", "line_gain", "dark", "light")
        is_one_frame = self.path == other.path and self.frame == other.frame and self.fields == other.fields
        return is_one_frame and all(getattr(self, name) is getattr(other, name) for name in corrections)

    @property
    def name(self) -> str:
        """The frame's file, and of a video the frame's number in it: its frames share one file."""
        return f"{self.path.name} #{self.frame}" if self.timestamp_source == "video" else self.path.name

    @property
    def is_light(self) -> bool:
        """Whether the frame is decoded to float32 light, 1.0 = white_dn, whatever is stored."""
        return self.transfer.curve == "decoded"


@dataclass(frozen=True, slots=True)
class Burst:
    """The frames of one burst in time order.

    brackets are frames with a longer exposure, which are not in the trail; bracket_reasons say why each is
    not used in the sharp exposure either ("" where it is), and are empty before that is known. refused lists
    the files that cannot be used, and why. numbers are the frames' numbers in the burst as loaded
    (`longexpo info`), where they differ from their positions; skipped are the numbers and file names of the
    frames that the user left out. unread counts the frames of a video that are beyond those it was asked
    for, where that is known.
    copies are files with the pixels of a frame, and that frame's name. order says how the order of the frames
    was found, several which bursts there seem to be ("" for one). notes are on the burst as a whole.
    """

    source: Path
    shots: tuple[Shot, ...]
    brackets: tuple[Shot, ...]
    refused: tuple[tuple[Path, str], ...]
    numbers: tuple[int, ...] = ()
    skipped: tuple[tuple[int, str], ...] = ()
    unread: int = 0
    copies: tuple[tuple[Path, str], ...] = ()
    order: str = ""
    several: str = ""
    notes: tuple[str, ...] = ()
    bracket_reasons: tuple[str, ...] = ()

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes on the burst and on its frames, each once."""
        return tuple(dict.fromkeys((*self.notes, *(note for shot in self.shots for note in shot.notes))))

    @property
    def left_out(self) -> int:
        """How many frames of the burst are not among its shots."""
        suffix = self.shots[0].path.suffix.lower()
        refused = sum(path.suffix.lower().startswith(suffix) for path, _ in self.refused)
        return len(self.brackets) + refused + len(self.skipped) + self.unread

    def number(self, frame: int) -> int:
        """The number in `longexpo info` of a frame of this burst."""
        return self.numbers[frame] if self.numbers else frame

    @property
    def start_s(self) -> tuple[float, ...]:
        """The start of each frame's exposure, in seconds after the first."""
        return tuple(shot.start_s for shot in self.shots)


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Sensor values of one shot: H W (a colour filter array) or H W 3.

    As read: uint8 or uint16 in DN. As merged, and as read where the shot says is_light: float32, linear,
    black subtracted, 1.0 = white, without white balance.
    """

    values: Array16 | Array8 | Array32
    shot: Shot


@dataclass(frozen=True, slots=True)
class MergeAccumulator:
    """The running sums of merged frames, on the device, and what the reference is compared by.

    Light is of the reference's camera colours, white-balanced where it is displaced, 1.0 = its sensor white.
    samples H W (of a colour filter array) is the reference's light and the weighted sum of that of frames
    displaced by whole cells; total 3 h w the weighted sum of displaced light, of pictures with the
    reference's; h and w are rounded up to whole blocks. counts 3 h/2 w/2 holds, for each cell of 2 x 2
    pixels, the sums of the weights of samples, of displaced light and of all their squares, times
    the frame's variance over the reference's, without the reference's 1. cells and statistics are those of
    the reference (kernels/merge_cells.cl), grey its pyramid.
    frames counts the frames so far. shot is the reference's, highlights develop's parameter.
    """

    samples: OnDevice
    total: OnDevice
    counts: OnDevice
    cells: OnDevice
    statistics: Array32
    grey: tuple[OnDevice, ...]
    frames: int
    shot: Shot
    highlights: float


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged frames of a burst, before they are demosaiced.

    mosaic is the mean of the reference and of the samples of frames displaced by whole cells, of pictures the
    mean of all frames: float32, linear, black subtracted, 1.0 = white. total 3 h w and counts 3 h/2 w/2 are
    those of MergeAccumulator; total is None for pictures. The shot's noise is that of a single frame.
    """

    mosaic: Mosaic
    total: OnDevice | None
    counts: OnDevice


@dataclass(frozen=True, slots=True)
class Frame:
    """Light of one frame on the host: H W 3 float32, working space.

    coverage H W float32 is the fraction of each pixel inside the frame (0 beyond a warped frame's edge); None
    means 1 everywhere. frames_merged ceil(H/2) ceil(W/2) float32, 1 or more, is of the sharp exposure: how
    many frames like it would have as little noise, (sum w)^2 / sum(w^2 variance); the shot's noise is that
    of one.
    """

    light: Array32
    grid: Grid
    shot: Shot
    coverage: Array32 | None = None
    frames_merged: Array32 | None = None


@dataclass(frozen=True, slots=True)
class DeviceFrame:
    """Light of one frame on the device: H W 4 float16, working space; channel 4 is the coverage."""

    light: OnDevice
    grid: Grid
    shot: Shot


@dataclass(frozen=True, slots=True)
class Preview:
    """All that the first pass keeps of a frame: H W uint8 grey and H W float16 energy on the low grid.

    grey is luminance under a square-root curve, the same for all frames, for tracking. energy is the mean
    squared luminance gradient of the half-resolution frame in each low pixel, divided by the squared mean
    luminance, so that it does not depend on brightness.
    """

    grey: Array8
    energy: npt.NDArray[np.float16]
    grid: Grid


@dataclass(frozen=True, slots=True)
class Point:
    """A point on the upright picture: pixels from its top left corner, or percent of its width and height."""

    x: float
    y: float
    is_percent: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of the picture: weight H W float32 in 0..1 on the low grid.

    weight is w = s (1 + f) divided by its maximum (Tabellion 2023, section 4.2). alpha is the saliency before
    the threshold, faces the feathered face signal f, both H W float32 in 0..1. score is the raw saliency
    peak. Without a subject, found is False and the maps are 0; note says why.
    """

    weight: Array32
    alpha: Array32
    faces: Array32
    score: float
    found: bool
    grid: Grid
    note: str


@dataclass(frozen=True, slots=True)
class Tracks:
    """N points followed through T frames: at_px T N 2 (x, y) float64, seen T N, weight N float32 in 0..1.

    at_px is in full-resolution pixels of each frame, undefined where seen is False. weight is that of the
    subject. sharpness is T N float32: the gradient energy around the point in that frame (Preview.energy).
    scale is that of the grid on which the points were tracked: their noise is a fraction of its pixels.
    """

    at_px: Array64
    seen: Flags
    weight: Array32
    sharpness: Array32
    size_px: tuple[int, int]
    scale: int = 1


@dataclass(frozen=True, slots=True)
class Alignment:
    """The maps from the reference frame to every frame (pull maps), and which frames are rejected.

    to_frame is T 3 3; mesh T gh gw 2 full-resolution offsets at cell corners, or None. residual_px T is the
    median residual of each frame's inlier tracks, NaN for rejected frames. reject_reason has one text per
    frame, "" for a frame that is kept. In the foreground look explained T is the share of the reference's
    texture that each frame's homography explains, and corner_px T the standard deviation of the homography at
    the picture's corners. inliers T is the number of each frame's inlier tracks, covered T the part of the
    picture that they cover. layer N has 0 for the tracks of the layer that is held still, 1, 2... for those
    of other layers that were found, -1 for the rest. confidence is the probability that the picture's still
    structure is aligned to one half-resolution pixel (registration.confidence), None where it is not known.
    In the background look explained T is how still, 0..1, each frame's map keeps what of the subject is still
    in most frames, and relative_motion how far the subject moves against its surroundings, as a fraction of
    the diagonal, NaN where these show no motion; surroundings T 3 3 are the maps of these, like to_frame, NaN
    for frames in which they are not known, or None. note says how it was told that the camera stood still, or
    that nothing shows whether what is held stands still, else "".
    """

    mode: Mode
    reference: int
    size_px: tuple[int, int]
    to_frame: Array64
    mesh: Array64 | None
    residual_px: Array64
    reject_reason: tuple[str, ...]
    explained: Array64 | None = None
    corner_px: Array64 | None = None
    inliers: Indices | None = None
    covered: Array64 | None = None
    layer: Indices | None = None
    confidence: float | None = None
    relative_motion: float | None = None
    note: str = ""
    surroundings: Array64 | None = None

    def kept(self, frame: int) -> bool:
        """Whether the frame may be used."""
        return not self.reject_reason[frame]

    @property
    def kept_count(self) -> int:
        """How many frames may be used."""
        return sum(not why for why in self.reject_reason)

    def mesh_of(self, frame: int) -> Array64 | None:
        """The frame's mesh, or None."""
        return None if self.mesh is None else self.mesh[frame]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two neighbouring frames of the run, and the part start..stop (0..1) of their interval to render.

    time_weight is the pair's weight in the exposure: (stop - start) * duration / median duration, 1 for the
    duration of a pause.
    trail_percent is how much longer the part makes the trail, in percent of the diagonal.
    """

    first: int
    second: int
    start: float
    stop: float
    time_weight: float
    trail_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """The run of frames that is blurred, as pairs in time order; the reference is one of the frames.

    target_percent and reached_percent are the requested and the actual trail length, in percent of the
    diagonal.
    """

    reference: int
    pairs: tuple[Pair, ...]
    target_percent: float
    reached_percent: float
    note: str

    @property
    def frames(self) -> tuple[int, ...]:
        """Every frame of the run, in time order."""
        return tuple(sorted({self.reference, *(n for p in self.pairs for n in (p.first, p.second))}))


@dataclass(frozen=True, slots=True)
class Trail:
    """The length of the trail in percent of the diagonal: asked for, chosen by the run, and rendered.

    rendered_percent is measured on the lines that were rendered. note says what is not as asked for, ""
    when nothing is. unfollowed_percent is MotionBlur.unfollowed in percent of the picture; None: not known.
    """

    asked_percent: float
    chosen_percent: float
    rendered_percent: float
    note: str
    unfollowed_percent: float | None = None


@dataclass(frozen=True, slots=True)
class SurroundingMotion:
    """The motion of what a held subject moves against, between two aligned frames.

    motion H W 2 float32, low pixels, is from the first frame to the second, as if the surroundings were all
    over the picture; outside H W says where they may be, as no subject was found there.
    """

    motion: Array32
    outside: Flags


@dataclass(frozen=True, slots=True)
class MotionField:
    """The motion between two frames, on the low grid (Tabellion 2023, section 4.6, equation 6).

    displacement D and bend Q, 2 H W 2 float32, hold one vector per frame and pixel, in low pixels: at the
    fraction s of the interval from frame i, frame i is sampled at p + s (D[i] + (1 - s) Q[i]). A bend that is
    NaN is not known, nor is any where bend is None. `blur` believes the pairs before and after first.
    blend_weight H W float32 in 0..1 is the first frame's weight; the second's is 1 - blend_weight. If there
    is an end_weight H W, it is the first frame's at the interval's end, and weights change linearly to it.
    source names the estimator. surroundings_px H W float32 is how far the surroundings of a held subject
    move, in low pixels, where nothing that the frames show opposes it, 0 elsewhere; None: not known.
    unfollowed H W says where one frame shows a thing that the other does not, and no line leads to it; None:
    not known.
    """

    displacement: Array32
    blend_weight: Array32
    grid: Grid
    source: str
    bend: Array32 | None = None
    end_weight: Array32 | None = None
    surroundings_px: Array32 | None = None
    unfollowed: Flags | None = None


@dataclass(frozen=True, slots=True)
class PairMotion:
    """The motion between the two frames of a pair."""

    pair: Pair
    field: MotionField


@dataclass(frozen=True, slots=True)
class FramePair:
    """A pair's motion and its two frames, aligned and under soft gamma, on the device."""

    motion: PairMotion
    first: DeviceFrame
    second: DeviceFrame


@dataclass(frozen=True, slots=True)
class BlurAccumulator:
    """The running sum of the light of all pairs so far, on the device, at half resolution.

    light H W 4 float32 is the sum of each pair's mean light (soft gamma applied) times its time weight;
    channel 4 is the sum of the time weights. motion_px H W float32 is the largest motion so far, in low
    pixels. clip_light is the largest unclipped light, one number per burst; soft_gamma is k of equation 9 (1
    = off). shot is the first frame's, for its noise. time_weight is the sum of all pairs'. previous is the
    motion of the last pair in the sum.
    pending is the newest pair, which is not in the sum until the motion of its successor is known. shutter
    and accumulate are blur's parameters. exposure is the time weight of the whole run, elapsed that of the
    pairs so far. extreme H W 4 float32 is the brightest or darkest light so far over clip_light, packed
    N H W uint32 the frames of a median; kept has the numbers of these in the run. Where they are not asked
    for they are None.
    surroundings_px H W float32 is the sum of the pairs' MotionField.surroundings_px, None if none has any.
    unfollowed H W float32 counts the pairs of which MotionField.unfollowed is set, None if none says;
    most_unfollowed is the largest part of the picture of any.
    """

    light: OnDevice
    grid: Grid
    motion_px: Array32
    low: Grid
    shot: Shot
    clip_light: float
    soft_gamma: float
    pairs: int = 0
    time_weight: float = 0.0
    previous: PairMotion | None = None
    pending: FramePair | None = None
    shutter: str = "box"
    accumulate: str = "mean"
    exposure: float = 0.0
    elapsed: float = 0.0
    extreme: OnDevice | None = None
    packed: OnDevice | None = None
    kept: tuple[int, ...] = ()
    surroundings_px: Array32 | None = None
    unfollowed: Array32 | None = None
    most_unfollowed: float = 0.0


@dataclass(frozen=True, slots=True)
class MotionBlur:
    """The mean light of all pairs, H W 4 float32 on the device, at half resolution, in linear light.

    Channel 4 is the part of the time in which frames cover the pixel; where it is 0, light is 0. motion_px
    H W float32 is the largest motion of all pairs, in low pixels; shot is the first frame's, for its noise.
    flash is the part of all light that is the sharp exposure's. accumulate is blur's parameter: the light
    need not be the mean of all.
    surroundings_px H W float32 is how far the surroundings of a held subject move in all pairs together, in
    low pixels, where nothing opposes it (MotionField); None: not known. disputed is the part of the picture,
    0..1, in which most frames show nothing in common: a median shows something that passed there.
    unfollowed is the part of the picture, 0..1, in which the pair that is worst shows things as two copies,
    as no motion leads from one to the other; None: not known.
    """

    light: OnDevice
    grid: Grid
    motion_px: Array32
    low: Grid
    shot: Shot
    clip_light: float
    pairs: int
    flash: float = 0.0
    accumulate: str = "mean"
    surroundings_px: Array32 | None = None
    disputed: float = 0.0
    unfollowed: float | None = None


@dataclass(frozen=True, slots=True)
class ChangeAccumulator:
    """How the frames of the run differ from the reference so far; maps H W are on the low grid, float32.

    All are of square roots of light + black, black having one value for each colour. mean H W 3 is the
    reference's mean; texture and fine its mean squared gradients, of half-resolution pixels and of the
    sensor's own, less their noise. noise is the variance of a half-resolution pixel of the reference, summed
    over the colours, frame_noise the sum of the frames'. change and coarse H W are sums over the frames: of
    the squared difference of half-resolution pixels, and of low pixels. frames H W counts the frames that
    cover a pixel.
    """

    reference: DeviceFrame
    low: Grid
    black: Array32
    mean: Array32
    texture: Array32
    fine: Array32
    change: Array32
    coarse: Array32
    frames: Array32
    noise: float
    frame_noise: float = 0.0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """How far the picture seems to have moved over the run, shift_px H W float32 on the low grid.

    In half-resolution pixels: the shift that would change the reference as much as the run's frames differ
    from it, root mean square over the frames. 0 where noise explains the difference; large where what was
    even has changed. difference H W float32 is that mean squared difference of roots of light, less noise,
    contrast H W float32 the variance of roots of the reference's light around each pixel: where both are
    equal, what the reference shows is gone in the other frames. noise is the variance that was found, in
    units of the one that the shots say.
    """

    shift_px: Array32
    difference: Array32
    contrast: Array32
    grid: Grid
    noise: float


@dataclass(frozen=True, slots=True)
class Photograph:
    """The long exposure: scene-linear light H W 3 float32, working space, full resolution.

    keep_sharp H W float32 on the half grid is 1 where the sharp exposure is used, 0 where the blur is.
    clip_light is the largest unclipped light. metered h w 3 float32 are pixels of the scene, by which the
    print is exposed; None: those of light.
    """

    light: Array32
    keep_sharp: Array32
    clip_light: float
    shot: Shot
    metered: Array32 | None = None


@dataclass(frozen=True, slots=True)
class Print:
    """Display pixels, the gain map for HDR screens, and the light they were made from.

    sdr is H W 3 uint8 or uint16, encoded in the colour space profile. gain is the log2 gain map H' W' uint8,
    0..255 for gain_low_ev..gain_high_ev. light is the photograph's scene-linear light, unchanged; the print
    is exposed by exposure_ev more, before local tone mapping.
    """

    sdr: Array8 | Array16
    gain: Array8
    gain_low_ev: float
    gain_high_ev: float
    profile: Literal["srgb", "display-p3"]
    light: Array32
    shot: Shot
    exposure_ev: float = 0.0

    @property
    def sdr8(self) -> Array8:
        """The display pixels as H W 3 uint8, rounded."""
        if self.sdr.dtype == np.uint8:
            return np.asarray(self.sdr, np.uint8)
        import cv2

        return np.asarray(cv2.convertScaleAbs(self.sdr, alpha=255 / 65535), np.uint8)


@dataclass(frozen=True, slots=True)
class Plates:
    """What a photograph is composed of: its light is about mask * sharp + (1 - mask) * streaks.

    sharp and streaks are scene-linear light H W 3 float32, mask H W float32 in 0..1, at the photograph's size
    or on its half grid; None where it was not kept. streaks is the motion blur alone: composite adds fine
    detail of what stood still for a part of the time.
    """

    sharp: Array32 | None = None
    streaks: Array32 | None = None
    mask: Array32 | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A print and the decisions that led to it.

    merged lists the frames merged into the sharp exposure; predictor names the motion estimator.
    """

    print: Print
    burst: Burst
    subject: Subject
    alignment: Alignment
    selection: Selection
    merged: tuple[int, ...]
    predictor: str
    trail: Trail

    @property
    def exposure_s(self) -> float:
        """The equivalent exposure time: what a tripod and an ND filter would have needed, in seconds."""
        start = self.burst.start_s
        return sum((p.stop - p.start) * (start[p.second] - start[p.first]) for p in self.selection.pairs)

    @property
    def light_s(self) -> float | None:
        """The sum of the exposure times of the frames in the trail, in seconds; None if one is unknown."""
        times = [self.burst.shots[n].exposure_s for n in self.selection.frames]
        known = [time for time in times if time is not None]
        return sum(known) if len(known) == len(times) else None
