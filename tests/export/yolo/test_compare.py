"""Comparing a graph with its framework."""

from __future__ import annotations

import numpy as np

from export.yolo.compare import in_order


def test_queries_of_equal_score_may_change_places() -> None:
    """The same rows in another order are put back, boxes along with their scores."""
    random = np.random.default_rng(0)
    boxes, scores = random.uniform(0, 640, (1, 6, 4)), random.uniform(0, 1, (1, 6, 2))
    order = [1, 0, 2, 5, 4, 3]
    got = in_order([boxes, scores], [boxes[:, order], scores[:, order]])
    assert (got[0] == boxes).all()
    assert (got[1] == scores).all()


def test_a_query_that_is_missing_shows() -> None:
    """Nothing takes its place unnoticed."""
    boxes = np.arange(8.0).reshape(1, 2, 4) * 100
    (got,) = in_order([boxes], [boxes[:, [0, 0]]])
    assert np.abs(got - boxes).max() == 400
