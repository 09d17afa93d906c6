"""The straight line through the vision room: bytes of one image to what was seen in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import cv2
import numpy as np
import numpy.typing as npt

from edge.settings import VisionSettings
from edge.vision.classify import Classifier, Verdict, pooled
from edge.vision.crops import Corners, region
from edge.vision.decode import Header, Pixels, decode, read_header, reduction
from edge.vision.detect import Detector, DetectorBuffers, Found, thresholds_of
from edge.vision.heads import KINDS
from edge.vision.labels import LabelSet
from edge.vision.lineup import Lineup
from edge.vision.manifest import Manifest, bundle_sha256, load_manifest
from edge.vision.night import is_night
from edge.vision.prompts import cached_label_vectors
from edge.vision.queries import Texts
from edge.vision.selftest import ProviderReport, open_tested
from edge.vision.session import ONNX_RUNTIME, Runtime
from edge.vision.sight import Box, Detection, Embedding, Glimpse, Sight, Timings
from edge.vision.snapshot import snapshot
from edge.vision.text import Vectors
from edge.vision.visual import VisualBuffers, VisualTower

MOST_CROPS: Final = 16
"""Animals of one image that are named; a flock's others are counted."""

SHARP: Final = 0.5
"""A crop wants this share of the visual input's side in real pixels; below it a larger decode pays."""

LARGE: Final = 40_000_000
"""Pixels; of images with more only one is looked at at a time. A progressive JPEG takes 3 to 6 bytes for each
pixel however small it is decoded, and 3 more where a small animal needs all of them."""


@dataclass(frozen=True, slots=True)
class VisionInfo:
    """What is in use, for status and health.

    Attributes:
        bundle, version, sha256: of the model bundle.
        labels, labels_sha256, label_count: of the label set.
        dimension: of embeddings.
        languages: that free-text search understands.
        providers: asked, in use, refused with reasons.
        text_damage: what is wrong with the text model's files, or empty; images don't need them.
    """

    bundle: str
    version: str
    sha256: str
    labels: str
    labels_sha256: str
    label_count: int
    dimension: int
    languages: tuple[str, ...]
    providers: ProviderReport
    text_damage: str = ""


@dataclass(frozen=True, slots=True)
class _Named:
    detections: tuple[Detection, ...]
    together: Verdict


@dataclass(frozen=True, slots=True)
class _Eyes:
    """Both graphs on one provider."""

    detector: Detector
    visual: VisualTower


