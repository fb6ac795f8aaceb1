"""The far end of the executor: a process of its own that loads a project and runs it on MindSpore.

It speaks in frames on its standard streams: eight bytes of length, then an ``.npz`` (or JSON for messages), never a
pickle. Whatever MindSpore prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

_LENGTH = 8
# What oneDNN reads the widest instructions from that it may use.
INSTRUCTIONS = "ONEDNN_MAX_CPU_ISA"


def write_frame(stream: IO[bytes], content: bytes) -> None:
    """Write one frame."""
    stream.write(len(content).to_bytes(_LENGTH, "little") + content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes:
    """Read one frame; nothing where the other end is gone."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return b""
    return stream.read(int.from_bytes(head, "little"))


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """Return arrays as an ``.npz``; bfloat16 goes as its bits."""
    buffer = io.BytesIO()
    safe = {name: array.view(np.uint16) if str(array.dtype) == "bfloat16" else array for name, array in arrays.items()}
    marks = json.dumps([name for name, array in arrays.items() if str(array.dtype) == "bfloat16"])
    content: dict[str, Any] = {f"value:{name}": array for name, array in safe.items()}
    np.savez(buffer, bfloat16=np.array(marks), **content)
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of :func:`packed`."""
    import ml_dtypes

    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        marked = set(json.loads(str(file["bfloat16"])))
        arrays = {name.removeprefix("value:"): file[name] for name in file.files if name != "bfloat16"}
    return {name: array.view(ml_dtypes.bfloat16) if name in marked else array for name, array in arrays.items()}


class Runner:
    """A loaded project.

    Args:
        folder: The project.
        mode: ``graph``, ``pynative``, ``mindir``, or ``exact`` (graph mode, see :func:`_compute_exactly`).
        threads: Threads to use, 0 for MindSpore's own choice.
    """

    def __init__(self, folder: Path, mode: str, threads: int) -> None:
        settle_convolutions()
        import mindspore as ms

        ms.set_context(mode=ms.PYNATIVE_MODE if mode == "pynative" else ms.GRAPH_MODE)
        ms.set_device(_device())
        if threads:
            ms.runtime.set_cpu_affinity(False)
            ms.set_context(runtime_num_threads=threads)
        settle_numpy()
        if mode == "exact":
            _compute_exactly()
        sys.path.insert(0, str(folder))
        said = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
        self._outputs = list(said["outputs"])
        self._inputs = [entry["name"] for entry in said["inputs"]]
        self._net: Any = _network(folder, said["class_name"]) if mode != "mindir" else _mindir(folder)

    def run(self, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name."""
        tensors = [tensor_of(feed[name]) for name in self._inputs]
        made = self._net(*tensors)
        results = made if isinstance(made, (tuple, list)) else [made]
        return {name: array_of(result) for name, result in zip(self._outputs, results, strict=True)}


def _network(folder: Path, class_name: str) -> Any:
    import importlib

    import mindspore as ms

    network = getattr(importlib.import_module("model"), class_name)()
    network.set_train(False)
    if not network.parameters_dict():
        return network
    weights = ms.load_checkpoint(str(folder / "model.safetensors"), format="safetensors")
    missing, unknown = ms.load_param_into_net(network, weights)
    if missing or unknown:
        raise RuntimeError(f"weights that do not fit: missing {missing}, unknown {unknown}")
    return network


def _mindir(folder: Path) -> Any:
    import mindspore as ms

    return ms.nn.GraphCell(ms.load(str(folder / "model.mindir")))


def settle_numpy() -> None:
    """Let MindSpore's first use of NumPy's C interface fail where it can do no harm.

    MindSpore 2.10 is built against NumPy 1. Under NumPy 2 the first ``reshape`` outside a graph raises, because that
    interface is another one; MindSpore then goes on without it, and no later call does.
    """
    import mindspore as ms

    # What NumPy says of it would be the last words of a process that dies of something else.
    with contextlib.suppress(SystemError, ImportError), contextlib.redirect_stderr(io.StringIO()):
        ms.Tensor(np.zeros(1, np.float32)).reshape(1)


def settle_convolutions() -> None:
    """Keep MindSpore's convolutions off oneDNN's reference kernel; to be called before anything is computed.

    MindSpore 2.10 asks oneDNN 3.10 for convolutions of plain layouts. For those it has plain loops on a CPU with
    AVX-512; told of AVX2 alone it takes matrix products, which are many times as fast (docs/mindspore.md has the
    measurement). Who has set the variable is not overruled.
    """
    os.environ.setdefault(INSTRUCTIONS, "AVX2")


# What MindSpore's CPU kernels compute by approximations (docs/mindspore.md has the measured errors).
_APPROXIMATED = (
    "exp",
    "expm1",
    "sigmoid",
    "tanh",
    "silu",
    "mish",
    "softmax",
    "log_softmax",
    "logsumexp",
    "elu",
    "selu",
)


def _compute_exactly() -> None:
    """Let elementary functions be computed in float64 and rounded once, so that what is left is the translation.

    The CPU kernels of MindSpore 2.10 approximate them; the project is run as it is, on better functions.
    """
    import mindspore as ms
    from mindspore import nn, ops

    def exactly(function: Any) -> Any:
        def compute(x: Any, *rest: Any, **named: Any) -> Any:
            return function(x.astype(ms.float64), *rest, **named).astype(x.dtype)

        return compute

    for name in _APPROXIMATED:
        setattr(ops, name, exactly(getattr(ops, name)))

    class SiLU(nn.Cell):  # type: ignore[misc]
        """``nn.SiLU`` in a SequentialCell."""

        def construct(self, x: Any) -> Any:
            return (x.astype(ms.float64) * ops.Sigmoid()(x.astype(ms.float64))).astype(x.dtype)

    nn.SiLU = SiLU


def _device() -> str:
    """Return an Ascend NPU where there is one, then a GPU, then the CPU."""
    import mindspore as ms

    if list(Path("/dev").glob("davinci[0-9]*")) and ms.hal.is_available("Ascend"):
        return "Ascend"
    return "GPU" if shutil.which("nvidia-smi") and ms.hal.is_available("GPU") else "CPU"


def tensor_of(array: np.ndarray) -> Any:
    """Return an array as a tensor of the same dtype."""
    import mindspore as ms

    if str(array.dtype) == "bfloat16":
        return ms.Tensor(array.astype(np.float32), ms.bfloat16)
    return ms.Tensor(np.ascontiguousarray(array))


def array_of(tensor: Any) -> np.ndarray:
    """Return a tensor as an array of the same dtype."""
    import mindspore as ms
    import ml_dtypes

    if tensor.dtype == ms.bfloat16:
        return np.asarray(tensor.astype(ms.float32).asnumpy()).astype(ml_dtypes.bfloat16)
    return np.asarray(tensor.asnumpy())


def answer(load: Callable[[], Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]]) -> None:
    """Answer requests with the function that ``load`` returns, until the other end is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what MindSpore prints is no answer
    requests = sys.stdin.buffer
    try:
        function = load()
        write_frame(answers, b"ready")
    except BaseException:
        write_frame(answers, b"error" + traceback.format_exc().encode())
        return
    while content := read_frame(requests):
        try:
            write_frame(answers, b"value" + packed(function(unpacked(content))))
        except Exception:
            write_frame(answers, b"error" + traceback.format_exc().encode())


def main(arguments: list[str]) -> None:
    """Load a project (folder, mode, threads) and answer until the other end is gone."""
    answer(lambda: Runner(Path(arguments[0]), arguments[1], int(arguments[2])).run)


if __name__ == "__main__":
    main(sys.argv[1:])
