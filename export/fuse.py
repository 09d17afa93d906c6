"""Fusions for ONNX Runtime's processors; the result is no longer plain ONNX, and TensorRT can't read it."""

from __future__ import annotations

from typing import Any, Final

_MICROSOFT: Final = "com.microsoft"


def fuse_silu(model: Any) -> Any:
    """A copy in which every ``x * sigmoid(x)`` is one operation, ``com.microsoft.QuickGelu`` with alpha 1.

    Two passes over an activation become one. Names of values stay, so shapes that were inferred before remain
    right: infer them first, since nothing infers them through this operation.

    Args:
        model: an ``onnx.ModelProto`` in float32.
    """
    import onnx  # noqa: PLC0415

    fused = onnx.ModelProto()
    fused.CopyFrom(model)
    nodes = list(fused.graph.node)
    sigmoids = {node.output[0]: node for node in nodes if node.op_type == "Sigmoid"}
    shared = _more_than_one_reader(fused)
    gone, kept = set(), []
    for node in nodes:
        gate = _gate(node, sigmoids)
        if gate is None or gate.output[0] in shared:
            kept.append(node)
            continue
        gone.add(gate.output[0])
        kept.append(
            onnx.helper.make_node(
                "QuickGelu", list(gate.input), list(node.output), node.name, domain=_MICROSOFT, alpha=1.0
            )
        )
    if not gone:
        return fused
    del fused.graph.node[:]
    fused.graph.node.extend(node for node in kept if node.output[0] not in gone)
    if _MICROSOFT not in {opset.domain for opset in fused.opset_import}:
        fused.opset_import.append(onnx.helper.make_opsetid(_MICROSOFT, 1))
    return fused


def _gate(node: Any, sigmoids: dict[str, Any]) -> Any | None:
    """The sigmoid that a product multiplies its own input with, if it does."""
    if node.op_type != "Mul":
        return None
    for value, factor in (tuple(node.input), tuple(node.input)[::-1]):
        if factor in sigmoids and sigmoids[factor].input[0] == value:
            return sigmoids[factor]
    return None


def _more_than_one_reader(model: Any) -> set[str]:
    seen: set[str] = set()
    shared = {tensor.name for tensor in model.graph.output}
    for node in model.graph.node:
        for name in node.input:
            (shared if name in seen else seen).add(name)
    return shared
