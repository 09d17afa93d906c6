"""The detector as a whole: pixels to boxes on the image."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.settings import VisionSettings
from edge.vision import manifest
from edge.vision.boxes import Boxes, Scores, areas, suppress
from edge.vision.crops import Corners
from edge.vision.heads import KINDS, Candidates, Kinds, decoder_of, head_of
from edge.vision.manifest import Kind
from edge.vision.preprocess import Pixels, Preprocessor, allocate
from edge.vision.session import Model, require

_SMALLEST: Final = 1e-5
"""Boxes with a smaller share of the image are specks: 11 x 11 of 12 million pixels."""


@dataclass(frozen=True, slots=True)
class Found:
    """Boxes after suppression, best first.

    Attributes:
        boxes: (n, 4) float32, left, top, right, bottom, 0 to 1 of the image's sides, clipped to it.
        scores: (n,) float32.
        kinds: (n,) int8, index into :data:`~edge.vision.heads.KINDS`.
    """

    boxes: Boxes
    scores: Scores
    kinds: Kinds

    def corners(self, index: int) -> Corners:
        """One box: left, top, right, bottom."""
        left, top, right, bottom = self.boxes[index].tolist()
        return left, top, right, bottom

    def of(self, kind: Kind) -> npt.NDArray[np.intp]:
        """Indices of one kind's boxes, best first."""
        return np.nonzero(self.kinds == KINDS.index(kind))[0]


class DetectorBuffers:
    """What one thread needs to run the detector again and again without allocating."""

    def __init__(self, spec: manifest.Detector) -> None:
        self.tensor = allocate(spec.input)
        self.preprocess = Preprocessor(spec.input)


class Detector:
    """A detector's graph with its decoder; safe to use from several threads.

    Args:
        model: the graph.
        spec: what the manifest says of it.
        thresholds: per kind.

    Raises:
        BundleError: graph and manifest don't belong together.
    """

    def __init__(self, model: Model, spec: manifest.Detector, thresholds: Mapping[Kind, float]) -> None:
        self.spec = spec
        self._model = model
        self._decode = decoder_of(spec)
        self._head = head_of(spec, thresholds)
        self._names = tuple(spec.outputs)
        self._graph_names = tuple(spec.outputs.values())
        require(model, [spec.input.name], self._graph_names)

    def buffers(self) -> DetectorBuffers:
        """Buffers for one thread."""
        return DetectorBuffers(self.spec)

    def __call__(self, image: Pixels, buffers: DetectorBuffers) -> tuple[Found, float]:
        """Find animals, people and vehicles.

        Args:
            image: HWC uint8 RGB, upright, any size.
            buffers: of the calling thread.

        Returns:
            what was found, and the seconds that the graph took.

        Raises:
            ProviderError: the model failed to run.
        """
        placement = buffers.preprocess(image, buffers.tensor[0])
        start = time.perf_counter()
        results = self._model.run({self.spec.input.name: buffers.tensor}, self._graph_names)
        kernel = time.perf_counter() - start
        candidates = self._decode(dict(zip(self._names, results, strict=True)), self._head)
        relative = placement.relative(candidates.boxes)
        return _suppressed(Candidates(relative, candidates.scores, candidates.kinds), self.spec), kernel


def thresholds_of(spec: manifest.Detector, settings: VisionSettings) -> dict[Kind, float]:
    """Scores from which a detection counts: the settings', the bundle's where they say nothing."""
    own = spec.thresholds
    return {
        "animal": own.animal if settings.animal is None else settings.animal,
        "person": own.person if settings.person is None else settings.person,
        "vehicle": own.vehicle if settings.vehicle is None else settings.vehicle,
    }


def _suppressed(candidates: Candidates, spec: manifest.Detector) -> Found:
    kept = []
    large = areas(candidates.boxes) >= _SMALLEST
    for kind in range(len(KINDS)):
        (own,) = np.nonzero((candidates.kinds == kind) & large)
        kept.append(own[suppress(candidates.boxes[own], candidates.scores[own], spec.thresholds.iou)])
    index = np.concatenate(kept)
    index = index[np.argsort(-candidates.scores[index], kind="stable")]
    return Found(candidates.boxes[index], candidates.scores[index], candidates.kinds[index])
