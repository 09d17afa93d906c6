"""Writing a shard, in one pass over its rows and with little memory, however many they are."""

from __future__ import annotations

import secrets
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from edge.search.cells import Cells, Going, StoppedError
from edge.search.files import new_file, refusals
from edge.search.lists import Codec, Codes, Counts, payload
from edge.search.shards import CellsFile, Shard, checksum
from edge.search.types import Block, Numbers, Source

_GATHERED: Final = 8192


class Span(NamedTuple):
    """Which rows become a shard: ``after`` < id <= ``upto`` (None: no end), the first ``limit`` of them."""

    after: int
    upto: int | None
    limit: int
    level: int


class UsedCells(NamedTuple):
    """Cells, and the file that has them."""

    cells: Cells
    file: CellsFile


class _Summed:
    """A stream that adds up what is written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.checksum = 0
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        self.checksum = zlib.crc32(data, self.checksum)
        self.size += len(data)
        self._stream.write(data)


class _Reading:
    """The rows of a span, and what is to be remembered of them."""

    def __init__(self, source: Source, span: Span, going: Going) -> None:
        self._source = source
        self._span = span
        self._going = going
        self._ids: list[Numbers] = []
        self.first_checksum = self.last_checksum = 0
        self.rows = 0

    def __iter__(self) -> Iterator[Block]:
        for whole in self._source.blocks(self._span.after, self._span.upto):
            if not self._going():
                raise StoppedError
            left = self._span.limit - self.rows
            block = Block(whole.ids[:left], whole.vectors[:left])
            if not self.rows:
                self.first_checksum = checksum(block.vectors[0])
            self.last_checksum = checksum(block.vectors[-1])
            self._ids.append(block.ids)
            self.rows += len(block.ids)
            yield block
            if self.rows == self._span.limit:
                return

    @property
    def ids(self) -> Numbers:
        return np.concatenate(self._ids) if self._ids else np.empty(0, np.int64)

    @property
    def upto(self) -> int:
        """Up to where the rows reach: the span's end, unless the limit came first."""
        if self.rows == self._span.limit or self._span.upto is None:
            return int(self._ids[-1][-1]) if self._ids else self._span.after
        return self._span.upto


def seal(folder: Path, source: Source, span: Span, used: UsedCells | None, going: Going) -> Shard:
    """Write a shard.

    Args:
        folder: of the index.
        source: of the rows.
        span: which rows.
        used: the cells to cut them by; None keeps them exact.
        going: asked between blocks.

    Raises:
        StoppedError: ``going`` said so.
        DiskFullError, SearchError: it can't be written.
    """
    reading = _Reading(source, span, going)
    path = folder / f"shard-{span.after}-{secrets.token_hex(6)}.bin"
    with new_file(path) as stream:
        out = _Summed(stream)
        codec = Codec(source.dimension) if used is None else used.cells.codec
        sizes = _exact(out, reading) if used is None else _cut(out, reading, used.cells, folder)
        footer = sizes.astype("<u8").tobytes()
        out.write(footer)
    if not reading.rows:
        with refusals(path):
            path.unlink()
        return Shard("", span.after, reading.upto, span.level)
    if out.size != payload(codec, reading.rows) + len(footer):
        raise AssertionError("a shard has another size than its rows")
    return Shard(
        path.name,
        span.after,
        reading.upto,
        span.level,
        reading.rows,
        out.size,
        zlib.crc32(footer),
        out.checksum,
        int(reading.ids[0]),
        int(reading.ids[-1]),
        reading.first_checksum,
        reading.last_checksum,
        used.file if used else None,
    )


def _exact(out: _Summed, reading: _Reading) -> Counts:
    """One list: all vectors, then all ids."""
    for block in reading:
        out.write(np.ascontiguousarray(block.vectors, "<f2").tobytes())
    out.write(reading.ids.astype("<i8").tobytes())
    return np.array([reading.rows], np.uint64)


def _cut(out: _Summed, reading: _Reading, cells: Cells, folder: Path) -> Counts:
    """A list for each cell. Codes wait in a file without a name until it is known where they belong."""
    with refusals(folder), tempfile.TemporaryFile(dir=folder) as spool:
        places = [np.empty(0, np.int64)]
        for block in reading:
            cell, codes = cells.written(block.vectors)
            places.append(cell)
            spool.write(codes.tobytes())
        spool.flush()
        cell = np.concatenate(places)
        sizes = np.bincount(cell, minlength=cells.codec.lists).astype(np.uint64)
        if reading.rows:
            shape = (reading.rows, cells.codec.code_bytes)
            codes = np.memmap(spool, np.uint8, "r", shape=shape)
            _write_lists(out, codes, reading.ids, cell, sizes)
    return sizes


def _write_lists(out: _Summed, codes: Codes, ids: Numbers, cell: Numbers, sizes: Counts) -> None:
    rows = np.split(np.argsort(cell, kind="stable"), np.cumsum(sizes)[:-1].astype(np.int64))
    for chosen in rows:
        for start in range(0, len(chosen), _GATHERED):
            out.write(codes[chosen[start : start + _GATHERED]].tobytes())
        out.write(ids[chosen].astype("<i8").tobytes())
