"""Videos through FFmpeg in OpenCV, which tells little of a frame: what it may decode wrongly is refused.

OpenCV converts frames to 8-bit BGR by the matrix and range that the video names, but does not say which, and
by that of BT.601 where none is named: the container and the headers of H.264 are read here. Where the
conversion fails, as for interlaced frames, it returns the frame before, or for the first memory that nobody
wrote: such frames are left out as repeated ones (files/video.py), and all are compared with their grey.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array8
from longexpo_cli.files import h264, video_colour, yuv
from longexpo_cli.files.clip import DecodedFrame, Span, StreamFacts, UnsupportedVideoError
from longexpo_cli.files.video_colour import HD_ROWS, UNSPECIFIED

_PLANAR = frozenset({"I420", "NV12", "NV21", "Y42B", "422P", "444P"})  # 8-bit luma and chroma
_PACKED = frozenset({"YUY2", "UYVY", "Y800", "GREY"})
_RGB = frozenset({"BGRA", "RGBA", "ARGB", "ABGR", "BGR\0", "RGB\0", "\0RGB", "\0BGR", "RGB\x18", "BGR\x18"})
_H264 = tuple(int.from_bytes(name, "little") for name in (b"h264", b"H264", b"avc1", b"avc3"))
_KEPT_PRIMARIES = (1, UNSPECIFIED, 5, 6, 7)  # others are converted to those of BT.709, and clamped
_MATROSKA_MATRIX = b"\x55\xb1\x81"  # MatrixCoefficients of one byte
_SEARCHED_BYTES = 1 << 24  # of a file, in which its index is looked for
_MAX_FRAME_COUNT = 1e8  # containers of unknown length report 0, a negative or a huge count
_LUMA = np.array([0.114, 0.587, 0.299], np.float32)  # of blue, green, red (ITU-R BT.601-7, 2.5.1)
_MAX_LUMA_ERROR = 6.0  # of 255, mean over a frame; sound frames have 0.3
_WAY_OUT = "pip install 'longexpo[video]' decodes it"
NOTE = "the video is decoded by OpenCV, which does not tell damage; pip install 'longexpo[video]' does"
_COLOURS_NOTE = "the colours of the video are not known without longexpo[video]: taken as OpenCV decodes them"


class OpenCvDecoder:
    """A video that is open in OpenCV."""

    def __init__(self, open_file: Callable[[], Span], *, is_checked: bool, is_counted: bool) -> None:
        """Open a video; UnsupportedVideoError when it is none, or OpenCV may decode it wrongly.

        open_file opens the file, which is read several times. is_checked: frames are compared with their
        grey. is_counted: its container has the number of frames, which OpenCV otherwise estimates.
        """
        import cv2

        self._is_counted = is_counted
        self._open: list[tuple[Any, Span]] = []
        try:
            self._capture = self._opened(open_file(), [])
            self._kind = _pixel_format(self._capture)
            grey = [cv2.CAP_PROP_CONVERT_RGB, 0]
            is_planar = self._kind in _PLANAR
            self._grey = self._opened(open_file(), grey) if is_checked and is_planar else None
            self._codes = self._named_codes(open_file) if is_planar else None
            self._facts = self._read_facts()
        except BaseException:
            self.close()
            raise

    @property
    def facts(self) -> StreamFacts:
        """What the container says."""
        return self._facts

    def close(self) -> None:
        """Close the video and its file."""
        for capture, file in self._open:
            capture.release()
            file.close()
        self._open.clear()

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield every frame from the first on; can be called once."""
        import cv2

        while self._capture.grab() and (self._grey is None or self._grey.grab()):
            time_ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
            yield DecodedFrame(time_ms / 1000, 0.0, (), False, False, self._rgb)

    def _rgb(self) -> Array8:
        decoded, values = self._capture.retrieve()
        if not decoded or values is None or values.ndim != 3 or values.shape[2] != 3:
            raise UnsupportedVideoError("cannot be decoded by OpenCV")
        if self._grey is not None:
            _compare(values, self._grey.retrieve()[1])
        rgb = np.ascontiguousarray(values[..., ::-1])
        return _as_bt709(rgb) if self._is_hd_without_matrix() else rgb

    def _is_hd_without_matrix(self) -> bool:
        """Whether OpenCV has used the matrix of SD video for a frame of HD, as none is named."""
        is_hd = self._facts.size_px[0] >= HD_ROWS
        return is_hd and self._codes is not None and self._codes[2] == UNSPECIFIED

    def _named_codes(self, open_file: Callable[[], Span]) -> tuple[int, int, int] | None:
        """Return the codes of primaries, transfer and matrix, None where they are not known."""
        import cv2

        with open_file() as file:
            named = container_codes(file)
        is_h264 = int(self._capture.get(cv2.CAP_PROP_FOURCC)) in _H264
        packets = self._opened(open_file(), [cv2.CAP_PROP_FORMAT, -1]) if is_h264 else None
        if packets is None or not packets.grab():
            return named
        index = int(packets.get(cv2.CAP_PROP_CODEC_EXTRADATA_INDEX))
        extradata = packets.retrieve(None, index)[1]
        codes = None if extradata is None else h264.colour_codes(np.asarray(extradata).tobytes())
        return named if codes is None or (codes[2] == UNSPECIFIED and named) else codes

    def _opened(self, file: Span, parameters: list[int]) -> Any:
        import cv2

        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET: what fails is found here
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        source: Any = file
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, parameters)
        self._open.append((capture, file))
        if not capture.isOpened() or not capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0):
            raise UnsupportedVideoError("is not a readable video")
        return capture

    def _read_facts(self) -> StreamFacts:
        import cv2

        get = self._capture.get
        height, width = int(get(cv2.CAP_PROP_FRAME_HEIGHT)), int(get(cv2.CAP_PROP_FRAME_WIDTH))
        rate, frames = float(get(cv2.CAP_PROP_FPS)), float(get(cv2.CAP_PROP_FRAME_COUNT))
        if height < 1 or width < 1:
            raise UnsupportedVideoError("has no frames")
        number, divisor = float(get(cv2.CAP_PROP_SAR_NUM)), float(get(cv2.CAP_PROP_SAR_DEN))
        turned = round(get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        known = self._is_counted and 0 < frames < _MAX_FRAME_COUNT
        transfer, white, to_working, named = video_colour.colours(*(self._codes or (UNSPECIFIED,) * 3))
        if self._codes and (self._codes[0] not in _KEPT_PRIMARIES or transfer.curve != "srgb"):
            raise UnsupportedVideoError(f"has {named}, which OpenCV does not keep; {_WAY_OUT}")
        notes = [NOTE, _COLOURS_NOTE if self._codes is None else _matrix_note(self._codes[2], height), named]
        return StreamFacts(
            size_px=(height, width),
            pixel_aspect=number / divisor if number > 0 and divisor > 0 else 1.0,
            orientation={90: 6, 180: 3, 270: 8}.get(turned, 1),
            bits=8,
            transfer=transfer,
            to_working=to_working,
            white=white,
            rate_hz=rate if 0 < rate < np.inf else None,
            frames=int(frames) if known else None,
            duration_s=frames / rate if known and 0 < rate < np.inf else None,
            about_frames=int(frames) if 0 < frames < _MAX_FRAME_COUNT else None,
            notes=() if self._kind in _RGB else tuple(filter(None, notes)),
        )


def container_codes(file: Span) -> tuple[int, int, int] | None:
    """Return the codes of primaries, transfer and matrix in an MP4's box colr or in Matroska; None without.

    Only the start and the end of the file are searched, where the index is.
    """
    size = file.seek(0, os.SEEK_END)
    for start in (0, max(size - _SEARCHED_BYTES, 0)):
        file.seek(start)
        data = file.read(_SEARCHED_BYTES)
        for name in (b"colrnclx", b"colrnclc"):
            at = data.find(name) + 8
            if at >= 8 and at + 6 <= len(data):
                a, b, c = (int.from_bytes(data[at + n : at + n + 2], "big") for n in (0, 2, 4))
                return a, b, c
        at = data.find(_MATROSKA_MATRIX, 0, 1 << 16)
        if at >= 0:
            return UNSPECIFIED, UNSPECIFIED, data[at + 3]
    return None


def _matrix_note(matrix: int, rows: int) -> str:
    if matrix != UNSPECIFIED:
        return ""
    return f"the video does not name its matrix; that of {'BT709' if rows >= HD_ROWS else 'BT601'} is used"


def _as_bt709(values: Array8) -> Array8:
    """Return RGB made by the matrix of BT.601 as that of BT.709 makes it; clamped values stay so."""
    import cv2

    turn = _from_luma("bt709") @ np.linalg.inv(_from_luma("bt601"))
    turned: Any = cv2.transform(values, turn)  # rounds and clamps
    return np.asarray(turned, np.uint8)


def _from_luma(matrix: str) -> Any:
    """Return the matrix from luma and the two differences of colour to R, G, B."""
    kr, kb = yuv.LUMA_WEIGHTS[matrix]
    kg = 1 - kr - kb
    return np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )


