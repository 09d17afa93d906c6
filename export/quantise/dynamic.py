"""Dynamic int8: matrix products with constant weights in int8, activations scaled as they come.

ONNX Runtime's ``quantize_dynamic``, with what it takes to be fast and right: signed weights (unsigned ones
are 1.7 times slower on x86), a scale for each output channel, none of an exporter's shapes, which contradict
those it infers, and products of two activations left alone.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from export.quantise.graphs import Array, constants, copied, save
from export.quantise.storage import int8_tables

OPERATIONS = ("MatMul", "Gemm")


def dynamic_int8(
    model: Any, left_out: Sequence[str] = (), *, bits: Literal[7, 8] = 8, per_channel: bool = True
) -> Any:
    """A copy whose products with constant weights run in int8; large embedding tables are stored in int8.

    Args:
        model: an ``onnx.ModelProto`` in float32, of any size; its nodes have names.
        left_out: names of nodes that stay in float32.
        bits: of the weights; 7 where x86 without VNNI would saturate.
        per_channel: a scale for each output channel.
    """
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    tabled = int8_tables(model)
    del tabled.graph.value_info[:]
    with tempfile.TemporaryDirectory(prefix="edge-dynamic-") as folder, _quiet():
        plain, result = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        save(tabled, plain)
        del tabled
        quantize_dynamic(
            plain,
            result,
            op_types_to_quantize=list(OPERATIONS),
            per_channel=per_channel,
            reduce_range=bits == 7,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(left_out),
            use_external_data_format=False,
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        quantised = onnx.load(result)
    del quantised.graph.value_info[:], quantised.metadata_props[:]
    return quantised


def products(model: Any) -> list[str]:
    """Names of the products with constant weights, in order."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in _all_products(model) if node.input[1] in fixed]


def activation_products(model: Any) -> list[str]:
    """Names of the products of two activations, as in attention."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in _all_products(model) if node.input[1] not in fixed]


def pretended(model: Any, names: Collection[str], *, largest: int = 127) -> Any:
    """A float32 copy in which some products lose what they would lose in dynamic int8, to rounding.

    For measuring: it is made much faster than a quantised graph.

    Args:
        model: an ``onnx.ModelProto`` in float32.
        names: of products with constant weights.
        largest: integer for the largest weight of a channel.
    """
    from onnx import numpy_helper  # noqa: PLC0415

    result = copied(model)
    tensors, nodes = constants(result), []
    for node in result.graph.node:
        if node.name in names and node.input[1] in tensors:
            weight = numpy_helper.to_array(tensors[node.input[1]])
            turned = any(each.name == "transB" and each.i for each in node.attribute)
            rounded, own = rounded_weight(weight, 1 if turned else 0, largest), f"{node.name}/rounded"
            result.graph.initializer.append(numpy_helper.from_array(rounded, own))
            nodes.extend(_rounding(node.input[0], node.name))
            node.input[0], node.input[1] = f"{node.name}/input", own
        nodes.append(node)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def rounded_weight(weight: Array, axis: int, largest: int) -> Array:
    """A matrix as int8 holds it, a scale for each output channel.

    Args:
        weight: inputs x outputs or the other way around.
        axis: of the inputs.
        largest: integer for the largest weight of a channel.
    """
    peak = np.abs(weight).max(axis=axis, keepdims=True)
    scale = np.maximum(peak, np.finfo(np.float32).tiny) / largest
    return np.asarray(np.rint(weight / scale) * scale, np.float32)


def _rounding(value: str, name: str) -> list[Any]:
    from onnx import helper  # noqa: PLC0415

    parts = [f"{name}/{part}" for part in ("numbers", "scale", "zero")]
    return [
        helper.make_node("DynamicQuantizeLinear", [value], parts, name=f"{name}/rounds"),
        helper.make_node("DequantizeLinear", parts, [f"{name}/input"], name=f"{name}/widens"),
    ]


def _all_products(model: Any) -> Iterator[Any]:
    return (node for node in model.graph.node if node.op_type in OPERATIONS)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without its advice to pre-process, which here would undo the exporter's own shapes."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
