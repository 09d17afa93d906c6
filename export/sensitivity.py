"""Which nodes lose the most in int8: each one, or each block, is quantised alone and measured end to end.

The loss of a graph isn't the sum of its nodes' losses, but their order says well enough what to leave in
float32 first. Where a graph has more nodes than time allows for, neighbours are measured together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from edge.vision.manifest import Target
from export.network import Traits
from export.progress import SILENT, Progress
from export.quantise.dynamic import pretended, products
from export.quantise.graphs import same_nodes
from export.quantise.ranges import Material
from export.quantise.static import quantised
from export.recipes import left_out_of, static_form
from export.request import Options

Loss = Callable[[Any], float]
SECONDS = 110.0
"""What a ranking may take; the whole of an export has more to do."""

_PROBES = 2  # blocks measured before it is known how many there is time for


@dataclass(frozen=True)
class _Way:
    """How blocks of a graph are quantised alone: all nodes by block, and the graph of some of them."""

    blocks: list[list[str]]
    alone: Callable[[Collection[str]], Any]


def ranking(
    material: Material,
    loss: Loss,
    *,
    traits: Traits,
    target: Target = "x86",
    options: Options | None = None,
    progress: Progress = SILENT,
    seconds: float = SECONDS,
) -> list[tuple[str, float]]:
    """Nodes by what quantising each alone costs.

    Args:
        material: the graph and its calibration.
        loss: what a graph loses against fp32, 0 for nothing; called once for each block.
        traits: what kind of graph it is; nodes that are left out anyway aren't measured.
        target: whose scheme is used.
        options: of the export.
        progress: told of each block.
        seconds: that measuring should take at most; blocks become larger to keep it.

    Returns:
        names with the loss of their block, worst first; nodes of one block have the same loss.
    """
    options = options or Options()
    out = set(left_out_of(traits, options))
    transformer = traits.family == "transformer"
    way = _dynamic_way(material, out) if transformer else _static_way(material, out, target, options)
    losses = [(name, value) for block, value in _measured(way, loss, progress, seconds) for name in block]
    return sorted(losses, key=lambda pair: -pair[1])


def _measured(way: _Way, loss: Loss, progress: Progress, seconds: float) -> Iterator[tuple[list[str], float]]:
    start, total = time.monotonic(), len(way.blocks)
    for number, block in enumerate(way.blocks[:_PROBES]):
        progress.tick("measuring nodes", number, total)
        yield block, loss(way.alone(block))
    each = (time.monotonic() - start) / _PROBES
    rest = way.blocks[_PROBES:]
    room = max(1, int((seconds - _PROBES * each) / max(each, 1e-9)))
    wider = joined(rest, math.ceil(len(rest) / room) if rest else 1)
    for number, block in enumerate(wider):
        progress.tick("measuring nodes", number + _PROBES, len(wider) + _PROBES)
        yield block, loss(way.alone(block))
    progress.tick("measuring nodes", 1, 1)


def joined(blocks: Sequence[list[str]], count: int) -> list[list[str]]:
    """Neighbouring blocks, ``count`` together."""
    return [list(chain(*blocks[i : i + count])) for i in range(0, len(blocks), count)]


def _static_way(material: Material, out: Collection[str], target: Target, options: Options) -> _Way:
    scheme, ranges = static_form(material, target, options)
    weighted = [
        node.name
        for node in material.model.graph.node
        if node.op_type in ("Conv", "Gemm") and node.name not in out
    ]

    def alone(block: Collection[str]) -> Any:
        kept = set(same_nodes(ranges.original, ranges.model, block))
        others = [node.name for node in ranges.model.graph.node if node.name not in kept]
        return quantised(ranges, scheme, others)

    return _Way([[name] for name in weighted], alone)


def _dynamic_way(material: Material, out: Collection[str]) -> _Way:
    def alone(block: Collection[str]) -> Any:
        return pretended(material.model, block)

    return _Way(layers(material.model, out), alone)


def layers(model: Any, out: Collection[str] = ()) -> list[list[str]]:
    """Products with constant weights between one layer normalisation and the next: attention, then MLP."""
    wanted = set(products(model)) - set(out)
    blocks: list[list[str]] = [[]]
    for node in model.graph.node:
        if node.op_type == "LayerNormalization":
            blocks.append([])
        elif node.name in wanted:
            blocks[-1].append(node.name)
    found = [block for block in blocks if block]
    normalised = len(blocks) > 1
    return found if normalised else [[name] for block in found for name in block]
