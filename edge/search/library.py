"""The index as those see it who ask it: shards mapped from files, and the newest rows from the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.search.lists import selector
from edge.search.loose import Gap, Loose
from edge.search.opening import Opened, open_shards
from edge.search.ranking import Ranking
from edge.search.shards import MANIFEST, Manifest, Shard, read_manifest
from edge.search.types import Facts, Float32, Match, Numbers, Source

PROBES: Final = 64
"""Cells that are looked into for a query."""
_FEW: Final = 256
"""So few rows are compared as they are in the store, sooner than the index would pass over all others."""
_FEW_IN_CELLS: Final = 2048
_FIRST: Final = 32
_DEEPER: Final = 4
_LOOKS: Final = 5
_Mark = tuple[int, int, int]


@dataclass(frozen=True)
class View:
    """What there is to search at one moment.

    Attributes:
        opened: shards.
        loose: rows that are in none.
    """

    opened: tuple[Opened, ...]
    loose: Loose

    @property
    def rows(self) -> int:
        """Vectors, deleted ones included."""
        return sum(o.lists.rows for o in self.opened) + len(self.loose.ids)

    @property
    def exact(self) -> bool:
        """Whether every vector is compared."""
        return all(o.cells is None for o in self.opened)

    def best(self, queries: Float32, depth: int, probes: int, chosen: Any) -> tuple[Float32, Numbers]:
        """The best rows of all; as ``Lists.search``, in any order."""
        cells = {o.shard.cells: o.cells for o in self.opened if o.cells is not None}
        probed = {file: found.probe(queries, probes) for file, found in cells.items()}
        searched = [(o.lists, probed.get(o.shard.cells)) for o in self.opened]
        if self.loose.lists is not None:
            searched.append((self.loose.lists, None))
        parts = [lists.search(queries, min(depth, lists.rows), probe, chosen) for lists, probe in searched]
        scores = np.concatenate([p[0] for p in parts], axis=1)
        ids = np.concatenate([p[1] for p in parts], axis=1)
        if scores.shape[1] <= depth:
            return scores, ids
        best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        return np.take_along_axis(scores, best, 1), np.take_along_axis(ids, best, 1)


class Library:
    """Answers from an index that others write and a source that others fill.

    Nothing is written here. What is missing or can't be used is read from the source instead, so that an
    answer is right with any index and with none. Any number of threads may ask at once; the source must
    allow it too.

    Args:
        folder: of the index; need not exist.
        source: of the vectors.
        probes: cells that are looked into, of an approximate index.
    """

    def __init__(self, folder: Path, source: Source, *, probes: int = PROBES) -> None:
        self._folder = folder
        self._source = source
        self._probes = probes
        self._lock = threading.Lock()
        self._mark: _Mark | None = None
        self._manifest = Manifest(source.dimension)
        self._view = View((), Loose.nothing(source.dimension))
        self.refresh()

    def __len__(self) -> int:
        """Vectors, those included that were deleted since they were sealed."""
        return self._view.rows

    def refresh(self) -> None:
        """Take in what was stored, and sealed, meanwhile. Costs next to nothing if nothing was.

        Raises:
            StoreError: the source can't be read.
        """
        with self._lock:
            opened = self._opened()
            gaps = _gaps([o.shard for o in opened], self._manifest, self._source.newest())
            self._view = View(opened, self._view.loose.renewed(self._source, gaps))

    def facts(self) -> Facts:
        """What it is at the moment."""
        view = self._view
        shards = [o.shard for o in view.opened]
        return Facts(
            "exact" if view.exact else "approximate",
            view.rows,
            sum(s.rows for s in shards),
            len(shards),
            sum(s.size for s in shards),
        )

    def nearest(
        self, queries: Float32, count: int, allowed: Sequence[int] | Numbers | None = None
    ) -> list[Match]:
        """The ``count`` best images, best first; as ``ranked``."""
        found = list(islice(self.ranked(queries, allowed), count))
        return sorted(found, key=lambda match: (-match.score, match.media_id))

    def ranked(self, queries: Float32, allowed: Sequence[int] | Numbers | None = None) -> Iterator[Match]:
        """Images, best first; those with the same score by ascending id. Computed as far as it is read.

        Each comes once. Scores are those of the vectors in the store. An approximate index finds nearly all
        of the best; what it finds late comes late, be it an image or an image's better vector.

        Args:
            queries: (q, dimension) float32, each of length 1, q at least 1. An image's score is that of the
                best pair of a query and one of its vectors.
            allowed: ids of the only rows that count, each once; None: all.

        Raises:
            ValueError: ``queries`` has another shape.
            StoreError: the source can't be read.
        """
        dimension = self._source.dimension
        if queries.ndim != 2 or not len(queries) or queries.shape[1] != dimension:  # noqa: PLR2004 (q, d)
            raise ValueError(f"queries have shape {queries.shape}, not (q, {dimension})")
        rows = None if allowed is None else np.asarray(allowed, np.int64)
        return self._ranked(self._view, np.ascontiguousarray(queries, np.float32), rows)

    def _ranked(self, view: View, queries: Float32, allowed: Numbers | None) -> Iterator[Match]:
        ranking = Ranking(self._source, queries, exact=view.exact)
        if allowed is not None and len(allowed) <= (_FEW if view.exact else _FEW_IN_CELLS):
            yield from ranking.take(allowed, -np.inf)
            return
        chosen = None if allowed is None else selector(allowed)
        wanted = view.rows if allowed is None else len(allowed)
        probes = self._probes * max(1, -(-view.rows // max(1, wanted)))
        for depth, times in _depths(view.rows):
            last = depth == view.rows
            scores, ids = view.best(queries, depth, view.rows if last else probes * times, chosen)
            boundary = -np.inf if last else float(scores.min(1).max())  # -inf where fewer were found
            yield from ranking.take(ids.ravel(), boundary)
            if view.exact and boundary == -np.inf:
                return

    def _opened(self) -> tuple[Opened, ...]:
        """The usable shards; a file that is gone was merged into another meanwhile, so look again."""
        for _ in range(_LOOKS):
            mark = _mark(self._folder / MANIFEST)
            if mark == self._mark:
                break
            manifest = read_manifest(self._folder, self._source.dimension)
            before = {o.shard.file: o for o in self._view.opened}
            opened = open_shards(self._folder, manifest, self._source, before)
            self._mark, self._manifest = mark, manifest
            self._view = View(tuple(opened.values()), self._view.loose)
        return self._view.opened


def _depths(rows: int) -> Iterator[tuple[int, int]]:
    """How deep to look, again and again, and how many times as many cells as at first to look into."""
    depth, times = _FIRST, 1
    while depth < rows:
        yield depth, times
        depth, times = depth * _DEEPER, times * 2
    if rows:
        yield rows, times


def _gaps(opened: list[Shard], manifest: Manifest, newest: int) -> list[Gap]:
    """What no open shard covers, up to the newest row."""
    void = (s for s in manifest.shards if not s.file and s.upto <= newest)
    covered = sorted([*opened, *void], key=lambda s: s.after)
    gaps, after = [], 0
    for shard in covered:
        if shard.after > after:
            gaps.append(Gap(after, shard.after))
        after = shard.upto
    if newest > after:
        gaps.append(Gap(after, newest))
    return gaps


def _mark(path: Path) -> _Mark | None:
    """What changes with a file; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
