"""ICC profiles mean the space they are named after, and are reproducible."""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.files.icc import Space, icc_profile


@pytest.mark.parametrize("space", ["srgb", "display-p3", "rec2020-linear"])
def test_profiles_are_valid_and_mean_the_space(space: Space) -> None:
    profile = icc_profile(space)
    imagecodecs.cms_profile_validate(profile)
    linear = space == "rec2020-linear"
    values = np.random.default_rng(1).uniform(0.25, 0.7, (5, 7, 3)).astype(np.float32)
    shown = imagecodecs.cms_transform(
        values,
        profile,
        icc_profile("display-p3"),
        colorspace="rgb",
        outcolorspace="rgb",
        outdtype="f4",
    )
    light = values.astype(np.float64) if linear else colour.srgb_decode(values.astype(np.float64))
    truth = colour.srgb_encode(light @ colour.between("rec2020" if linear else space, "display-p3").T)
    inside = np.all((truth > 0) & (truth < 1), axis=-1)
    assert inside.any()
    assert np.abs(shown - truth)[inside].max() < 2e-4  # the profile's numbers have 16 bits


def profile_tags(profile: bytes) -> dict[bytes, bytes]:
    """Return the tags of a profile by their signature."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])
    return {name: profile[at : at + length] for name, at, length in entries}


@pytest.mark.parametrize(
    ("space", "primaries", "name"),
    [
        ("srgb", "srgb", "sRGB"),
        ("display-p3", "display-p3", "Display P3"),
        ("rec2020-linear", "rec2020", "Rec.2020 linear"),
    ],
)
def test_a_profile_has_the_primaries_the_curve_and_the_name(space: Space, primaries: str, name: str) -> None:
    profile = icc_profile(space)
    assert int.from_bytes(profile[:4], "big") == len(profile)
    tags = profile_tags(profile)
    d50 = np.array([0.9642, 1.0, 0.8249])
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    to_xyz = colour.to_xyz(primaries)
    scale = np.diag((bradford @ d50) / (bradford @ to_xyz.sum(axis=1)))
    adapted = np.linalg.inv(bradford) @ scale @ bradford @ to_xyz
    columns = [np.frombuffer(tags[key][8:], ">i4") / 65536 for key in (b"rXYZ", b"gXYZ", b"bXYZ")]
    assert np.abs(np.stack(columns, axis=1) - adapted).max() < 2e-5
    kind, *curve = struct.unpack(f">H2x{(len(tags[b'rTRC']) - 12) // 4}i", tags[b"rTRC"][8:])
    is_linear = space == "rec2020-linear"
    srgb = [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045]  # IEC 61966-2-1 as g, a, b, c, d
    assert kind == (0 if is_linear else 3)
    assert np.array(curve) / 65536 == pytest.approx([1.0] if is_linear else srgb, abs=1e-5)
    assert tags[b"gTRC"] == tags[b"bTRC"] == tags[b"rTRC"]
    assert tags[b"desc"][28:].decode("utf-16-be") == name


def test_a_profile_has_the_same_bytes_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = icc_profile("srgb")
    make = imagecodecs.cms_profile

    def made_later(*args: Any, **kwargs: Any) -> bytes:
        made = make(*args, **kwargs)
        return bytes(made[:24]) + b"\x07\xff" + bytes(made[26:])

    monkeypatch.setattr(imagecodecs, "cms_profile", made_later)
    icc_profile.cache_clear()
    assert icc_profile("srgb") == profile


def test_the_srgb_profile_agrees_with_littlecms() -> None:
    values = np.random.default_rng(2).integers(0, 256, (16, 16, 3), np.uint8)
    shown = imagecodecs.cms_transform(
        values,
        icc_profile("srgb"),
        imagecodecs.cms_profile("srgb"),
        colorspace="rgb",
        outcolorspace="rgb",
    )
    assert np.abs(shown.astype(int) - values).max() <= 1
