"""What the vision room says of one image. Plain and immutable; arrays are never written to again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.vision.manifest import Kind

Vector = npt.NDArray[np.float16]
"""An embedding as it is stored: (dimension,) float16, length 1 before rounding."""


class Box(NamedTuple):
    """A rectangle on the upright image: left, top, width, height; 0 to 1 of the image's sides."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One animal, person or vehicle.

    Attributes:
        kind: what it is.
        box: where.
        score: of the detector, 0 to 1.
        label: of an animal, if the model was sure enough.
        label_score: probability of an animal's likeliest label, 0 to 1, sure or not.
    """

    kind: Kind
    box: Box
    score: float
    label: str | None = None
    label_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Embedding:
    """A place in the bundle's embedding space.

    Attributes:
        kind: of the whole image, or of one animal's crop.
        box: of the crop.
        vector: (dimension,) float16.
    """

    kind: Literal["image", "crop"]
    box: Box | None
    vector: Vector


@dataclass(frozen=True, slots=True)
class Timings:
    """Where an image's time went, in seconds of wall time.

    Attributes:
        decode: JPEG to pixels, the second decoding for small boxes included.
        detect: the detector's kernels.
        embed: the visual model's kernels.
        other: everything else: resizing, crops, suppression, naming, the snapshot.
    """

    decode: float
    detect: float
    embed: float
    other: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.decode + self.detect + self.embed + self.other


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen in one image.

    Attributes:
        width, height: of the upright image, pixels.
        detections: above their thresholds, best first.
        label: of the image's animals together, or None: no animal, or not sure.
        confidence: of ``label``, parts per million; 0 without one.
        count: animals.
        scores: the likeliest labels and their probabilities, best first; empty without animals.
        embeddings: of the whole image, then of its animals.
        snapshot: a small JPEG with people made unrecognisable, if there is something in the image.
        timings: where the time went.
        night: whether it is colourless, as pictures by infrared light are.
    """

    width: int
    height: int
    detections: tuple[Detection, ...]
    label: str | None
    confidence: int
    count: int
    scores: tuple[tuple[str, float], ...]
    embeddings: tuple[Embedding, ...]
    snapshot: bytes | None
    timings: Timings
    night: bool = False


@dataclass(frozen=True, slots=True)
class Glimpse:
    """An image in an embedding space, without anything being looked for in it.

    Attributes:
        embeddings: of the whole image, then of the boxes that were given.
        night: as of a :class:`Sight`.
    """

    embeddings: tuple[Embedding, ...]
    night: bool
