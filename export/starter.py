"""The starter's network: permissive weights from package registries, mapped to fp32 graphs.

Each graph is compared with its framework; what is made of the graphs is the assembly's business.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.vision.labels import load_label_set
from edge.vision.manifest import Detector, Text, Visual
from export import (
    calibration,
    centernet,
    conse,
    efficientnet,
    minilm,
    names,
    reference,
    sources,
    starter_spec as spec,
)
from export.exam import prompts
from export.golden import run_samples
from export.graph import GraphBuilder
from export.network import Array, Draft, Feed, Network, PartName
from export.progress import Progress
from export.texts import TextEmbedder, write_tokenizer
from export.tfjs import read_graph_model

_GOLDEN_TEXTS = ("a badger walks in the forest", "a photo of a brown bear")
_LABELS = "north-america"  # whose prompts the text tower is compared on
_SAMPLES, _TEXTS = 3, 8


def build_network(source: Path | None, scratch: Path, progress: Progress) -> Network:
    """Find the sources, map them to fp32 graphs and compare those with their frameworks.

    Args:
        source: folder with the packages; None takes installed ones and the registry.
        scratch: an existing folder for graphs.
        progress: told of each step.

    Raises:
        ExportError: a source is missing or isn't the pinned one.
    """
    import onnx  # noqa: PLC0415

    progress.step("finding the sources")
    found = _sources(source, scratch / "sources")
    graphs: dict[PartName, Path] = {
        "detector": scratch / "detector.onnx",
        "visual": scratch / "visual.onnx",
        "text": scratch / "text.onnx",
    }
    tokenizer = scratch / "tokenizer.json"
    progress.step("mapping the networks to ONNX")
    onnx.save(centernet.build(read_graph_model(found["graph"])), graphs["detector"])
    onnx.save(minilm.build(_tensors(found)), graphs["text"])
    write_tokenizer(found[sources.MINILM_TOKENIZER.name], tokenizer, spec.MAX_TOKENS)
    embedder = TextEmbedder(graphs["text"], tokenizer, spec.text())
    progress.step("placing ImageNet's classes in the text space")
    rows = names.embed_names(names.read_names(), embedder).astype(np.float16)
    onnx.save(build_visual(found[sources.EFFICIENTNET.name], rows), graphs["visual"])
    progress.step("comparing with the frameworks")
    differences: dict[PartName, float] = {
        "detector": _detector_difference(graphs["detector"], found["graph"]),
        "visual": _visual_difference(graphs["visual"], found[sources.EFFICIENTNET.name], rows),
        "text": _text_difference(graphs["text"], _tensors(found), embedder),
    }
    return Network(spec.origin(), _drafts(graphs, differences, embedder), tokenizer)


def _sources(source: Path | None, folder: Path) -> dict[str, Path]:
    """The pinned files by name, and the detector's graph with its weights beside it as ``graph``."""
    folder.mkdir()
    found = {pinned.name: sources.locate(pinned, source, folder) for pinned in sources.STARTER}
    for name in (sources.CENTERNET_GRAPH.name, sources.CENTERNET_WEIGHTS.name):
        if found[name].parent != folder:
            shutil.copyfile(found[name], folder / name)
    return found | {"graph": folder / sources.CENTERNET_GRAPH.name}


def _tensors(found: Mapping[str, Path]) -> dict[str, Array]:
    """The text model's tensors."""
    from safetensors.numpy import load_file  # noqa: PLC0415

    return dict(load_file(str(found[sources.MINILM.name])))


def build_visual(checkpoint: Path, rows: NDArray[np.float16]) -> Any:
    """The classifier with the convex combination behind it."""
    graph = GraphBuilder("visual")
    tensors = reference.torch_tensors(checkpoint)
    logits = efficientnet.add_network(graph, tensors, efficientnet.LITE0.size)
    conse.add_head(graph, logits, rows)
    return graph.model()


def _drafts(
    graphs: Mapping[PartName, Path], differences: Mapping[PartName, float], embedder: TextEmbedder
) -> dict[PartName, Draft]:
    photos, side = calibration.photos(("raccoon", "chelsea")), efficientnet.LITE0.size
    golden: dict[PartName, Feed] = {
        "detector": {centernet.INPUT: _stacked(photos, centernet.WIDTH, centernet.HEIGHT)},
        "visual": {efficientnet.INPUT: _stacked(photos, side, side)},
        "text": embedder.feed(_GOLDEN_TEXTS),
    }
    sections: dict[PartName, Detector | Visual | Text] = {
        "detector": spec.detector(),
        "visual": spec.visual(),
        "text": spec.text(),
    }
    return {
        part: Draft(
            sections[part],
            graphs[part],
            differences[part],
            golden[part],
            spec.MIN_COSINE[part],
            spec.TRAITS[part],
        )
        for part in graphs
    }


def _stacked(photos: list[calibration.Image], width: int, height: int) -> Array:
    return np.stack(calibration.fitted(photos, width, height))


def _scenes(width: int, height: int) -> Array:
    return np.stack(calibration.scenes(_SAMPLES, width, height, calibration.HELD_OUT_SEED))


def _detector_difference(graph: Path, source: Path) -> float:
    model = reference.restored_sixths(read_graph_model(source))
    scenes = _scenes(centernet.WIDTH, centernet.HEIGHT)
    ours = run_samples(graph, {centernet.INPUT: scenes})
    worst = 0.0
    for i in range(len(scenes)):
        scores, sizes = reference.run_graph_model(
            model, scenes[i : i + 1], (centernet.KEYPOINTS, centernet.DISTANCES)
        )
        joined = centernet.joined(scores)
        worst = max(worst, _difference(ours[centernet.HEATMAP][i], joined[0].transpose(2, 0, 1)))
        worst = max(worst, _difference(ours[centernet.BOX][i], sizes[0].transpose(2, 0, 1)))
    return worst


def _visual_difference(graph: Path, checkpoint: Path, rows: NDArray[np.float16]) -> float:
    """Of the embedding, the framework's logits taken through the convex combination in numpy."""
    side = efficientnet.LITE0.size
    crops = _scenes(side, side)
    logits = reference.efficientnet_logits(checkpoint, crops)
    ours = run_samples(graph, {efficientnet.INPUT: crops})[conse.OUTPUT]
    return _difference(ours, names.convex_combination(logits, rows.astype(np.float32)))


def _text_difference(graph: Path, tensors: Mapping[str, Array], embedder: TextEmbedder) -> float:
    feed = embedder.feed(prompts(load_label_set(_LABELS))[:_TEXTS])
    theirs = reference.minilm_embeddings(tensors, feed[minilm.IDS], feed[minilm.MASK])
    return _difference(run_samples(graph, feed)[minilm.OUTPUT], theirs)


def _difference(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
