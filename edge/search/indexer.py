"""Who writes the index: seals what was stored, merges shards, finds cells, makes again what was lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.search.cells import Going, StoppedError, find_cells
from edge.search.files import locked, tidy
from edge.search.lists import Codec, payload
from edge.search.opening import open_shards
from edge.search.plan import Drop, Find, Seal, next_step
from edge.search.sealing import Span, UsedCells, seal
from edge.search.shards import (
    CellsFile,
    Manifest,
    Shard,
    is_whole,
    read_cells,
    read_manifest,
    write_cells,
    write_manifest,
)
from edge.search.types import Facts, Sizes, Source

_MARGIN: Final = 1 << 20
Room = Callable[[int], bool]
"""Whether there is room for so many bytes."""


class Indexer:
    """Works on one index, a step at a time. Used from one thread.

    Only one process works on a folder at a time; the others find it locked, and leave it.

    Args:
        folder: of the index; it is made where needed.
        source: of the vectors.
        sizes: how the index is cut up.
        room: asked before anything large is written.
    """

    def __init__(
        self, folder: Path, source: Source, sizes: Sizes | None = None, *, room: Room = lambda _: True
    ) -> None:
        self._folder = folder
        self._source = source
        self._sizes = sizes or Sizes()
        self._room = room
        self._used: UsedCells | None = None
        self._whole: set[str] = set()
        self._worn: frozenset[str] | None = None

    def step(self, going: Going = lambda: True) -> bool:
        """Do the next thing that is to be done.

        Args:
            going: asked now and then; may take its time, and ends the step by False.

        Returns:
            whether something was done, and there may be more; False also where another process works on it,
            or there is no room.

        Raises:
            DiskFullError: there is no space after all; nothing was changed.
            SearchError: the folder can't be used.
            StoreError: the source can't be read.
        """
        with locked(self._folder) as mine:
            if not mine:
                return False
            try:
                return self._step(going)
            except StoppedError:
                return False

    def survey(self) -> None:
        """Look which shards have become mostly deleted rows; the next steps write them anew."""
        self._worn = None

    def facts(self) -> Facts:
        """What the index is, by its manifest.

        Raises:
            StoreError: the source can't be read.
        """
        manifest = read_manifest(self._folder, self._source.dimension)
        sealed = sum(s.rows for s in manifest.shards)
        return Facts(
            "approximate" if any(s.cells for s in manifest.shards) else "exact",
            sealed + self._source.count(_end(manifest)),
            sealed,
            sum(1 for s in manifest.shards if s.file),
            sum(s.size for s in manifest.shards),
        )

    def _step(self, going: Going) -> bool:
        manifest = self._known(read_manifest(self._folder, self._source.dimension))
        lost = self._lost(manifest, going)
        match next_step(manifest, self._source.count(_end(manifest)), lost, self._sizes):
            case Seal(span=span):
                return self._seal(manifest, span, going)
            case Find(rows=rows):
                found = write_cells(self._folder, find_cells(self._source, rows, going), rows)
                self._put(replace(manifest, cells=found))
                return True
            case Drop():
                self._put(replace(manifest, cells=None))
                return True
            case _:
                return False

    def _known(self, manifest: Manifest) -> Manifest:
        """Without what can only be of another database, and without cells that can't be read."""
        newest = self._source.newest()
        known = replace(manifest, shards=tuple(s for s in manifest.shards if s.upto <= newest))
        if known.cells is not None and self._cells(known.cells) is None:
            known = replace(known, cells=None)
        return known

    def _lost(self, manifest: Manifest, going: Going) -> frozenset[str]:
        """Files of shards that are to be written anew."""
        opened = open_shards(self._folder, manifest, self._source, {})
        shards = [s for s in manifest.shards if s.file]
        if self._worn is None:
            self._worn = frozenset(s.file for s in shards if self._is_worn(s))
        bad = {s.file for s in shards if s.file not in opened or not self._is_whole(s, going)}
        return self._worn | bad

    def _is_whole(self, shard: Shard, going: Going) -> bool:
        """Read once by each process that writes; a shard doesn't change."""
        if shard.file not in self._whole and is_whole(self._folder, shard, going):
            self._whole.add(shard.file)
        return shard.file in self._whole

    def _is_worn(self, shard: Shard) -> bool:
        return self._source.count(shard.after, shard.upto) < shard.rows // 2

    def _seal(self, manifest: Manifest, span: Span, going: Going) -> bool:
        used = None if manifest.cells is None else self._cells(manifest.cells)
        codec = used.cells.codec if used else Codec(self._source.dimension)
        rows = min(span.limit, self._source.count(span.after, span.upto))
        if not self._room(2 * payload(codec, rows) + _MARGIN):
            return False
        made = seal(self._folder, self._source, span, used, going)
        self._whole.add(made.file)
        rest = [s for s in manifest.shards if s.upto <= made.after or s.after >= made.upto]
        new = [made] if made.upto > made.after else []
        self._put(replace(manifest, shards=tuple(sorted(rest + new, key=lambda s: s.after))))
        return bool(new)

    def _cells(self, file: CellsFile) -> UsedCells | None:
        if self._used is None or self._used.file != file:
            cells = read_cells(self._folder, file)
            usable = cells is not None and cells.centres.shape[1] == self._source.dimension
            self._used = UsedCells(cells, file) if cells is not None and usable else None
        return self._used

    def _put(self, manifest: Manifest) -> None:
        write_manifest(self._folder, manifest)
        tidy(self._folder, manifest.files)


def _end(manifest: Manifest) -> int:
    return manifest.shards[-1].upto if manifest.shards else 0
