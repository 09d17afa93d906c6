"""Making people unrecognisable, for good.

Blur alone can be undone to a degree; so the region is first averaged down to a few cells, which throws the
detail away, and then smoothed so that the cells' edges don't distract.
"""

from __future__ import annotations

import math
from typing import Final

import cv2

from edge.vision.preprocess import Pixels

CELLS: Final = 6
"""Cells along a region's shorter side: fewer than a face needs to be told from another."""

MARGIN: Final = 0.1
"""Added around a person's box, as a share of its sides: boxes cut off hands and hair."""


def blur(image: Pixels, box: tuple[float, float, float, float]) -> None:
    """Destroy the detail inside a box, in place.

    Args:
        image: HWC uint8, contiguous or a view.
        box: left, top, right, bottom, 0 to 1 of the image's sides.
    """
    height, width = image.shape[:2]
    grow_x, grow_y = MARGIN * (box[2] - box[0]), MARGIN * (box[3] - box[1])
    left, right = _span(box[0] - grow_x, box[2] + grow_x, width)
    top, bottom = _span(box[1] - grow_y, box[3] + grow_y, height)
    region = image[top:bottom, left:right]
    if region.size == 0:
        return
    rows, columns = _grid(bottom - top, right - left)
    cells = cv2.resize(region, (columns, rows), interpolation=cv2.INTER_AREA)
    image[top:bottom, left:right] = cv2.resize(
        cells, (right - left, bottom - top), interpolation=cv2.INTER_CUBIC
    )


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    start = min(max(0, math.floor(low * size)), size)
    return start, max(start, min(size, math.ceil(high * size)))


def _grid(height: int, width: int) -> tuple[int, int]:
    cell = max(height, width, 1) if min(height, width) < CELLS else min(height, width) / CELLS
    return max(1, int(height / cell)), max(1, int(width / cell))
