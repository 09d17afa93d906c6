"""The one quantiser: fewer bytes for a graph's numbers, by the recipe that measured best for its kind.

===================  ======================================================================================
``half_weights``     float16 storage, widened when the graph is loaded. Computes as before
``half_compute``     a float16 graph for a GPU, what float16 is too coarse for in float32
``int8_weights``     int8 storage per output channel (per row of an embedding table). Computes in float, or
                     in int8 blocks where the runtime knows how
``dynamic_int8``     matrix products in int8, activations scaled as they come. For transformers
``static_int8``      QDQ with calibrated activations. For convolutional networks
===================  ======================================================================================

What x86, ARM and TensorRT each want of a static graph says :mod:`export.quantise.scheme`; in which order
recipes are tried, :mod:`export.recipes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export.quantise.dynamic import dynamic_int8
from export.quantise.graphs import Feed, convolutions
from export.quantise.half import half_compute
from export.quantise.ranges import Material, Ranges
from export.quantise.scheme import Method, Scheme, scheme_for
from export.quantise.static import quantised
from export.quantise.storage import half_weights, int8_tables, int8_weights

__all__ = [
    "Material",
    "Method",
    "Ranges",
    "Scheme",
    "convolutions",
    "dynamic_int8",
    "half_compute",
    "half_weights",
    "int8_tables",
    "int8_weights",
    "precision_name",
    "quantised",
    "scheme_for",
    "static_int8",
]


def precision_name(base: str, left_out: Sequence[str]) -> str:
    """How a manifest calls a precision: ``int8-static, 2 nodes fp32``."""
    return f"{base}, {len(left_out)} nodes fp32" if left_out else base


def static_int8(model: Any, samples: Sequence[Feed], left_out: Sequence[str] = ()) -> Any:
    """A copy with QDQ around its operations as x86 wants it, calibrated on samples.

    For one graph of one form; :class:`Material` keeps a calibration for more.

    Args:
        model: an ``onnx.ModelProto`` in float32.
        samples: inputs to calibrate with, by input name; the largest and smallest activation count.
        left_out: names of nodes that stay in float32.
    """
    return quantised(Material(model, samples, left_out).ranges(), scheme_for("x86"), left_out)
