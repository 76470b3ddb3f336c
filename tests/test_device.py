"""A device treated as one with its own memory: copies, images, errors when it is too small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longexpo_cli.errors import DeviceError
from longexpo_cli.gpu import blur, capabilities
from longexpo_cli.gpu.capabilities import DeviceInfo, device_info
from longexpo_cli.gpu.device import Device, available

IMAGE_PX = (60, 90)
SMALL = DeviceInfo(is_cpu=False, memory_bytes=1 << 20, max_buffer_bytes=1 << 18, max_image_px=IMAGE_PX)


@pytest.fixture(scope="module")
def small() -> Device:
    """Return the device chosen by default, described as a GPU of 1 MiB."""
    return Device(available()[0], SMALL)


def test_cpus_sample_buffers_and_other_devices_images() -> None:
    for found in available():
        info = device_info(found)
        assert info.memory_bytes >= info.max_buffer_bytes > 0
        assert info.sampling == ("images" if found.image_support and not info.is_cpu else "buffers")
        assert Device(found).info == info


def test_uploads_and_kernels_overlap_in_order(small: Device) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.random((40, 50, 4)).astype(np.float16) for _ in range(8)]
    encoded = [blur.encode(small, small.upload(frame), 1.0, 1.0) for frame in frames]
    more_frames = [rng.random((40, 50, 4)).astype(np.float16) for _ in range(3)]
    raw = [small.upload(frame) for frame in more_frames]
    assert all((one.get()[..., 3] == frame[..., 3]).all() for one, frame in zip(encoded, frames, strict=True))
    assert all((one.get() == frame).all() for one, frame in zip(raw, more_frames, strict=True))


def test_memory_outlives_the_commands_that_use_it(device: Device) -> None:
    """An array that is dropped at once is not freed before it is filled: other memory stays as it is."""
    size = 1 << 18
    for _ in range(100):
        device.zeros((size,), np.uint8)
        other = np.full(size, 7, np.uint8)
        device.finish()
        assert (other == 7).all()


def test_an_empty_array_is_uploaded(small: Device) -> None:
    assert small.upload(np.zeros((0, 3), np.float32)).get().shape == (0, 3)


def test_frames_larger_than_an_image_are_sampled_from_buffers(small: Device) -> None:
    for size, word in ((IMAGE_PX, "DeviceImage"), ((61, 20), "DeviceArray"), ((20, 91), "DeviceArray")):
        frame = small.upload(np.zeros((*size, 4), np.float16))
        sampled, defines = small.sampled(frame, frame)
        assert [type(one).__name__ for one in sampled] == [word, word]
        assert defines == (("LONGEXPO_IMAGES",) if word == "DeviceImage" else ())


def test_memory_is_counted_and_freed(small: Device) -> None:
    small.finish()  # frees what commands of other tests held
    before = small.allocated_bytes
    frame = small.upload(np.zeros((*IMAGE_PX, 4), np.float16))
    images, _ = small.sampled(frame)
    assert small.allocated_bytes - before == 2 * frame.nbytes
    del frame, images
    small.finish()
    assert small.allocated_bytes == before


def test_a_buffer_that_does_not_fit_is_refused_with_numbers(small: Device) -> None:
    with pytest.raises(DeviceError, match=r"buffer of 1 MiB .* allows 0 MiB a buffer; choose another"):
        small.empty((1 << 10, 1 << 10), np.uint8)
    kept = [small.zeros((1 << 18,), np.uint8) for _ in range(4)]
    with pytest.raises(DeviceError, match=r"has 0 MiB free"):
        small.zeros((1 << 18,), np.uint8)
    del kept


def test_a_failed_allocation_is_one_line() -> None:
    found = available()[0]
    device = Device(found, replace(SMALL, memory_bytes=1 << 60, max_buffer_bytes=1 << 60))
    with pytest.raises(DeviceError, match="no memory for 67108864 MiB"):
        device.empty((1 << 46,), np.uint8)


@pytest.mark.parametrize("code", [-4, -5, -6])
def test_running_out_of_memory_is_one_line(code: int) -> None:
    message = str(capabilities.out_of_memory_error("a device", SMALL, 3 << 18, code))
    assert "out of memory" in message
    assert "with 1 MiB of its 1 MiB" in message
    assert "--device" in message
    assert "\n" not in message


def test_other_errors_are_bugs(small: Device) -> None:
    assert capabilities.out_of_memory_error("a device", SMALL, 0, -54) is None
    frame = small.upload(np.zeros((4, 4, 4), np.float16))
    encoded = small.empty((4, 4, 4), np.float16)
    with pytest.raises(Exception, match="INVALID_WORK_GROUP_SIZE"):
        small.run(
            "blur_encode",
            (4, 4),
            group=(1 << 20, 1),
            light=frame,
            encoded=encoded,
            width=4,
            height=4,
            clip_light=1,
            k=1,
            feather=0,
        )
