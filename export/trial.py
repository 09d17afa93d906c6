"""Candidates on trial: one graph against its fp32 reference, through the device's own code."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.settings import VisionSettings
from edge.vision import detect, manifest
from edge.vision.crops import region
from edge.vision.heads import KINDS
from edge.vision.session import Model
from edge.vision.visual import VisualTower
from export import decisive, measure
from export.gate import Candidate
from export.measure import Boxes, Cost, Vectors
from export.network import Draft, Feed
from export.pictures import Image
from export.progress import SILENT, Progress
from export.texts import TextEmbedder

Array = NDArray[Any]
_LOOKS = 4  # samples that a sensitivity is measured on
_DECISIONS = 12  # the same of detectors, of whose cells only few decide anything
NEAR = 0.05
"""A box whose score is this near to the threshold may fall on either side of it."""


@dataclass(frozen=True)
class Bench:
    """What trials share.

    Attributes:
        scratch: folder for candidates' files.
        timed: measure time; without, every candidate counts as fast enough.
        progress: told of each look.
    """

    scratch: Path
    timed: bool = True
    progress: Progress = SILENT


class Examiner(ABC):
    """Measures the candidates of one draft against its fp32 graph.

    Args:
        bench: what trials share.
        draft: the part in fp32.
        samples: inputs that sensitivities are measured on; the first few are taken.
    """

    def __init__(self, bench: Bench, draft: Draft, samples: Sequence[Feed] = ()) -> None:
        self.bench, self.draft = bench, draft
        self.reference_bytes = draft.graph.stat().st_size
        self._count = 0
        one = {name: array[:1] for name, array in draft.golden.items()}
        self._samples: Sequence[Feed] = samples or [one]
        self._one = one

    def cost(self, candidate: Candidate) -> tuple[Path, Cost]:
        """Build a candidate, and see what it costs: its file, and size, time to open and time to run."""
        if candidate.precision == "fp32":
            return self.draft.graph, self._cost(self.draft.graph)
        path = self._saved(candidate.build(), candidate.target)
        return path, self._cost(path)

    @abstractmethod
    def quality(self, file: Path) -> Vectors | Boxes:
        """How near a graph comes to the reference."""

    def discard(self, file: Path) -> None:
        """Remove the file of a candidate that wasn't taken."""
        if file != self.draft.graph:
            file.unlink(missing_ok=True)

    def loss(self, model: Any) -> float:
        """What a graph's outputs lose against fp32's on a few samples.

        Returns:
            mean over outputs and samples of the error's norm, as a share of the reference's.
        """
        path = self._saved(model, "alone")
        try:
            got = self._outputs(path)
        finally:
            path.unlink(missing_ok=True)
        tiny = np.finfo(np.float64).tiny
        return float(
            np.mean(
                [
                    np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), tiny)
                    for ours, theirs in zip(got, self._reference_outputs, strict=True)
                ]
            )
        )

    @cached_property
    def _reference_outputs(self) -> list[Array]:
        return self._outputs(self.draft.graph)

    def _outputs(self, graph: Path) -> list[Array]:
        model = Model(graph)
        few = [self._samples[i] for i in range(min(_LOOKS, len(self._samples)))]
        return [value.astype(np.float64) for feed in few for value in model.run(feed, model.outputs)]

    def _saved(self, model: Any, kind: str) -> Path:
        import onnx  # noqa: PLC0415

        self._count += 1
        path = self.bench.scratch / f"{self.draft.graph.stem}.{kind}.{self._count}.onnx"
        onnx.save(model, path)
        return path

    def _cost(self, path: Path) -> Cost:
        start = time.perf_counter()
        ours = Model(path)
        load = (time.perf_counter() - start) * 1e3
        size = path.stat().st_size
        if not self.bench.timed:
            return Cost(size, load, 0.0, 0.0)
        theirs = Model(self.draft.graph)
        times = measure.paired(
            lambda: ours.run(self._one, ours.outputs), lambda: theirs.run(self._one, theirs.outputs)
        )
        if path == self.draft.graph:  # against itself it is as fast as itself, whatever the clock says
            return Cost(size, load, times.run.median, times.run.median)
        return Cost.of(size, load, times)


class DetectorExaminer(Examiner):
    """A detector's boxes against the reference's at the bundle's own thresholds."""

    def __init__(
        self, bench: Bench, draft: Draft, images: Sequence[Image], samples: Sequence[Feed] = ()
    ) -> None:
        super().__init__(bench, draft, samples)
        assert isinstance(draft.section, manifest.Detector)  # noqa: S101 - for the type checker
        self._section, self._images = draft.section, images

    @cached_property
    def _wanted(self) -> list[Array]:
        return scored_boxes(self.draft.graph, self._section, self._images)

    def quality(self, file: Path) -> Boxes:
        """Recall and precision of boxes, kinds included."""
        images = self.bench.progress.over(self._images, "looking at images")
        limits = list(_limits(self._section).values())
        return measure.scored_boxes(self._wanted, scored_boxes(file, self._section, images), limits)

    def loss(self, model: Any) -> float:
        """How far a graph's scores stray where they decide; see :mod:`export.decisive`.

        What a whole output loses is mostly background, and says little of boxes.
        """
        path = self._saved(model, "alone")
        try:
            got = self._scores(path)
        finally:
            path.unlink(missing_ok=True)
        return decisive.stray(self._reference_scores, got)

    @cached_property
    def _reference_scores(self) -> list[Array]:
        return self._scores(self.draft.graph)

    def _scores(self, graph: Path) -> list[Array]:
        model, names = Model(graph), self._section.outputs
        few = [self._samples[i] for i in range(min(_DECISIONS, len(self._samples)))]
        runs = (model.run(feed, list(names.values())) for feed in few)
        return [decisive.scores(dict(zip(names, run, strict=True)), self._section) for run in runs]


