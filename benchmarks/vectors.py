"""Embeddings by the million, spread as those of trap images are, which is far from evenly.

Images of one camera look alike, those of a burst nearly the same, and all lie within a narrow cone. So there
are scenes, drawn with the mean and the covariance of real embeddings where there are some, else with a
made-up one of the same kind; images around a scene's centre; and bursts around an image. The same seed always
gives the same vectors.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.settings import VisionSettings
from edge.vision.bundles import find_bundle
from edge.vision.labels import load_label_set
from edge.vision.manifest import load_manifest
from edge.vision.pipeline import Vision
from edge.vision.queries import Texts

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

DIMENSION: Final = 384
BURST: Final = 5
PER_SCENE: Final = 300
_WITHIN: Final = 0.45
"""Spread of a scene's images as a share of that of all images."""
_BURST: Final = 0.12
_REST: Final = 0.25
"""Share of the spread that has no direction."""


WORDS: Final = (
    "jaguar", "bird", "black bear", "fox", "rabbit", "wild boar", "snare", "a person", "car", "raccoon",
    "an empty meadow", "deer at night", "opossum", "coyote", "burrowing owl", "dog", "cat", "skunk", "turkey",
    "squirrel", "cow", "horse", "snow", "two animals", "an animal very close to the camera", "tall grass",
    "a man with a gun", "bobcat", "puma", "crow", "a deer looking at the camera", "eyes in the dark",
)  # fmt: skip


def found_embeddings() -> Float32 | None:
    """Embeddings of the real trap images, and of the animals in them; None where there are no such images."""
    root = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    files = sorted((root / "data" / "trap-images").rglob("*.jpg"))
    if not files:
        return None
    settings = VisionSettings(snapshots=False)
    cache = Path(os.environ.get("TMPDIR", "/tmp")) / "edge-benchmark-cache"  # noqa: S108
    vision = Vision.open(find_bundle("starter", ()), load_label_set(settings.labels), settings, cache)
    sights = (vision.see(file.read_bytes(), 100_000_000) for file in files)
    return np.stack([e.vector for sight in sights for e in sight.embeddings]).astype(np.float32)


def words() -> Float32:
    """What people search for, as the starter bundle embeds it: (n, dimension) of length 1."""
    bundle = find_bundle("starter", ())
    return Texts(bundle, load_manifest(bundle), 1).embed(WORDS)


class Meadow:
    """A source of vectors.

    Args:
        like: (n, dimension) float32 real embeddings; None: made up.
        scenes: how many places there are.
        seed: of everything.
    """

    def __init__(self, like: Float32 | None, scenes: int, seed: int = 1) -> None:
        random = np.random.default_rng(seed)
        self._mean, self._axes = _spread(like, random)
        self._dimension = len(self._mean)
        self._centres = self._mean + self._noise(random, scenes)
        # Some cameras see far more than others.
        share = 1 / np.arange(1, scenes + 1) ** 0.5
        self._share = share / share.sum()

    def vectors(self, count: int, seed: int) -> Float32:
        """(count, dimension) float32 of length 1: bursts of images of scenes, one after the other."""
        random = np.random.default_rng((7, seed))
        groups = -(-count // BURST)
        scenes = random.choice(len(self._share), groups, p=self._share)
        first = self._centres[scenes] + _WITHIN * self._noise(random, groups)
        all_of_them = np.repeat(first, BURST, axis=0)
        all_of_them += _BURST * self._noise(random, len(all_of_them))
        return _unit(all_of_them)[:count]

    def _noise(self, random: np.random.Generator, count: int) -> Float64:
        along = random.standard_normal((count, len(self._axes)), np.float32) @ self._axes
        scale = _REST * np.sqrt((self._axes**2).sum() / self._dimension)
        result: Float64 = along + scale * random.standard_normal((count, self._dimension), np.float32)
        return result


def _spread(like: Float32 | None, random: np.random.Generator) -> tuple[Float32, Float32]:
    """The mean, and (axes, dimension) directions, each as long as its standard deviation."""
    if like is not None:
        mean = like.mean(0)
        _, sizes, axes = np.linalg.svd(like - mean, full_matrices=False)
        return mean, (axes * (sizes / np.sqrt(len(like)))[:, None]).astype(np.float32)
    mean = random.standard_normal(DIMENSION).astype(np.float32)
    axes = np.linalg.qr(random.standard_normal((DIMENSION, 75)))[0].T
    variance = 1 / np.arange(1, 76)
    sizes = np.sqrt(0.25 * variance / variance.sum())
    return mean * np.float32(0.87 / np.linalg.norm(mean)), (axes * sizes[:, None]).astype(np.float32)


def _unit(vectors: Float64) -> Float32:
    unit: Float32 = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
