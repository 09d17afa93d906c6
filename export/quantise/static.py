"""Static int8: QuantizeLinear and DequantizeLinear around operations, with calibrated scales.

An activation function that clips (ReLU, ReLU6) has to be quantised along with the convolution before it: else
the range that is calibrated is the one before the clipping, and the first depthwise layers of a mobile
network lose their signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export import bias
from export.quantise.graphs import copied, same_nodes, sort
from export.quantise.ranges import Ranges
from export.quantise.scheme import WEIGHTED, Scheme


def quantised(ranges: Ranges, scheme: Scheme, left_out: Sequence[str] = ()) -> Any:
    """A static int8 form of a calibrated graph.

    Args:
        ranges: the graph with its calibration.
        scheme: what its target wants.
        left_out: names of nodes that stay in float32.

    Returns:
        An ``onnx.ModelProto``; that of TensorRT's scheme has only standard operations.
    """
    excluded = same_nodes(ranges.original, ranges.model, left_out)
    source = copied(ranges.model)
    if scheme.correct_bias:
        source = bias.shifted(source, ranges.means, excluded, scheme.largest)
    return _tidy(_with_qdq(source, ranges.tensors, scheme, excluded))


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
