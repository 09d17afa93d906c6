"""Bias correction: what rounding a convolution's weights does to its mean output, taken back in its bias.

Rounding shifts the mean of every output channel by the sum of the weights' errors times the mean of the
inputs, and in a network of many narrow layers such shifts add up. They are known beforehand, and a bias can
take them back at no cost (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", 2019; here with means from samples instead of batch normalisations).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from export.quantise.graphs import Array, Feed, probed


def shifted(model: Any, means: Mapping[str, Array], left_out: Collection[str], largest: int) -> Any:
    """Correct biases, in place.

    Args:
        model: an ``onnx.ModelProto`` in float32; a convolution whose weights or bias aren't constant, or that
            has no bias, stays as it is.
        means: of each channel of every convolution's input, by the value's name.
        left_out: names of convolutions that won't be quantised.
        largest: integer that the largest weight of a channel becomes.

    Returns:
        The model that was given.
    """
    from onnx import numpy_helper  # noqa: PLC0415

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    uses = Counter(name for node in model.graph.node for name in node.input)
    for node in model.graph.node:
        known = len(node.input) == 3 and all(name in constants for name in node.input[1:])
        if node.op_type != "Conv" or node.name in left_out or not known:
            continue
        weight, bias = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
        value = (bias + mean_shift(weight, means[node.input[0]], largest)).astype(np.float32)
        if uses[node.input[2]] == 1:
            constants[node.input[2]].CopyFrom(numpy_helper.from_array(value, node.input[2]))
            continue
        own = f"{node.output[0]}/corrected bias"
        model.graph.initializer.append(numpy_helper.from_array(value, own))
        node.input[2] = own
    return model


def mean_shift(weight: Array, means: Array, largest: int) -> Array:
    """What each output channel's mean loses when the weights are rounded.

    Args:
        weight: output channels x input channels of a group x kernel (any number of axes).
        means: of each input channel.
        largest: integer that the largest weight of a channel becomes.
    """
    kernel = tuple(range(2, weight.ndim))
    peak = np.abs(weight).max(axis=(1, *kernel), keepdims=True)
    scale = np.maximum(peak, np.finfo(np.float32).tiny) / largest
    errors = (weight - np.rint(weight / scale) * scale).sum(axis=kernel)
    outputs, inputs = errors.shape
    groups = len(means) // inputs
    shift: Array = errors.reshape(groups, outputs // groups, inputs) @ means.reshape(groups, inputs, 1)
    return shift.reshape(outputs)


def channel_means(model: Any, names: Sequence[str], samples: Sequence[Feed]) -> dict[str, Array]:
    """Mean of each channel, which is axis 1, of some values over samples."""
    wanted = list(dict.fromkeys(names))
    runs = [
        [value.mean(axis=(0, *range(2, value.ndim))) for value in values]
        for values in probed(model, wanted, samples)
    ]
    return {name: np.mean([run[i] for run in runs], axis=0) for i, name in enumerate(wanted)}
