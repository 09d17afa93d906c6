"""Which shards can be used: whole, of this store, and cut by cells that are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edge.search.cells import Cells
from edge.search.lists import Codec, Lists
from edge.search.shards import CellsFile, Manifest, Shard, checksum, open_shard, read_cells
from edge.search.types import Source


class Opened(NamedTuple):
    """A shard that can be searched."""

    shard: Shard
    lists: Lists
    cells: Cells | None


def open_shards(
    folder: Path, manifest: Manifest, source: Source, before: Mapping[str, Opened]
) -> dict[str, Opened]:
    """The usable shards of a manifest, by their files' names.

    Args:
        folder: of the index.
        manifest: of the folder.
        source: shards that aren't of it are left out.
        before: those that are open already.
    """
    known = {found.shard.cells: found.cells for found in before.values()}
    opened = {}
    for shard in native(manifest, source):
        if shard.file:
            found = before.get(shard.file) or _opened(folder, shard, source.dimension, known)
            if found is not None and found.shard == shard:
                opened[shard.file] = found
    return opened


def native(manifest: Manifest, source: Source) -> list[Shard]:
    """Shards of vectors that this source has, or once had.

    A database that was put in place of another can have given the same ids to other vectors.
    """
    newest = source.newest()
    found = source.rows([row for s in manifest.shards if s.file for row in (s.first, s.last)])
    known = {int(row): checksum(vector) for row, vector in zip(found.ids, found.vectors, strict=True)}
    return [s for s in manifest.shards if s.upto <= newest and _is_native(s, known)]


def _is_native(shard: Shard, known: Mapping[int, int]) -> bool:
    first = known.get(shard.first, shard.first_checksum)
    last = known.get(shard.last, shard.last_checksum)
    return (first, last) == (shard.first_checksum, shard.last_checksum)


def _opened(
    folder: Path, shard: Shard, dimension: int, known: dict[CellsFile | None, Cells | None]
) -> Opened | None:
    cells = None
    if shard.cells is not None:
        if shard.cells not in known:
            known[shard.cells] = read_cells(folder, shard.cells)
        cells = known[shard.cells]
        if cells is None or cells.centres.shape[1] != dimension:
            return None
    lists = open_shard(folder, shard, cells.codec if cells else Codec(dimension))
    return None if lists is None else Opened(shard, lists, cells)
