"""Where values are rounded in a QDQ graph that is int8 in places: as late as it can be, and only once.

The quantiser puts QuantizeLinear and DequantizeLinear around a value and lets everybody read what comes out.
A sum or a join that computes in float then gets rounded values although the exact ones are there, and a join
whose result is rounded moves four bytes for each one that counts. So

1. what computes in float reads values as they were before they were rounded;
2. what is rounded right after a join is rounded before it, by the same scale, and joined as bytes.

The first saves one rounding, the second changes no result. Poolings and resizes stay in float: their kernels
for bytes are slower than those for floats.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from export.quantise.graphs import sort, users

_QUANTISE, _WIDEN, _JOIN = "QuantizeLinear", "DequantizeLinear", "Concat"


def rounded_once(model: Any, int8: Collection[str]) -> None:
    """Rewrite a QDQ graph in place so that each value is rounded once, right where int8 begins.

    Args:
        model: an ``onnx.ModelProto``, its nodes after those whose values they take.
        int8: kinds of operations that have int8 kernels; every other kind computes in float.
    """
    _read_unrounded(model, int8)
    _drop_unread(model)
    outputs = {value.name for value in model.graph.output}
    for node in [node for node in model.graph.node if node.op_type == _QUANTISE]:
        _join_bytes(model, node, outputs)
    sort(model)


def _read_unrounded(model: Any, int8: Collection[str]) -> None:
    made = {value: node for node in model.graph.node for value in node.output}
    for node in model.graph.node:
        if node.op_type in int8 or node.op_type in (_QUANTISE, _WIDEN):
            continue
        for place, name in enumerate(node.input):
            exact = _before_rounding(made, name)
            # What an int8 kernel makes is rounded inside it; to read it unrounded would take it out of int8.
            if exact in made and made[exact].op_type not in int8:
                node.input[place] = exact


def _before_rounding(made: dict[str, Any], name: str) -> str:
    """The value that ``name`` is the rounded form of; empty if it is none."""
    widen = made.get(name)
    if widen is None or widen.op_type != _WIDEN:
        return ""
    quantise = made.get(widen.input[0])
    if quantise is None or quantise.op_type != _QUANTISE or widen.input[1:] != quantise.input[1:]:
        return ""
    return str(quantise.input[0])


def _join_bytes(model: Any, quantise: Any, outputs: Collection[str]) -> None:
    """Round what a join takes in place of its result, if nobody wants that unrounded."""
    joins = [node for node in model.graph.node if quantise.input[0] in node.output and node.op_type == _JOIN]
    if not joins or len(users(model)[quantise.input[0]]) > 1 or quantise.input[0] in outputs:
        return
    join = joins[0]
    earlier = [_rounding(name, quantise, f"{join.name}/rounded_{i}") for i, name in enumerate(join.input)]
    for place, node in enumerate(earlier):
        join.input[place] = node.output[0]
    join.output[0] = quantise.output[0]
    model.graph.node.remove(quantise)
    model.graph.node.extend(earlier)
    for node in earlier:
        _join_bytes(model, node, outputs)


def _rounding(name: str, like: Any, value: str) -> Any:
    """A node that rounds one value by another's scale."""
    from onnx import NodeProto  # noqa: PLC0415

    node = NodeProto()
    node.CopyFrom(like)
    node.name, node.input[0], node.output[0] = value, name, value
    return node


def _drop_unread(model: Any) -> None:
    """Remove what nobody reads any more."""
    wanted = {value.name for value in model.graph.output}
    for node in reversed(list(model.graph.node)):
        if wanted.isdisjoint(node.output):
            model.graph.node.remove(node)
        else:
            wanted.update(node.input)
