"""What is done next to an index, as far as it can be said without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from edge.search.plan import Drop, Find, Seal, cells_for, next_step
from edge.search.sealing import Span
from edge.search.shards import CellsFile, Manifest, Shard
from edge.search.types import Sizes

SIZES = Sizes(base=10, fan=3, levels=3, exact=100, growth=4)


class Simulated:
    """An index of vectors 1, 2, 3, ... of which none is deleted."""

    def __init__(self) -> None:
        self.manifest = Manifest(8)
        self.written = 0

    def grow_to(self, count: int) -> None:
        """Do all that is to be done where there are so many vectors."""
        for _ in range(10_000):
            end = self.manifest.shards[-1].upto if self.manifest.shards else 0
            step = next_step(self.manifest, count - end, (), SIZES)
            if step is None:
                return
            self._do(step, count)
        raise AssertionError("it never ends")

    def _do(self, step: Seal | Find | Drop, count: int) -> None:
        match step:
            case Seal(span=span):
                self._seal(span, count)
            case Find(rows=rows):
                self.manifest = replace(self.manifest, cells=CellsFile("cells", 0, rows))
            case Drop():
                self.manifest = replace(self.manifest, cells=None)

    def _seal(self, span: Span, count: int) -> None:
        upto = min(span.after + span.limit, count if span.upto is None else span.upto)
        rows = upto - span.after
        self.written += rows
        made = Shard("made", span.after, upto, span.level, rows, cells=self.manifest.cells)
        rest = [s for s in self.manifest.shards if s.upto <= span.after or s.after >= upto]
        self.manifest = replace(self.manifest, shards=tuple(sorted([*rest, made], key=lambda s: s.after)))


def rows(manifest: Manifest) -> list[int]:
    """Of each shard."""
    return [shard.rows for shard in manifest.shards]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12))
def test_shards_are_a_function_of_how_many_vectors_there_are(steps: Sequence[int]) -> None:
    """However they come, one by one or all at once, they are cut up alike, and by the same cells."""
    grown, total = Simulated(), 0
    for step in steps:
        total += step
        grown.grow_to(total)
    at_once = Simulated()
    at_once.grow_to(total)
    assert grown.manifest == at_once.manifest


@given(st.integers(0, 3000))
def test_few_shards_hold_all_but_the_newest(count: int) -> None:
    """Less than the smallest shard is left; of no level but the largest are there enough for the next."""
    index = Simulated()
    index.grow_to(count)
    sealed = rows(index.manifest)
    assert count - sum(sealed) < SIZES.base
    assert sealed == sorted(sealed, reverse=True)
    for level in range(SIZES.levels - 1):
        assert sealed.count(SIZES.rows(level)) < SIZES.fan


def test_each_vector_is_written_a_few_times_only() -> None:
    """Once for each level, and once more each time that cells were found anew."""
    index = Simulated()
    for count in range(1, 5000):
        index.grow_to(count)
    times = index.written / sum(rows(index.manifest))
    assert times < SIZES.levels + 1


@pytest.mark.parametrize(
    ("there", "wanted"), [(0, 0), (100, 0), (101, 100), (399, 100), (400, 400), (1599, 400), (1600, 1600)]
)
def test_cells_are_found_anew_when_there_are_several_times_as_many(there: int, wanted: int) -> None:
    """None up to the setting; then for as many as that, and for four times as many, and so on."""
    assert cells_for(there, SIZES) == wanted


def test_what_is_lost_comes_first() -> None:
    """A shard that can't be used is written again before anything else, as it was."""
    index = Simulated()
    index.grow_to(95)
    lost = replace(index.manifest.shards[0], file="lost")
    manifest = replace(index.manifest, shards=(lost, *index.manifest.shards[1:]))
    step = next_step(manifest, 500, {"lost"}, SIZES)
    assert isinstance(step, Seal)
    assert (step.span.after, step.span.upto, step.span.level) == (lost.after, lost.upto, lost.level)


def test_all_shards_become_exact_where_the_setting_wants_it() -> None:
    """Cells are dropped, then each shard that was cut by them is written anew."""
    index = Simulated()
    index.grow_to(500)
    assert index.manifest.cells is not None
    exact = SIZES._replace(exact=10_000)
    assert isinstance(next_step(index.manifest, 0, (), exact), Drop)
    uncut = replace(index.manifest, cells=None)
    step = next_step(uncut, 0, (), exact)
    assert isinstance(step, Seal)
    assert (step.span.after, step.span.upto) == (0, index.manifest.shards[0].upto)
