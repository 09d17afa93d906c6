"""Weights in fewer bytes, activations as before: a smaller file and less memory without calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quantise.graphs import Array, copied, users

_WORTH_IT = 4096  # numbers; smaller tensors stay as they are
_HALF_LIMIT = 65504.0  # largest float16


def half_weights(model: Any) -> Any:
    """A copy whose large float32 constants are stored as float16 and widened on loading."""
    return _with_stored(model, _halved)


def int8_weights(model: Any) -> Any:
    """A copy whose large float32 matrices are stored as int8 with a scale for each output channel.

    A matrix that is the second operand of a ``MatMul`` is scaled by column; a table that ``Gather`` picks
    rows from is scaled by row, and only the rows that were picked are widened.
    """
    return _with_stored(int8_tables(model), _dequantised)


def _with_stored(model: Any, stored: Any) -> Any:
    """Replace each large float32 constant that ``stored`` knows a shorter form of.

    ``stored(name, array, readers)`` gives new constants and the node that makes ``name`` of them, or None.
    """
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    result = copied(model)
    readers = users(result)
    constants, widening = [], []
    for tensor in result.graph.initializer:
        array = numpy_helper.to_array(tensor)
        short = None
        if array.dtype == np.float32 and array.size >= _WORTH_IT:
            short = stored(tensor.name, array, readers.get(tensor.name, ()))
        if short is None:
            constants.append(tensor)
        else:
            constants.extend(numpy_helper.from_array(value, name) for name, value in short[0].items())
            widening.append(short[1])
    nodes = [*widening, *result.graph.node]
    del result.graph.initializer[:], result.graph.node[:]
    result.graph.initializer.extend(constants)
    result.graph.node.extend(nodes)
    onnx.checker.check_model(result, full_check=True)
    return result


def _halved(name: str, array: Array, _: Sequence[Any]) -> tuple[dict[str, Array], Any] | None:
    from onnx import TensorProto, helper  # noqa: PLC0415

    if np.abs(array).max() > _HALF_LIMIT:
        return None
    short = f"{name}/float16"
    widen = helper.make_node("Cast", [short], [name], name=f"{name}/widened", to=TensorProto.FLOAT)
    return {short: array.astype(np.float16)}, widen


def _dequantised(name: str, array: Array, readers: Sequence[Any]) -> tuple[dict[str, Array], Any] | None:
    from onnx import helper  # noqa: PLC0415

    if not readers or any(node.op_type != "MatMul" or node.input[1] != name for node in readers):
        return None
    numbers, scale = _int8(array, axis=0)
    short: dict[str, Array] = {f"{name}/int8": numbers, f"{name}/scale": scale.reshape(-1)}
    widen = helper.make_node("DequantizeLinear", list(short), [name], name=f"{name}/widened", axis=1)
    return short, widen


def int8_tables(model: Any) -> Any:
    """A copy whose large embedding tables are int8 with a scale for each row."""
    from onnx import numpy_helper  # noqa: PLC0415

    result = copied(model)
    readers = users(result)
    constants, tables = [], set()
    for tensor in result.graph.initializer:
        array = numpy_helper.to_array(tensor) if _is_table(tensor, readers) else np.empty(0)
        if array.dtype != np.float32 or array.size < _WORTH_IT:
            constants.append(tensor)
            continue
        numbers, scale = _int8(array, axis=1)
        constants.append(numpy_helper.from_array(numbers, f"{tensor.name}/int8"))
        constants.append(numpy_helper.from_array(scale, f"{tensor.name}/scale"))
        tables.add(tensor.name)
    nodes: list[Any] = []
    for node in result.graph.node:
        looks_up = bool(node.input) and node.input[0] in tables
        nodes.extend(_row_lookup(node.input[0], node) if looks_up else [node])
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.initializer.extend(constants)
    result.graph.node.extend(nodes)
    return result


def _is_table(tensor: Any, readers: Mapping[str, Sequence[Any]]) -> bool:
    """Whether whole rows are all that is ever read of a constant."""
    nodes = readers.get(tensor.name, ())
    rows = all(
        node.op_type == "Gather"
        and node.input[0] == tensor.name
        and all(attribute.i == 0 for attribute in node.attribute)
        for node in nodes
    )
    return bool(nodes) and rows and len(tensor.dims) == 2


def _row_lookup(table: str, node: Any) -> list[Any]:
    from onnx import TensorProto, helper  # noqa: PLC0415

    which, out = node.input[1], node.output[0]
    made = [
        helper.make_node("Gather", [f"{table}/int8", which], [f"{out}/int8"], axis=0),
        helper.make_node("Gather", [f"{table}/scale", which], [f"{out}/scale"], axis=0),
        helper.make_node("Cast", [f"{out}/int8"], [f"{out}/wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{out}/wide", f"{out}/scale"], [out]),
    ]
    for lookup in made:
        lookup.name = lookup.output[0]
    return made


def _int8(array: Array, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 along ``axis`` and its scale, kept as a dimension of 1."""
    scale = np.maximum(np.abs(array).max(axis=axis, keepdims=True), np.finfo(np.float32).tiny) / 127
    return np.rint(array / scale).astype(np.int8), scale.astype(np.float32)
