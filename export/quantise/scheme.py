"""What each kind of machine wants of a static int8 graph.

========  ===========  ==========  =======  ============================================================
target    activations  zero point  weights  why
========  ===========  ==========  =======  ============================================================
x86       uint8        any         int8, 7  its dot products take unsigned by signed; without VNNI two
                                            products are added in 16 bits that saturate, and seven bits
                                            can't reach that
arm       int8         any         int8, 8  its dot products take signed by signed
tensorrt  int8         0           int8, 8  symmetric is all it knows; only inputs of products and
                                            convolutions are rounded, biases stay float, nothing is of
                                            ``com.microsoft``
========  ===========  ==========  =======  ============================================================

TensorRT's rules are those of its guide ("Explicit Quantization": symmetric INT8, pre-quantised weights behind
a DequantizeLinear, inputs of weighted layers rounded and outputs not) and of its importer, which refuses the
int32 biases that ONNX Runtime makes by default. On x86 signed activations are some 20 times slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.vision.manifest import Target

Method = Literal["minmax", "entropy", "percentile"]
"""How a range follows from what was seen; ONNX Runtime's."""

WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Operations with constant weights."""

_CPU = (
    "Conv",
    "Clip",
    "Relu",
    "Add",
    "Mul",
    "Concat",
    "Resize",
    "GlobalAveragePool",
    "Gemm",
    "MaxPool",
    "Split",
)
GATED = ("Conv", "Gemm")
"""What is worth int8 on a processor where x * sigmoid(x), which stays in float, comes after each convolution:
to add, join or divide its results in int8 only rounds them once more, and is no faster."""

_LARGEST = {7: 64, 8: 127}


@dataclass(frozen=True)
class Scheme:
    """How the numbers of a static graph become int8.

    Attributes:
        signed: activations are int8; else uint8.
        symmetric: their zero point is 0 (128 if unsigned).
        bits: of the weights.
        per_channel: each output channel's weights have a scale of their own.
        outputs: outputs of weighted operations are rounded too, which CPU kernels need to stay in int8.
        float_bias: biases stay float.
        correct_bias: biases take back what rounding the weights does to means.
        operations: kinds that are quantised.
    """

    signed: bool = False
    symmetric: bool = False
    bits: Literal[7, 8] = 7
    per_channel: bool = True
    outputs: bool = True
    float_bias: bool = False
    correct_bias: bool = True
    operations: tuple[str, ...] = _CPU

    @property
    def largest(self) -> int:
        """Integer for the largest weight of a channel."""
        return _LARGEST[self.bits]


_SCHEMES: dict[Target, Scheme] = {
    "x86": Scheme(),
    "arm": Scheme(signed=True, bits=8),
    "tensorrt": Scheme(
        signed=True, symmetric=True, bits=8, outputs=False, float_bias=True, operations=("Conv", "Gemm")
    ),
}


def scheme_for(target: Target) -> Scheme:
    """The static scheme of a target.

    Raises:
        KeyError: CUDA has no int8 kernels for convolutions worth using; it takes float16.
    """
    return _SCHEMES[target]
