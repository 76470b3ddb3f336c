"""Every kernel takes its arguments by name and in the types it declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl
import pytest

from longexpo_cli.gpu import blur
from longexpo_cli.gpu.arrays import DeviceImage
from longexpo_cli.gpu.device import Device, available, kernel_source
from longexpo_cli.gpu.signature import Parameter, Signature, parse

# Files without an underscore in their names (common, paths) hold what kernels share.
FOLDER = Path(__file__).parents[2] / "kernels"
KERNELS = sorted(path.stem for path in FOLDER.glob("*_*.cl"))
COMMON = (FOLDER / "common.cl").read_text("utf-8")
# Those that sample frames; for the others LONGEXPO_IMAGES changes nothing, and compiling takes its time.
SAMPLING = [kernel for kernel in KERNELS if kernel_source(kernel).count("FRAME ") > COMMON.count("FRAME ")]
# One choice for every macro that callers define.
DEFINES = (
    *("VALUE=ushort", "LEVELS=65536", "PAD=12", "KNEE=5e-4f"),
    *("CFA_ROWS=2", "CFA_COLUMNS=2", "DCT_SIDE=8"),
)
IMAGES = (*DEFINES, "LONGEXPO_IMAGES")


def signature(kernel: str, defines: tuple[str, ...] = DEFINES) -> Signature:
    """Return a kernel's signature as the device reads it."""
    return parse(kernel_source(kernel), kernel, defines)


def number(parameter: Parameter, kind: type) -> Any:
    """Return a whole number, or a vector of such, of a Python type."""
    return kind(2) if parameter.lanes == 1 else tuple(kind(n) for n in range(parameter.lanes))


def arguments(device: Device, declared: Signature, kind: type = int) -> dict[str, Any]:
    """Return arguments that fit; all numbers are of one Python type."""
    given: dict[str, Any] = {}
    for parameter in declared.parameters:
        if parameter.kind == "value":
            given[parameter.name] = number(parameter, kind)
        elif parameter.kind == "image":
            given[parameter.name] = DeviceImage(object(), (4, 4, 4))
        else:
            given[parameter.name] = device.zeros((16, parameter.lanes), parameter.dtype)
    return given


@pytest.mark.parametrize(
    ("kernel", "defines"),
    [*((kernel, DEFINES) for kernel in KERNELS), *((kernel, IMAGES) for kernel in SAMPLING)],
    ids=[*(f"{kernel}-buffers" for kernel in KERNELS), *(f"{kernel}-images" for kernel in SAMPLING)],
)
def test_the_signature_is_the_compilers(kernel: str, defines: tuple[str, ...]) -> None:
    options = ["-w", "-cl-std=CL1.2", "-cl-kernel-arg-info", *(f"-D{define}" for define in defines)]
    program = cl.Program(cl.Context([available()[0]]), kernel_source(kernel)).build(options)
    compiled, info = cl.Kernel(program, kernel), cl.kernel_arg_info
    declared = signature(kernel, defines).parameters
    assert len(declared) == compiled.num_args
    for index, parameter in enumerate(declared):
        reported = {what: compiled.get_arg_info(index, getattr(info, what)) for what in ("NAME", "TYPE_NAME")}
        address_space = compiled.get_arg_info(index, info.ADDRESS_QUALIFIER)
        is_const = bool(
            compiled.get_arg_info(index, info.TYPE_QUALIFIER) & cl.kernel_arg_type_qualifier.CONST
        )
        assert reported["NAME"] == parameter.name
        assert reported["TYPE_NAME"] == parameter.type + ("*" if parameter.kind == "buffer" else "")
        if parameter.kind == "buffer":
            assert address_space == cl.kernel_arg_address_qualifier.GLOBAL
            assert is_const == parameter.is_const


@pytest.mark.parametrize("kernel", KERNELS)
def test_whole_numbers_may_be_ints_or_floats(one_device: Device, kernel: str) -> None:
    declared = signature(kernel)
    given = arguments(one_device, declared)
    as_int, as_float = (
        declared.bind(given | values)
        for values in (
            {p.name: number(p, kind) for p in declared.parameters if p.kind == "value"}
            for kind in (int, float)
        )
    )
    for parameter, one, other in zip(declared.parameters, as_int, as_float, strict=True):
        if parameter.kind == "value":
            assert one.dtype == other.dtype == parameter.dtype
            assert one.tobytes() == other.tobytes()
        else:
            assert one is other


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_missing_and_an_unknown_argument_are_named(one_device: Device, kernel: str) -> None:
    declared = signature(kernel)
    given = arguments(one_device, declared)
    for name in given:
        others = {other: value for other, value in given.items() if other != name}
        with pytest.raises(TypeError, match=rf"kernel {kernel}: missing argument {name}$"):
            one_device.run(kernel, (4, 4), defines=DEFINES, **others)
    with pytest.raises(TypeError, match=rf"kernel {kernel}: no parameter is called unheard_of$"):
        one_device.run(kernel, (4, 4), defines=DEFINES, **given, unheard_of=1)


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_argument_of_the_wrong_type_is_named(one_device: Device, kernel: str) -> None:
    declared = signature(kernel)
    given = arguments(one_device, declared)
    for parameter in declared.parameters:
        wrong: Any = one_device.zeros((16,), np.int8 if parameter.dtype == np.uint32 else np.uint32)
        if parameter.kind == "value":
            wrong = 0.5 if parameter.dtype.kind == "i" and parameter.lanes == 1 else "2"
        with pytest.raises(TypeError, match=rf"kernel {kernel}, argument {parameter.name}: expected"):
            one_device.run(kernel, (4, 4), defines=DEFINES, **{**given, parameter.name: wrong})


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_parameter_has_a_name_that_run_takes_itself(kernel: str) -> None:
    assert not {parameter.name for parameter in signature(kernel).parameters} & {"defines", "group", "file"}


def test_a_kernel_computes_the_same_with_ints_as_with_floats(device: Device) -> None:
    light = device.upload(np.random.default_rng(0).random((8, 9, 4)).astype(np.float16))
    whole, real = blur.encode(device, light, 2, 3, 0), blur.encode(device, light, 2.0, 3.0, 0.0)
    assert (whole.get() == real.get()).all()
    assert whole.get().any()


def test_buffers_of_another_type_and_read_only_ones_are_refused(one_device: Device) -> None:
    light = one_device.upload(np.zeros((4, 4, 4), np.float32))
    sizes: dict[str, Any] = {"width": 4, "height": 4, "clip_light": 1, "k": 1, "feather": 0}
    encoded = one_device.empty((4, 4, 4), np.float16)
    with pytest.raises(TypeError, match=r"argument light: expected a DeviceArray of float16 .* got float32"):
        one_device.run("blur_encode", (4, 4), light=light, encoded=encoded, **sizes)
    half = one_device.upload(np.zeros((4, 4, 4), np.float16))
    with pytest.raises(TypeError, match="argument encoded: the kernel writes to it"):
        one_device.run("blur_encode", (4, 4), light=half, encoded=half, **sizes)
