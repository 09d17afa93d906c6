"""What is to be done next to an index. Pure.

Shards grow as in a log-structured merge tree (O'Neil et al., 1996): ``fan`` shards of one level become one of
the next, so that there are few of them, each vector is rewritten a few times only, and none waits long to be
sealed. Without deletions the shards are a function of how many vectors there are, whenever they came.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from edge.search.sealing import Span
from edge.search.shards import Manifest, Shard
from edge.search.types import Sizes


@dataclass(frozen=True, slots=True)
class Seal:
    """Write the rows of a span as a shard, in place of the shards that lie in it."""

    span: Span


@dataclass(frozen=True, slots=True)
class Find:
    """Find the cells for the first ``rows`` vectors."""

    rows: int


@dataclass(frozen=True, slots=True)
class Drop:
    """There are fewer vectors than an approximate index is for: go without cells."""


Step = Seal | Find | Drop
_ALL: Final = 1 << 62


def next_step(manifest: Manifest, waiting: int, lost: Collection[str], sizes: Sizes) -> Step | None:
    """The most useful thing to do; None if there is nothing.

    Args:
        manifest: what there is.
        waiting: vectors behind the last shard.
        lost: files of shards that can't be used, or whose vectors were deleted, most of them.
        sizes: how the index is cut up.
    """
    shards = manifest.shards
    return (
        _lost(shards, lost)
        or _sealable(shards, waiting, sizes)
        or _mergeable(shards, sizes)
        or _cells(manifest, sizes)
        or _convertible(manifest)
    )


def cells_for(rows: int, sizes: Sizes) -> int:
    """For how many vectors cells are found where there are so many; 0: none are needed."""
    if rows <= sizes.exact:
        return 0
    wanted = max(sizes.exact, sizes.base)
    while wanted * sizes.growth <= rows:
        wanted *= sizes.growth
    return wanted


def _lost(shards: Sequence[Shard], lost: Collection[str]) -> Seal | None:
    return next((_anew(s) for s in shards if s.file in lost), None)


def _sealable(shards: Sequence[Shard], waiting: int, sizes: Sizes) -> Seal | None:
    """As many of the rows behind the last shard as keep all shards where they would be, had all come at once.

    As in a buddy allocator, a shard begins only at a multiple of its own size.
    """
    units = sum(sizes.fan**s.level for s in shards)
    fits = (n for n in range(sizes.levels) if sizes.rows(n) <= waiting and units % sizes.fan**n == 0)
    level = max(fits, default=None)
    if level is None:
        return None
    return Seal(Span(shards[-1].upto if shards else 0, None, sizes.rows(level), level))


def _mergeable(shards: Sequence[Shard], sizes: Sizes) -> Seal | None:
    """The first neighbours of the same level that fill one of the next."""
    for start in range(len(shards) - sizes.fan + 1):
        some = shards[start : start + sizes.fan]
        level = some[0].level + 1
        if level < sizes.levels and all(s.level == some[0].level for s in some):
            return Seal(Span(some[0].after, some[-1].upto, _ALL, level))
    return None


def _cells(manifest: Manifest, sizes: Sizes) -> Find | Drop | None:
    wanted = cells_for(sum(s.rows for s in manifest.shards), sizes)
    there = manifest.cells.rows if manifest.cells else 0
    if wanted == there:
        return None
    return Find(wanted) if wanted else Drop()


def _convertible(manifest: Manifest) -> Seal | None:
    """The first shard that was cut by other cells than the newest."""
    return next((_anew(s) for s in manifest.shards if s.rows and s.cells != manifest.cells), None)


def _anew(shard: Shard) -> Seal:
    return Seal(Span(shard.after, shard.upto, _ALL, shard.level))
