"""Static int8: QuantizeLinear and DequantizeLinear around operations, with calibrated scales.

An activation function that clips (ReLU, ReLU6) has to be quantised along with the convolution before it: else
the range that is calibrated is the one before the clipping, and the first depthwise layers of a mobile
network lose their signal.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from export import bias
from export.quantise.flow import rounded_once
from export.quantise.graphs import copied, same_nodes, sort
from export.quantise.ranges import Ranges
from export.quantise.scheme import WEIGHTED, Scheme

_MOVES = ("Concat", "Split", "MaxPool", "Resize", "Add")


def quantised(ranges: Ranges, scheme: Scheme, left_out: Sequence[str] = ()) -> Any:
    """A static int8 form of a calibrated graph.

    Args:
        ranges: the graph with its calibration.
        scheme: what its target wants.
        left_out: names of nodes that stay in float32.

    Returns:
        An ``onnx.ModelProto``; that of TensorRT's scheme has only standard operations.
    """
    excluded = with_islands(ranges.model, same_nodes(ranges.original, ranges.model, left_out))
    source = copied(ranges.model)
    if scheme.correct_bias:
        source = bias.shifted(source, ranges.means, excluded, scheme.largest)
    form = _with_qdq(source, ranges.tensors, scheme, excluded)
    sort(form)
    if scheme.outputs and "Concat" not in scheme.operations:
        rounded_once(form, scheme.operations)
    return _tidy(form)


def with_islands(model: Any, excluded: Collection[str]) -> list[str]:
    """The nodes left out, and those between them: what only moves float values about gains nothing from int8.

    Args:
        model: whose nodes come after those whose values they take.
        excluded: names of the nodes left out.
    """
    floats, found = {value.name for value in model.graph.input}, list(excluded)
    fixed = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        moved = all(name in floats or name in fixed or not name for name in node.input)
        if node.name not in excluded and (node.op_type in WEIGHTED or not moved):
            continue
        floats.update(node.output)
        if node.op_type in _MOVES and node.name not in excluded:
            found.append(node.name)
    return found


def _with_qdq(source: Any, tensors: Any, scheme: Scheme, excluded: Sequence[str]) -> Any:
    from onnx import TensorProto  # noqa: PLC0415
    from onnxruntime.quantization import QDQQuantizer, QuantType  # noqa: PLC0415

    options = {
        "DefaultTensorType": TensorProto.FLOAT,
        "ActivationSymmetric": scheme.symmetric,
        "WeightSymmetric": True,
        "QuantizeBias": not scheme.float_bias,
        "DedicatedQDQPair": not scheme.outputs,
        "OpTypesToExcludeOutputQuantization": [] if scheme.outputs else list(WEIGHTED),
    }
    quantiser = QDQQuantizer(
        source,
        scheme.per_channel,
        scheme.bits == 7,
        QuantType.QInt8,
        QuantType.QInt8 if scheme.signed else QuantType.QUInt8,
        tensors,
        [],
        list(excluded),
        list(scheme.operations),
        options,
    )
    quantiser.quantize_model()
    return quantiser.model.model


def _tidy(model: Any) -> Any:
    """Without what only the quantiser needed to know: inferred shapes, domains that nothing is of."""
    import onnx  # noqa: PLC0415

    del model.graph.value_info[:], model.metadata_props[:]
    sort(model)
    used = {node.domain for node in model.graph.node}
    domains = [domain for domain in model.opset_import if domain.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(domains)
    onnx.checker.check_model(model)
    return model
