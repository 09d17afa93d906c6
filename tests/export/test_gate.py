from __future__ import annotations

from typing import Any

import pytest

from edge.errors import GateError
from export.gate import (
    BoxFloors,
    Candidate,
    Measured,
    VectorFloors,
    VisitFloors,
    choose,
    shortfalls,
    visit_shortfalls,
)
from export.measure import Boxes, Cost, Vectors
from export.visits import Visits

FLOORS = VectorFloors(mean=0.99, p1=0.95, minimum=0.9, sure_agreement=0.95)
GOOD, BAD = Vectors(9, 0.999, 0.99, 0.98, 0.9, 1.0), Vectors(9, 0.98, 0.9, 0.7, 0.5, 0.6)
FAST = Cost(1, 1.0, 1.0, 2.0)


def _candidate(name: str, built: list[str], pays: float = 0.0) -> Candidate:
    return Candidate(name, lambda: built.append(name), pays=pays)


def _measure(qualities: dict[str, Vectors], cost: Cost = FAST) -> Any:
    return lambda candidate, model: Measured(candidate, model, qualities[candidate.precision], cost)


def test_the_first_that_passes_is_taken_and_no_other_is_built() -> None:
    """Cheapest first; what comes after the first success costs nothing."""
    built: list[str] = []
    candidates = [_candidate(name, built) for name in ("int8", "int8 with fp32", "fp16")]
    measure = _measure({"int8": BAD, "int8 with fp32": GOOD, "fp16": GOOD})
    chosen, refused = choose("visual", candidates, measure, FLOORS)
    assert chosen.candidate.precision == "int8 with fp32"
    assert built == ["int8", "int8 with fp32"]
    (reason,) = refused
    assert reason.startswith("int8: mean 0.9800 < 0.9900, p1 0.9000 < 0.9500, minimum 0.7000 < 0.9000")


def test_below_the_floors_everywhere_is_an_error_that_says_all() -> None:
    """The error names the part, each precision with what it lacked, and the most sensitive nodes."""
    with pytest.raises(GateError) as caught:
        choose("visual", [_candidate("int8", [])], _measure({"int8": BAD}), FLOORS, lambda: ["conv_3"])
    assert caught.value.subject == "visual"
    assert "int8: mean 0.9800 < 0.9900" in caught.value.hint
    assert "conv_3" in caught.value.hint


def test_a_loss_that_buys_no_speed_is_refused() -> None:
    """A precision that has to pay in time doesn't pass by being close."""
    slow = Cost(1, 1.0, 2.0, 2.1)
    measured = Measured(_candidate("int8", [], pays=1.2), None, GOOD, slow)
    assert shortfalls(measured, FLOORS) == ["speedup 1.0500 < 1.2000"]
    assert shortfalls(Measured(_candidate("fp16", []), None, GOOD, slow), FLOORS) == []


def test_numbers_that_are_none_do_not_pass() -> None:
    """NaN is below every floor."""
    broken = Vectors(9, float("nan"), 1.0, 1.0, 1.0, 1.0)
    assert shortfalls(Measured(_candidate("x", []), None, broken, FAST), FLOORS) == ["mean nan < 0.9900"]


def test_boxes_have_floors_of_their_own() -> None:
    """Recall and precision over all sizes count; finding nothing where fp32 finds nothing passes."""
    floors = BoxFloors(recall=0.97, precision=0.97)
    lost = Measured(_candidate("x", []), None, Boxes(9, {"all": 0.9}, {"all": 1.0}), FAST)
    none = Measured(_candidate("x", []), None, Boxes(0, {}, {}), FAST)
    assert shortfalls(lost, floors) == ["recall 0.9000 < 0.9700"]
    assert shortfalls(none, floors) == []


def test_visits_may_differ_by_their_share_and_always_by_one() -> None:
    """Of 40 visits 5 % may be lost; of 4, one may."""
    floors = VisitFloors(lost=0.05, added=0.05, relabelled=0.1, recounted=0.1)
    assert visit_shortfalls(Visits(40, 2, 0, 4, 0), floors) == []
    assert visit_shortfalls(Visits(40, 3, 0, 5, 0), floors) == ["lost 3 of 40", "relabelled 5 of 40"]
    assert visit_shortfalls(Visits(4, 1, 1, 1, 1), floors) == []
