"""The libraries that run networks on the processor: ONNX Runtime, and OpenVINO where it is installed.

The only module that imports them. OpenVINO is optional (`pip install 'longexpo[fast]'`): for a pair of frames
of 512 x 384 px it takes .42 processor seconds instead of .61 (Xeon, AVX-512), but .7 s to start, and 60 MB.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longexpo_cli.errors import EngineError

if TYPE_CHECKING:  # --help reads ENGINES, and must not import it
    import numpy.typing as npt

    # Inputs by name, and the names of outputs, to these outputs.
    Run = Callable[[Mapping[str, npt.NDArray[Any]], Sequence[str]], list[npt.NDArray[Any]]]

ENGINES = ("onnxruntime", "openvino")  # the default first


def load_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry disabled, and return the module.

    Unless the environment says otherwise, onnxruntime 1.32 keeps an event database and a device identifier
    in the user's cache folder and contacts a server. It reads ORT_DISABLE_TELEMETRY when it is imported, so
    that disable_telemetry_events() comes too late. A value that the user has set is kept.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def require(engine: str) -> None:
    """Raise EngineError for an engine that is unknown or not installed."""
    if engine not in ENGINES:
        raise EngineError(f"no engine is called {engine!r}; there are {', '.join(ENGINES)}")
    if engine == "openvino":
        load_openvino()


def open_network(engine: str, path: Path, threads: int) -> Run:
    """Return a network's file as a function of its inputs, run by an engine in float32.

    The same inputs give the same bits on the same machine; engines differ in the last bits. EngineError as
    require says.
    """
    require(engine)
    return _openvino(path, threads) if engine == "openvino" else _onnxruntime(path, threads)


def _onnxruntime(path: Path, threads: int) -> Run:
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # The arena never releases a network's working memory (450 MB for u2netp); without it a run takes 60 ms
    # longer and releases all of it.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # not even errors, which are raised; warnings concern the file
    # Idle workers that spin would take cores from the decoding thread that runs in parallel.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        result: list[npt.NDArray[Any]] = session.run(list(outputs), dict(inputs))
        return result

    return run


def load_openvino() -> Any:
    """Import openvino without its telemetry, and return the module; EngineError if it is not installed.

    openvino 2026.4 imports its tools, and with them openvino_telemetry, which looks up a server and makes
    ~/intel at once, unless the user has once declined. Where that cannot be imported, openvino has a stub.
    """
    hidden: Any = None  # in sys.modules: an import fails
    sys.modules.setdefault("openvino_telemetry", hidden)
    try:
        import openvino
    except ImportError as error:
        message = "--engine openvino needs OpenVINO: pip install 'longexpo[fast]', or leave --engine out"
        raise EngineError(message) from error
    return openvino


def _openvino(path: Path, threads: int) -> Run:
    openvino = load_openvino()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the processor has it: off by .1 px
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # two programs that pin theirs to the same cores halve each other
        "CPU_RUNTIME_CACHE_CAPACITY": 4,  # shapes: windows have many
    }
    core = openvino.Core()
    network = core.compile_model(core.read_model(path), "CPU", settings)

    def run(inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        request = network.create_infer_request()  # of its own: runs in several threads do not meet
        request.infer(dict(inputs))
        return [request.get_tensor(name).data.copy() for name in outputs]

    return run
