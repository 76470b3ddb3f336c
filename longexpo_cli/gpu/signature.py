"""Read the parameter lists of kernels from their source, and check arguments against them.

OpenCL can report parameter types (clGetKernelArgInfo), but only for programs built from source with
-cl-kernel-arg-info: not for the binaries that gpu.pocl caches, and not with every driver. The kernels use a
small part of OpenCL C, so their text is parsed instead. Supported are `__global` pointers to, and values of,
the types in _DTYPES and their vectors; `read_only image2d_t`; object-like macros; #ifdef, #ifndef, #else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from longexpo_cli.gpu.arrays import DeviceArray, DeviceImage

Argument: TypeAlias = "DeviceArray | DeviceImage | float | np.generic | npt.NDArray[Any] | tuple[float, ...]"

_DTYPES: dict[str, np.dtype[Any]] = {
    "char": np.dtype(np.int8),
    "uchar": np.dtype(np.uint8),
    "short": np.dtype(np.int16),
    "ushort": np.dtype(np.uint16),
    "int": np.dtype(np.int32),
    "uint": np.dtype(np.uint32),
    "long": np.dtype(np.int64),
    "ulong": np.dtype(np.uint64),
    "half": np.dtype(np.float16),
    "float": np.dtype(np.float32),
}
_QUALIFIERS = {"__global", "global", "const", "restrict", "read_only", "__read_only"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a kernel: a buffer of vectors of `lanes` elements, such a vector, or an image."""

    name: str
    kind: Literal["buffer", "image", "value"]
    type: str  # as declared, macros expanded: "float4", "half", "image2d_t"
    dtype: np.dtype[Any]
    lanes: int = 1
    is_const: bool = True  # a buffer that the kernel only reads

    def convert(self, value: Argument) -> Any:
        """Return the argument for pyopencl; TypeError when the value has a wrong type or range."""
        if self.kind == "value":
            return self._number(value)
        if self.kind == "image":
            if not isinstance(value, DeviceImage):
                raise TypeError(f"expected a DeviceImage, got {type(value).__name__}")
            return value.buffer
        if not isinstance(value, DeviceArray):
            raise TypeError(f"expected a DeviceArray of {self.dtype}, got {type(value).__name__}")
        if value.dtype != self.dtype:
            raise TypeError(f"expected a DeviceArray of {self.dtype} ({self.type} *), got {value.dtype}")
        if (value.nbytes // self.dtype.itemsize) % self.lanes:
            raise TypeError(f"expected whole elements of {self.type}, got an array of shape {value.shape}")
        if not (self.is_const or value.writable):
            raise TypeError("the kernel writes to it, but an uploaded array is read-only")
        return value.buffer

    def _number(self, value: Any) -> Any:
        """Return a number or a vector as a NumPy value of the declared type."""
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "biuf":
            raise TypeError(f"expected a {self.type}, got {type(value).__name__} {value!r}")
        shape = () if self.lanes == 1 else (self.lanes,)
        if numbers.shape != shape:
            raise TypeError(f"expected a {self.type}, got {numbers.size} numbers of shape {numbers.shape}")
        if self.dtype.kind == "f":
            with np.errstate(over="ignore"):
                result = numbers.astype(self.dtype)
            fits = np.isfinite(result) | ~np.isfinite(numbers)
        else:
            limits = np.iinfo(self.dtype)
            whole = np.isfinite(numbers) & (np.trunc(numbers) == numbers)
            if not whole.all():
                raise TypeError(f"expected a whole number ({self.type}), got {value}")
            fits = (numbers >= limits.min) & (numbers <= limits.max)
            result = numbers.astype(self.dtype) if fits.all() else numbers
        if not fits.all():
            raise TypeError(f"{value} is out of the range of {self.type}")
        # A vector of three elements occupies four in memory (OpenCL C 1.2, section 6.1.5).
        return result[()] if self.lanes == 1 else np.pad(result, (0, 1 if self.lanes == 3 else 0))


@dataclass(frozen=True, slots=True)
class Signature:
    """A kernel's name and its parameters in order."""

    kernel: str
    parameters: tuple[Parameter, ...]

    def bind(self, arguments: dict[str, Argument]) -> list[Any]:
        """Return the arguments in the kernel's order and in its types.

        TypeError, naming kernel and argument, for one that is missing, unknown or of a wrong type or range.
        """
        names = [parameter.name for parameter in self.parameters]
        missing = [name for name in names if name not in arguments]
        unknown = [name for name in arguments if name not in names]
        if missing:
            raise TypeError(f"kernel {self.kernel}: missing argument {', '.join(missing)}")
        if unknown:
            raise TypeError(f"kernel {self.kernel}: no parameter is called {', '.join(unknown)}")
        values = []
        for parameter in self.parameters:
            try:
                values.append(parameter.convert(arguments[parameter.name]))
            except TypeError as error:
                raise TypeError(f"kernel {self.kernel}, argument {parameter.name}: {error}") from error
        return values


def parse(source: str, kernel: str, defines: tuple[str, ...] = ()) -> Signature:
    """Return the signature of a kernel in OpenCL C source, compiled with defines: NAME or NAME=TEXT.

    Raises ValueError when the source has no such kernel or a parameter has an unsupported type.
    """
    code, macros = _preprocess(source, defines)
    found = re.search(rf"__kernel\s+void\s+{re.escape(kernel)}\s*\(([^)]*)\)", code)
    if found is None:
        raise ValueError(f"the source has no kernel {kernel}")
    texts = [text.strip() for text in found[1].split(",")]
    return Signature(kernel, tuple(_parameter(kernel, text, macros) for text in texts if text))


def _preprocess(source: str, defines: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Return the active lines of a source, without comments and directives, and its object-like macros.

    Conditions other than #ifdef and #ifndef count as true: in the kernels they occur only inside functions.
    """
    macros = {name: text for name, _, text in (define.partition("=") for define in defines)}
    code = re.sub(r"/\*.*?\*/|//[^\n]*", " ", source, flags=re.DOTALL)
    lines: list[str] = []
    active = [True]  # of every condition around the line
    for line in code.replace("\\\n", " ").splitlines():
        directive = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        if directive is None:
            if all(active):
                lines.append(line)
            continue
        word, rest = directive[1], directive[2].strip()
        if word in {"ifdef", "ifndef"}:
            active.append((rest in macros) == (word == "ifdef"))
        elif word == "if":
            active.append(True)
        elif word == "else":
            active[-1] = not active[-1]
        elif word == "endif":
            active.pop()
        elif word == "define" and all(active):
            name = re.match(r"(\w+)(\(?)\s*(.*)", rest)
            if name is not None and not name[2]:
                macros[name[1]] = name[3]
    return "\n".join(lines), macros


def _parameter(kernel: str, text: str, macros: dict[str, str]) -> Parameter:
    """Return a parameter from its declaration, e.g. `__global const VALUE *values`."""
    unreadable = ValueError(f"kernel {kernel}: cannot read the parameter `{' '.join(text.split())}`")
    split = re.fullmatch(r"(.*?)(\w+)", text, re.DOTALL)
    if split is None:
        raise unreadable
    declared, name = split.groups()
    expanded = re.sub(r"\b\w+\b", lambda word: macros.get(word[0], word[0]), declared)
    words = [word for word in re.findall(r"\w+|\*", expanded) if word not in _QUALIFIERS]
    if words == ["image2d_t"]:
        return Parameter(name, "image", "image2d_t", np.dtype(np.float16), 4)
    kind: Literal["buffer", "value"] = "buffer" if words[-1:] == ["*"] else "value"
    base = re.fullmatch(r"([a-z]+?)(2|3|4|8|16)?", words[0]) if words else None
    if base is None or base[1] not in _DTYPES or len(words) != (2 if kind == "buffer" else 1):
        raise unreadable
    is_const = kind == "value" or re.search(r"\bconst\b", expanded) is not None
    return Parameter(name, kind, words[0], _DTYPES[base[1]], int(base[2] or 1), is_const)
