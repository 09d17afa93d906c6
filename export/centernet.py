"""MobileNetV3-CenterNet from its TensorFlow.js graph model to ONNX, operation by operation.

The detector is that of Zhou et al., "Objects as Points" (2019): a heat map with one channel per class whose
local maxima are object centres, and a map of the distances from each centre to the four sides of its box.
The graph model ends in its own decode (top-k); the mapping stops before that, at the two maps, and joins
COCO's classes to the three that a camera trap asks for.

TensorFlow computes NHWC with ``SAME`` padding; ONNX computes NCHW with explicit padding. Everything else is
one to one, apart from hard-swish, which TensorFlow spells ``(x / 6) * relu6(x + 3)`` and ONNX has as one
operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError
from export.graph import GraphBuilder
from export.tfjs import GraphModel, Node

HEIGHT, WIDTH = 384, 512
STRIDE = 4
INPUT, HEATMAP, BOX = "image", "heatmap", "size"
_IMAGES, KEYPOINTS, DISTANCES = "tower_0/images", "tower_0/keypoints", "tower_0/wh"
_CLASS_HEAD = "tower_0/CenternetHead/centernet_cls_output/BiasAdd"

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse",
    "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie",
    "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove",
    "skateboard", "surfboard", "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon",
    "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
    "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse",
    "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""COCO's 80 classes in the order of the heat map's channels."""

GROUPS = {
    "animal": ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    "person": ("person",),
    "vehicle": ("bicycle", "car", "motorcycle", "bus", "truck"),
}
"""What a camera trap asks for, and COCO's classes that answer it; 16 channels are one block of a kernel."""

_ALIGNMENT = 4  # ONNX Runtime's blocked convolutions want channels in multiples of this


def joined(scores: NDArray[Any]) -> NDArray[Any]:
    """The graph's heat map in numpy: NHWC scores of COCO's 80 classes to NHWC scores of ``GROUPS``."""
    groups = [
        np.linalg.norm(scores[..., [COCO.index(name) for name in members]], axis=-1)
        for members in GROUPS.values()
    ]
    return np.stack(groups, axis=-1)


def build(source: GraphModel, height: int = HEIGHT, width: int = WIDTH) -> Any:
    """The detector as an ``onnx.ModelProto``.

    Input ``image``: uint8 NHWC RGB, 1 x height x width x 3. Outputs ``heatmap``: float32 NCHW, one channel
    per group of ``GROUPS``, from 0 to about 1; ``size``: float32 NCHW, 4 channels, distances in input pixels
    from a cell's origin to the left, top, right and bottom of its box; both at a quarter of the input's
    resolution. The network is fully convolutional; sides have to be multiples of 32.

    A group's score is the Euclidean norm of its classes' scores. An animal that COCO doesn't know looks
    somewhat like several that it knows: the maximum would ignore that, and their sum would add up noise.

    Raises:
        ExportError: the graph model holds an operation that this mapping doesn't know.
    """
    return _Mapping(source, height, width).build()


