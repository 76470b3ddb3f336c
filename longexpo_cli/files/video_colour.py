"""What the code points of a video's colours (ITU-T H.273, tables 2 to 4) mean, whichever library decodes.

BT.601, BT.709 and BT.2020 are shown by the curve of the display, and pictures are made for one like sRGB's.
"""

from __future__ import annotations

from longexpo_cli import colour
from longexpo_cli.arrays import Array64
from longexpo_cli.files.clip import UnsupportedVideoError
from longexpo_cli.types import Transfer

MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
UNSPECIFIED = 2
HD_ROWS = 720  # frames without a named matrix have BT.709's from this height on, else BT.601's
_BT709, _BT2020 = 1, 9
_SRGB_LIKE = frozenset({1, 2, 6, 7, 11, 12, 13, 14, 15})
_TRANSFERS = {
    **dict.fromkeys(_SRGB_LIKE, (colour.SRGB, 1.0)),
    4: (Transfer("gamma", 2.2), 1.0),
    5: (Transfer("gamma", 2.8), 1.0),
    8: (colour.LINEAR, 1.0),
    16: (Transfer("pq"), colour.PQ_WHITE),
    18: (Transfer("hlg"), colour.HLG_WHITE),
}
_PRIMARIES = {
    1: (colour.PRIMARIES["srgb"], colour.D65_XY),
    5: (colour.PRIMARIES["bt601-625"], colour.D65_XY),
    6: (colour.PRIMARIES["bt601-525"], colour.D65_XY),
    7: (colour.PRIMARIES["bt601-525"], colour.D65_XY),
    9: (colour.PRIMARIES["rec2020"], colour.D65_XY),
    11: (colour.PRIMARIES["display-p3"], (0.314, 0.351)),  # SMPTE RP 431-2, of cinemas
    12: (colour.PRIMARIES["display-p3"], colour.D65_XY),
    22: (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), colour.D65_XY),  # EBU Tech. 3213-E
}
_NAMES = {
    **{1: "BT.709", 5: "BT.601 (625 lines)", 6: "BT.601 (525 lines)", 7: "BT.601 (525 lines)", 9: "BT.2020"},
    **{11: "DCI-P3", 12: "Display P3", 22: "EBU 3213"},
}


def colours(primaries: int, transfer: int, matrix: int) -> tuple[Transfer, float, Array64, str]:
    """Return the transfer, the light of the largest value, the matrix to the working space, and a note or "".

    UnsupportedVideoError for code points that are not supported.
    """
    if transfer not in _TRANSFERS:
        raise UnsupportedVideoError(f"has a transfer curve that is not supported (H.273 code {transfer})")
    if primaries == UNSPECIFIED:
        primaries = _BT2020 if matrix == _BT2020 else _BT709
    if primaries not in _PRIMARIES:
        raise UnsupportedVideoError(f"has primaries that are not supported (H.273 code {primaries})")
    curve, white = _TRANSFERS[transfer]
    is_usual = primaries == _BT709 and transfer in _SRGB_LIKE
    note = "" if is_usual else f"colours: {_NAMES[primaries]}, {curve.curve.upper()}"
    return curve, white, colour.to_working(*_PRIMARIES[primaries]), note
