"""Errors that say, in the words of some library, that memory is short; and those that do not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.errors import BurstError, is_out_of_memory, user_message


def numpy_error() -> Exception:
    with pytest.raises(MemoryError) as found:
        np.empty(1 << 60, np.uint8)
    return found.value


def opencv_error() -> Exception:
    with pytest.raises(cv2.error) as found:
        cv2.resize(np.zeros((4, 4), np.uint8), (1 << 22, 1 << 22))
    return found.value


def test_a_lack_of_memory_is_told_whichever_library_says_it() -> None:
    for error in (
        numpy_error(),
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        ImportError("/usr/lib/a.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
        RuntimeError(
            "OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"
        ),
    ):
        assert is_out_of_memory(error), error
        assert "out of memory" in user_message(error)
        assert "ulimit" in user_message(error)
    try:
        try:
            raise MemoryError
        except MemoryError as inner:
            raise ValueError("of a library") from inner
    except ValueError as error:
        assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("a"), OSError(2, "No such file"), ImportError("no module")])
def test_other_errors_are_none(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_an_error_for_users_keeps_its_text() -> None:
    error = BurstError("a: two frames")
    error.__cause__ = MemoryError()
    assert user_message(error) == "a: two frames"
