from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from edge.errors import GateError
from export import measure
from export.floors import BoxFloors, CostFloors, FrameworkFloors, VectorFloors, VisitFloors
from export.gate import (
    Candidate,
    Ranking,
    Rules,
    allowed_visits,
    choose,
    cost_shortfalls,
    require_framework,
    shortfalls,
    visit_shortfalls,
)
from export.measure import Boxes, Cost, Vectors
from export.visits import Visits

FLOORS = VectorFloors(mean=0.99, p1=0.95, minimum=0.9, sure_agreement=0.95)
GOOD, BAD = Vectors(9, 0.999, 0.99, 0.98, 0.9, 1.0), Vectors(9, 0.98, 0.9, 0.7, 0.5, 0.6)
REFERENCE_BYTES = 100


class Examiner:
    """Says of each candidate by its name what it costs and how good it is; notes who was looked at."""

    reference_bytes = REFERENCE_BYTES

    def __init__(self, **facts: tuple[Vectors, float, int]) -> None:
        self.facts = facts
        self.built: list[str] = []
        self.looked_at: list[str] = []
        self.discarded: list[str] = []

    def cost(self, candidate: Candidate) -> tuple[Path, Cost]:
        """By name: milliseconds (fp32 takes 10) and bytes."""
        self.built.append(candidate.precision)
        _, ms, size = self.facts[candidate.precision]
        return Path(candidate.precision), Cost(size, 1.0, ms, 10.0)

    def quality(self, file: Path) -> Vectors:
        """By name."""
        self.looked_at.append(file.name)
        return self.facts[file.name][0]

    def discard(self, file: Path) -> None:
        """Noted."""
        self.discarded.append(file.name)


def _candidate(name: str, *remedies: str, pays: Any = "") -> Candidate:
    def mended() -> Iterator[Candidate]:
        return (_candidate(remedy, pays=pays) for remedy in remedies)

    return Candidate(name, lambda: None, pays=pays, remedies=mended)


def _never() -> Iterator[Candidate]:
    pytest.fail("nobody may ask for remedies")


def test_the_fastest_of_those_that_pass_is_taken() -> None:
    """Not the first, and not a faster one that is too coarse."""
    examiner = Examiner(slow=(GOOD, 8, 50), fast=(GOOD, 4, 50), coarse=(BAD, 1, 25))
    choice = choose("visual", "x86", map(_candidate, examiner.facts), examiner, Rules(FLOORS))
    assert choice.chosen.candidate.precision == "fast"
    assert [bool(each.lacking) for each in choice.tried] == [False, False, True]
    assert set(examiner.discarded) == {"slow", "coarse"}


def test_of_equally_fast_ones_the_smallest_is_taken() -> None:
    """2 % of time decide nothing, bytes do."""
    examiner = Examiner(large=(GOOD, 4.0, 50), small=(GOOD, 4.08, 25), larger=(GOOD, 3.98, 60))
    choice = choose("visual", "x86", map(_candidate, examiner.facts), examiner, Rules(FLOORS))
    assert choice.chosen.candidate.precision == "small"


def test_a_difference_that_is_no_number_is_too_large() -> None:
    """A framework or a graph that gives NaN is refused, not passed over."""
    with pytest.raises(GateError, match="visual"):
        require_framework({"detector": 0.0, "visual": math.nan}, FrameworkFloors())


def test_boxes_that_arent_there_prove_nothing() -> None:
    """Where fp32 finds nothing a detector that finds nothing would pass: only fp32 itself is taken then."""
    nothing: Any = measure.boxes([np.zeros((0, 5))] * 3, [np.zeros((0, 5))] * 3)
    examiner = Examiner(int8=(nothing, 2, 25), fp32=(nothing, 10, 100))
    choice = choose("detector", "x86", map(_candidate, examiner.facts), examiner, Rules(BoxFloors()))
    assert choice.chosen.candidate.precision == "fp32"
    assert "finds nothing" in choice.tried[0].lacking[0]
    late = Candidate("int8", lambda: None, remedies=_never)
    with pytest.raises(GateError, match="nothing can be compared"):
        choose("detector", "x86", [late], examiner, Rules(BoxFloors()))


def test_what_cant_win_isnt_looked_at() -> None:
    """A slower form than one that passes costs a stopwatch, not an examination, and isn't mended."""
    examiner = Examiner(fast=(GOOD, 4, 50), slow=(GOOD, 8, 50))
    late = Candidate("slow", lambda: None, remedies=_never)
    choice = choose("visual", "x86", [_candidate("fast"), late], examiner, Rules(FLOORS))
    assert examiner.looked_at == ["fast"]
    assert choice.tried[1].lacking == ("no faster than fast, which passes",)


def test_remedies_are_tried_in_order_until_one_passes() -> None:
    """Only after the form itself failed, and no further than needed."""
    examiner = Examiner(int8=(BAD, 2, 25), head=(BAD, 3, 30), nodes=(GOOD, 4, 40), more=(GOOD, 5, 50))
    choice = choose("visual", "x86", [_candidate("int8", "head", "nodes", "more")], examiner, Rules(FLOORS))
    assert choice.chosen.candidate.precision == "nodes"
    assert examiner.built == ["int8", "head", "nodes"]


def test_a_form_that_passes_needs_no_remedies() -> None:
    """Nobody asks for them, since finding them may take minutes."""
    examiner = Examiner(int8=(GOOD, 2, 25))
    choose("visual", "x86", [Candidate("int8", lambda: None, remedies=_never)], examiner, Rules(FLOORS))