class _Mapping:
    """One walk over the nodes; ``values`` maps TensorFlow names to ONNX names, ``shapes`` to C, H, W."""

    def __init__(self, source: GraphModel, height: int, width: int) -> None:
        self.source = source
        self.height, self.width = height, width
        self.channels = [COCO.index(name) for members in GROUPS.values() for name in members]
        self.graph = GraphBuilder("centernet")
        self.values: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, int, int]] = {}
        self.shifted: set[str] = set()

    def build(self) -> Any:
        rows, columns = self.height // STRIDE, self.width // STRIDE
        self._image()
        for node in self.source.up_to((KEYPOINTS, DISTANCES)):
            if node.op not in ("Placeholder", "Identity"):
                self._emit(node)
        self._join()
        self.graph.output(HEATMAP, np.float32, (1, len(GROUPS), rows, columns))
        self.graph.output(BOX, np.float32, (1, 4, rows, columns))
        return self.graph.model()

    def _image(self) -> None:
        image = self.graph.input(INPUT, np.uint8, (1, self.height, self.width, 3))
        planar = self.graph.node("Transpose", [image], "image/nchw", perm=[0, 3, 1, 2])
        self.values[_IMAGES] = self.graph.node("Cast", [planar], "image/float", to=1)
        self.shapes[_IMAGES] = (3, self.height, self.width)

    def _join(self) -> None:
        """The norm of each group's scores: square, sum by a 1 x 1 convolution with zeros and ones, root."""
        members = np.repeat(np.arange(len(GROUPS)), [len(names) for names in GROUPS.values()])
        belongs = (members == np.arange(len(GROUPS))[:, None]).astype(np.float32)
        scores = self.values["tower_0/Sigmoid"]
        square = self.graph.node("Mul", [scores, scores], "groups/square")
        weight = self.graph.constant("groups/members", belongs[:, :, None, None])
        total = self.graph.node("Conv", [square, weight], "groups/sum", kernel_shape=[1, 1])
        self.graph.node("Sqrt", [total], HEATMAP)

    def _emit(self, node: Node) -> None:
        rules: Mapping[str, Callable[[Node], None]] = {
            "_FusedConv2D": self._convolution,
            "Conv2D": self._convolution,
            "FusedDepthwiseConv2dNative": self._convolution,
            "DepthwiseConv2dNative": self._convolution,
            "Add": self._sum,
            "Mul": self._product,
            "Relu": self._unary,
            "Sigmoid": self._unary,
            "Relu6": self._hard_sigmoid,
            "Mean": self._mean,
            "ConcatV2": self._concat,
            "ResizeBilinear": self._double,
        }
        if node.op not in rules:
            raise ExportError("no mapping to ONNX for this operation", subject=f"{node.op} ({node.name})")
        rules[node.op](node)

    def _set(self, node: Node, value: str, shape: tuple[int, int, int]) -> None:
        self.values[node.name], self.shapes[node.name] = value, shape

    def _name(self, node: Node) -> str:
        return BOX if node.name == "tower_0/mul" else node.name.removeprefix("tower_0/")

    def _convolution(self, node: Node) -> None:
        name, depthwise = self._name(node), "Depthwise" in node.op
        kernel = _kernel(self.source.weights[node.inputs[1]], depthwise=depthwise)
        fused = node.attributes.get("fused_ops", [])
        bias = (
            self.source.weights[node.inputs[2]] if "BiasAdd" in fused else np.zeros(len(kernel), np.float32)
        )
        if node.name == _CLASS_HEAD:
            kernel, bias = kernel[self.channels], bias[self.channels]
        incoming, height, width = self.shapes[node.inputs[0]]
        kernel, bias = _align(kernel, bias, 1 if depthwise else incoming)
        stride = int(node.attributes["strides"][1])
        same = node.attributes["padding"] == "SAME"
        top, bottom, rows = _padding(height, kernel.shape[2], stride, same=same)
        left, right, columns = _padding(width, kernel.shape[3], stride, same=same)
        weight = self.graph.constant(f"{name}/weight", kernel)
        offset = self.graph.constant(f"{name}/bias", bias)
        value = self.graph.node(
            "Conv",
            [self.values[node.inputs[0]], weight, offset],
            name,
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            pads=[top, left, bottom, right],
            group=len(kernel) if depthwise else 1,
        )
        if "Relu" in fused:
            value = self.graph.node("Relu", [value], f"{name}/relu")
        self._set(node, value, (len(kernel), rows, columns))

    def _binary(self, node: Node) -> None:
        left, right = node.inputs
        value = self.graph.node(node.op, [self.values[left], self.values[right]], self._name(node))
        self._set(node, value, max(self.shapes[left], self.shapes[right], key=lambda s: s[1] * s[2]))

    def _sum(self, node: Node) -> None:
        """A sum of two values, or the shift ``x + 3`` of a hard-sigmoid, which that operation contains."""
        number, value = self._split(node)
        if number is None:
            self._binary(node)
            return
        if not np.isclose(number, 3):
            raise ExportError("a shift that no hard-sigmoid has", subject=f"{node.name} + {number}")
        self.shifted.add(node.name)
        self._set(node, self.values[value], self.shapes[value])

    def _product(self, node: Node) -> None:
        """A product of two values, of a value and a number, or a hard-sigmoid's division by 6."""
        number, value = self._split(node)
        if number is None:
            self._binary(node)
        elif np.isclose(number, 1 / 6, rtol=1e-3):
            self._set(node, self.values[value], self.shapes[value])
        else:
            factor = self.graph.constant(f"{self._name(node)}/factor", number)
            out = self.graph.node("Mul", [self.values[value], factor], self._name(node))
            self._set(node, out, self.shapes[value])

    def _split(self, node: Node) -> tuple[NDArray[Any] | None, str]:
        """The constant operand of a binary operation, if it has one, and the name of the other."""
        for number, value in (node.inputs, node.inputs[::-1]):
            if number in self.source.weights:
                return self.source.weights[number], value
        return None, ""

    def _hard_sigmoid(self, node: Node) -> None:
        """``relu6(x + 3) / 6`` with its shift and division left out is ``clip(x / 6 + 1/2, 0, 1)``."""
        (before,) = node.inputs
        if before not in self.shifted:
            raise ExportError("a Relu6 outside a hard-sigmoid", subject=node.name)
        value = self.graph.node("HardSigmoid", [self.values[before]], self._name(node), alpha=1 / 6, beta=0.5)
        self._set(node, value, self.shapes[before])

    def _unary(self, node: Node) -> None:
        value = self.graph.node(node.op, [self.values[node.inputs[0]]], self._name(node))
        self._set(node, value, self.shapes[node.inputs[0]])

    def _mean(self, node: Node) -> None:
        value = self.graph.node("GlobalAveragePool", [self.values[node.inputs[0]]], self._name(node))
        self._set(node, value, (self.shapes[node.inputs[0]][0], 1, 1))

    def _concat(self, node: Node) -> None:
        parts = node.inputs[:-1]
        value = self.graph.node("Concat", [self.values[p] for p in parts], self._name(node), axis=1)
        _, rows, columns = self.shapes[parts[0]]
        self._set(node, value, (sum(self.shapes[p][0] for p in parts), rows, columns))

    def _double(self, node: Node) -> None:
        """Bilinear doubling on TensorFlow's legacy grid (corners not aligned, no half pixel)."""
        scales = self.graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
        value = self.graph.node(
            "Resize",
            [self.values[node.inputs[0]], "", scales],
            self._name(node),
            mode="linear",
            coordinate_transformation_mode="asymmetric",
        )
        channels, rows, columns = self.shapes[node.inputs[0]]
        self._set(node, value, (channels, rows * 2, columns * 2))


def _kernel(weight: NDArray[Any], *, depthwise: bool) -> NDArray[Any]:
    """TensorFlow's HWIO (or HWCM for a depthwise kernel) as ONNX's OIHW."""
    if not depthwise:
        return weight.transpose(3, 2, 0, 1)
    height, width, channels, multiplier = weight.shape
    return weight.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)


def _padding(size: int, kernel: int, stride: int, *, same: bool) -> tuple[int, int, int]:
    """Padding before and after, and the output's size, along one axis.

    TensorFlow's ``SAME`` gives ``ceil(size / stride)`` outputs and puts the odd pixel of padding last.
    """
    if not same:
        return 0, 0, (size - kernel) // stride + 1
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2, outputs


def _align(
    kernel: NDArray[Any], bias: NDArray[Any], incoming: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias with zeros for output channels up to the alignment, and for ``incoming`` such channels.

    A layer whose channels aren't a multiple of 4 falls out of the blocked layout; the zeros cost less.
    """
    more = -len(kernel) % _ALIGNMENT
    wide = np.pad(kernel, ((0, more), (0, incoming - kernel.shape[1]), (0, 0), (0, 0)))
    return wide.astype(np.float32), np.pad(bias, (0, more)).astype(np.float32)
