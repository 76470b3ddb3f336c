"""Slices of H.264 whose last bytes are not needed: damage with which a decoder finds no fault.

Damaged data of H.264 decode to other values, and from the first of them on bits are read for what they are
not, up to the end of the slice. A decoder stops with the last block, wherever in the data that is, and FFmpeg
does not say that bytes are left. So every slice is decoded a second time without its last bytes: a sound one
lacks them, which FFmpeg says. Where it does not, they are replaced by noise, which changes a sound picture.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli.files import h264

_CUT = 32  # bytes; from fewer, a decoder often reaches the last block all the same
_LEAST = 3 * _CUT  # bytes of a slice that is checked: next to nothing is in smaller ones
_DECODERS = 2  # at most, each of which cuts one slice of a frame; of more slices, they take turns
_KEPT = 64  # frames that may still come out of the decoders
_FREE_CLEARED = 16  # suspects that turn out sound; of more than these and a quarter of all frames,
_CLEARED = 0.25  # decoders seem not to say what is missing, and suspects are no longer looked at
_NOISE = bytes(np.random.default_rng(264).integers(1, 256, _CUT, np.uint8))  # without zeros: no start code


@dataclass(frozen=True, slots=True)
class _Sent:
    """A frame's units, the packet of the key frame before it (b"" for a key frame), and what is cut."""

    units: list[bytes]
    key: bytes
    cut: dict[int, int]  # the number of the unit that each decoder gets cut


class SliceEnds:
    """Which frames of an H.264 stream have slices that go on behind their last block."""

    def __init__(self, stream: Any) -> None:
        """Check a PyAV stream of H.264."""
        self._extradata = bytes(stream.codec_context.extradata or b"")
        self._length = h264.length_bytes(self._extradata)
        self._decoders: list[Any] = []
        self._sent: OrderedDict[int, _Sent] = OrderedDict()
        self._damaged: OrderedDict[int, None] = OrderedDict()
        self._key = b""
        self._frames = self._cleared = 0

    def add(self, packet: Any) -> None:
        """Check the next packet, before the frame of it is asked for; one without data ends the video."""
        data = bytes(packet)
        if not data:
            for n in range(len(self._decoders)):
                self._decode(n, None)
            return
        if packet.pts is None:
            return
        units = h264.split(data, self._length)
        slices = [n for n, unit in enumerate(units) if h264.is_slice(unit)]
        if packet.is_keyframe:
            self._key = data
            while len(self._decoders) < min(len(slices), _DECODERS):
                self._decoders.append(self._opened({"skip_loop_filter": "all"}))
        self._sent[packet.pts] = sent = _Sent(units, b"" if packet.is_keyframe else self._key, {})
        for n in range(len(self._decoders)):
            changed = list(units)
            if n < len(slices):
                # With more slices than decoders, other ones the next time.
                turn = self._frames * len(self._decoders) if len(slices) > len(self._decoders) else 0
                at = slices[(n + turn) % len(slices)]
                whole = h264.without_padding(units[at])
                if len(whole) >= _LEAST:
                    changed[at] = whole[:-_CUT]
                    sent.cut[n] = at
            self._decode(n, self._packet(changed, packet.pts, packet.dts))
        self._frames += 1
        while len(self._sent) > _KEPT:
            self._sent.popitem(last=False)

    def is_damaged(self, time: int | None) -> bool:
        """Whether the frame of this time, in ticks, has been read beyond what is its data."""
        if time is None or time not in self._damaged:
            return False
        del self._damaged[time]
        return True

    def is_reference(self, time: int | None) -> bool:
        """Whether other frames may be predicted from that of this time; True where it is not known."""
        sent = None if time is None else self._sent.get(time)
        slices = [] if sent is None else [unit for unit in sent.units if h264.is_slice(unit)]
        return not slices or any(map(h264.is_reference, slices))

    def _decode(self, n: int, packet: Any) -> None:
        import av

        try:
            frames = self._decoders[n].decode(packet)
        except av.error.FFmpegError:
            return  # what is cut is missed
        for frame in frames:
            sent = self._sent.get(frame.pts)
            if sent is not None and n in sent.cut and not frame.is_corrupt:
                self._look_closer(frame.pts, sent, sent.cut[n])

    def _look_closer(self, time: int, sent: _Sent, at: int) -> None:
        """Judge a suspect: a slice that was decoded without complaint although it was cut."""
        if time in self._damaged or self._cleared > _FREE_CLEARED + _CLEARED * self._frames:
            return
        noisy = list(sent.units)
        noisy[at] = h264.without_padding(noisy[at])[:-_CUT] + _NOISE
        pictures = [self._picture(sent.key, self._packet(units, 1, 1)) for units in (sent.units, noisy)]
        if pictures[0] and pictures[0] == pictures[1]:
            self._damaged[time] = None
            while len(self._damaged) > _KEPT:
                self._damaged.popitem(last=False)
        else:
            self._cleared += 1

    def _picture(self, key: bytes, packet: Any) -> list[bytes]:
        """Return the samples and motion vectors of a packet, decoded after a key frame only; [] without."""
        import av

        options = {"flags": "+output_corrupt", "flags2": "+showall+export_mvs", "skip_loop_filter": "all"}
        decoder = self._opened(options)
        first = av.Packet(key)
        first.pts = first.dts = 0
        frames = []
        for sent in (*([first] if key else []), packet, None):
            try:
                frames += decoder.decode(sent)
            except av.error.FFmpegError:
                continue
        found = [frame for frame in frames if frame.pts == packet.pts]
        vectors = [_vectors(frame) for frame in found]
        complaints = [bytes([frame.is_corrupt]) for frame in found if not key]
        return [*(bytes(plane) for frame in found for plane in frame.planes), *vectors, *complaints]

    def _opened(self, options: dict[str, str]) -> Any:
        import av

        decoder: Any = av.CodecContext.create("h264", "r")
        decoder.extradata = self._extradata
        decoder.thread_count = 1
        decoder.options = options
        return decoder

    def _packet(self, units: list[bytes], pts: int, dts: int | None) -> Any:
        import av

        packet = av.Packet(h264.joined(units, self._length))
        packet.pts, packet.dts = pts, dts
        return packet


def _vectors(frame: Any) -> bytes:
    """Return the motion vectors of a frame, field by field: bytes between the fields are not written."""
    try:
        vectors: Any = frame.side_data["MOTION_VECTORS"]
    except KeyError:
        return b""
    return repr(vectors.to_ndarray().tolist()).encode()
