from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import assume, given, strategies as st
from hypothesis.extra import numpy as hnp

from edge.vision.boxes import MOST, areas, overlaps, suppress


@st.composite
def _boxes(draw: st.DrawFn) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    n = draw(st.integers(0, 12))
    corners = draw(hnp.arrays(np.float32, (n, 4), elements=st.integers(0, 40).map(float)))
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], 1).astype(np.float32)
    scores = draw(
        hnp.arrays(np.float32, (n,), elements=st.integers(1, 1000).map(lambda i: i / 1000), unique=True)
    )
    return boxes, scores


def _box(*corners: float) -> npt.NDArray[np.float32]:
    return np.array([corners], np.float32)


def test_overlap_of_known_boxes() -> None:
    """Half a box shared with its equal is a third of their union."""
    assert overlaps(_box(0, 0, 2, 2), _box(1, 0, 3, 2))[0, 0] == np.float32(1 / 3)


def test_touching_boxes_do_not_overlap() -> None:
    """A common edge is no common area."""
    assert overlaps(_box(0, 0, 1, 1), _box(1, 0, 2, 1))[0, 0] == 0


def test_boxes_without_area_overlap_nothing() -> None:
    """A point, and a box turned inside out, have no area and no overlap."""
    assert areas(_box(3, 3, 1, 9))[0] == 0
    assert overlaps(_box(1, 1, 1, 1), _box(0, 0, 2, 2))[0, 0] == 0


@given(_boxes())
def test_overlap_is_symmetric_and_bounded(
    drawn: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> None:
    """Overlap lies between 0 and 1 and doesn't depend on the order; with itself it is 1."""
    boxes, _ = drawn
    matrix = overlaps(boxes, boxes)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert ((matrix >= 0) & (matrix <= 1)).all()
    assert (np.diag(matrix)[areas(boxes) > 0] == 1).all()


def test_better_box_stays() -> None:
    """Of two boxes on one animal the one with the higher score stays."""
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40]], np.float32)
    kept = suppress(boxes, np.array([0.5, 0.9, 0.4], np.float32), 0.5)
    assert kept.tolist() == [1, 2]


def test_overlap_at_the_limit_stays() -> None:
    """Only an overlap above the limit drops a box."""
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    limit = float(overlaps(boxes[:1], boxes[1:])[0, 0])
    assert len(suppress(boxes, scores, limit)) == 2
    assert len(suppress(boxes, scores, limit - 1e-6)) == 1


def test_dropped_box_drops_nothing() -> None:
    """In a chain of overlaps the last one stays, because what overlaps it is gone."""
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8, 0.7], np.float32), 0.3).tolist() == [0, 2]


def test_equal_scores_keep_their_order() -> None:
    """The result doesn't depend on the sort: of equals, the first stays."""
    boxes = np.tile(_box(0, 0, 5, 5), (4, 1))
    assert suppress(boxes, np.full(4, 0.5, np.float32), 0.5).tolist() == [0]


def test_no_boxes() -> None:
    """Nothing in, nothing out."""
    assert suppress(np.empty((0, 4), np.float32), np.empty(0, np.float32), 0.5).tolist() == []


def test_a_swarm_is_bounded() -> None:
    """However many candidates there are, the best few hundred are looked at."""
    n = 2000
    corner = np.arange(n, dtype=np.float32)[:, None] * 20
    boxes = np.concatenate([corner, corner, corner + 10, corner + 10], 1)
    kept = suppress(boxes, np.linspace(0.1, 0.9, n, dtype=np.float32), 0.5)
    assert kept.tolist() == list(range(n - 1, n - 1 - MOST, -1))


@given(_boxes(), st.floats(0.05, 0.95))
def test_kept_boxes_do_not_clash_and_dropped_ones_do(
    drawn: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], iou: float
) -> None:
    """No two kept boxes overlap more than allowed; each dropped one does with a better kept one."""
    boxes, scores = drawn
    kept = suppress(boxes, scores, iou)
    matrix = overlaps(boxes, boxes)
    assert (np.diff(scores[kept]) <= 0).all()
    for place, index in enumerate(kept):
        assert not (matrix[index, kept[:place]] > iou).any()
    for index in set(range(len(boxes))) - set(kept.tolist()):
        assert any(matrix[index, better] > iou and scores[better] > scores[index] for better in kept)


@given(_boxes(), st.sampled_from([0.3, 0.5, 0.7]))
def test_agrees_with_opencv(
    drawn: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], iou: float
) -> None:
    """OpenCV's suppression keeps the same boxes."""
    boxes, scores = drawn
    large = areas(boxes) > 0
    boxes, scores = boxes[large], scores[large]
    assume(not np.isclose(overlaps(boxes, boxes), iou, atol=1e-3).any())
    as_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    expected = cv2.dnn.NMSBoxes(as_sizes.tolist(), scores.tolist(), 0.0, iou)
    assert suppress(boxes, scores, iou).tolist() == list(np.asarray(expected, int).ravel())
