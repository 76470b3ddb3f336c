"""metrics: published pairs of CIEDE2000, PSNR and SSIM by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.metrics import delta_e_2000, psnr, srgb_to_lab, ssim

# Sharma 2005, table 1: two L*a*b* colours and their difference, to four digits.
PAIRS = np.array(
    [
        (50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425),
        (50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615),
        (50, 2.8361, -74.0200, 50, 0, -82.7485, 3.4412),
        (50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0000),
        (50, -1.1848, -84.8006, 50, 0, -82.7485, 1.0000),
        (50, -0.9009, -85.5211, 50, 0, -82.7485, 1.0000),
        (50, 0, 0, 50, -1, 2, 2.3669),
        (50, -1, 2, 50, 0, 0, 2.3669),
        (50, 2.4900, -0.0010, 50, -2.4900, 0.0009, 7.1792),
        (50, 2.4900, -0.0010, 50, -2.4900, 0.0010, 7.1792),
        (50, 2.4900, -0.0010, 50, -2.4900, 0.0011, 7.2195),
        (50, 2.4900, -0.0010, 50, -2.4900, 0.0012, 7.2195),
        (50, -0.0010, 2.4900, 50, 0.0009, -2.4900, 4.8045),
        (50, -0.0010, 2.4900, 50, 0.0010, -2.4900, 4.8045),
        (50, -0.0010, 2.4900, 50, 0.0011, -2.4900, 4.7461),
        (50, 2.5, 0, 50, 0, -2.5, 4.3065),
        (50, 2.5, 0, 73, 25, -18, 27.1492),
        (50, 2.5, 0, 61, -5, 29, 22.8977),
        (50, 2.5, 0, 56, -27, -3, 31.9030),
        (50, 2.5, 0, 58, 24, 15, 19.4535),
        (50, 2.5, 0, 50, 3.1736, 0.5854, 1.0000),
        (50, 2.5, 0, 50, 3.2972, 0, 1.0000),
        (50, 2.5, 0, 50, 1.8634, 0.5757, 1.0000),
        (50, 2.5, 0, 50, 3.2592, 0.3350, 1.0000),
        (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
        (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
        (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
        (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
        (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
        (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
        (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
        (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
        (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
        (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
    ]
)


def test_published_pairs_both_ways() -> None:
    first, second, truth = PAIRS[:, :3], PAIRS[:, 3:6], PAIRS[:, 6]
    assert np.abs(delta_e_2000(first, second) - truth).max() < 5.1e-5
    assert np.abs(delta_e_2000(second, first) - truth).max() < 5.1e-5


def test_equal_colours_do_not_differ() -> None:
    lab = srgb_to_lab(np.random.default_rng(1).integers(0, 256, (9, 9, 3), np.uint8))
    assert not delta_e_2000(lab, lab).any()


def test_lab_of_white_black_and_red() -> None:
    lab = srgb_to_lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], np.uint8))
    assert np.allclose(lab[0], (100, 0, 0), atol=1e-9)
    assert np.allclose(lab[1], 0, atol=1e-9)
    assert np.allclose(lab[2], (53.24, 80.09, 67.20), atol=0.02)  # IEC 61966-2-1's red
    assert np.array_equal(srgb_to_lab(np.array([1.0, 0.0, 0.0])), lab[2])


def test_psnr_by_its_definition() -> None:
    picture = np.zeros((4, 4))
    assert psnr(picture, picture, 1) == float("inf")
    assert psnr(picture, picture + 0.1, 1) == pytest.approx(20)
    assert psnr(np.zeros(4, np.uint8), np.full(4, 255, np.uint8), 255) == pytest.approx(0)


def slow_ssim(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Return the SSIM of Wang 2004, equations 13 to 16, window by window."""
    at = np.arange(-5, 6)
    weight = np.exp(-(at**2) / (2 * 1.5**2))
    window = np.outer(weight, weight) / weight.sum() ** 2
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            shared = (window * (p - mp) * (q - mq)).sum()
            values.append((2 * mp * mq + c1) * (2 * shared + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return float(np.mean(values))


def test_ssim_is_its_definition() -> None:
    random = np.random.default_rng(2)
    a = random.random((17, 23))
    b = np.clip(a + random.normal(0, 0.2, a.shape), 0, 1)
    assert ssim(a, a, 1) == pytest.approx(1, abs=1e-12)
    assert ssim(a, b, 1) == pytest.approx(slow_ssim(a, b, 1), abs=1e-9)
    assert ssim(np.stack([a] * 3, -1), np.stack([b] * 3, -1), 1) == pytest.approx(ssim(a, b, 1), abs=1e-12)
    assert ssim(a, b, 1) < 0.9


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (11, 11)])
def test_small_pictures_can_be_compared(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    assert ssim(picture, picture, 255) == pytest.approx(1)
    assert ssim(picture, 255 - picture, 255) < 1
