"""Image difference metrics: CIEDE2000, PSNR, SSIM."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.arrays import Array64

# Wang 2004, section III-C.
SSIM_SIGMA_PX = 1.5
SSIM_RADIUS_PX = 5
_K1 = 0.01
_K2 = 0.03


def srgb_to_lab(value: npt.NDArray[Any]) -> Array64:
    """Return CIE L*a*b* (D65 white) of sRGB values ... 3: uint8, or floats in 0..1 (CIE 15:2018, 8.2.1)."""
    scaled = value / 255.0 if value.dtype == np.uint8 else np.asarray(value, np.float64)
    return light_to_lab(colour.srgb_decode(scaled), "srgb")


def light_to_lab(light: npt.NDArray[Any], space: str) -> Array64:
    """Return CIE L*a*b* (D65 white) of linear light ... 3 of a space, 1.0 = white; it may be negative."""
    matrix = colour.to_xyz(space)
    ratio = light @ (matrix / matrix.sum(axis=1, keepdims=True)).T
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    f_x, f_y, f_z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * f_y - 16, 500 * (f_x - f_y), 200 * (f_y - f_z)], axis=-1)


def delta_e_2000(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Array64:
    """Return the CIEDE2000 difference of L*a*b* colours ... 3 with k_L = k_C = k_H = 1.

    A difference of 1 is just visible side by side, 2.3 is visible at a glance. Names and equation numbers are
    those of Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula", Color Res. Appl. 30 (2005),
    doi:10.1002/col.20070.
    """
    lab_1, lab_2 = np.asarray(first, np.float64), np.asarray(second, np.float64)
    L_1, a_1, b_1 = lab_1[..., 0], lab_1[..., 1], lab_1[..., 2]
    L_2, a_2, b_2 = lab_2[..., 0], lab_2[..., 1], lab_2[..., 2]

    C_bar_ab = (np.hypot(a_1, b_1) + np.hypot(a_2, b_2)) / 2  # (2), (3)
    one_plus_G = 1.5 - 0.5 * _chroma_ratio(C_bar_ab)  # 1 + G (4)
    C_prime_1, h_prime_1 = _chroma_and_hue(one_plus_G * a_1, b_1)  # (5) to (7)
    C_prime_2, h_prime_2 = _chroma_and_hue(one_plus_G * a_2, b_2)

    is_grey = C_prime_1 * C_prime_2 == 0
    delta_L_prime = L_2 - L_1  # (8)
    delta_C_prime = C_prime_2 - C_prime_1  # (9)
    delta_h_prime = np.where(is_grey, 0, (h_prime_2 - h_prime_1 + 180) % 360 - 180)  # (10)
    delta_h_prime = np.where((delta_h_prime == -180) & (h_prime_2 > h_prime_1), 180, delta_h_prime)
    delta_H_prime = 2 * np.sqrt(C_prime_1 * C_prime_2) * np.sin(np.radians(delta_h_prime) / 2)  # (11)

    L_bar_prime = (L_1 + L_2) / 2  # (12)
    C_bar_prime = (C_prime_1 + C_prime_2) / 2  # (13)
    h_sum = h_prime_1 + h_prime_2
    h_bar_prime = np.where(is_grey, h_sum, h_sum / 2)  # (14)
    wraps = ~is_grey & (np.abs(h_prime_1 - h_prime_2) > 180)
    h_bar_prime = np.where(wraps, np.where(h_sum < 360, h_bar_prime + 180, h_bar_prime - 180), h_bar_prime)
    T = (
        1
        - 0.17 * _cos_deg(h_bar_prime - 30)
        + 0.24 * _cos_deg(2 * h_bar_prime)
        + 0.32 * _cos_deg(3 * h_bar_prime + 6)
        - 0.20 * _cos_deg(4 * h_bar_prime - 63)
    )  # (15)
    delta_theta = 30 * np.exp(-(((h_bar_prime - 275) / 25) ** 2))  # (16)
    R_C = 2 * _chroma_ratio(C_bar_prime)  # (17)
    S_L = 1 + 0.015 * (L_bar_prime - 50) ** 2 / np.sqrt(20 + (L_bar_prime - 50) ** 2)  # (18)
    S_C = 1 + 0.045 * C_bar_prime  # (19)
    S_H = 1 + 0.015 * C_bar_prime * T  # (20)
    R_T = -np.sin(np.radians(2 * delta_theta)) * R_C  # (21)

    lightness = delta_L_prime / S_L
    chroma = delta_C_prime / S_C
    hue = delta_H_prime / S_H
    squared = lightness**2 + chroma**2 + hue**2 + R_T * chroma * hue  # (22)
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float64)


def psnr(first: npt.NDArray[Any], second: npt.NDArray[Any], peak: float) -> float:
    """Return the peak signal-to-noise ratio in dB, infinite for equal arrays."""
    mse = np.mean((np.asarray(first, np.float64) - np.asarray(second, np.float64)) ** 2)
    return float("inf") if mse == 0 else float(10 * np.log10(peak**2 / mse))


def ssim(first: npt.NDArray[Any], second: npt.NDArray[Any], data_range: float) -> float:
    """Return the mean structural similarity of pictures H W or H W C, the mean over C: 1 for equal ones.

    Windows are Gaussian (sigma 1.5, 11 x 11 pixels) and stay inside the picture; along a side shorter than
    the window the edge is replicated. Wang 2004, section III-C, equation 13,
    doi:10.1109/TIP.2003.819861.
    """
    import cv2

    def local_mean(values: Array64) -> Array64:
        side = 2 * SSIM_RADIUS_PX + 1
        border = cv2.BORDER_REPLICATE
        blurred: Array64 = cv2.GaussianBlur(values, (side, side), SSIM_SIGMA_PX, borderType=border)
        height, width = values.shape[:2]
        top = SSIM_RADIUS_PX if height > 2 * SSIM_RADIUS_PX else 0
        left = SSIM_RADIUS_PX if width > 2 * SSIM_RADIUS_PX else 0
        return blurred[top : height - top, left : width - left]

    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    mu_x = local_mean(x)
    mu_y = local_mean(y)
    var_x = local_mean(x * x) - mu_x**2
    var_y = local_mean(y * y) - mu_y**2
    covariance = local_mean(x * y) - mu_x * mu_y
    c1 = (_K1 * data_range) ** 2
    c2 = (_K2 * data_range) ** 2
    numerator = (2 * mu_x * mu_y + c1) * (2 * covariance + c2)
    return float(np.mean(numerator / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))))


def _chroma_and_hue(a_prime: Array64, b: Array64) -> tuple[Array64, Array64]:
    """Return C' and h' in degrees 0..360; the hue of grey is 0."""
    return np.hypot(a_prime, b), np.degrees(np.arctan2(b, a_prime)) % 360


def _chroma_ratio(chroma: Array64) -> Array64:
    """Return sqrt(C^7 / (C^7 + 25^7)), the factor common to G and R_C: 0 for grey, 1 for vivid colours."""
    seventh_power = chroma**7
    return np.asarray(np.sqrt(seventh_power / (seventh_power + 25.0**7)), np.float64)


def _cos_deg(degrees: Array64) -> Array64:
    return np.asarray(np.cos(np.radians(degrees)), np.float64)
