"""Small ONNX files, written by the format's own definition: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.

Numbers of fields are those of its messages.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array

FLOAT = 1  # TensorProto.DataType
Shape = tuple[int | str, ...]


def varint(value: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first."""
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def field(number: int, value: int | str | bytes) -> bytes:
    """Return a field of a message: a number, or a text, bytes or message with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def node(kind: str, inputs: list[str], output: str) -> bytes:
    """Return a NodeProto without attributes."""
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)


def tensor(name: str, values: Array) -> bytes:
    """Return a TensorProto of floats."""
    dimensions = b"".join(field(1, side) for side in values.shape)
    return dimensions + field(2, FLOAT) + field(8, name) + field(9, values.astype("<f4").tobytes())


def variable(name: str, shape: Shape) -> bytes:
    """Return a ValueInfoProto of floats; words are sides of any length."""
    sides = b"".join(field(1, field(1 if isinstance(side, int) else 2, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, sides)))


def model(
    nodes: list[bytes], constants: dict[str, Array], inputs: dict[str, Shape], outputs: dict[str, Shape]
) -> bytes:
    """Return a ModelProto."""
    graph = b"".join(field(1, part) for part in nodes) + field(2, "test")
    graph += b"".join(field(5, tensor(name, values)) for name, values in constants.items())
    graph += b"".join(field(11, variable(name, shape)) for name, shape in inputs.items())
    graph += b"".join(field(12, variable(name, shape)) for name, shape in outputs.items())
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def motion_network(bends: Array, weights: Array) -> bytes:
    """Return a motion network: the initial lines, a matrix 4 4 times them as bends, constant weights."""
    picture = ("height", "width")
    shapes: dict[str, Shape] = {"lines": (1, 4, *picture), "weights": (1, len(weights), *picture)}
    nodes = [node("Identity", ["init"], "lines"), node("Conv", ["init", "none", "shares"], "weights")]
    constants = {"none": np.zeros((len(weights), 4, 1, 1)), "shares": weights}
    if bends.any():
        shapes["bends"] = (1, 4, *picture)
        nodes.append(node("Conv", ["init", "turn"], "bends"))
        constants["turn"] = bends[..., None, None]
    # The frames are read, so that they are inputs of the graph like those of any such network.
    nodes.append(node("Identity", ["frames"], "unused"))
    inputs: dict[str, Shape] = {"frames": (1, 6, *picture), "init": (1, 4, *picture)}
    return model(nodes, constants, inputs, shapes)