def _compare(values: Any, grey: Any) -> None:
    """UnsupportedVideoError when values, H W 3 BGR, are not the colours of the grey that was decoded."""
    if grey is None or grey.shape != values.shape[:2]:
        raise UnsupportedVideoError("cannot be decoded by OpenCV")
    luma = values.astype(np.float32) @ _LUMA
    errors = [np.abs(grey - expected).mean() for expected in (luma * (219 / 255) + 16, luma)]
    if min(errors) > _MAX_LUMA_ERROR:
        raise UnsupportedVideoError(
            f"has frames that OpenCV cannot convert, as interlaced ones; {_WAY_OUT}, or deinterlace it: "
            "ffmpeg -i IN -vf bwdif=send_frame -crf 12 OUT.mp4"
        )


def _pixel_format(capture: Any) -> str:
    """Return the four characters of the decoder's type of pixels; UnsupportedVideoError unless 8 bits."""
    import cv2

    code = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT))
    kind = code.to_bytes(4, "little", signed=False).decode("latin-1") if 0 < code < 1 << 32 else ""
    if not kind:
        raise UnsupportedVideoError("has no frame that can be decoded")
    if kind not in _PLANAR | _PACKED | _RGB:
        named = kind.encode("unicode_escape").decode()
        raise UnsupportedVideoError(
            f"has pixels of the type {named}, which OpenCV would reduce to 8 bits; {_WAY_OUT}"
        )
    return kind
