"""Kernel signatures are read from their source and numbers converted to what they declare."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longexpo_cli.gpu.signature import Parameter, parse

SOURCE = """
/* __kernel void example(int in_a_comment) */
#ifdef IMAGES
#define FRAME read_only image2d_t
#else
#define FRAME __global const half *
#endif
#define SQUARE(x) ((x) * (x))
__kernel void other(int a) { }
__kernel void example(FRAME frame, __global const VALUE *values, // a comment, with a comma
                      __global float2 *result, int width, float16 colour,
                      float  amount /* the last */)
{
}
"""


def summary(*defines: str) -> list[tuple[str, str, str, int, bool]]:
    """Return each parameter of the example: name, kind, dtype, lanes, const."""
    parameters = parse(SOURCE, "example", defines).parameters
    return [(p.name, p.kind, p.dtype.name, p.lanes, p.is_const) for p in parameters]


def test_parameters_are_read_with_their_macros() -> None:
    assert summary("VALUE=ushort") == [
        ("frame", "buffer", "float16", 1, True),
        ("values", "buffer", "uint16", 1, True),
        ("result", "buffer", "float32", 2, False),
        ("width", "value", "int32", 1, True),
        ("colour", "value", "float32", 16, True),
        ("amount", "value", "float32", 1, True),
    ]
    assert summary("VALUE=uchar", "IMAGES")[:2] == [
        ("frame", "image", "float16", 4, True),
        ("values", "buffer", "uint8", 1, True),
    ]


def test_what_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="no kernel third"):
        parse(SOURCE, "third")
    with pytest.raises(ValueError, match="kernel example: cannot read the parameter `__global const VALUE"):
        parse(SOURCE, "example")
    for declaration in ("float matrix[9]", "float3x3 matrix", "unsigned int n", "__local float *shared"):
        with pytest.raises(ValueError, match=r"kernel odd: cannot read the parameter `[fu_]"):
            parse(f"__kernel void odd({declaration}) {{}}", "odd")


def value(kind: str, dtype: type, lanes: int = 1) -> Parameter:
    """Return a parameter passed by value."""
    return Parameter("n", "value", kind, np.dtype(dtype), lanes)


@pytest.mark.parametrize("given", [2, 2.0, np.float64(2), np.int8(2), np.uint64(2)])
def test_numbers_become_what_is_declared(given: Any) -> None:
    as_float, as_int = value("float", np.float32).convert(given), value("int", np.int32).convert(given)
    assert (as_float, type(as_float)) == (2.0, np.float32)
    assert (as_int, type(as_int)) == (2, np.int32)


def test_not_a_number_and_infinity_are_floats() -> None:
    assert np.isnan(value("float", np.float32).convert(np.nan))
    assert value("float", np.float32).convert(-np.inf) == -np.inf


@pytest.mark.parametrize(
    ("parameter", "given", "message"),
    [
        (value("int", np.int32), 0.5, r"expected a whole number \(int\), got 0.5"),
        (value("int", np.int32), np.nan, "expected a whole number"),
        (value("int", np.int32), 1 << 31, "2147483648 is out of the range of int"),
        (value("uchar", np.uint8), -1, "-1 is out of the range of uchar"),
        (value("float", np.float32), 1e39, r"1e\+39 is out of the range of float"),
        (value("float", np.float32), "1", "expected a float, got str '1'"),
        (value("int", np.int32), 1 << 70, "expected a int, got int 1180591620717411303424"),
        (value("float", np.float32), [1.0, 2.0], "expected a float, got 2 numbers"),
        (value("float4", np.float32, 4), np.zeros(3), "expected a float4, got 3 numbers"),
        (value("float4", np.float32, 4), 1.0, "expected a float4, got 1 numbers"),
        (value("int2", np.int32, 2), (1.0, 2.5), "expected a whole number"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(parameter: Parameter, given: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        parameter.convert(given)


def test_vectors_are_cast_and_one_of_three_is_padded() -> None:
    four = value("float4", np.float32, 4).convert((1, 2, 3, 4))
    assert (four == np.array([1, 2, 3, 4], np.float32)).all()
    assert four.dtype == np.float32
    assert value("float3", np.float32, 3).convert(np.arange(3.0)).nbytes == 16
