"""Colour spaces and transfer curves: linear Rec.2020 D65 is the working space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array64
from longexpo_cli.types import Transfer

XY = tuple[float, float]

D65_XY = (0.3127, 0.3290)
PRIMARIES: dict[str, tuple[XY, XY, XY]] = {  # x, y of red, green, blue
    "rec2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "srgb": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),  # also those of BT.709
    "display-p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "adobe-rgb": ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)),
    "bt601-525": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),  # SMPTE 170M
    "bt601-625": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),  # EBU 3213
}
SRGB = Transfer("srgb")
LINEAR = Transfer("linear")
ADOBE_GAMMA = 563 / 256  # Adobe RGB (1998), 4.3.4.2
SDR_WHITE_NITS = 203.0  # white of a graphic in an HDR picture (ITU-R BT.2408-7, table 1)
PQ_WHITE = 10_000 / SDR_WHITE_NITS  # light of PQ's largest value, 1.0 = white (Shot.wb_gains)
HLG_WHITE = 1 / 0.26496256  # the same of HLG, whose white is at 75 % of the signal (BT.2408-7, table 1)
# Code points of video and of cICP and nclx tags (ITU-T H.273, tables 2 and 3). 2 means unspecified.
_PRIMARIES_OF_CODE = {
    **{1: "srgb", 2: "srgb", 5: "bt601-625", 6: "bt601-525", 7: "bt601-525", 9: "rec2020"},
    **{11: "display-p3", 12: "display-p3"},
}
_DCI_WHITE_CODE = 11  # the primaries of Display P3 with the white of cinema projectors
_DCI_WHITE_XY = (0.314, 0.351)
_TRANSFER_OF_CODE = {
    **dict.fromkeys((1, 6, 14, 15), Transfer("bt709")),
    **{2: SRGB, 4: Transfer("gamma", 2.2), 5: Transfer("gamma", 2.8), 8: LINEAR, 13: SRGB},
    **{16: Transfer("pq"), 18: Transfer("hlg")},
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
LUMINANCE = np.array([0.2627, 0.6780, 0.0593])  # Rec.2020 (ITU-R BT.2020-2, table 4)
SRGB_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of Rec.709 primaries (ITU-R BT.709-6, 3.2)
GAIN_OFFSET = (
    1 / 64
)  # added to HDR and SDR before their ratio is taken (Ultra HDR image format v1.1, OffsetSDR)


def to_xyz(space: str) -> Array64:
    """Return the 3x3 matrix from a linear RGB space to CIE XYZ, white Y = 1 (SMPTE RP 177)."""
    return xy_to_xyz(PRIMARIES[space], D65_XY)


def xy_to_xyz(primaries: tuple[XY, XY, XY], white: XY) -> Array64:
    """Return the 3x3 matrix from linear RGB of these chromaticities to CIE XYZ, white Y = 1 (SMPTE RP 177).

    LinAlgError when the primaries are on one line.
    """
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    result: Any = columns * np.linalg.solve(columns, _white_xyz(white))
    return np.asarray(result, np.float64)


def _white_xyz(white: XY) -> Array64:
    x, y = white
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_working(primaries: tuple[XY, XY, XY], white: XY = D65_XY) -> Array64:
    """Return the 3x3 matrix from linear RGB of these chromaticities to the working space; rows sum to 1.

    A white other than D65 is adapted to it (Bradford; ICC.1:2022, annex E).
    """
    cones, target = _BRADFORD @ _white_xyz(white), _BRADFORD @ _white_xyz(D65_XY)
    adapted = np.linalg.solve(_BRADFORD, (target / cones)[:, None] * _BRADFORD)
    result: Any = np.linalg.solve(to_xyz("rec2020"), adapted @ xy_to_xyz(primaries, white))
    return np.asarray(result, np.float64)


def between(source: str, target: str) -> Array64:
    """Return the 3x3 matrix from one linear RGB space to another of the same white."""
    result: Any = np.linalg.inv(to_xyz(target)) @ to_xyz(source)
    return np.asarray(result, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """What R, G, B values mean: how they become light, the matrix to the working space, the light of 1.0.

    name is for people. profile is the ICC profile by which LittleCMS converts values whose transfer is
    "decoded".
    """

    transfer: Transfer
    to_working: Array64
    white_light: float
    name: str
    profile: bytes = b""


def from_code_points(primaries: int, transfer: int) -> Encoding:
    """Return what the code points of ITU-T H.273 mean; ValueError for those that are not supported."""
    if primaries not in _PRIMARIES_OF_CODE or transfer not in _TRANSFER_OF_CODE:
        raise ValueError(f"colour primaries {primaries} with transfer characteristics {transfer}")
    space, curve = _PRIMARIES_OF_CODE[primaries], _TRANSFER_OF_CODE[transfer]
    white_xy = _DCI_WHITE_XY if primaries == _DCI_WHITE_CODE else D65_XY
    white = {"pq": PQ_WHITE, "hlg": HLG_WHITE}.get(curve.curve, 1.0)
    return Encoding(curve, to_working(PRIMARIES[space], white_xy), white, f"{space}, {curve.curve}")


def camera_to_working(xyz_to_camera: Array64) -> Array64:
    """Return the matrix from white-balanced camera colours to the working space; rows sum to 1.

    xyz_to_camera is a DNG ColorMatrix for D65. Its product with Rec.2020 is scaled row by row so that white
    maps to white, then inverted (DNG 1.7, chapter 6; the row scaling is the division by the neutral).
    """
    to_camera = np.asarray(xyz_to_camera, np.float64) @ to_xyz("rec2020")
    to_camera = to_camera / to_camera.sum(axis=1, keepdims=True)
    result: Any = np.linalg.inv(to_camera)
    return np.asarray(result, np.float64)


def srgb_encode(light: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Encode linear light 0..1 with the sRGB curve (IEC 61966-2-1); values outside are clamped."""
    light = np.clip(light, 0, 1)
    low = light * 12.92
    high = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.asarray(np.where(light <= 0.0031308, low, high), light.dtype)


