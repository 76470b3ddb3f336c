"""Videos through FFmpeg in OpenCV, which tells little of a frame: what it may decode wrongly is refused.

OpenCV converts frames to 8-bit BGR by the tags of the video, but does not say which. Where the conversion
fails, as for interlaced frames, it returns the frame before, or for the first memory that nobody wrote: such
frames are left out as repeated ones (files/video.py), and all are compared with the grey that is decoded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from longexpo_cli import colour
from longexpo_cli.arrays import Array8
from longexpo_cli.files.clip import DecodedFrame, Span, StreamFacts, UnsupportedVideoError

_PLANAR = frozenset({"I420", "NV12", "NV21", "Y42B", "422P", "444P"})  # 8-bit luma and chroma
_PACKED = frozenset({"YUY2", "UYVY", "Y800", "GREY"})
_RGB = frozenset({"BGRA", "RGBA", "ARGB", "ABGR", "BGR\0", "RGB\0", "\0RGB", "\0BGR", "RGB\x18", "BGR\x18"})
_MAX_FRAME_COUNT = 1e8  # containers of unknown length report 0, a negative or a huge count
_LUMA = np.array([0.114, 0.587, 0.299], np.float32)  # of blue, green, red (ITU-R BT.601-7, 2.5.1)
_MAX_LUMA_ERROR = 6.0  # of 255, mean over a frame; sound frames have 0.3
_WAY_OUT = "pip install 'longexpo[video]' decodes it"
NOTE = (
    "the video is decoded by OpenCV, which tells neither colour tags nor damage; "
    "pip install 'longexpo[video]' does"
)


class OpenCvDecoder:
    """A video that is open in OpenCV; with grey, the same file again, frames are checked as they are read."""

    def __init__(self, file: Span, grey: Span | None, is_counted: bool) -> None:
        """Open a video; UnsupportedVideoError when it is none, or OpenCV may decode it wrongly.

        is_counted: its container has the number of frames, which OpenCV otherwise estimates.
        """
        import cv2

        self._file, self._grey_file, self._is_counted = file, grey, is_counted
        self._capture: Any = None
        self._grey: Any = None
        try:
            self._capture = _opened(file, [])
            self._grey = None if grey is None else _opened(grey, [cv2.CAP_PROP_CONVERT_RGB, 0])
            self._kind = _pixel_format(self._capture)
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
        for capture, file in ((self._capture, self._file), (self._grey, self._grey_file)):
            if capture is not None:
                capture.release()
            if file is not None:
                file.close()

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield every frame from the first on; can be called once."""
        import cv2

        while self._capture.grab() and (self._grey is None or self._grey.grab()):
            time_ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
            yield DecodedFrame(time_ms / 1000, 0.0, (), False, False, False, self._rgb)

    def _rgb(self) -> Array8:
        decoded, values = self._capture.retrieve()
        if not decoded or values is None or values.ndim != 3 or values.shape[2] != 3:
            raise UnsupportedVideoError("cannot be decoded by OpenCV")
        if self._grey is not None and self._kind in _PLANAR:
            _compare(values, self._grey.retrieve()[1])
        return np.ascontiguousarray(values[..., ::-1])

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
        return StreamFacts(
            size_px=(height, width),
            pixel_aspect=number / divisor if number > 0 and divisor > 0 else 1.0,
            orientation={90: 6, 180: 3, 270: 8}.get(turned, 1),
            bits=8,
            transfer=colour.SRGB,
            to_working=colour.between("srgb", "rec2020"),
            white=1.0,
            rate_hz=rate if 0 < rate < np.inf else None,
            frames=int(frames) if known else None,
            duration_s=frames / rate if known and 0 < rate < np.inf else None,
            about_frames=int(frames) if 0 < frames < _MAX_FRAME_COUNT else None,
            notes=() if self._kind in _RGB else (NOTE,),
        )


def _opened(file: Span, parameters: list[int]) -> Any:
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet (AV_LOG_QUIET): what fails is found here
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    source: Any = file
    capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, parameters)
    if not capture.isOpened() or not capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0):
        raise UnsupportedVideoError("is not a readable video")
    return capture


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
