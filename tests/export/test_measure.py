from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from export import measure
from export.measure import Boxes, Cost, Share, Spread


def _unit(values: list[list[float]]) -> measure.Array:
    array = np.array(values)
    return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True))


def test_equal_vectors_agree_fully() -> None:
    """A graph compared with itself has cosine 1 and the same labels."""
    rows = _unit([[1, 0.1, 0], [0, 1, 0.2]])
    same = measure.vectors(rows, rows, np.eye(3), 20)
    assert (same.samples, same.agreement, same.sure_agreement) == (2, 1, 1)
    assert (same.same, same.sure) == (Share(2, 2), Share(2, 2))
    assert same.minimum == pytest.approx(1)


def test_labels_that_change_where_the_reference_was_unsure_count_less() -> None:
    """Agreement looks at all samples, sure agreement at those that the reference was sure of."""
    want, have = _unit([[1, 0], [1, 0.99]]), _unit([[1, 0], [0.99, 1]])
    measured = measure.vectors(want, have, np.eye(2), 1)
    assert measured.agreement == 0.5
    assert measure.vectors(want, have, np.eye(2), 100).sure == Share(1, 2)
    assert measured.minimum == pytest.approx(0.99995, abs=1e-4)
    assert measured.cosines == pytest.approx((1, 0.99995), abs=1e-4)


def test_cosines_by_hand() -> None:
    """Mean, first percentile (between the lowest two of three) and least."""
    want, have = np.array([[1.0, 0], [1, 0], [1, 0]]), _unit([[1, 0], [3, 4], [4, 3]])
    measured = measure.vectors(want, have, np.eye(2), 1)
    assert (measured.mean, measured.minimum) == pytest.approx((0.8, 0.6))
    assert measured.p1 == pytest.approx(0.6 + 0.02 * 0.2)


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
    assert measured.recalled["all"] == Share(1, 2)
    assert (measured.images, measured.same_count, measured.emptied, measured.filled) == (2, 0, 0, 1)


def test_no_boxes_at_all_is_no_difference() -> None:
    """Two graphs that find nothing have no shares to report."""
    nothing = [np.empty((0, 4))]
    assert measure.boxes(nothing, nothing) == Boxes(0, {}, {}, images=1, same_count=1)


def test_a_box_that_falls_just_below_the_threshold_is_near() -> None:
    """Strictly it is lost, with a margin it is found; one that is far below, or made up, is neither."""
    left, middle, right = [0.0, 0.0, 0.2, 0.2], [0.4, 0.0, 0.6, 0.2], [0.8, 0.0, 1.0, 0.2]
    reference = [np.array([[*left, 0, 0.21], [*middle, 0, 0.9]])]
    got = [np.array([[*left, 0, 0.18], [*right, 0, 0.3]])]
    measured = measure.scored_boxes(reference, got, [0.2, 0.4, 0.4])
    assert (measured.recalled["all"], measured.precise["all"]) == (Share(0, 2), Share(0, 1))
    assert (measured.near_recalled, measured.near_precise) == (Share(1, 2), Share(0, 1))


def test_thresholds_are_those_of_the_kind() -> None:
    """A score of 0.3 is an animal's, not a person's."""
    box = [0.0, 0.0, 0.2, 0.2]
    rows = [np.array([[*box, 0, 0.3], [*box, 1, 0.3]])]
    measured = measure.scored_boxes(rows, rows, [0.2, 0.4, 0.4])
    assert measured.found == 1
    assert measured.near_recalled == Share(1, 1)


def test_two_boxes_do_not_share_a_partner() -> None:
    """One box over two that lie on each other finds one of them again."""
    box = [0.1, 0.1, 0.5, 0.5]
    measured = measure.boxes([np.array([box, box])], [np.array([box])])
    assert (measured.recalled["all"], measured.precise["all"]) == (Share(1, 2), Share(1, 1))


def test_the_best_partner_is_given_up_where_another_has_none() -> None:
    """As many pairs as can be: the first box takes its second best, so that the second has one too."""
    first, second = [0.0, 0.0, 1.0, 0.1], [0.25, 0.0, 1.25, 0.1]
    nearest, other = [0.1, 0.0, 1.1, 0.1], [-0.3, 0.0, 0.7, 0.1]
    assert measure.matched(np.array([first, second]), np.array([nearest, other])) == [(0, 1), (1, 0)]


