"""Phones, cameras, drones and action cameras by their names in EXIF; what is not known is not guessed."""

from __future__ import annotations

import pytest

from longexpo_cli.files.camera_kind import camera_kind


@pytest.mark.parametrize(
    ("camera", "kind"),
    [
        ("Apple iPhone 15 Pro", "phone"),
        ("Google Pixel 8", "phone"),
        ("samsung SM-S918B", "phone"),
        ("samsung Galaxy S23 Ultra", "phone"),
        ("SAMSUNG NX500", "camera"),
        ("SAMSUNG EK-GC100", "camera"),
        ("SONY ILCE-7M4", "camera"),
        ("SONY DSC-RX100M7", "camera"),
        ("Sony XQ-BC72", "phone"),
        ("Sony G8341", "phone"),
        ("HUAWEI VOG-L29", "phone"),
        ("Canon EOS 6D", "camera"),
        ("Canon Canon EOS 6D", "camera"),
        ("NIKON CORPORATION NIKON Z 6", "camera"),
        ("OM Digital Solutions OM-1", "camera"),
        ("RICOH IMAGING COMPANY, LTD. PENTAX K-1", "camera"),
        ("Eastman Kodak Company KODAK DC50", ""),
        ("DJI FC3582", "drone"),
        ("Hasselblad L2D-20c", "camera"),
        ("DJI Osmo Action 4", "action camera"),
        ("GoPro HERO11 Black", "action camera"),
        ("longexpo synthetic", ""),
        ("Sony", ""),
        ("samsung", ""),
        ("", ""),
        ("123", ""),
    ],
)
def test_the_kind_of_a_camera(camera: str, kind: str) -> None:
    assert camera_kind(camera) == kind
