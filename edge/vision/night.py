"""Whether an image was lit by an infrared flash: it has no colour of its own.

What tells is not how far a picture's colours are from grey: many cameras tint their night images, while snow
and fog are next to grey by day. A night image has one tint, whatever it is, and brightness alone tells how
strong it is; by daylight things of one brightness differ in colour. So the image is cut down to a few means,
and what counts is how far they are from the tint of their band of brightness (decision 0181).
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.preprocess import Pixels

STRIP: Final = 10
"""One part in so many of the height is left out at the top and the bottom: cameras write there, in colour."""
COLUMNS: Final = 64
ROWS: Final = 48
"""Means that the image is cut down to: noise and the coarse colours of a JPEG average out."""
PICKED: Final = 4
"""Pixels on a side that each mean is taken of, evenly spread."""
BANDS: Final = 16
MOST: Final = 0.75
"""Share of the means that have to be without colour: a logo or a leaf before the lens may have some."""
SPREAD: Final = 3.0
"""How far, of 255, the means of a colourless image may be from their tint: noise, uneven light."""
TINT: Final = 0.05
"""Added to that, as a share of how far the image is from grey as a whole."""

_NO_TINT: Final = 1e-6
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_Numbers = npt.NDArray[np.float32]


def is_night(image: Pixels) -> bool:
    """Whether an image is colourless.

    Args:
        image: HWC uint8 RGB, upright, of any size; it isn't changed.
    """
    means = _means(image)
    brightness = means @ _LUMA
    opponents = means[:, [0, 2]] - means[:, [1]]  # red and blue against green
    spread = _quantile(_lengths(opponents - _expected(brightness, opponents)), MOST)
    return bool(spread <= SPREAD + TINT * _quantile(_lengths(opponents), 0.5))


def _means(image: Pixels) -> _Numbers:
    """(n, 3) float32, 0 to 255."""
    cut = image.shape[0] // STRIP
    middle = image[cut : image.shape[0] - cut]
    # Reading every pixel would cost many times as much, and tell no more.
    picked = cv2.resize(middle, (COLUMNS * PICKED, ROWS * PICKED), interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(picked, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(-1, 3)


def _expected(brightness: _Numbers, opponents: _Numbers) -> _Numbers:
    """What a tint makes of each one's brightness: (n, 2) float32.

    It may be stronger in the light than in the dark, but is one and the same: a blue sky above brown soil is
    no tint, although their colours follow from their brightness, too.
    """
    band = (brightness * (BANDS / 256)).astype(np.intp)
    mean = opponents.mean(0)
    tint = mean / max(float(np.hypot(*mean)), _NO_TINT)
    members = np.maximum(np.bincount(band, minlength=BANDS), 1)
    sums = np.bincount(band, weights=opponents @ tint, minlength=BANDS)
    strength = np.maximum(sums / members, 0).astype(np.float32)
    expected: _Numbers = strength[band, None] * tint
    return expected


def _lengths(vectors: _Numbers) -> _Numbers:
    lengths: _Numbers = np.hypot(vectors[:, 0], vectors[:, 1])
    return lengths


def _quantile(values: _Numbers, share: float) -> float:
    place = int(share * (len(values) - 1))
    return float(np.partition(values, place)[place])
