"""Bias correction: what rounding a convolution's weights does to its mean output, taken back in its bias.

Rounding shifts the mean of every output channel by the sum of the weights' errors times the mean of the
inputs, and in a network of many narrow layers such shifts add up. They are known beforehand, and a bias can
take them back at no cost (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019; here with means from samples instead of batch normalisations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Feed = Mapping[str, Array]


def corrected(model: Any, samples: Sequence[Feed], left_out: Sequence[str], largest: int) -> Any:
    """A copy with corrected biases.

    Args:
        model: an ``onnx.ModelProto`` in float32 whose convolutions have constant weights and biases.
        samples: inputs, by input name, that means are taken over.
        left_out: names of convolutions that won't be quantised.
        largest: integer that the largest weight of a channel becomes.
    """
    from onnx import ModelProto, numpy_helper  # noqa: PLC0415

    result = ModelProto()
    result.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in result.graph.initializer}
    nodes = [node for node in result.graph.node if node.op_type == "Conv" and node.name not in left_out]
    means = channel_means(model, [node.input[0] for node in nodes], samples)
    for node in nodes:
        weight = numpy_helper.to_array(constants[node.input[1]])
        bias = constants[node.input[2]]
        shift = mean_shift(weight, means[node.input[0]], largest)
        value = (numpy_helper.to_array(bias) + shift).astype(np.float32)
        bias.CopyFrom(numpy_helper.from_array(value, bias.name))
    return result


def mean_shift(weight: Array, means: Array, largest: int) -> Array:
    """What each output channel's mean loses when the weights are rounded.

    Args:
        weight: OIHW; depthwise if I is 1.
        means: of each input channel.
        largest: integer that the largest weight of a channel becomes.
    """
    peak = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    scale = np.maximum(peak, np.finfo(np.float32).tiny) / largest
    errors = (weight - np.rint(weight / scale) * scale).sum(axis=(2, 3))
    shift: Array = errors[:, 0] * means if weight.shape[1] == 1 else errors @ means
    return shift


def channel_means(model: Any, names: Sequence[str], samples: Sequence[Feed]) -> dict[str, Array]:
    """Mean of each channel of some NCHW values over samples."""
    import onnxruntime  # noqa: PLC0415
    from onnx import ModelProto, TensorProto, helper  # noqa: PLC0415

    probe = ModelProto()
    probe.CopyFrom(model)
    wanted = list(dict.fromkeys(names))
    probe.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in wanted)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = [[value.mean(axis=(0, 2, 3)) for value in session.run(wanted, dict(feed))] for feed in samples]
    return {name: np.mean([run[i] for run in runs], axis=0) for i, name in enumerate(wanted)}
