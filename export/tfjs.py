"""Reads a TensorFlow.js graph model: ``model.json`` (frozen GraphDef, weights manifest) and its binary.

Only the reading lives here. What the operations mean is decided by who maps the graph to ONNX.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError

_DTYPES = {"float32": np.float32, "int32": np.int32, "bool": np.bool_, "float16": np.float16}


@dataclass(frozen=True)
class Node:
    """One operation of the graph.

    Args:
        name: its name, which is also the name of its first output.
        op: the TensorFlow operation, such as ``_FusedConv2D``.
        inputs: names of the values it reads, in order.
        attributes: its attributes with TensorFlow's encoding taken off (bytes decoded, lists flat).
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class GraphModel:
    """Nodes in the file's (topological) order, and every weight as an array."""

    nodes: tuple[Node, ...]
    weights: Mapping[str, NDArray[Any]]

    def up_to(self, outputs: tuple[str, ...]) -> tuple[Node, ...]:
        """The nodes that ``outputs`` need, in order; constants are left out.

        Raises:
            ExportError: an output or an input of a needed node doesn't exist.
        """
        by_name = {node.name: node for node in self.nodes}
        needed: set[str] = set()
        waiting = list(outputs)
        while waiting:
            name = waiting.pop()
            if name in needed:
                continue
            if name not in by_name:
                raise ExportError("the graph model has no such node", subject=name)
            needed.add(name)
            waiting.extend(by_name[name].inputs)
        return tuple(node for node in self.nodes if node.name in needed and node.op != "Const")


def read_graph_model(model_json: Path) -> GraphModel:
    """Read a graph model whose weight files lie beside ``model_json``.

    Raises:
        ExportError: not a TensorFlow.js graph model, or the weights don't fit what it says of them.
    """
    try:
        document = json.loads(model_json.read_text("utf-8"))
        nodes = tuple(_node(raw) for raw in document["modelTopology"]["node"])
        weights = dict(_weights(document["weightsManifest"], model_json.parent))
    except (KeyError, ValueError, OSError) as error:
        raise ExportError(
            "not a readable TensorFlow.js graph model", subject=str(model_json), hint=repr(error)
        ) from error
    return GraphModel(nodes, weights)


def _node(raw: Mapping[str, Any]) -> Node:
    attributes = {key: _attribute(value) for key, value in raw.get("attr", {}).items()}
    inputs = tuple(name.removesuffix(":0") for name in raw.get("input", ()) if not name.startswith("^"))
    return Node(raw["name"], raw["op"], inputs, attributes)


def _attribute(value: Mapping[str, Any]) -> Any:
    """Undo GraphDef's JSON: ``{"list": {"i": ["1", "2"]}}`` becomes ``[1, 2]``."""
    if "list" in value:
        return [_scalar(kind, item) for kind, items in value["list"].items() for item in items]
    ((kind, item),) = value.items()
    return _scalar(kind, item)


def _scalar(kind: str, item: Any) -> Any:
    if kind == "s":
        return base64.b64decode(item).decode("utf-8")
    return int(item) if kind == "i" else item


def _weights(manifest: list[Mapping[str, Any]], folder: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    for group in manifest:
        data = b"".join((folder / name).read_bytes() for name in group["paths"])
        offset = 0
        for spec in group["weights"]:
            array, size = _weight(spec, data, offset)
            offset += size
            yield spec["name"], array
        if offset != len(data):
            raise ValueError(f"{len(data) - offset} bytes of weights belong to nothing")


def _weight(spec: Mapping[str, Any], data: bytes, offset: int) -> tuple[NDArray[Any], int]:
    """One weight as the dtype that it is computed in, and the bytes it takes in the file.

    Half-precision storage is widened; the affine uint8/uint16 storage that the converter also knows is
    ``value * scale + min``.
    """
    target = _DTYPES[spec["dtype"]]
    quantization = spec.get("quantization")
    stored = np.dtype(quantization["dtype"] if quantization else target)
    count = math.prod(spec["shape"])
    array: NDArray[Any] = np.frombuffer(data, stored.newbyteorder("<"), count, offset).reshape(spec["shape"])
    if quantization and "scale" in quantization:
        array = array * np.float32(quantization["scale"]) + np.float32(quantization["min"])
    return array.astype(target), count * stored.itemsize