def srgb_decode(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Decode sRGB values 0..1 to linear light (IEC 61966-2-1)."""
    low = value / 12.92
    high = ((np.maximum(value, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.asarray(np.where(value <= 0.04045, low, high), value.dtype)


def as_srgb(pixels: npt.NDArray[np.uint8], space: str) -> npt.NDArray[np.uint8]:
    """Return display pixels H W 3 of a space with the curve of sRGB as sRGB; colours outside are cut."""
    if space == "srgb":
        return pixels
    light = srgb_decode(pixels / np.float32(255)) @ between(space, "srgb").T.astype(np.float32)
    return np.asarray(np.rint(srgb_encode(np.clip(light, 0, 1)) * 255), np.uint8)


def decode(value: npt.NDArray[Any], transfer: Transfer) -> npt.NDArray[Any]:
    """Decode values, 0..1 from black to white, to linear light 0..1.

    Values outside are continued by the curve, negative ones as by an odd function, except by PQ, HLG and
    samples, which clamp them. "bt709" is the inverse of the camera's curve, that of BT.601 and BT.2020 too
    (ITU-R BT.709-6, 1.2); "pq" SMPTE ST 2084; "hlg" ITU-R BT.2100-2, table 5.
    """
    if transfer.curve in ("linear", "decoded"):
        return value
    if transfer.curve == "srgb":
        return srgb_decode(value)
    if transfer.curve == "sampled":
        at = np.linspace(0, 1, len(transfer.samples))
        return np.asarray(np.interp(value, at, transfer.samples), value.dtype)
    if transfer.curve == "pq":
        root = np.clip(value, 0, 1) ** (32 / 2523)
        light = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
        return np.asarray(light ** (8192 / 1305), value.dtype)
    if transfer.curve == "hlg":
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        signal = np.clip(value, 0, 1)
        return np.asarray(
            np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12), value.dtype
        )
    size = np.abs(value)
    if transfer.curve == "gamma":
        return np.asarray(np.sign(value) * size**transfer.gamma, value.dtype)
    light = np.where(size < 0.081, size / 4.5, ((np.maximum(size, 0.081) + 0.099) / 1.099) ** (1 / 0.45))
    return np.asarray(np.sign(value) * light, value.dtype)


def soft_gamma(value: npt.NDArray[Any], k: float) -> npt.NDArray[Any]:
    """Return v / (v + (1 - v) k) for v in 0..1 (Tabellion 2023, equation 9); 1 / k inverts it."""
    return value / (value + (1 - value) * k)
