"""What search needs of vision, and a model bundle that gives it."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from edge.search import direction, phrases
from edge.service.searching.caches import cache_of, passing_cache
from edge.settings import Settings
from edge.vision.anything import anything
from edge.vision.crops import Corners
from edge.vision.detect import thresholds_of
from edge.vision.foreign import as_jpeg
from edge.vision.labels import LabelSet, load_label_set
from edge.vision.manifest import bundle_sha256, load_manifest
from edge.vision.openset import OpenSet
from edge.vision.pipeline import Vision
from edge.vision.prompts import cached_label_vectors, label_vectors
from edge.vision.queries import Texts
from edge.vision.sight import Box

Float32 = npt.NDArray[np.float32]
GIVEN: Final = "given"
"""Name of a label set whose classes were named by hand."""
UNSURE: Final = 1 / 3
"""Of the threshold from which a detection counts: down to here it is looked at where there is none."""


class Space(NamedTuple):
    """An embedding space: the bundle that makes it.

    Attributes:
        name: of the bundle.
        sha256: its identity.
        dimension: numbers in each vector.
    """

    name: str
    sha256: str
    dimension: int


class Looked(NamedTuple):
    """What was seen in one picture.

    Attributes:
        vectors: (1 + k, dimension) float32 of length 1: the whole, then k animals.
        scores: (k,) float32 of the detector, 0 to 1.
        people: their boxes, left, top, right, bottom, 0 to 1.
        unsure: whether the detector isn't sure of the one animal there is.
    """

    vectors: Float32
    scores: Float32
    people: tuple[Corners, ...] = ()
    unsure: bool = False


class Eyes(Protocol):
    """What search needs of vision."""

    @property
    def space(self) -> Space:
        """Where its embeddings lie."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """Which its text model understands, such as ``en``."""
        ...

    def words(self, query: str) -> Float32:
        """Words as (1, dimension) float32 of length 1."""
        ...

    def look(self, data: bytes) -> Looked:
        """See a picture of any kind that :func:`edge.vision.foreign.as_jpeg` takes.

        Raises:
            ImageError: it is none, is too large, cut off or damaged.
        """
        ...

    def open_set(self, labels: LabelSet) -> OpenSet:
        """What names embeddings of this space by the labels, or as something else."""
        ...


class BundleEyes:
    """``Eyes`` of a model bundle; each model is opened when it is first needed, and kept.

    Args:
        settings: providers, threads, limits; models' caches are in its state folder.
        bundle: the folder.

    Raises:
        BundleError: its manifest can't be understood.
    """

    def __init__(self, settings: Settings, bundle: Path) -> None:
        self._settings = settings
        self._bundle = bundle
        self._manifest = load_manifest(bundle)
        self.space = Space(self._manifest.name, bundle_sha256(bundle), self._manifest.visual.dimension)
        self.languages = self._manifest.text.languages
        self._texts = Texts(bundle, self._manifest, settings.vision.threads)
        self._opening = threading.Lock()

    def words(self, query: str) -> Float32:
        """See ``Eyes``. Captions are English, so only words for an English text model are put into them."""
        texts = phrases(query) if self.languages == ("en",) else (query,)
        return direction(self._texts.embed(texts))[None]

    def look(self, data: bytes) -> Looked:
        """See ``Eyes``.

        Who shows a picture means something in it: where the detector is sure of no animal, the likeliest is
        looked at.
        """
        most = self._settings.intake.max_pixels
        jpeg = as_jpeg(data, most)
        with self._opening:  # once, whoever asks at the same time
            vision = self._vision
        sight = vision.see(jpeg, most)
        vectors = np.stack([e.vector for e in sight.embeddings]).astype(np.float32)
        scores = [d.score for d in sight.detections if d.kind == "animal"][: len(vectors) - 1]
        sure = sum(score >= self._threshold for score in scores)
        shown = sure or min(1, len(scores))
        people = tuple(_corners(d.box) for d in sight.detections if d.kind == "person")
        unsure = not sure and shown > 0
        return Looked(vectors[: 1 + shown], np.array(scores[:shown], np.float32), people, unsure)

    def open_set(self, labels: LabelSet) -> OpenSet:
        """See ``Eyes``. Vectors are kept on disk, but for those of classes that somebody named by hand."""
        others = self._kept(anything())
        own = label_vectors(labels, self._texts.embed) if labels.name == GIVEN else self._kept(labels)
        return OpenSet(own, others, logit_scale=self._manifest.visual.logit_scale)

    def _kept(self, labels: LabelSet) -> Float32:
        return cached_label_vectors(labels, self.space.sha256, self._cache, self._texts.embed)

    @cached_property
    def _vision(self) -> Vision:
        unsure = self._threshold * UNSURE
        settings = self._settings.vision.model_copy(update={"snapshots": False, "animal": unsure})
        labels = load_label_set(settings.labels)
        return Vision.open(self._bundle, labels, settings, self._cache)

    @property
    def _threshold(self) -> float:
        return thresholds_of(self._manifest.detector, self._settings.vision)["animal"]

    @cached_property
    def _cache(self) -> Path:
        return cache_of(self._settings.state) or passing_cache(self)


def _corners(box: Box) -> Corners:
    return (box.x, box.y, box.x + box.width, box.y + box.height)
