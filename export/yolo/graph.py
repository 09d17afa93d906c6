"""A detector's torch module to ONNX, cut where int8 wants it cut, with names that people can read.

A YOLO ends by joining boxes in pixels (up to 640) with scores (below 1) in one tensor. One int8 scale for
both makes every score 0, so the graph ends before that: at the last convolutions of its head, one pair for
each stride, which the device decodes (``yolo-dfl``). YOLOv10 and YOLO26 have two heads; the one that was
trained to give one box for an object is taken. RT-DETR has queries instead of a grid and gives boxes by
itself.

The input is uint8 NHWC, as decoders of images leave it; the division by 255 is part of the first weights.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.errors import ExportError
from export.yolo.checkpoint import Checkpoint

OPSET: Final = 20
INPUT: Final = "image"
_LARGEST: Final = 255.0
_SCOPES: Final = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True)
class Exported:
    """An ONNX file and what the quantiser and the decoder have to know of it.

    Attributes:
        path: of the file.
        module: torch's form of the same graph: uint8 NHWC to the same outputs, in the same order.
        outputs: the graph's outputs, in order; their names are the decoder's own.
        first: convolutions that read the image.
        grouped: convolutions with groups.
        attention: convolutions that make queries, keys and values, and what follows from them.
        fine: everything that could be quantised at a quarter of the input's resolution or finer.
        decoding: nodes of RT-DETR's decoder.
        head: the last convolutions, the graph's outputs.
    """

    path: Path
    module: Any
    outputs: tuple[str, ...]
    first: tuple[str, ...]
    grouped: tuple[str, ...]
    attention: tuple[str, ...]
    fine: tuple[str, ...]
    decoding: tuple[str, ...]
    head: tuple[str, ...]


def export(checkpoint: Checkpoint, width: int, height: int, path: Path) -> Exported:
    """Write the graph in fp32.

    Args:
        checkpoint: a detector.
        width: of the input, pixels.
        height: of the input, pixels.
        path: of the file to write.

    Raises:
        ExportError: torch can't express the network in ONNX.
    """
    import onnx  # noqa: PLC0415

    module, outputs = _cut(checkpoint, width, height)
    model = _traced(module, outputs, width, height, checkpoint.path)
    _name_nodes(model)
    _fold_scaling(model)
    _shorten(model)
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    produced = {tensor.name for tensor in model.graph.output}
    last = f"model.{len(checkpoint.model.model) - 1}."
    return Exported(
        path,
        module,
        outputs,
        tuple(node.name for node in convolutions if node.input[0] in _pixels(model)),
        tuple(node.name for node in convolutions if _groups(node) > 1),
        tuple(node.name for node in convolutions if ".attn." in node.name),
        tuple(node.name for node in _fine(model, height)),
        tuple(node.name for node in model.graph.node if checkpoint.queries and node.name.startswith(last)),
        tuple(node.name for node in convolutions if node.output[0] in produced),
    )


def _cut(checkpoint: Checkpoint, width: int, height: int) -> tuple[Any, tuple[str, ...]]:
    """The network in torch from uint8 NHWC to what the decoder reads, and the outputs' names."""
    from export.yolo import modules  # noqa: PLC0415  torch

    if checkpoint.queries:
        return modules.Queries(checkpoint.model, width, height), ("boxes", "scores")
    strides = [int(stride) for stride in checkpoint.model.stride]
    names = tuple(f"{kind}_{stride}" for stride in strides for kind in ("boxes", "scores"))
    return modules.Cells(checkpoint.model), names


