"""Rows that are in no shard, held in memory by whoever searches: the newest, and those of lost shards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from edge.search.lists import Lists
from edge.search.types import Float16, Numbers, Source


class Gap(NamedTuple):
    """Rows with ``after`` < id <= ``upto``."""

    after: int
    upto: int


class Loose:
    """Some rows. Never changed: ``renewed`` makes another."""

    def __init__(self, gaps: Sequence[Gap], ids: Numbers, vectors: Float16) -> None:
        """``ids`` and ``vectors`` are the rows of the gaps."""
        self._gaps = gaps
        self.ids = ids
        self._vectors = vectors

    @classmethod
    def nothing(cls, dimension: int) -> Loose:
        """No rows."""
        return cls((), np.empty(0, np.int64), np.empty((0, dimension), np.float16))

    def renewed(self, source: Source, gaps: Sequence[Gap]) -> Loose:
        """The rows of these gaps; only what isn't here yet is read."""
        if list(gaps) == list(self._gaps):
            return self
        parts = [part for gap in gaps for part in self._rows(source, gap)]
        ids = np.concatenate([self.ids[:0], *(part[0] for part in parts)])
        vectors = np.concatenate([self._vectors[:0], *(part[1] for part in parts)])
        return Loose(tuple(gaps), ids, vectors)

    @cached_property
    def lists(self) -> Lists | None:
        """To search; None if there are no rows."""
        return Lists.held(self.ids, self._vectors) if len(self.ids) else None

    def _rows(self, source: Source, gap: Gap) -> list[tuple[Numbers, Float16]]:
        known = next((g for g in self._gaps if g.after <= gap.after <= g.upto), Gap(gap.after, gap.after))
        here = (self.ids > gap.after) & (self.ids <= min(known.upto, gap.upto))
        parts = [(self.ids[here], self._vectors[here])]
        if gap.upto > known.upto:
            parts.extend((block.ids, block.vectors) for block in source.blocks(known.upto, gap.upto))
        return parts
