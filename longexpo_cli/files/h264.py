"""H.264 (ITU-T H.264): the colours in its sequence parameter set (7.3.2.1, annex E), units of packets."""

from __future__ import annotations

from collections.abc import Sequence

_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_SPS = 7  # type of a NAL unit
_SLICES = (1, 5)  # types of NAL units: of a slice, and of one of a picture that needs no other
_START_CODE = b"\0\0\1"
_EXTENDED_SAR = 255
UNSPECIFIED = 2  # code point of ITU-T H.273


class _Bits:
    """A reader of bits, the most significant of each byte first; IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | (self._data[self._at >> 3] >> (7 - (self._at & 7)) & 1)
            self._at += 1
        return value

    def golomb(self) -> int:
        """Return an unsigned Exp-Golomb number (9.1)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        """Return a signed Exp-Golomb number (9.1.1)."""
        number = self.golomb()
        return (number + 1) // 2 if number & 1 else -(number // 2)


def colour_codes(extradata: bytes) -> tuple[int, int, int] | None:
    """Return the codes of primaries, transfer and matrix; None when no parameter set can be read.

    extradata is an avcC record, or NAL units after start codes.
    """
    sps = _parameter_set(extradata)
    if sps is None:
        return None
    try:
        return _read(_Bits(sps.replace(b"\0\0\3", b"\0\0")))  # without emulation prevention bytes (7.4.1)
    except IndexError:
        return None


def _parameter_set(extradata: bytes) -> bytes | None:
    """Return the content of the first sequence parameter set, after the header of its NAL unit."""
    if extradata[:1] == b"\1" and len(extradata) > 8:
        length = int.from_bytes(extradata[6:8], "big")
        return extradata[9 : 8 + length] if extradata[8] & 31 == _SPS else None
    for unit in extradata.split(_START_CODE)[1:]:
        if unit and unit[0] & 31 == _SPS:
            return unit[1:]
    return None


def _read(bits: _Bits) -> tuple[int, int, int]:
    profile = bits.read(8)
    bits.read(16)  # constraints and level
    bits.golomb()
    if profile in _HIGH_PROFILES:
        _skip_high(bits)
    bits.golomb()
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.read(1)
        bits.signed(), bits.signed()
        for _ in range(bits.golomb()):
            bits.signed()
    bits.golomb()
    bits.read(1)
    bits.golomb(), bits.golomb()  # size
    if not bits.read(1):
        bits.read(1)
    bits.read(1)
    if bits.read(1):  # crop
        for _ in range(4):
            bits.golomb()
    return _usability(bits) if bits.read(1) else (UNSPECIFIED,) * 3


def _skip_high(bits: _Bits) -> None:
    """Read chroma, depth and scaling lists of the high profiles."""
    chroma = bits.golomb()
    if chroma == 3:
        bits.read(1)
    bits.golomb(), bits.golomb()
    bits.read(1)
    if not bits.read(1):
        return
    for n in range(12 if chroma == 3 else 8):
        if bits.read(1):
            last = following = 8
            for _ in range(16 if n < 6 else 64):
                if following:
                    following = (last + bits.signed()) % 256
                last = following or last


def _usability(bits: _Bits) -> tuple[int, int, int]:
    """Read the video usability information up to the colours (E.1.1)."""
    if bits.read(1) and bits.read(8) == _EXTENDED_SAR:
        bits.read(32)
    if bits.read(1):
        bits.read(1)
    if bits.read(1):
        bits.read(4)
        if bits.read(1):
            return bits.read(8), bits.read(8), bits.read(8)
    return (UNSPECIFIED,) * 3


def length_bytes(extradata: bytes) -> int:
    """Return how many bytes the length before each NAL unit has, 0 where start codes are between them."""
    return (extradata[4] & 3) + 1 if extradata[:1] == b"\1" and len(extradata) > 4 else 0


def split(packet: bytes, length: int) -> list[bytes]:
    """Return the NAL units of a packet; length is that of `length_bytes`. What is cut off is left out."""
    if not length:
        return [unit for unit in (part.rstrip(b"\0") for part in packet.split(_START_CODE)[1:]) if unit]
    units, at = [], 0
    while at + length < len(packet):
        size = int.from_bytes(packet[at : at + length], "big")
        at += length + size
        if size > 0 and at <= len(packet):
            units.append(packet[at - size : at])
    return units


def joined(units: Sequence[bytes], length: int) -> bytes:
    """Return the packet of NAL units that `split` splits."""
    between = [len(unit).to_bytes(length, "big") if length else b"\0" + _START_CODE for unit in units]
    return b"".join(part for pair in zip(between, units, strict=True) for part in pair)


def is_slice(unit: bytes) -> bool:
    """Whether a NAL unit has a part of a picture."""
    return unit[0] & 31 in _SLICES


def is_reference(unit: bytes) -> bool:
    """Whether other pictures may be predicted from that of a NAL unit (nal_ref_idc)."""
    return bool(unit[0] & 0x60)


def without_padding(unit: bytes) -> bytes:
    """Return a slice without the zeros that may follow it (cabac_zero_words, 7.4.2.10)."""
    unit = unit.rstrip(b"\0")
    while unit.endswith(b"\0\0\3"):
        unit = unit[:-3].rstrip(b"\0")
    return unit
