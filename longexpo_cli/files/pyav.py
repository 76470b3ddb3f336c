"""Videos through PyAV, which has all that FFmpeg knows of a frame.

PyAV is optional (`pip install 'longexpo[video]'`): its wheels hold GPL codecs.
"""

from __future__ import annotations

import importlib.util
import re
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array, Array8, Array16
from longexpo_cli.files import video_colour, yuv
from longexpo_cli.files.clip import DecodedFrame, Fields, Span, StreamFacts, UnsupportedVideoError
from longexpo_cli.files.prediction import Decoded, Prediction
from longexpo_cli.files.slice_ends import SliceEnds
from longexpo_cli.files.video_colour import HD_ROWS, MATRICES, UNSPECIFIED

_PLANAR = re.compile(r"(yuva?j?4\d\dp|gbra?p|gray)(9|10|12|14|16)?(le)?")
_REPACKED = {  # the planar format that holds the same samples
    **{"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "yuyv422": "yuv422p", "uyvy422": "yuv422p"},
    **{"p010le": "yuv420p10le", "p210le": "yuv422p10le", "y210le": "yuv422p10le"},
    **dict.fromkeys(("rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr"), "rgb24"),
    **dict.fromkeys(("bgr24", "pal8", "rgb565le", "rgb555le"), "rgb24"),
}
_RGB = 0
_FULL_RANGE = 2
_CONTAINER_TICKS_HZ = 1e6  # AV_TIME_BASE
_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC
_CLOCK = re.compile(r"(\d+):(\d+):(\d+\.?\d*)")
_DOLBY_TAGS = frozenset({"dvh1", "dvhe", "dva1", "dvav", "dav1"})
_BWDIF = {
    "as flagged": "deint=interlaced",
    "top first": "parity=tff:deint=all",
    "bottom first": "parity=bff:deint=all",
}
# a, b, c, d of a display matrix, x' = a x + c y, y' = b x + d y, and the EXIF orientation that does the same.
_ORIENTATIONS = {
    **{(1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4},
    **{(0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8},
}


def is_installed() -> bool:
    """Whether PyAV can be imported."""
    return importlib.util.find_spec("av") is not None


def _lenient(version: str) -> dict[str, str]:
    """Return the arguments with which a version of PyAV opens a file whose tags are not UTF-8.

    From 19.0 on it takes any bytes, and there is no such argument.
    """
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


class PyAvDecoder:
    """A video that is open in PyAV; fields other than "" make one frame of each pair of fields."""

    def __init__(self, file: Span, fields: Fields = "", *, is_checked: bool = False) -> None:
        """Open a video; UnsupportedVideoError when it is none, or its pixels or colours are not supported.

        is_checked: damage is looked for that FFmpeg does not tell.
        """
        import av

        self._file = file
        try:
            self._container: Any = av.open(file, "r", **_lenient(av.__version__))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise UnsupportedVideoError(f"is not a readable video ({_reason(error)})") from error
        try:
            self._stream = _pictures(self._container)
            self._stream.thread_type = "AUTO"
            is_h264 = self._stream.codec_context.name == "h264"
            self._ends = SliceEnds(self._stream) if is_checked and is_h264 else None
            self._decoded = self._decode_predicted()
            first = next(self._decoded, None)
            if first is None:
                raise UnsupportedVideoError("has no frame that can be decoded")
            self._first = first
            self._facts, self._matrix, self._is_full = _facts(self._stream, first[0])
            self._is_centred = self._stream.codec_context.name == "mjpeg"
            self._fields = fields
        except BaseException:
            self.close()
            raise

    @property
    def facts(self) -> StreamFacts:
        """What the container and the first frame say."""
        return self._facts

    def close(self) -> None:
        """Close the video and its file."""
        self._container.close()
        self._file.close()

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield every frame from the first on; can be called once."""
        for frame, is_damaged in self._deinterlaced() if self._fields else self._all():
            planes = _planes(frame)
            yield DecodedFrame(
                time_s=None if frame.pts is None else float(frame.pts * frame.time_base),
                duration_s=float((frame.duration or 0) * frame.time_base),
                planes=planes,
                is_interlaced=bool(frame.interlaced_frame),
                is_damaged=is_damaged or planes[0].shape[:2] != self._facts.size_px,
                rgb=partial(self._rgb, planes, str(frame.format.name)),
            )

    def _rgb(self, planes: tuple[Array, ...], name: str) -> Array8 | Array16:
        if name.startswith("gbr"):
            bits = _bits(name)
            values = np.stack([planes[2], planes[0], planes[1]], axis=-1)
            return values if bits == 8 else _to_16_bits(values, bits)
        if planes[0].ndim == 3:
            return planes[0]
        return yuv.to_rgb(planes, _bits(name), self._matrix, is_full=self._is_full, centred=self._is_centred)

    def _all(self) -> Iterator[tuple[Any, bool]]:
        yield self._first
        yield from self._decoded

    def _decode_predicted(self) -> Iterator[tuple[Any, bool]]:
        """Yield each decoded frame, and whether it is damaged or predicted from one that is."""
        prediction = Prediction()
        size = None
        for frame, is_flagged, is_after_lost in self._decode(prediction):
            size = size or (frame.height, frame.width)
            is_damaged = is_flagged or (frame.height, frame.width) != size
            is_reference = True  # as what is lost may be
            if self._ends is not None:
                is_damaged |= self._ends.is_damaged(frame.pts)
                is_reference = is_after_lost or self._ends.is_reference(frame.pts)
            yield from prediction.add(
                Decoded(frame, frame.pts, is_damaged, bool(frame.key_frame), is_reference)
            )
        yield from prediction.rest()

    def _decode(self, prediction: Prediction) -> Iterator[tuple[Any, bool, bool]]:
        """Yield each decoded frame, whether data was missing, and whether that was of packets before it."""
        import av

        lost = False
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if self._ends is not None:
                    self._ends.add(packet)
                if packet.size:
                    prediction.sent(packet.pts)
                decoded = packet.decode()
            except av.error.FFmpegError:
                if lost and packet is None:
                    return
                lost = True
                packet = None
                continue
            for frame in decoded:
                is_damaged = lost or bool(frame.is_corrupt) or bool(packet.is_corrupt and packet.size)
                yield frame, is_damaged, lost
                lost = False

    def _deinterlaced(self) -> Iterator[tuple[Any, bool]]:
        """Yield the frames with the fields of the second time interpolated (FFmpeg's filter bwdif)."""
        import av

        graph = av.filter.Graph()
        source = graph.add_buffer(template=self._stream, time_base=self._stream.time_base)
        bwdif = graph.add("bwdif", f"mode=send_frame:{_BWDIF[self._fields]}")
        graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
        damaged: list[bool] = []  # the filter yields as many frames as it gets, one later
        for frame, is_damaged in self._all():
            damaged.append(is_damaged)
            graph.push(frame)
            yield from self._pulled(graph, damaged)
        graph.push(None)
        yield from self._pulled(graph, damaged)

    @staticmethod
    def _pulled(graph: Any, damaged: list[bool]) -> Iterator[tuple[Any, bool]]:
        import av

        while True:
            try:
                yield graph.pull(), damaged.pop(0)
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)


def _pictures(container: Any) -> Any:
    """Return the stream of moving pictures, not that of a cover."""
    streams = [s for s in container.streams.video if not int(s.disposition) & _ATTACHED_PICTURE]
    if not streams:
        raise UnsupportedVideoError("has no video stream")
    streams = [s for s in streams if s.codec_context is not None]
    if not streams:
        raise UnsupportedVideoError("is encoded by a codec that is not known")
    return max(streams, key=lambda stream: stream.width * stream.height)


def _bits(name: str) -> int:
    matched = _PLANAR.fullmatch(name)
    return int(matched[2] or 8) if matched else 8


def _to_16_bits(values: Array, bits: int) -> Array16:
    peak = (1 << bits) - 1
    return np.asarray((values.astype(np.uint32) * 65535 + peak // 2) // peak, np.uint16)


def _planes(frame: Any) -> tuple[Array, ...]:
    """Return the samples of a frame: luma and chroma, grey, green with blue and red, or H W 3 RGB."""
    name = frame.format.name
    if name in _REPACKED:
        frame = frame.reformat(format=_REPACKED[name])
        name = frame.format.name
    if name == "rgb24":
        return (frame.to_ndarray(),)
    matched = _PLANAR.fullmatch(name)
    if not matched:
        raise UnsupportedVideoError(f"has pixels of the type {name}, which is not supported")
    kind = np.dtype("<u2") if matched[2] else np.dtype(np.uint8)
    count = 1 if matched[1] == "gray" else 3
    planes = []
    for plane in frame.planes[:count]:
        rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
        planes.append(rows[:, : plane.width])
    return tuple(planes)


def _orientation(frame: Any) -> int:
    try:
        data = bytes(frame.side_data["DISPLAYMATRIX"])
    except KeyError:
        return 1
    a, b, _, c, d = struct.unpack("<5i", data[:20])
    unit = max(abs(a), abs(b), abs(c), abs(d), 1)
    turned = (round(a / unit), round(b / unit), round(c / unit), round(d / unit))
    return _ORIENTATIONS.get(turned, 1)


def _facts(stream: Any, frame: Any) -> tuple[StreamFacts, str, bool]:
    """Return the facts, the matrix of luma and chroma, and whether values use the full range."""
    _planes(frame)  # UnsupportedVideoError for unknown types
    name = str(frame.format.name)
    is_yuv = name.startswith(("yuv", "nv", "p0", "p2", "y2", "uyvy"))
    codes = int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)
    transfer, white, to_working, named = video_colour.colours(*codes)
    matrix = _matrix(stream, frame) if is_yuv else "bt709"
    is_named = int(frame.colorspace) != UNSPECIFIED or not is_yuv
    note = f"the video does not name its matrix; that of {matrix.upper()} is used"
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    rate = stream.average_rate or stream.guessed_rate
    facts = StreamFacts(
        size_px=(int(frame.height), int(frame.width)),
        pixel_aspect=float(aspect) if aspect and aspect > 0 else 1.0,
        orientation=_orientation(frame),
        bits=8 if _bits(_REPACKED.get(name, name)) == 8 else 16,
        transfer=transfer,
        to_working=to_working,
        white=white,
        rate_hz=float(rate) if rate else None,
        frames=int(stream.frames) or None,
        duration_s=_promised(stream),
        about_frames=int(stream.frames) or _estimated(stream, rate),
        notes=tuple(filter(None, ("" if is_named else note, named))),
    )
    is_full = "yuvj" in name or not is_yuv or int(frame.color_range) == _FULL_RANGE
    return facts, matrix, is_full


def _promised(stream: Any) -> float | None:
    """Return how long the container says that the video is, in seconds."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    written = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))  # of Matroska
    if written:
        hours, minutes, seconds = map(float, written.groups())
        return 3600 * hours + 60 * minutes + seconds
    is_alone = len(stream.container.streams) == 1  # else the sound may be longer
    return stream.container.duration / _CONTAINER_TICKS_HZ if is_alone and stream.container.duration else None


def _estimated(stream: Any, rate: Any) -> int | None:
    """Return how many frames there may be, by the length of the container and the frame rate."""
    ticks = stream.container.duration
    return round(ticks / _CONTAINER_TICKS_HZ * float(rate)) if ticks and rate else None


def _matrix(stream: Any, frame: Any) -> str:
    code = int(frame.colorspace)
    is_dolby = str(stream.codec_context.codec_tag) in _DOLBY_TAGS and int(frame.color_trc) == UNSPECIFIED
    if is_dolby:
        raise UnsupportedVideoError("has the colours of Dolby Vision only; export it as HDR10 or HLG")
    if code == UNSPECIFIED:
        return "bt709" if frame.height >= HD_ROWS else "bt601"
    if code not in MATRICES:
        raise UnsupportedVideoError(f"has a colour matrix that is not supported (H.273 code {code})")
    return MATRICES[code]
