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


def overlaps(a: Boxes, b: Boxes) -> tuple[Scores, Scores]:
    """How much boxes overlap, each of ``a`` (n, 4) with each of ``b`` (m, 4).

    Returns:
        two (n, m) float32 arrays, 0 to 1: intersection over union, and intersection over the smaller
        of the two; both 0 for boxes without area.
    """
    corner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.maximum(corner, 0)
    shared = sides[..., 0] * sides[..., 1]
    area_a, area_b = areas(a)[:, None], areas(b)[None, :]
    tiny = np.float32(np.finfo(np.float32).tiny)
    union = np.maximum(area_a + area_b - shared, tiny)
    smaller = np.maximum(np.minimum(area_a, area_b), tiny)
    return shared / union, shared / smaller


def suppress(boxes: Boxes, scores: Scores, iou: float, inside: float = 1.0) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression within one kind.

    Args:
        boxes: (n, 4).
        scores: (n,).
        iou: a box whose overlap with a better one exceeds this is dropped.
        inside: so is one of which more than this share lies in a better one (or the other way round):
            a head found beside its animal. 1 turns this off.

    Returns:
        indices of those kept, best first; equal scores keep their order.
    """
    order = np.argsort(-scores, kind="stable")[:MOST]
    union, smaller = overlaps(boxes[order], boxes[order])
    clash = (union > iou) | (smaller > inside)
    alive = np.ones(len(order), bool)
    for index in range(len(order)):
        if alive[index]:
            alive[index + 1 :] &= ~clash[index, index + 1 :]
    return order[alive]