def test_where_time_cant_be_judged_the_order_decides() -> None:
    """The first that passes is taken and nothing after it is built."""
    examiner = Examiner(int8=(BAD, 1, 25), fp16=(GOOD, 9, 50), fp32=(GOOD, 1, 100))
    rules = Rules(FLOORS, judged=False)
    choice = choose("visual", "tensorrt", map(_candidate, examiner.facts), examiner, rules)
    assert choice.chosen.candidate.precision == "fp16"
    assert examiner.built == ["int8", "fp16"]
    assert not choice.judged


def test_below_the_floors_everywhere_is_an_error_that_says_all() -> None:
    """Part, machine, each form with what it lacked, and the most sensitive nodes."""
    examiner = Examiner(int8=(BAD, 1, 25))
    ranking = Ranking(lambda: [("conv_3", 0.2), ("conv_1", 0.1)])
    with pytest.raises(GateError) as caught:
        choose("visual", "x86", [_candidate("int8")], examiner, Rules(FLOORS), ranking=ranking)
    assert caught.value.subject == "visual for x86"
    assert "int8: mean 0.9800 < 0.9900, p1 0.9000 < 0.9500, minimum 0.7000 < 0.9000" in caught.value.hint
    assert caught.value.hint.endswith("most sensitive: conv_3, conv_1")


def test_too_slow_alone_asks_for_no_sensitive_nodes() -> None:
    """No node is to blame where nothing was lost."""

    def find() -> list[tuple[str, float]]:
        pytest.fail("nobody may ask")

    examiner = Examiner(int8=(GOOD, 9, 25))
    only = [_candidate("int8", pays="speed")]
    with pytest.raises(GateError, match=r"int8: speedup 1\.1111 < 1\.2000"):
        choose("visual", "x86", only, examiner, Rules(FLOORS), ranking=Ranking(find))


def test_the_most_sensitive_nodes_are_found_once() -> None:
    """Remedies and the error share one search."""
    calls: list[int] = []

    def find() -> list[tuple[str, float]]:
        calls.append(1)
        return [("a", 1.0)]

    ranking = Ranking(find)
    assert ranking() == ranking() == ["a"]
    assert calls == [1]


def test_nothing_to_try_is_an_error() -> None:
    """A precision that a graph doesn't have isn't silently fp32."""
    with pytest.raises(GateError, match="nothing was tried"):
        choose("visual", "x86", [], Examiner(), Rules(FLOORS))


def test_a_loss_that_buys_nothing_is_refused() -> None:
    """Forms for speed have to be fast and small, forms for size small, fp32 neither."""
    rules = Rules(FLOORS, CostFloors(speedup=1.2, smaller=1.5))
    slow_and_large = Cost(90, 1.0, 9.0, 10.0)

    def lacking(pays: Any, judge: Rules) -> list[str]:
        return cost_shortfalls(_candidate("x", pays=pays), slow_and_large, REFERENCE_BYTES, judge)

    assert lacking("speed", rules) == ["speedup 1.1111 < 1.2000", "smaller 1.1111 < 1.5000"]
    assert lacking("size", rules) == ["smaller 1.1111 < 1.5000"]
    assert lacking("", rules) == []
    assert lacking("speed", Rules(FLOORS, judged=False)) == ["smaller 1.1111 < 1.5000"]


def test_numbers_that_are_none_do_not_pass() -> None:
    """NaN is below every floor."""
    assert shortfalls(Vectors(9, math.nan, 1.0, 1.0, 1.0, 1.0), FLOORS) == ["mean nan < 0.9900"]


def test_a_value_just_below_its_floor_is_told_from_it() -> None:
    """Where four digits look the same, more are written."""
    near = Vectors(9, 0.98999, 1.0, 1.0, 1.0, 1.0)
    assert shortfalls(near, FLOORS) == ["mean 0.989990 < 0.990000"]


def test_boxes_have_floors_of_their_own() -> None:
    """Recall and precision over all sizes count; finding nothing where fp32 finds nothing passes."""
    floors = BoxFloors(recall=0.97, precision=0.97)
    assert shortfalls(Boxes(9, {"all": 0.9}, {"all": 1.0}), floors) == ["recall 0.9000 < 0.9700"]
    assert shortfalls(Boxes(0, {}, {}), floors) == []


def test_visits_may_differ_by_their_share_and_a_standard_deviation() -> None:
    """Of 40 visits 5 % may be lost and one more; of 4, one may; where nothing may differ, nothing may."""
    floors = VisitFloors(lost=0.05, added=0.05, relabelled=0.1, recounted=0.1)
    assert visit_shortfalls(Visits(40, 3, 0, 6, 0), floors) == []
    assert visit_shortfalls(Visits(40, 4, 0, 7, 0), floors) == ["lost 4 of 40", "relabelled 7 of 40"]
    assert visit_shortfalls(Visits(4, 1, 1, 1, 1), floors) == []
    none = VisitFloors(lost=0, added=0, relabelled=0, recounted=0)
    assert visit_shortfalls(Visits(40, 1, 0, 0, 0), none) == ["lost 1 of 40"]


@given(st.floats(0.01, 1), st.integers(0, 5000))
def test_what_is_allowed_comes_closer_to_the_share_the_more_visits_there_are(share: float, n: int) -> None:
    """Never less than the share itself, never more than it and its standard deviation, or one."""
    allowed = allowed_visits(share, n)
    assert allowed >= math.floor(share * n)
    assert allowed <= max(1, share * n + math.sqrt(share * n))
