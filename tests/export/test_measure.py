from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from export import measure


def _unit(values: list[list[float]]) -> measure.Array:
    array = np.array(values)
    return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True))


def test_equal_vectors_agree_fully() -> None:
    """A graph compared with itself has cosine 1 and the same labels."""
    rows = _unit([[1, 0.1, 0], [0, 1, 0.2]])
    same = measure.vectors(rows, rows, np.eye(3), 20)
    assert (same.samples, same.agreement, same.sure_agreement) == (2, 1, 1)
    assert same.minimum == pytest.approx(1)


def test_labels_that_change_where_the_reference_was_unsure_count_less() -> None:
    """Agreement looks at all samples, sure agreement at those that the reference was sure of."""
    want, have = _unit([[1, 0], [1, 0.99]]), _unit([[1, 0], [0.99, 1]])
    measured = measure.vectors(want, have, np.eye(2), 1)
    assert measured.agreement == 0.5
    assert measure.vectors(want, have, np.eye(2), 100).sure_agreement == 0.5
    assert measured.minimum == pytest.approx(0.99995, abs=1e-4)


def test_recall_and_precision_by_size() -> None:
    """A large box that was lost and a small one that was made up show where they belong."""
    large, small = [0.0, 0.0, 0.5, 0.5], [0.9, 0.9, 0.95, 0.95]
    medium = [0.1, 0.6, 0.3, 0.9]
    reference = [np.array([large, medium]), np.empty((0, 4))]
    got = [np.array([medium]), np.array([small])]
    measured = measure.boxes(reference, got)
    assert measured.found == 2
    assert measured.recall == {"all": 0.5, "medium": 1.0, "large": 0.0}
    assert measured.precision == {"all": 0.5, "small": 0.0, "medium": 1.0}


def test_no_boxes_at_all_is_no_difference() -> None:
    """Two graphs that find nothing have no shares to report."""
    nothing = [np.empty((0, 4))]
    assert measure.boxes(nothing, nothing) == measure.Boxes(0, {}, {}, images=1, same_count=1)


corner = st.floats(0, 0.5)
side = st.floats(0.01, 0.5)


@given(corner, corner, side, side)
def test_a_box_overlaps_itself_fully(x: float, y: float, width: float, height: float) -> None:
    """Intersection over union with itself is 1, with a box elsewhere 0."""
    box = np.array([x, y, x + width, y + height])
    both = measure.overlap(box, np.stack([box, box + 2]))
    assert both[0] == pytest.approx(1)
    assert both[1] == 0


def test_latency_runs_both_in_turns() -> None:
    """Each round runs the one and the other, after one round that isn't counted."""
    calls: list[str] = []
    measure.latency(lambda: calls.append("a"), lambda: calls.append("b"), rounds=3)
    assert calls == ["a", "b"] * 4


def test_an_untimed_cost_is_no_obstacle() -> None:
    """Where no time was measured, no gain is asked for."""
    assert measure.Cost(1, 1.0, 0.0, 0.0).speedup == math.inf
    assert measure.Cost(1, 1.0, 2.0, 4.0).speedup == 2
