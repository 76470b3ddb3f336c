"""How much two pictures differ: as a screen shows them, above white, in gain maps, no numbers and alpha.

A screen ends at white, so CIEDE2000, PSNR and SSIM judge light that is cut there. Light above white is judged
by its ratio, in EV (powers of two): in bright light the smallest contrast that eyes see hardly depends on the
luminance (Weber's law; encodings for HDR metrics approach it: Mantiuk, Azimi, "PU21: A novel perceptually
uniform encoding for adapting existing quality metrics for HDR", PCS 2021,
doi:10.1109/PCS50896.2021.9477471), and a ratio needs no assumption on the screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour, metrics
from longexpo_cli.arrays import Array8, Array64
from longexpo_cli.colour import Encoding
from longexpo_cli.errors import LongexpoError
from longexpo_cli.files import folder, gain_map, phone_pictures, picture_colour, pictures
from longexpo_cli.geometry import upright_view

STRIP_ROWS = 256  # pictures are compared in strips of this height, to bound the memory
EXTENSIONS = pictures.TIFF | pictures.PNG | pictures.JPEG | phone_pictures.EXTENSIONS
MAX_EV = 0.15  # at white, where both measures meet, it is a CIEDE2000 of 2.3


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright picture: values H W 3 as stored, what they mean (None: linear Rec.2020), alpha H W 0..1.

    gain_ev is the gain map of a JPEG, as stored.
    """

    path: Path
    values: npt.NDArray[Any]
    encoding: Encoding | None
    black: float = 0.0
    white: float = 1.0
    alpha: Array64 | None = None
    gain_ev: Array64 | None = None

    def described(self) -> str:
        """Return the name, size and type."""
        return f"{self.path} ({self.values.shape[1]}x{self.values.shape[0]}, {self.values.dtype})"

    def is_srgb(self) -> bool:
        """Whether the stored values, scaled to 0..1, are sRGB."""
        if self.encoding is None or self.encoding.white_light != 1:
            return False
        srgb = picture_colour.SRGB
        is_same_matrix = np.allclose(self.encoding.to_working, srgb.to_working, atol=1e-4)  # ICC rounds
        return self.encoding.transfer == srgb.transfer and is_same_matrix


@dataclass(frozen=True, slots=True)
class Differences:
    """The differences of two pictures; counts are of pixels.

    max_gain_ev is that of the gain maps, infinite when only one has one or their sizes differ. psnr_db and
    ssim are those of sRGB values 0..1 (psnr_db is infinite for equal pictures). Pixels of which a
    value is no finite number in either picture count in not_finite, where they are not the same also in
    not_finite_differ; the other measures leave them out (psnr_db and ssim: as black).
    """

    max_delta_e: float
    mean_delta_e: float
    max_ev: float
    max_gain_ev: float
    psnr_db: float
    ssim: float
    not_finite: int
    not_finite_differ: int

    def exceeded(self, max_delta_e: float, max_ev: float) -> list[str]:
        """Return what is beyond the limits, in words; nothing when the pictures agree."""
        found = []
        if self.not_finite_differ:
            found.append(f"{self.not_finite_differ} pixels are numbers in one picture only")
        if not self.max_delta_e <= max_delta_e:
            found.append(f"CIEDE2000 {self.max_delta_e:.4g} is above {max_delta_e:g}")
        if not self.max_ev <= max_ev:
            found.append(f"{self.max_ev:.4g} EV of light above white is above {max_ev:g}")
        if not np.isfinite(self.max_gain_ev):
            found.append("only one has a gain map, or their sizes differ")
        elif not self.max_gain_ev <= max_ev:
            found.append(f"{self.max_gain_ev:.4g} EV of the gain maps is above {max_ev:g}")
        return found

    def to_dict(self) -> dict[str, float | None]:
        """Return the measures as plain values for JSON, which has no infinity."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value if np.isfinite(value) else None for name, value in values.items()}


@dataclass(slots=True)
class _Sums:
    """What is added up over strips."""

    max_delta_e: float = 0.0
    delta_e: float = 0.0
    compared: int = 0
    max_ev: float = 0.0
    squared: float = 0.0
    ssim: float = 0.0  # weighted by rows
    ssim_rows: int = 0
    not_finite: int = 0
    not_finite_differ: int = 0


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows of two pictures compared: per pixel CIEDE2000, EV above white, and whether finite and the same."""

    delta_e: Array64
    ev: Array64
    is_finite: npt.NDArray[np.bool_]
    is_same: npt.NDArray[np.bool_] = field(repr=False)  # of pixels that are not finite


def pairs(first: Path, second: Path) -> list[tuple[str, Path | None, Path | None]]:
    """Return the pictures of two folders by their path inside them; None where one has no such picture.

    LongexpoError when neither has any.
    """
    ones, others = _pictures_in(first), _pictures_in(second)
    if not ones and not others:
        raise LongexpoError(f"{first} and {second}: no pictures to compare")
    return [(name, ones.get(name), others.get(name)) for name in sorted({*ones, *others})]