def test_partners_are_of_one_kind() -> None:
    """A person where fp32 saw an animal is a lost animal and a person too many."""
    box = [0.1, 0.1, 0.5, 0.5]
    animal, person = [np.array([[*box, 0.0]])], [np.array([[*box, 1.0]])]
    measured = measure.boxes(animal, person)
    assert (measured.recall["all"], measured.precision["all"]) == (0, 0)
    assert measure.boxes(animal, animal).recall["all"] == 1


corner = st.floats(0, 0.5)
side = st.floats(0.01, 0.5)
box = st.builds(lambda x, y, w, h: [x, y, x + w, y + h], corner, corner, side, side)
images = st.lists(st.lists(box, max_size=5).map(lambda some: np.array(some).reshape(-1, 4)), max_size=3)


@given(corner, corner, side, side)
def test_a_box_overlaps_itself_fully(x: float, y: float, width: float, height: float) -> None:
    """Intersection over union with itself is 1, with a box elsewhere 0."""
    box = np.array([x, y, x + width, y + height])
    both = measure.overlap(box, np.stack([box, box + 2]))
    assert both[0] == pytest.approx(1)
    assert both[1] == 0


@given(images)
def test_what_is_found_again_is_everything_when_nothing_changed(some: list[measure.Array]) -> None:
    """Recall and precision of a graph against itself are 1, at every size, in any order of its boxes."""
    found = measure.boxes(some, [boxes[::-1] for boxes in some])
    assert set(found.recall.values()) | set(found.precision.values()) <= {1.0}
    assert (found.same_count, found.emptied, found.filled) == (len(some), 0, 0)


@given(images, images)
def test_recall_and_precision_change_places_with_the_arguments(
    one: list[measure.Array], two: list[measure.Array]
) -> None:
    """The pairs are as many either way; what was emptied was filled."""
    count = min(len(one), len(two))
    there, back = measure.boxes(one[:count], two[:count]), measure.boxes(two[:count], one[:count])
    assert there.recalled.get("all") == back.precise.get("all")
    assert there.precise.get("all") == back.recalled.get("all")
    assert (there.emptied, there.filled) == (back.filled, back.emptied)


@given(images.filter(bool), images.filter(bool))
def test_nobody_has_two_partners(one: list[measure.Array], two: list[measure.Array]) -> None:
    """Pairs are one to one, and overlap by half."""
    pairs = measure.matched(one[0], two[0])
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(measure.overlap(one[0][i], two[0][j : j + 1])[0] >= 0.5 for i, j in pairs)


def test_an_interval_says_how_much_a_share_is_worth() -> None:
    """Wilson's interval of 54 of 55 by hand; of nothing nothing is known."""
    low, high = Share(54, 55).interval
    assert (low, high) == pytest.approx((0.9039, 0.9968), abs=1e-4)
    assert str(Share(54, 55)) == "0.982 (54/55)"
    assert (Share(0, 0).value, Share(0, 0).interval) == (1.0, (0.0, 1.0))


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_share_lies_in_its_interval(pair: tuple[int, int]) -> None:
    """And the interval within 0 and 1, up to rounding."""
    share = Share(*pair)
    low, high = share.interval
    assert -1e-12 <= low <= share.value <= high <= 1 + 1e-12


def test_both_run_in_turns() -> None:
    """Each round runs both, the second one first in the next; the first round isn't counted."""
    calls: list[str] = []
    times = measure.paired(lambda: calls.append("a"), lambda: calls.append("b"), rounds=3)
    assert calls == ["b", "a", "a", "b"] * 2
    assert times.run.q1 <= times.run.median <= times.run.q3
    calls.clear()
    measure.paired(lambda: calls.append("a"), lambda: calls.append("b"), rounds=50, seconds=0)
    assert len(calls) == 2 * 10


def test_a_speedup_is_that_of_the_turns() -> None:
    """The median of the turns' ratios; without times there is no obstacle, since no gain is asked for."""
    spread = Spread.of([1, 2, 3])
    assert spread == Spread(1.5, 2, 2.5)
    assert Cost.of(9, 1.0, measure.Paired(spread, spread, Spread(1, 1.5, 2))).speedup == 1.5
    assert Cost(1, 1.0, 0.0, 0.0).speedup == math.inf
    assert Cost(1, 1.0, 2.0, 4.0).speedup == 2


def test_plain_values_are_what_json_takes() -> None:
    """Shares with their intervals, numbers rounded, what is no number left out."""
    assert measure.plain(Share(1, 2)) == {"hits": 1, "of": 2, "low": 0.0945, "high": 0.9055}
    assert measure.plain({"a": (1.23456789, math.nan), "b": None}) == {"a": [1.2346, None], "b": None}