class VisualExaminer(Examiner):
    """A visual tower's embeddings of crops against the reference's, and the labels they lead to."""

    def __init__(
        self,
        bench: Bench,
        draft: Draft,
        crops: Sequence[Image],
        labels: Array,
        samples: Sequence[Feed] = (),
    ) -> None:
        super().__init__(bench, draft, samples)
        assert isinstance(draft.section, manifest.Visual)  # noqa: S101 - for the type checker
        self._section, self._crops, self._labels = draft.section, crops, labels

    @cached_property
    def _wanted(self) -> Array:
        return embedded(self.draft.graph, self._section, self._crops)

    def quality(self, file: Path) -> Vectors:
        """Cosines and agreement of labels over the crops."""
        crops = self.bench.progress.over(self._crops, "looking at crops")
        got = embedded(file, self._section, crops)
        return measure.vectors(self._wanted, got, self._labels, self._section.logit_scale)


class TextExaminer(Examiner):
    """A text tower's embeddings against the reference's; texts are told apart by the reference's own."""

    def __init__(
        self, bench: Bench, draft: Draft, tokenizer: Path, texts: Sequence[str], scale: float
    ) -> None:
        assert isinstance(draft.section, manifest.Text)  # noqa: S101 - for the type checker
        self._section, self._tokenizer, self._texts, self._scale = draft.section, tokenizer, texts, scale
        reference = TextEmbedder(draft.graph, tokenizer, draft.section)
        super().__init__(bench, draft, [reference.feed([text]) for text in texts[:_LOOKS]])
        self._reference = reference

    @cached_property
    def _wanted(self) -> Array:
        return self._reference(self._texts)

    def quality(self, file: Path) -> Vectors:
        """Cosines and agreement over the texts."""
        got = TextEmbedder(file, self._tokenizer, self._section)(self._texts)
        return measure.vectors(self._wanted, got, self._wanted, self._scale)


def found_boxes(graph: Path, spec: manifest.Detector, images: Iterable[Image]) -> list[Array]:
    """What a detector finds above the manifest's thresholds.

    Returns:
        per image n x 5: left, top, right, bottom, 0 to 1, and the kind's index.
    """
    return [rows[:, :5] for rows in _found(graph, spec, images, _limits(spec))]


def scored_boxes(graph: Path, spec: manifest.Detector, images: Iterable[Image]) -> list[Array]:
    """What a detector finds, down to :data:`NEAR` below the manifest's thresholds.

    Returns:
        per image n x 6: left, top, right, bottom, 0 to 1, the kind's index, the score.
    """
    lower = {kind: max(limit - NEAR, limit / 2) for kind, limit in _limits(spec).items()}
    return _found(graph, spec, images, lower)


def _limits(spec: manifest.Detector) -> dict[manifest.Kind, float]:
    """The manifest's threshold of each kind, in the order of their numbers."""
    limits = detect.thresholds_of(spec, VisionSettings())
    return {kind: limits[kind] for kind in KINDS}


def _found(
    graph: Path, spec: manifest.Detector, images: Iterable[Image], limits: dict[manifest.Kind, float]
) -> list[Array]:
    detector = detect.Detector(Model(graph), spec, limits)
    buffers = detector.buffers()
    found = (detector(image, buffers)[0] for image in images)
    return [np.column_stack([each.boxes, each.kinds, each.scores]) for each in found]


def animals(boxes: Sequence[Array]) -> list[Array]:
    """Of what was found, the animals' boxes only: per image n x 4."""
    animal = KINDS.index("animal")
    return [each[each[:, 4] == animal, :4] for each in boxes]


def cut(images: Sequence[Image], boxes: Sequence[Array], margin: float) -> list[Image]:
    """What the classifier would see: every image as a whole, then crops of what was found in them."""
    crops = list(images)
    for image, found in zip(images, boxes, strict=True):
        height, width = image.shape[:2]
        regions = [region((b[0], b[1], b[2], b[3]), margin, width, height) for b in found[:, :4].tolist()]
        crops.extend(each.of(image) for each in regions)
    return crops


def embedded(graph: Path, spec: manifest.Visual, crops: Iterable[Image]) -> Array:
    """Embeddings of crops of any size, n x dimension, float32."""
    tower = VisualTower(Model(graph), spec)
    buffers = tower.buffers()
    return np.concatenate([tower([crop], buffers)[0] for crop in crops])