def _pictures_in(root: Path) -> dict[str, Path]:
    found = (path for _, files in folder.walk(root) for path in files)
    return {path.relative_to(root).as_posix(): path for path in found if path.suffix.lower() in EXTENSIONS}


def read(path: Path) -> Picture:
    """Return a picture of 8 or 16 bits or of scene-linear floats; LongexpoError for others."""
    light = pictures.stored_floats(path)
    if light is not None:
        return Picture(path, light, None)
    stored = _decoded(path)
    if stored is None or stored.dtype not in (np.uint8, np.uint16, np.float32):
        raise LongexpoError(
            f"{path}: unsupported image format; pass 8- or 16-bit images or scene-linear .tif files"
        )
    stored = stored[..., None] if stored.ndim == 2 else stored
    is_float = stored.dtype == np.float32
    colours = stored[..., :3] if stored.shape[2] >= 3 else np.repeat(stored[..., :1], 3, axis=2)
    alpha = np.asarray(stored[..., -1], np.float64) if stored.shape[2] in (2, 4) else None
    if alpha is not None and not np.isfinite(alpha).all():
        raise LongexpoError(f"{path}: has an alpha channel with values that are no numbers")
    if is_float:
        return Picture(path, colours, None, alpha=alpha)
    top = float(np.iinfo(stored.dtype).max)
    encoding, black, white = picture_colour.UNTAGGED, 0.0, top
    if path.suffix.lower() in EXTENSIONS:
        info = pictures.image_info(path)
        encoding, black, white = info.colour, info.min_value, min(info.max_value, top)
    if encoding.transfer.curve == "decoded":
        raise LongexpoError(f"{path}: has a colour profile that cannot be compared ({encoding.name})")
    alpha = None if alpha is None else alpha / white
    return Picture(path, colours, encoding, black, white, alpha, _gain_ev(path))


def _gain_ev(path: Path) -> Array64 | None:
    """Return the gain map of a JPEG, None for other files and without one."""
    if path.suffix.lower() not in pictures.JPEG:
        return None
    try:
        return gain_map.read(path.read_bytes())
    except gain_map.GainMapError as error:
        raise LongexpoError(f"{path}: {error}, which cannot be compared") from error


def _decoded(path: Path) -> npt.NDArray[Any] | None:
    """Return stored values H W or H W C, red first, upright, with alpha; None when they cannot be decoded."""
    import cv2

    if path.suffix.lower() in phone_pictures.EXTENSIONS:
        try:
            values: npt.NDArray[Any] = phone_pictures.decode(path)
        except phone_pictures.PhonePictureError as error:
            raise LongexpoError(f"{path}: {error}") from error
        return upright_view(values, pictures.image_info(path).orientation or 1)
    upright = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if upright is None:
        return None
    colours = np.asarray(upright[..., ::-1])
    whole = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if whole is None or whole.ndim != 3 or whole.shape[2] != 4 or whole.shape[:2] != colours.shape[:2]:
        return colours
    return np.concatenate([colours, whole[..., 3:]], axis=2)


def compare(first: Picture, second: Picture) -> Differences:
    """Return the differences of two pictures of one size and kind (see comparable); alpha as in strips."""
    require_comparable(first, second)
    sums = _Sums()
    height, width = first.values.shape[:2]
    for rows, strip in strips(first, second):
        finite, sums.not_finite = strip.is_finite, sums.not_finite + int((~strip.is_finite).sum())
        sums.not_finite_differ += int((~strip.is_same).sum())
        sums.max_delta_e = max(sums.max_delta_e, float(strip.delta_e.max()))
        sums.max_ev = max(sums.max_ev, float(strip.ev.max()))
        sums.delta_e += float(strip.delta_e.sum())
        sums.compared += int(finite.sum())
        _add_similarity(sums, first, second, rows, height)
    mean_squared = sums.squared / (3 * height * width)
    return Differences(
        max_delta_e=sums.max_delta_e,
        mean_delta_e=sums.delta_e / sums.compared if sums.compared else 0.0,
        max_ev=sums.max_ev,
        max_gain_ev=_gain_difference(first.gain_ev, second.gain_ev),
        psnr_db=float(-10 * np.log10(mean_squared)) if mean_squared else float("inf"),
        ssim=sums.ssim / sums.ssim_rows,
        not_finite=sums.not_finite,
        not_finite_differ=sums.not_finite_differ,
    )


def _gain_difference(first: Array64 | None, second: Array64 | None) -> float:
    if first is None and second is None:
        return 0.0
    if first is None or second is None or first.shape != second.shape:
        return float("inf")
    return float(np.abs(first - second).max())


