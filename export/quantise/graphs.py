"""Small questions to an ONNX graph, and files for those too large to be one message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Feed = Mapping[str, Array]
_ONE_FILE = 1_900_000_000  # a protobuf message ends at 2 GiB


def convolutions(model: Any) -> list[str]:
    """Names of a graph's convolutions, in order."""
    return [node.name for node in model.graph.node if node.op_type == "Conv"]


def copied(model: Any) -> Any:
    """A copy of a model to change."""
    from onnx import ModelProto  # noqa: PLC0415 - only the workstation has onnx

    result = ModelProto()
    result.CopyFrom(model)
    return result


def users(model: Any) -> dict[str, list[Any]]:
    """Nodes by the values that they take."""
    found: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def constants(model: Any) -> dict[str, Any]:
    """Initialisers by name, as tensors of the graph."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def same_nodes(model: Any, other: Any, names: Iterable[str]) -> list[str]:
    """What nodes of one graph are called in another form of it: the same, or what makes the same value.

    Optimising a graph may rename a node, never the value that others read. A node that was folded away is
    in neither form.
    """
    wanted = set(names)
    values = {value for node in model.graph.node if node.name in wanted for value in node.output}
    return [node.name for node in other.graph.node if node.name in wanted or values & set(node.output)]


def bytes_of(model: Any) -> int:
    """Bytes of a model's constants."""
    return sum(tensor.ByteSize() for tensor in model.graph.initializer)


def save(model: Any, path: Path) -> Path:
    """Write a model, its constants beside it if they are too many for one file."""
    import onnx  # noqa: PLC0415

    if bytes_of(model) < _ONE_FILE:
        onnx.save(model, path)
    else:  # onnx moves the constants out of the message that it is given
        onnx.save(copied(model), path, save_as_external_data=True, location=f"{path.name}.data")
    return path


def run(model: Any, path: Path, outputs: Sequence[str], feeds: Iterable[Feed]) -> Iterable[list[Array]]:
    """Run a model over samples, on the CPU and without optimisations; yields the outputs of each."""
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(str(save(model, path)), providers=["CPUExecutionProvider"])
    for feed in feeds:
        yield session.run(list(outputs), {name: np.asarray(value) for name, value in feed.items()})