class Vision:
    """Everything between an image's bytes and its :class:`~edge.vision.sight.Sight`.

    Safe to use from several threads. :meth:`open` makes one; the constructor only puts parts together.

    Args:
        bundle: the folder.
        manifest: of the bundle.
        lineup: graphs that passed the self-test, and what takes over if their provider fails.
        labels: names to choose from.
        settings: thresholds, floor, margin, snapshots.
        cache: folder in which the labels' embeddings are kept.
    """

    def __init__(
        self,
        bundle: Path,
        *,
        manifest: Manifest,
        lineup: Lineup[_Eyes],
        labels: LabelSet,
        settings: VisionSettings,
        cache: Path,
    ) -> None:
        self._manifest = manifest
        self._settings = settings
        self._labels = labels
        self._lineup = lineup
        self._sha256 = bundle_sha256(bundle)
        self._texts = Texts(bundle, manifest, settings.threads)
        self._classifier = self._classifier_of(labels, cache)
        self._texts.look()
        self._own = threading.local()
        self._large = threading.Lock()

    @classmethod
    def open(
        cls,
        bundle: Path,
        labels: LabelSet,
        settings: VisionSettings,
        cache: Path,
        *,
        runtime: Runtime = ONNX_RUNTIME,
        banned: Mapping[str, str] | None = None,
    ) -> Self:
        """Open a bundle on the first provider that passes the self-test.

        Args:
            bundle: its folder (see :func:`edge.vision.bundles.find_bundle`).
            labels: names to choose from.
            settings: providers, threads, thresholds, floor, margin, snapshots.
            cache: folder in which the labels' embeddings are kept, and what providers compile.
            runtime: opens graphs; tests put their own providers here.
            banned: providers that are known not to work, with the reason.

        Raises:
            BundleError: the bundle is missing, damaged or inconsistent.
            ProviderError: no provider passed.
            VisionError: the cache can't be written.
        """
        cv2.setNumThreads(1)  # workers are the parallelism; a pool behind each of them only gets in the way
        manifest = load_manifest(bundle)

        def opened(out: Mapping[str, str]) -> tuple[_Eyes, ProviderReport]:
            towers, report = open_tested(
                bundle,
                manifest,
                settings.providers,
                settings.threads,
                streams=settings.worker_count(),
                cache=cache,
                banned={**(banned or {}), **out},
                runtime=runtime,
            )
            thresholds = thresholds_of(manifest.detector, settings)
            detector = Detector(towers.detector, manifest.detector, thresholds)
            return _Eyes(detector, VisualTower(towers.visual, manifest.visual)), report

        return cls(
            bundle, manifest=manifest, lineup=Lineup(opened), labels=labels, settings=settings, cache=cache
        )

    def see(self, data: bytes, max_pixels: int) -> Sight:
        """Look at one image.

        Args:
            data: a whole JPEG file.
            max_pixels: an image with more is refused before it is decoded.

        Raises:
            ImageError: not a JPEG, larger than allowed, cut off or damaged.
            ProviderError: a model failed to run, and no other provider can take over.
        """
        header = read_header(data, max_pixels=max_pixels)
        with self._room(header):
            return self._lineup.use(lambda eyes: self._see(eyes, data, header))

    def _see(self, eyes: _Eyes, data: bytes, header: Header) -> Sight:
        start = time.perf_counter()
        image = decode(data, header, self._factor(header))
        decoding = time.perf_counter() - start
        found, detecting = eyes.detector(image, self._detector_buffers())
        boxes = [found.corners(i) for i in found.of("animal")[:MOST_CROPS]]
        sharp, again = self._sharp(data, header, image, boxes)
        crops = [self._crop(sharp, box) for box in boxes]
        vectors, embedding = eyes.visual([image, *crops], self._visual_buffers())
        named = self._named(found, vectors[1:])
        picture = self._snapshot(image, found)
        night = is_night(image)
        total = time.perf_counter() - start
        other = total - decoding - again - detecting - embedding
        width, height = header.upright_size
        return Sight(
            width=width,
            height=height,
            detections=named.detections,
            label=named.together.label,
            confidence=named.together.confidence,
            count=len(found.of("animal")),
            scores=named.together.scores,
            embeddings=_embeddings(vectors, boxes),
            snapshot=picture,
            night=night,
            timings=Timings(decoding + again, detecting, embedding, other),
        )

    def text(self, query: str) -> Vectors:
        """A query's place in the embedding space: (dimension,) float32, length 1.

        The text model stays open for the next query until :meth:`release_text`.

        Raises:
            BundleError: it is missing, damaged or fails its self-test.
            ProviderError: it failed to run.
        """
        vector: Vectors = self._texts.embed([query])[0]
        return vector

    def embed(self, data: bytes, boxes: Sequence[Box], max_pixels: int) -> Glimpse:
        """Embed an image and what is in known boxes; nothing is detected.

        Where :meth:`see` of the same bundle finds these boxes, it gives the same vectors: the pixels are
        chosen alike.

        Args:
            data: a whole JPEG file.
            boxes: of the animals, as :meth:`see` gave them, in its order.
            max_pixels: an image with more is refused before it is decoded.

        Raises:
            ImageError: not a JPEG, larger than allowed, cut off or damaged.
            ProviderError: the model failed to run, and no other provider can take over.
        """
        corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]
        vectors, night = self._embed(data, corners, max_pixels)
        return Glimpse(_embeddings(vectors, corners), night)

    def is_night(self, data: bytes, max_pixels: int) -> bool:
        """Whether an image is colourless, as :attr:`Sight.night` says; no model is run.

        Raises:
            ImageError: not a JPEG, larger than allowed, cut off or damaged.
        """
        header = read_header(data, max_pixels=max_pixels)
        with self._room(header):
            return is_night(decode(data, header, self._factor(header)))

    def _embed(self, data: bytes, boxes: Sequence[Corners], max_pixels: int) -> tuple[Vectors, bool]:
        """Vectors of the whole and of the boxes, and whether it is colourless."""
        header = read_header(data, max_pixels=max_pixels)
        with self._room(header):
            image = decode(data, header, self._factor(header))
            sharp, _ = self._sharp(data, header, image, boxes)
            pixels = [image, *(self._crop(sharp, box) for box in boxes)]
            vectors, _ = self._lineup.use(lambda eyes: eyes.visual(pixels, self._visual_buffers()))
            return vectors, is_night(image)

    def _room(self, header: Header) -> AbstractContextManager[object]:
        """Keeps an image that takes much memory waiting while there is another."""
        return self._large if header.width * header.height > LARGE else nullcontext()

    def release_text(self) -> None:
        """Let go of the text model; the next query opens it again."""
        self._texts.release()

    def info(self) -> VisionInfo:
        """What is in use."""
        return VisionInfo(
            bundle=self._manifest.name,
            version=self._manifest.version,
            sha256=self._sha256,
            labels=self._labels.name,
            labels_sha256=self._labels.sha256(),
            label_count=len(self._labels.labels),
            dimension=self._manifest.visual.dimension,
            languages=self._manifest.text.languages,
            providers=self._lineup.report,
            text_damage=self._texts.damage,
        )

    def _classifier_of(self, labels: LabelSet, cache: Path) -> Classifier:
        vectors = cached_label_vectors(labels, self._sha256, cache, self._texts.embed)
        self._texts.release()
        return Classifier(
            labels.names,
            vectors,
            logit_scale=self._manifest.visual.logit_scale,
            floor=self._settings.floor,
            margin=self._settings.margin,
        )

    def _factor(self, header: Header) -> int:
        """How far the image may shrink so that no graph has to enlarge it."""
        detector, visual = self._manifest.detector.input, self._manifest.visual.input
        width, height = header.upright_size
        return reduction(
            width, height, max(detector.width, visual.width), max(detector.height, visual.height)
        )

    def _sharp(
        self, data: bytes, header: Header, image: Pixels, boxes: Sequence[Corners]
    ) -> tuple[Pixels, float]:
        """The pixels to take crops from: decoded anew, once, where the smallest would be too coarse."""
        factor = self._factor(header)
        finer = self._finer(image, boxes, factor)
        if finer == factor:
            return image, 0.0
        start = time.perf_counter()
        return decode(data, header, finer), time.perf_counter() - start

    def _finer(self, image: Pixels, boxes: Sequence[Corners], factor: int) -> int:
        height, width = image.shape[:2]
        margin, need = self._manifest.visual.crop_margin, SHARP * self._manifest.visual.input.width
        sides = [region(box, margin, width, height).longer for box in boxes]
        while factor > 1 and sides and min(sides) < need:
            factor, sides = factor // 2, [side * 2 for side in sides]
        return factor

    def _crop(self, image: Pixels, box: Corners) -> Pixels:
        height, width = image.shape[:2]
        return region(box, self._manifest.visual.crop_margin, width, height).of(image)

    def _named(self, found: Found, vectors: Vectors) -> _Named:
        """Detections with their animals' labels, and one verdict for the image."""
        shares = self._classifier.probabilities(vectors)
        verdicts = dict(zip(found.of("animal").tolist(), map(self._classifier.verdict, shares), strict=False))
        detections = tuple(_detection(found, i, verdicts.get(i)) for i in range(len(found.scores)))
        if not verdicts:
            return _Named(detections, Verdict(None, 0.0, ()))
        together = pooled(shares, found.scores[list(verdicts)])
        return _Named(detections, self._classifier.verdict(together))

    def _snapshot(self, image: Pixels, found: Found) -> bytes | None:
        if not self._settings.snapshots or not len(found.scores):
            return None
        people = found.of("person") if self._settings.blur_people else np.empty(0, np.intp)
        return snapshot(image, [found.corners(i) for i in people], self._settings.snapshot_bytes)

    def _detector_buffers(self) -> DetectorBuffers:
        if not hasattr(self._own, "detector"):
            self._own.detector = DetectorBuffers(self._manifest.detector)
        buffers: DetectorBuffers = self._own.detector
        return buffers

    def _visual_buffers(self) -> VisualBuffers:
        if not hasattr(self._own, "visual"):
            self._own.visual = VisualBuffers(self._manifest.visual)
        buffers: VisualBuffers = self._own.visual
        return buffers


def _box(corners: Corners) -> Box:
    left, top, right, bottom = corners
    return Box(left, top, right - left, bottom - top)


def _detection(found: Found, index: int, verdict: Verdict | None) -> Detection:
    kind, score = KINDS[found.kinds[index]], float(found.scores[index])
    box = _box(found.corners(index))
    if verdict is None:
        return Detection(kind, box, score)
    return Detection(kind, box, score, verdict.label, verdict.probability)


def _embeddings(vectors: Vectors, boxes: Sequence[Corners]) -> tuple[Embedding, ...]:
    small: npt.NDArray[np.float16] = vectors.astype(np.float16)
    crops = (Embedding("crop", _box(box), row) for box, row in zip(boxes, small[1:], strict=True))
    return (Embedding("image", None, small[0]), *crops)
