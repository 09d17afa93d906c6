"""Boxes: overlap and suppression. Corners are left, top, right, bottom; units are the caller's."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]

MOST: Final = 300
"""Candidates of one image that suppression looks at, best first; the COCO evaluation's customary number."""


def areas(boxes: Boxes) -> Scores:
    """Areas of (n, 4) boxes; 0 where right < left or bottom < top."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    area: Scores = sides[:, 0] * sides[:, 1]
    return area


def overlaps(a: Boxes, b: Boxes) -> Scores:
    """Intersection over union of each of ``a`` (n, 4) with each of ``b`` (m, 4).

    Returns:
        (n, m) float32, 0 to 1; 0 for boxes without area.
    """
    corner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.maximum(corner, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    ratio: Scores = shared / np.maximum(union, np.finfo(np.float32).tiny)
    return ratio


def suppress(boxes: Boxes, scores: Scores, iou: float) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression within one kind.

    Args:
        boxes: (n, 4).
        scores: (n,).
        iou: a box whose overlap with a better one exceeds this is dropped.

    Returns:
        indices of those kept, best first; equal scores keep their order.
    """
    order = np.argsort(-scores, kind="stable")[:MOST]
    clash = overlaps(boxes[order], boxes[order]) > iou
    alive = np.ones(len(order), bool)
    for index in range(len(order)):
        if alive[index]:
            alive[index + 1 :] &= ~clash[index, index + 1 :]
    return order[alive]
