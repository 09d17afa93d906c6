from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from edge.vision.classify import Classifier, pooled

NAMES = ("A", "B", "C")


def _classifier(scale: float = 10.0, floor: float = 0.0, margin: float = 0.0) -> Classifier:
    return Classifier(NAMES, np.eye(3, dtype=np.float32), logit_scale=scale, floor=floor, margin=margin)


def test_probabilities_are_the_softmax_of_scaled_cosines() -> None:
    """Numbers worked out by hand."""
    got = _classifier(scale=2.0).probabilities(np.array([[0.6, 0.8, 0.0]], np.float32))
    raw = np.exp([1.2, 1.6, 0.0])
    np.testing.assert_allclose(got[0], raw / raw.sum(), rtol=1e-6)


def test_large_scale_does_not_overflow() -> None:
    """A scale of 100, as CLIP's, and beyond gives probabilities, not infinities."""
    got = _classifier(scale=1e4).probabilities(np.array([[1, 0, 0], [0, 0, 1]], np.float32))
    np.testing.assert_array_equal(got, [[1, 0, 0], [0, 0, 1]])


def test_no_embeddings_no_rows() -> None:
    """An image without animals has an empty table."""
    assert _classifier().probabilities(np.empty((0, 3), np.float32)).shape == (0, 3)


def test_likeliest_label_wins() -> None:
    """The verdict names the best and lists the others, best first."""
    verdict = _classifier().verdict(np.array([0.2, 0.7, 0.1], np.float32))
    assert verdict.label == "B"
    assert [name for name, _ in verdict.scores] == ["B", "A", "C"]
    assert verdict.confidence == 700_000


@pytest.mark.parametrize(("floor", "label"), [(0.5, "A"), (0.5001, None)])
def test_floor_is_inclusive(floor: float, label: str | None) -> None:
    """A probability at the floor counts, one below it doesn't."""
    assert _classifier(floor=floor).verdict(np.array([0.5, 0.25, 0.25], np.float32)).label == label


@pytest.mark.parametrize(("margin", "label"), [(0.25, "A"), (0.2501, None)])
def test_margin_is_inclusive(margin: float, label: str | None) -> None:
    """A lead of the margin counts, a smaller one doesn't."""
    assert _classifier(margin=margin).verdict(np.array([0.5, 0.25, 0.25], np.float32)).label == label


def test_without_label_there_is_no_confidence() -> None:
    """The likeliest label's probability is still told, but as no label's confidence."""
    verdict = _classifier(floor=0.9).verdict(np.array([0.5, 0.3, 0.2], np.float32))
    assert (verdict.label, verdict.confidence) == (None, 0)
    assert verdict.probability == pytest.approx(0.5)


def test_one_animal_speaks_for_its_image() -> None:
    """With one animal, the image's distribution is that animal's."""
    row = np.array([[0.6, 0.3, 0.1]], np.float32)
    np.testing.assert_allclose(pooled(row, np.array([0.3], np.float32)), row[0], rtol=1e-6)


def test_surer_detections_weigh_more() -> None:
    """Animals count by the detector's score."""
    rows = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    np.testing.assert_allclose(pooled(rows, np.array([0.6, 0.2], np.float32)), [0.75, 0.25, 0], rtol=1e-6)


def test_two_species_in_one_image_are_not_sure() -> None:
    """A fox and a hare don't become a certain fox."""
    rows = np.array([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01]], np.float32)
    together = pooled(rows, np.array([0.5, 0.5], np.float32))
    assert _classifier(margin=0.02).verdict(together).label is None


@given(
    st.lists(
        st.tuples(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.floats(0.01, 1)),
        min_size=1,
        max_size=8,
    )
)
def test_pool_is_a_distribution_between_its_members(animals: list[tuple[list[float], float]]) -> None:
    """The pool sums to 1, lies between the animals' values, and doesn't depend on their order."""
    rows = np.array([row for row, _ in animals], np.float32)
    rows /= rows.sum(1, keepdims=True)
    weights = np.array([weight for _, weight in animals], np.float32)
    together = pooled(rows, weights)
    assert together.sum() == pytest.approx(1, abs=1e-5)
    assert (together <= rows.max(0) + 1e-6).all()
    assert (together >= rows.min(0) - 1e-6).all()
    np.testing.assert_allclose(pooled(rows[::-1], weights[::-1]), together, atol=1e-6)