def for_screen(picture: Picture, step: int) -> Array8:
    """Return every step-th pixel as 8-bit sRGB, cut at white; values that are no numbers are black."""
    alpha = None if picture.alpha is None else picture.alpha[::step, ::step]
    small = replace(picture, values=picture.values[::step, ::step], alpha=alpha)
    return np.rint(np.clip(_srgb(small, slice(None)), 0, 1) * 255).astype(np.uint8)


def require_comparable(first: Picture, second: Picture) -> None:
    """Raise LongexpoError when the sizes differ, or only one is scene-linear."""
    is_same_kind = (first.encoding is None) == (second.encoding is None)
    if first.values.shape == second.values.shape and is_same_kind:
        return
    raise LongexpoError(
        f"{first.described()} and {second.described()} cannot be compared; pass two images of 8 or 16 bits, "
        "or two scene-linear files, of the same size"
    )


def strips(first: Picture, second: Picture) -> Iterator[tuple[slice, Strip]]:
    """Yield the rows of two pictures and their differences, strip by strip.

    Where a picture has alpha, both are laid on black and on white, and the larger difference counts; a
    picture without alpha is opaque.
    """
    has_alpha = first.alpha is not None or second.alpha is not None
    for y in range(0, first.values.shape[0], STRIP_ROWS):
        rows = slice(y, y + STRIP_ROWS)
        if not has_alpha:
            yield rows, _strip(first, second, rows, None)
            continue
        dark, bright = (_strip(first, second, rows, background) for background in (0.0, 1.0))
        yield (
            rows,
            Strip(
                np.maximum(dark.delta_e, bright.delta_e),
                np.maximum(dark.ev, bright.ev),
                dark.is_finite,
                dark.is_same,
            ),
        )


def _strip(first: Picture, second: Picture, rows: slice, background: float | None) -> Strip:
    a, b = first.values[rows], second.values[rows]
    is_finite, is_same = np.ones(a.shape[:2], bool), np.ones(a.shape[:2], bool)
    if a.dtype.kind == "f":
        is_finite = np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1)
        is_same = is_finite | ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=-1)
    if background is None and first.is_srgb() and second.is_srgb():  # no light is above white
        delta_e = metrics.delta_e_2000(*(metrics.srgb_to_lab(_scaled(p, rows)) for p in (first, second)))
        return Strip(delta_e, np.zeros_like(delta_e), is_finite, is_same)
    one, other = _light(first, rows, background), _light(second, rows, background)
    labs = [metrics.light_to_lab(np.minimum(light, 1), "rec2020") for light in (one, other)]
    delta_e = np.where(is_finite, metrics.delta_e_2000(*labs), 0)
    ratios = np.log2(np.maximum(one, 1)) - np.log2(np.maximum(other, 1))
    return Strip(delta_e, np.where(is_finite, np.abs(ratios).max(axis=-1), 0), is_finite, is_same)


def _scaled(picture: Picture, rows: slice) -> Array64:
    """Return stored values scaled so that black is 0 and white 1; those that are no finite numbers are 0."""
    values = np.asarray(picture.values[rows], np.float64)
    values = np.where(np.isfinite(values), values, 0) if picture.values.dtype.kind == "f" else values
    return np.asarray((values - picture.black) / (picture.white - picture.black), np.float64)


def _light(picture: Picture, rows: slice, background: float | None) -> Array64:
    """Return linear Rec.2020 light, laid on a background of 0 or 1 (None: as stored), 1 = white."""
    scaled = _scaled(picture, rows)
    if background is not None:
        alpha = np.ones(scaled.shape[:2]) if picture.alpha is None else picture.alpha[rows]
        scaled = scaled * alpha[..., None] + background * (1 - alpha[..., None])
    if picture.encoding is None:
        return scaled
    light = colour.decode(scaled, picture.encoding.transfer) @ picture.encoding.to_working.T
    return np.asarray(light * picture.encoding.white_light, np.float64)


def _srgb(picture: Picture, rows: slice) -> Array64:
    """Return sRGB values 0..1."""
    if picture.is_srgb():
        return _scaled(picture, rows)
    light = _light(picture, rows, None) @ colour.between("rec2020", "srgb").T
    return np.asarray(colour.srgb_encode(light), np.float64)


def _add_similarity(sums: _Sums, first: Picture, second: Picture, rows: slice, height: int) -> None:
    """Add a strip's squared differences and SSIM; windows of SSIM reach into the strips beside it."""
    margin = metrics.SSIM_RADIUS_PX
    a, b = _srgb(first, rows), _srgb(second, rows)
    sums.squared += float(((a - b) ** 2).sum())
    around = slice(max(rows.start - margin, 0), rows.stop + margin)
    count = len(first.values[around]) - 2 * margin if height > 2 * margin else len(a)
    if count > 0:
        sums.ssim += count * metrics.ssim(_srgb(first, around), _srgb(second, around), 1.0)
        sums.ssim_rows += count