def _traced(module: Any, outputs: tuple[str, ...], width: int, height: int, origin: Path) -> Any:
    import torch  # noqa: PLC0415

    sample = torch.zeros((2, height, width, 3), dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # deprecations within torch, which its user can do nothing about
            module(sample)  # RT-DETR keeps its anchors from one run to the next: they become constants
            program = torch.onnx.export(
                module,
                (sample,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(
            "torch can't write this network as ONNX", subject=str(origin), hint=reason
        ) from error
    return program.model_proto


def _name_nodes(model: Any) -> None:
    """Call each node by the path of its module in ultralytics' own numbering, as in its YAML files.

    A node that an optimisation made has no module; it belongs to the layer of what it reads.
    """
    seen: Counter[str] = Counter()
    places: dict[str, str] = {}
    for node in model.graph.node:
        before = next((places[name] for name in node.input if name in places), "graph")
        place = _module(node) or ".".join(before.split(".")[:2])
        places |= dict.fromkeys(node.output, place)
        name = f"{place}/{node.op_type}"
        seen[name] += 1
        node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"


def _module(node: Any) -> str:
    scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
    paths = [part.strip(" '\"[]") for part in scopes.split(",")]
    inside = [path.removeprefix("network.") for path in paths if path.startswith("network.model.")]
    return inside[-1] if inside else ""


def _fold_scaling(model: Any) -> None:
    """Move the division of pixels by 255 into the weights of the convolutions that read them.

    Padding is zero before and after, so it is the same function.
    """
    from onnx import numpy_helper  # noqa: PLC0415

    (cast,) = [node for node in model.graph.node if node.op_type == "Cast" and _reads(model, node, INPUT)]
    scaling = [node for node in model.graph.node if cast.output[0] in node.input]
    users = [node for node in model.graph.node if scaling and scaling[0].output[0] in node.input]
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    if [node.op_type for node in scaling] != ["Mul"] or any(node.op_type != "Conv" for node in users):
        return
    for name in sorted({node.input[1] for node in users}):
        weight = numpy_helper.to_array(constants[name])
        constants[name].CopyFrom(numpy_helper.from_array((weight / _LARGEST).astype(weight.dtype), name))
    for node in users:
        node.input[0] = cast.output[0]
    factor = next(name for name in scaling[0].input if name in constants)
    model.graph.node.remove(scaling[0])
    if not any(factor in node.input for node in model.graph.node):
        model.graph.initializer.remove(constants[factor])


def _reads(model: Any, node: Any, name: str) -> bool:
    """Whether a node reads a value, at most a transposition away."""
    before = [other for other in model.graph.node if other.op_type == "Transpose" and name in other.input]
    return name in node.input or any(other.output[0] in node.input for other in before)


def _pixels(model: Any) -> set[str]:
    """Values that are the image itself as numbers."""
    return {
        node.output[0] for node in model.graph.node if node.op_type == "Cast" and _reads(model, node, INPUT)
    }


def _groups(node: Any) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "group"), 1)


def _fine(model: Any, height: int) -> list[Any]:
    """Convolutions, and what joins and splits their results, before the resolution falls below a quarter."""
    tall = {
        value.name
        for value in model.graph.value_info
        if len(sides := value.type.tensor_type.shape.dim) == 4 and sides[2].dim_value * 4 >= height
    }
    kinds = ("Conv", "Concat", "Split")
    return [node for node in model.graph.node if node.op_type in kinds and node.output[0] in tall]


def _shorten(model: Any) -> None:
    """Drop from constants' names what all of them share: a quantised graph repeats each name ten times."""
    short = {
        tensor.name: tensor.name.removeprefix("network.model.")
        .replace(".conv.", ".")
        .replace(".weight", ".w")
        .replace(".bias", ".b")
        for tensor in model.graph.initializer
    }
    for tensor in model.graph.initializer:
        tensor.name = short[tensor.name]
    for node in model.graph.node:
        node.input[:] = [short.get(name, name) for name in node.input]


def _strip(model: Any) -> None:
    """Drop what tracing wrote down of this machine: paths of files, stacks."""
    graph = model.graph
    model.producer_name, model.producer_version, model.doc_string = "edge-export", "", ""
    graph.name, graph.doc_string = "yolo", ""
    holders: Iterable[Any] = (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output)
    for holder in (*holders, *graph.initializer):
        del holder.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""


def by_name(exported: Exported, results: Iterable[Any]) -> Mapping[str, Any]:
    """Results in the graph's order, by the decoder's names."""
    return dict(zip(exported.outputs, results, strict=True))
