"""The guided filter (He 2013, doi:10.1109/TPAMI.2012.213): smoothing that follows a guide's edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array32


def guided_filter(guide: Array32, values: Array32, window: tuple[int, int], epsilon: float) -> Array32:
    """Filter values p with a guide I, both H W float32 (He 2013, equations 5, 6 and 8).

    In every window, width and height in pixels (odd), q = a I + b fits the values best:
    a = cov(I, p) / (var(I) + epsilon), b = mean(p) - a mean(I). A pixel's result takes the mean a and b of
    the windows that contain it. epsilon is in squared units of the guide: where the guide's variance is far
    below it, the result is a blur of the values.
    """
    import cv2

    def mean(array: npt.NDArray[Any]) -> Array32:
        return np.asarray(cv2.blur(array, window, borderType=cv2.BORDER_REFLECT), np.float32)

    mean_I = mean(guide)
    mean_p = mean(values)
    var_I = np.maximum(mean(guide * guide) - mean_I * mean_I, 0)
    cov_Ip = mean(guide * values) - mean_I * mean_p
    a = cov_Ip / (var_I + np.float32(epsilon))
    b = mean_p - a * mean_I
    return mean(a) * guide + mean(b)
