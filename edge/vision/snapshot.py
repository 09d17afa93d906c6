"""A small picture of an image, for the page and for messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import simplejpeg

from edge.errors import ImageError
from edge.vision.blur import blur
from edge.vision.preprocess import Pixels

LONGER_SIDE: Final = 640
_QUALITIES: Final = (80, 65, 50, 35)
_SHRINK: Final = 0.7
_TINIEST: Final = 16
_HALF: Final = 0.5


def snapshot(image: Pixels, hide: Sequence[tuple[float, float, float, float]], most: int) -> bytes:
    """Make a JPEG of at most so many bytes; it carries no metadata.

    Args:
        image: HWC uint8 RGB, upright; it isn't changed.
        hide: boxes (left, top, right, bottom, 0 to 1) whose detail is destroyed first.
        most: bytes.

    Raises:
        ImageError: not even the smallest picture fits.
    """
    side = LONGER_SIDE
    while side >= _TINIEST:
        small = _scaled(image, side)
        for box in hide:
            blur(small, box)
        for quality in _QUALITIES:
            encoded = simplejpeg.encode_jpeg(small, quality=quality, colorspace="RGB", colorsubsampling="420")
            if len(encoded) <= most:
                return bytes(encoded)
        side = int(side * _SHRINK)
    raise ImageError("snapshot doesn't fit", hint=f"vision.snapshot_bytes = {most} is too small")


def _scaled(image: Pixels, side: int) -> Pixels:
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Down to a half, linear interpolation misses no pixel, and takes an eighth of the time.
    method = cv2.INTER_LINEAR if scale >= _HALF else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
