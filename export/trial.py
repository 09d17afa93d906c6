"""Candidates on trial: one graph against its fp32 reference, through the device's own code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.settings import VisionSettings
from edge.vision import detect, manifest
from edge.vision.crops import region
from edge.vision.session import Model
from edge.vision.visual import VisualTower
from export import measure
from export.calibration import Image
from export.gate import Candidate, Measured
from export.texts import TextEmbedder

Array = NDArray[Any]


@dataclass(frozen=True)
class Bench:
    """What trials share.

    Attributes:
        scratch: folder for candidates' files.
        images: that weren't used for calibration.
        timed: measure time; without, every candidate counts as fast enough.
    """

    scratch: Path
    images: Sequence[Image]
    timed: bool = True


def detector_trial(
    bench: Bench, reference: Path, spec: manifest.Detector, candidate: Candidate, model: Any
) -> Measured:
    """A detector's boxes against the reference's at the bundle's own thresholds."""
    path = _saved(bench, "detector", model)
    ours, theirs = found_boxes(path, spec, bench.images), found_boxes(reference, spec, bench.images)
    blank = {spec.input.name: np.zeros((1, spec.input.height, spec.input.width, 3), np.uint8)}
    return Measured(candidate, model, measure.boxes(theirs, ours), _cost(bench, path, reference, blank))


@dataclass(frozen=True)
class VisualExam:
    """What a visual tower is examined with.

    Attributes:
        reference: the fp32 graph.
        spec: of the tower.
        crops: images of any size.
        labels: labels x dimension, L2-normalised: what the crops are told apart by.
    """

    reference: Path
    spec: manifest.Visual
    crops: Sequence[Image]
    labels: Array


def visual_trial(bench: Bench, exam: VisualExam, candidate: Candidate, model: Any) -> Measured:
    """A visual tower's embeddings against the reference's, and the labels they lead to."""
    path, spec = _saved(bench, "visual", model), exam.spec
    want, have = (embedded(graph, spec, exam.crops) for graph in (exam.reference, path))
    quality = measure.vectors(want, have, exam.labels, spec.logit_scale)
    one = {spec.input.name: np.zeros((1, spec.input.height, spec.input.width, 3), np.uint8)}
    return Measured(candidate, model, quality, _cost(bench, path, exam.reference, one))


@dataclass(frozen=True)
class TextExam:
    """What a text tower is examined with: the fp32 graph, its tokenizer, texts, and the bundle's scale."""

    reference: Path
    tokenizer: Path
    texts: Sequence[str]
    scale: float


def text_trial(bench: Bench, exam: TextExam, candidate: Candidate, model: Any) -> Measured:
    """A text tower's embeddings against the reference's; texts are told apart by the reference's own."""
    path = _saved(bench, "text", model)
    reference = TextEmbedder(exam.reference, exam.tokenizer)
    want, have = reference(exam.texts), TextEmbedder(path, exam.tokenizer)(exam.texts)
    quality = measure.vectors(want, have, want, exam.scale)
    cost = _cost(bench, path, exam.reference, reference.feed(exam.texts[:1]))
    return Measured(candidate, model, quality, cost)


def found_boxes(graph: Path, spec: manifest.Detector, images: Sequence[Image]) -> list[Array]:
    """Boxes of every kind above the manifest's thresholds, per image n x 4, relative."""
    detector = detect.Detector(Model(graph), spec, detect.thresholds_of(spec, VisionSettings()))
    buffers = detector.buffers()
    return [detector(image, buffers)[0].boxes for image in images]


def animal_crops(graph: Path, spec: manifest.Detector, images: Sequence[Image], margin: float) -> list[Image]:
    """What the classifier would see: crops of what was found, and every image as a whole."""
    crops = list(images)
    for image, boxes in zip(images, found_boxes(graph, spec, images), strict=True):
        height, width = image.shape[:2]
        regions = [region(tuple(box), margin, width, height) for box in boxes.tolist()]
        crops.extend(each.of(image) for each in regions)
    return crops


def embedded(graph: Path, spec: manifest.Visual, crops: Sequence[Image]) -> Array:
    """Embeddings of crops of any size."""
    tower = VisualTower(Model(graph), spec)
    return tower(crops, tower.buffers())[0]


def _saved(bench: Bench, part: str, model: Any) -> Path:
    import onnx  # noqa: PLC0415

    path = bench.scratch / f"{part}.candidate.onnx"
    onnx.save(model, path)
    return path


def _cost(bench: Bench, path: Path, reference: Path, feed: dict[str, Any]) -> measure.Cost:
    start = time.perf_counter()
    ours = Model(path)
    load = (time.perf_counter() - start) * 1e3
    size = path.stat().st_size
    if not bench.timed:
        return measure.Cost(size, load, 0.0, 0.0)
    theirs = Model(reference)
    run, reference_run = measure.latency(
        lambda: ours.run(feed, ours.outputs), lambda: theirs.run(feed, theirs.outputs)
    )
    return measure.Cost(size, load, run, reference_run)
