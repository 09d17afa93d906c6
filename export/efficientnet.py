"""EfficientNet-Lite (Tan and Le, 2019; the Lite variants have ReLU6 and no squeeze-and-excite) as ONNX.

Built straight from a checkpoint's tensors, batch normalisation folded into the convolutions, so that the
graph doesn't depend on any tracer's version. What comes out of the network goes on into a *head*, which
turns 1000 logits into whatever the bundle serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.graph import GraphBuilder

Tensors = Mapping[str, NDArray[Any]]
EPSILON = 1e-3  # of the batch normalisations
MEAN, SCALE = 127, 1 / 128  # the input is (x - 127) / 128
STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)
INPUT, LOGITS = "crop", "logits"


@dataclass(frozen=True)
class Variant:
    """A member of the family: its name in the package registry and the side of its input in pixels."""

    name: str
    size: int


LITE0, LITE1, LITE2 = Variant("lite0", 224), Variant("lite1", 240), Variant("lite2", 260)


def add_network(graph: GraphBuilder, tensors: Tensors, size: int) -> str:
    """Add the network from crop to logits; returns the logits' name (batch x 1000, float32).

    The graph gets an input ``crop``: uint8 NHWC RGB, batch x size x size x 3. ``(x - 127) / 128`` is exactly
    what dequantising with zero point 127 and scale 1/128 does, so the input needs no arithmetic of its own.
    """
    crop = graph.input(INPUT, np.uint8, ("batch", size, size, 3))
    planar = graph.node("Transpose", [crop], "crop/nchw", perm=[0, 3, 1, 2])
    scale = graph.constant("crop/scale", np.float32(SCALE))
    mean = graph.constant("crop/mean", np.uint8(MEAN))
    value = graph.node("DequantizeLinear", [planar, scale, mean], "crop/normalised")
    layers = _Layers(graph, tensors)
    value, side = layers.convolution(value, "_conv_stem", "_bn0", size, stride=2), -(-size // 2)
    for block, stride in _blocks(tensors):
        value = layers.block(value, block, side, stride)
        side = -(-side // stride)
    value = layers.convolution(value, "_conv_head", "_bn1", side)
    pooled = graph.node("GlobalAveragePool", [value], "pooled")
    flat = graph.node("Flatten", [pooled], "features", axis=1)
    weight = graph.constant("classifier/weight", tensors["_fc.weight"])
    bias = graph.constant("classifier/bias", tensors["_fc.bias"])
    return graph.node("Gemm", [flat, weight, bias], LOGITS, transB=1)


def _blocks(tensors: Tensors) -> list[tuple[str, int]]:
    """Every inverted bottleneck's prefix and stride: a stage's stride belongs to its first block.

    A stage begins where the number of output channels changes.
    """
    found: list[tuple[str, int]] = []
    strides, channels = iter(STAGE_STRIDES), 0
    while f"_blocks.{len(found)}._project_conv.weight" in tensors:
        prefix = f"_blocks.{len(found)}"
        width = len(tensors[f"{prefix}._project_conv.weight"])
        found.append((prefix, next(strides) if width != channels else 1))
        channels = width
    return found


class _Layers:
    def __init__(self, graph: GraphBuilder, tensors: Tensors) -> None:
        self.graph = graph
        self.tensors = tensors

    def block(self, value: str, prefix: str, side: int, stride: int) -> str:
        """An inverted bottleneck: expand, depthwise, project; added to its input where shapes allow."""
        inner = value
        expand = f"{prefix}._expand_conv"
        if f"{expand}.weight" in self.tensors:
            inner = self.convolution(inner, expand, f"{prefix}._bn0", side)
        inner = self.convolution(inner, f"{prefix}._depthwise_conv", f"{prefix}._bn1", side, stride=stride)
        out = self.convolution(inner, f"{prefix}._project_conv", f"{prefix}._bn2", side, activate=False)
        first = (
            f"{expand}.weight" if f"{expand}.weight" in self.tensors else f"{prefix}._depthwise_conv.weight"
        )
        incoming = self.tensors[first].shape[1 if first.startswith(expand) else 0]
        if stride == 1 and incoming == len(self.tensors[f"{prefix}._project_conv.weight"]):
            out = self.graph.node("Add", [out, value], f"{prefix}/sum")
        return out

    def convolution(
        self, value: str, name: str, norm: str, side: int, *, stride: int = 1, activate: bool = True
    ) -> str:
        """A convolution without bias and its batch normalisation as one, padded as TensorFlow's SAME."""
        weight, bias = fold_batch_norm(self.tensors, name, norm)
        kernel = weight.shape[2]
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        before, after = total // 2, total - total // 2
        out = self.graph.node(
            "Conv",
            [
                value,
                self.graph.constant(f"{name}/weight", weight),
                self.graph.constant(f"{name}/bias", bias),
            ],
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(weight) if weight.shape[1] == 1 else 1,
        )
        if not activate:
            return out
        low = self.graph.constant("relu6/low", np.float32(0))
        high = self.graph.constant("relu6/high", np.float32(6))
        return self.graph.node("Clip", [out, low, high], f"{name}/relu6")


def fold_batch_norm(
    tensors: Tensors, name: str, norm: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a convolution with its batch normalisation folded in, computed in float64."""
    parts = {key: tensors[f"{norm}.{key}"].astype(np.float64) for key in ("weight", "bias", "running_mean")}
    factor = parts["weight"] / np.sqrt(tensors[f"{norm}.running_var"].astype(np.float64) + EPSILON)
    weight = tensors[f"{name}.weight"].astype(np.float64) * factor[:, None, None, None]
    bias = parts["bias"] - parts["running_mean"] * factor
    return weight.astype(np.float32), bias.astype(np.float32)
