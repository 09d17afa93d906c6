"""Small questions to an ONNX graph, and files for those too large to be one message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Feed = Mapping[str, Array]
_MANY = 10  # nodes of a layer
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


def by_layer(names: Sequence[str]) -> tuple[str, ...]:
    """Names of nodes for people to read: of a layer with more than ten, only how many there are.

    Args:
        names: such as ``model.28.decoder.0/MatMul``, whose layer is ``model.28``.
    """
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(".".join(name.partition("/")[0].split(".")[:2]), []).append(name)
    told = ([f"{layer} ({len(own)} nodes)"] if len(own) > _MANY else own for layer, own in layers.items())
    return tuple(chain.from_iterable(told))


def sort(model: Any) -> None:
    """Put a graph's nodes, in place, after those whose values they take; else in the order they were in."""
    nodes = list(model.graph.node)
    made = {value: index for index, node in enumerate(nodes) for value in node.output}
    placed: dict[int, None] = {}
    for first in range(len(nodes)):
        waiting = [first]
        while waiting:
            index = waiting[-1]
            before = [made[name] for name in nodes[index].input if name in made and made[name] not in placed]
            if index in placed or not before:
                placed[waiting.pop()] = None
            else:
                waiting.extend(before)
    del model.graph.node[:]
    model.graph.node.extend(nodes[index] for index in placed)


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


def probed(model: Any, names: Sequence[str], samples: Iterable[Feed]) -> Iterator[list[Array]]:
    """Run samples through a graph; yields some of the values inside it, for one sample after the other."""
    import onnxruntime  # noqa: PLC0415
    from onnx import TensorProto, helper  # noqa: PLC0415

    probe = copied(model)
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    for sample in samples:
        yield session.run(list(names), dict(sample))
