"""The measure that counts: what a bundle's precision does to registrations.

Two bundles see the same images; both go through the registration rules; visits are then matched by time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.registration import Observation, Options, Registration, register
from edge.settings import VisionSettings
from edge.vision.labels import LabelSet
from edge.vision.pipeline import Vision
from export.calibration import Image

MINUTE_MS = 60_000
_BURST, _EVERY_MS, _APART_MS = 3, MINUTE_MS, 60 * MINUTE_MS
_MOST_PIXELS = 100_000_000
_QUALITY = 92


@dataclass(frozen=True)
class Visits:
    """Registrations of one bundle against those of another.

    Attributes:
        reference: how many the reference has.
        lost: of those, how many have no counterpart in time.
        added: how many of the other's have none.
        relabelled, recounted: pairs with another label, with another count.
    """

    reference: int
    lost: int
    added: int
    relabelled: int
    recounted: int


def observe(bundle: Path, images: Sequence[Image], labels: LabelSet) -> list[Observation]:
    """What a bundle makes of a sequence, as the service records it: three images a visit."""
    settings = VisionSettings(providers=("CPUExecutionProvider",))
    with tempfile.TemporaryDirectory(prefix="edge-visits-") as cache:
        vision = Vision.open(bundle, labels, settings, Path(cache))
        sights = [vision.see(_jpeg(image), _MOST_PIXELS) for image in images]
    return [
        Observation("measured", f"image-{i:05}", _time(i), sight.label, sight.count, sight.confidence)
        for i, sight in enumerate(sights)
    ]


def _time(index: int) -> int:
    """Event time of an image: bursts further apart than the independence interval."""
    visit, image = divmod(index, _BURST)
    return visit * _APART_MS + image * _EVERY_MS


def compare(reference: Sequence[Observation], got: Sequence[Observation]) -> Visits:
    """Run both through the rules and match what comes out."""
    want = register([seen for seen in reference if seen.count], Options())
    have = register([seen for seen in got if seen.count], Options())
    return match(want, have)


def match(want: Sequence[Registration], have: Sequence[Registration]) -> Visits:
    """Pair visits that overlap in time, each once, in order; count what is left over or differs."""
    pairs: list[tuple[Registration, Registration]] = []
    free = list(have)
    for visit in want:
        partner = next((other for other in free if _overlap(visit, other)), None)
        if partner is not None:
            free.remove(partner)
            pairs.append((visit, partner))
    return Visits(
        reference=len(want),
        lost=len(want) - len(pairs),
        added=len(free),
        relabelled=sum(a.label != b.label for a, b in pairs),
        recounted=sum(a.count != b.count for a, b in pairs),
    )


def _overlap(a: Registration, b: Registration) -> bool:
    return a.start <= b.end and b.start <= a.end


def _jpeg(image: Image) -> bytes:
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    return bytes(data)
