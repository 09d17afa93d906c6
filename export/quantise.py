"""The one quantiser: fewer bytes for a graph's numbers, by the recipe that measured best for its kind.

===============  ==========================================================================================
half_weights     float16 storage, widened when the graph is loaded. Computes as before
int8_weights     int8 storage per output channel (per row of an embedding table). Computes in float, or in
                 int8 blocks where the runtime knows how
static_int8      QDQ: activations uint8 from calibration, weights 7 bits per channel. Fast for convolutions
===============  ==========================================================================================

Activations are unsigned and weights signed because that is what x86's dot products take; signed activations
are 20 times slower there. An activation function that clips (ReLU, ReLU6) has to be quantised along with the
convolution before it: else the range that is calibrated is the one before the clipping, and the first
depthwise layers of a mobile network lose their signal.

Weights take seven bits of the eight. On x86 without VNNI two products are added in 16 bits that saturate:
with eight bits a picture's cosine fell to 0.82 there. What the lost bit costs, bias correction brings back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export import bias

Array = NDArray[Any]
Feed = Mapping[str, Array]
STATIC_OPERATIONS = ("Conv", "Clip", "Relu", "Add", "Mul", "Concat", "Resize", "GlobalAveragePool", "Gemm")
_LARGEST = 64  # integer for the largest weight of a channel in 7 bits
_WORTH_IT = 4096  # numbers; smaller tensors stay as they are
_HALF_LIMITS = (6.2e-5, 65504.0)  # smallest normal and largest float16


def precision_name(base: str, left_out: Sequence[str]) -> str:
    """How a manifest calls a precision: ``int8-static, 2 nodes fp32``."""
    return f"{base}, {len(left_out)} nodes fp32" if left_out else base


def half_weights(model: Any) -> Any:
    """A copy whose large float32 constants are stored as float16 and widened on loading."""
    return _with_stored(model, _halved)


def int8_weights(model: Any) -> Any:
    """A copy whose large float32 matrices are stored as int8 with a scale for each output channel.

    A matrix that is the second operand of a ``MatMul`` is scaled by column; a table that ``Gather`` picks
    rows from is scaled by row, and only the rows that were picked are widened.
    """
    return _with_stored(_gathered_rows(model), _dequantised)


def static_int8(model: Any, samples: Sequence[Feed], left_out: Sequence[str] = ()) -> Any:
    """A copy with QDQ around its operations, calibrated on samples.

    Args:
        model: an ``onnx.ModelProto`` in float32.
        samples: inputs to calibrate with, by input name; the largest and smallest activation count.
        left_out: names of nodes that stay in float32.
    """
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="edge-quantise-") as folder:
        plain, prepared, result = (
            Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "int8.onnx")
        )
        onnx.save(bias.corrected(model, samples, left_out, _LARGEST), plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            result,
            _Reader(samples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(STATIC_OPERATIONS),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(left_out),
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        quantised = onnx.load(result)
    del quantised.graph.value_info[:]
    used = {node.domain for node in quantised.graph.node}
    domains = [domain for domain in quantised.opset_import if domain.domain in used]
    del quantised.opset_import[:]
    quantised.opset_import.extend(domains)
    onnx.checker.check_model(quantised)
    return quantised


def convolutions(model: Any) -> list[str]:
    """Names of a graph's convolutions, in order."""
    return [node.name for node in model.graph.node if node.op_type == "Conv"]


class _Reader:
    """What ``quantize_static`` takes its samples from."""

    def __init__(self, samples: Sequence[Feed]) -> None:
        self._samples: Iterator[Feed] = iter(samples)

    def get_next(self) -> Feed | None:
        return next(self._samples, None)


def _with_stored(model: Any, stored: Any) -> Any:
    """Replace each large float32 constant that ``stored`` knows a shorter form of.

    ``stored(name, array, users)`` gives new constants and the node that makes ``name`` of them, or None.
    """
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    result = onnx.ModelProto()
    result.CopyFrom(model)
    users = _users(result)
    constants, widening = [], []
    for tensor in result.graph.initializer:
        array = numpy_helper.to_array(tensor)
        short = None
        if array.dtype == np.float32 and array.size >= _WORTH_IT:
            short = stored(tensor.name, array, users.get(tensor.name, ()))
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


def _users(model: Any) -> dict[str, list[Any]]:
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users


def _halved(name: str, array: Array, _: Sequence[Any]) -> tuple[dict[str, Array], Any] | None:
    from onnx import TensorProto, helper  # noqa: PLC0415

    if np.abs(array).max() > _HALF_LIMITS[1]:
        return None
    short = f"{name}/float16"
    widen = helper.make_node("Cast", [short], [name], name=f"{name}/widened", to=TensorProto.FLOAT)
    return {short: array.astype(np.float16)}, widen


def _dequantised(name: str, array: Array, users: Sequence[Any]) -> tuple[dict[str, Array], Any] | None:
    from onnx import helper  # noqa: PLC0415

    if not users or any(node.op_type != "MatMul" or node.input[1] != name for node in users):
        return None
    numbers, scale = _int8(array, axis=0)
    short: dict[str, Array] = {f"{name}/int8": numbers, f"{name}/scale": scale.reshape(-1)}
    widen = helper.make_node("DequantizeLinear", list(short), [name], name=f"{name}/widened", axis=1)
    return short, widen


def _gathered_rows(model: Any) -> Any:
    """A copy whose large embedding tables are int8 with a scale for each row."""
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    result = onnx.ModelProto()
    result.CopyFrom(model)
    tables = {tensor.name: tensor for tensor in result.graph.initializer}
    nodes = []
    for node in result.graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        array = numpy_helper.to_array(table) if table is not None else np.empty(0)
        if table is None or array.dtype != np.float32 or array.size < _WORTH_IT:
            nodes.append(node)
            continue
        numbers, scale = _int8(array, axis=1)
        result.graph.initializer.remove(table)
        result.graph.initializer.append(numpy_helper.from_array(numbers, f"{table.name}/int8"))
        result.graph.initializer.append(numpy_helper.from_array(scale, f"{table.name}/scale"))
        nodes.extend(_row_lookup(table.name, node))
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


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
