"""Whatever happened to vectors and to files, the index says what comparing every vector says."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.search import Indexer, Library, Match, Sizes
from edge.search.plan import cells_for
from tests.search.source import Shelf, everything, same, units

SEEDS = st.integers(0, 2**32 - 1)
EXACT = 10**6


class History(RuleBasedStateMachine):
    """Stores, deletes and replaces; seals, merges, cuts and uncuts; loses files; asks at every moment."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp())
        self.shelf = Shelf()
        self.exact = EXACT

    @initialize()
    def open(self) -> None:
        """A reader that stays open all the time."""
        self.library = Library(self.path, self.shelf, probes=2)

    @rule(count=st.integers(1, 40), images=st.integers(1, 12), seed=SEEDS)
    def store(self, count: int, images: int, seed: int) -> None:
        """New vectors, several of one image."""
        for number, vector in enumerate(units(count, seed)):
            self.shelf.add(f"image-{seed % 7}-{number % images:02}", vector)

    @precondition(lambda self: self.shelf.kept)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Some vectors, the newest among them at times."""
        rows = sorted(self.shelf.kept)
        for row in data.draw(st.sets(st.sampled_from(rows), max_size=20), label="rows"):
            del self.shelf.kept[row]

    @precondition(lambda self: self.shelf.kept)
    @rule(data=st.data(), seed=SEEDS)
    def replace(self, data: st.DataObject, seed: int) -> None:
        """All vectors of an image by a new one, as a second look does."""
        image = data.draw(st.sampled_from(sorted({media for media, _ in self.shelf.kept.values()})))
        for row in [row for row, (media, _) in self.shelf.kept.items() if media == image]:
            del self.shelf.kept[row]
        self.shelf.add(image, units(1, seed)[0])

    @rule(steps=st.integers(1, 6), survey=st.booleans())
    def keep(self, steps: int, survey: bool) -> None:
        """What the daemon does meanwhile."""
        indexer = self._indexer()
        if survey:
            indexer.survey()
        for _ in range(steps):
            indexer.step()

    @rule(exact=st.sampled_from([0, 30, 100, EXACT]))
    def change(self, exact: int) -> None:
        """The setting from which vectors are cut into cells."""
        self.exact = exact

    @precondition(lambda self: bool(list(self.path.glob("*.*"))))
    @rule(data=st.data(), how=st.sampled_from(["remove", "cut", "empty", "garbage"]))
    def damage(self, data: st.DataObject, how: str) -> None:
        """A file is lost, or what was in it; one that is mapped is never written to in place."""
        victim = data.draw(st.sampled_from(sorted(self.path.glob("*.*"))), label="file")
        kept = victim.read_bytes()
        victim.unlink()
        if how != "remove":
            victim.write_bytes({"cut": kept[:-9], "empty": b"", "garbage": b"{}" * len(kept)}[how])

    @rule()
    def reopen(self) -> None:
        """Another process asks."""
        self.library = Library(self.path, self.shelf, probes=2)

    @invariant()
    def answers_are_right(self) -> None:
        """Every image comes; in its right order and with its right score while every vector is compared."""
        if not hasattr(self, "library"):
            return
        self.library.refresh()
        queries = units(2, len(self.shelf.kept))
        expected = self.shelf.best(queries)
        self._check(everything(self.library, queries), expected)
        if self.library.facts().kind == "exact":
            assert same(self.library.nearest(queries, 5), expected[:5])
            assert same(list(self.library.ranked(queries)), expected)
        queries = units(1, 5)
        for allowed in ([row for row in self.shelf.kept if row % 3], []):
            found = self.library.nearest(queries, 10**9, allowed)
            self._check(found, self.shelf.best(queries, allowed))

    def _check(self, found: list[Match], expected: list[Match]) -> None:
        if self.library.facts().kind == "exact":
            assert same(found, expected)
        else:  # one that was given early may have had a better vector that was found late
            true = dict(expected)
            assert sorted(m for m, _ in found) == sorted(true)
            assert all(score <= true[media_id] for media_id, score in found)

    def teardown(self) -> None:
        """In the end, left alone, all but the newest is sealed, in the kind that the setting says."""
        try:
            self._settle()
        finally:
            shutil.rmtree(self.path)

    def _settle(self) -> None:
        sizes = self._indexer()._sizes
        indexer = self._indexer()
        while indexer.step():
            pass
        facts = indexer.facts()
        assert facts.vectors - facts.sealed < sizes.base
        assert facts.kind == ("approximate" if cells_for(facts.sealed, sizes) else "exact")
        self.library = Library(self.path, self.shelf, probes=2)
        self.answers_are_right()

    def _indexer(self) -> Indexer:
        return Indexer(self.path, self.shelf, Sizes(base=8, fan=3, levels=3, exact=self.exact, growth=3))


def test_the_index_says_what_comparing_every_vector_says() -> None:
    """Over any history of both what is stored and what is kept of it."""
    with patch("os.fsync"):  # what a power cut would do isn't the question here, and it takes long
        run_state_machine_as_test(
            History, settings=settings(max_examples=40, stateful_step_count=15, deadline=None)
        )
