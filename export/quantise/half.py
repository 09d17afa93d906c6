"""A float16 graph for GPUs: computes in float16 where that is enough, takes and gives what it did before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export.quantise.graphs import copied, sort

SENSITIVE = (
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "LpNormalization",
    "Pow",
    "RMSNormalization",
    "ReduceL2",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Softmax",
    "Sqrt",
)
"""Operations that stay in float32: sums over many numbers, and what their small results are divided by."""


def half_compute(model: Any, left_out: Sequence[str] = ()) -> Any:
    """A copy that computes in float16; inputs and outputs keep their types.

    Args:
        model: an ``onnx.ModelProto`` in float32.
        left_out: names of nodes that stay in float32.
    """
    import onnx  # noqa: PLC0415
    from onnxruntime.transformers.float16 import (  # noqa: PLC0415
        DEFAULT_OP_BLOCK_LIST,
        convert_float_to_float16,
    )

    source = copied(model)
    del source.graph.value_info[:]
    result = convert_float_to_float16(
        source,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *SENSITIVE],
        node_block_list=list(left_out),
    )
    del result.graph.value_info[:]
    sort(result)
    onnx.checker.check_model(result)
    return result
