"""The metric, on cases small enough to work out by hand."""

from __future__ import annotations

import pytest

from edge.registration.score import Interval, score


def event(start: int, end: int, count: int = 1, label: str = "deer", deployment: str = "d") -> Interval:
    """One event."""
    return Interval(deployment, label, start, end, count)


def test_perfect() -> None:
    """What equals the truth scores 1 by both variants."""
    truth = [event(0, 10, 2), event(20, 20), event(0, 10, 1, "fox")]
    result = score(truth[::-1], truth)
    assert (result.score, result.score_by_matches) == (1.0, 1.0)


def test_overlap_is_iou() -> None:
    """A match adds the shared time over the time that either covers."""
    result = score([event(0, 10)], [event(5, 25)])
    assert (result.iou, result.score, result.score_by_matches) == (0.2, 0.2, 1.0)


def test_touching_at_a_point_matches() -> None:
    """Intervals that share only an instant match, with an IoU of 0; identical instants have 1."""
    assert (score([event(0, 10)], [event(10, 20)]).matched, score([event(0, 10)], [event(10, 20)]).iou) == (
        1,
        0,
    )
    assert score([event(7, 7)], [event(7, 7)]).iou == 1
    assert score([event(0, 9)], [event(10, 20)]).matched == 0


def test_extras_cost_half() -> None:
    """Passed over, left at the end or of a label that isn't there: each extra costs half a true one."""
    truth = [event(100, 110), event(200, 210)]
    predicted = [event(0, 5), event(100, 110), event(200, 210), event(300, 310), event(100, 110, 1, "fox")]
    result = score(predicted, truth)
    assert (result.extras, result.score) == (3, 1 - 0.5 * 3 / 2)


def test_each_matches_once() -> None:
    """Two pieces of one true event: the first is the match, the second an extra."""
    result = score([event(0, 4), event(6, 10)], [event(0, 10)])
    assert (result.matched, result.extras) == (1, 1)


def test_counts_are_weighted_f1() -> None:
    """Each true count's F1 weighs as often as it is true; a count nobody predicted has 0."""
    truth = [event(0, 1, 1), event(10, 11, 1), event(20, 21, 2)]
    result = score([event(0, 1, 1), event(10, 11, 1), event(20, 21, 1)], truth)
    assert result.f1 == pytest.approx((2 * 0.8 + 1 * 0.0) / 3)


def test_five_means_five_or_more() -> None:
    """Counts from 5 up are the same."""
    assert score([event(0, 1, 9)], [event(0, 1, 5)]).f1 == 1
    assert score([event(0, 1, 9)], [event(0, 1, 4)]).f1 == 0


def test_walks_side_by_side() -> None:
    """Each list is passed over one by one: what was matched or passed is never looked at again."""
    truth = [event(t, t + 5) for t in (0, 100, 110, 120, 300, 400)]
    predicted = [event(t, t + 5) for t in (50, 60, 110, 200, 210, 300, 400)]
    result = score(predicted, truth)
    assert (result.true, result.predicted, result.matched, result.extras) == (6, 7, 3, 4)
    assert (result.iou, result.f1) == (3, 1)
    assert result.score_by_matches == pytest.approx(3 / 6 - 0.5 * 4 / 6)


def test_a_long_one_matches_once_wherever_it_stands() -> None:
    """After others too, an event that touches two matches the first of them alone, on either side."""
    long, short = [event(0, 1), event(10, 50)], [event(0, 1), event(10, 20), event(30, 40)]
    assert score(long, short).matched == score(short, long).matched == 2


def test_equal_starts_go_by_their_ends() -> None:
    """Of events that start together the shorter one comes first, whatever the order given."""
    truth, predicted = [event(0, 2)], [event(0, 8), event(0, 2)]
    assert score(predicted, truth).iou == score(predicted[::-1], truth).iou == 1


def test_earlier_start_comes_first_even_if_it_ends_later() -> None:
    """Events are sorted by start before end."""
    assert score([event(4, 6), event(0, 8)], [event(4, 6)]).iou == 0.25


def test_nothing_predicted() -> None:
    """Nothing found scores 0 and has no F1."""
    result = score([], [event(0, 1)])
    assert (result.score, result.score_by_matches, result.f1, result.predicted) == (0, 0, 0, 0)


def test_nothing_true() -> None:
    """Without a truth there is nothing to measure."""
    with pytest.raises(ValueError, match=r"^there is no true event to score against$"):
        score([], [])
