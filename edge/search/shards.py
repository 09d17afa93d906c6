"""Shards: immutable files of vectors, and the small manifest that names them.

A shard covers the rows with ``after`` < id <= ``upto``. Its file is written whole or not at all; what can
still happen to it (a card that forgets, a file cut off or of another state folder) is noticed before it is
used, and it counts as missing.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.search.cells import Cells, Going, StoppedError
from edge.search.files import new_file
from edge.search.lists import Codec, Counts, Lists, payload
from edge.search.types import Float16

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_SIZE_BYTES: Final = 8
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a manifest or of cells that are read."""


@dataclass(frozen=True, slots=True)
class CellsFile:
    """Where cells are kept: a file's name, the CRC-32 of its bytes; ``rows``: found for so many vectors."""

    file: str
    checksum: int
    rows: int


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard.

    Attributes:
        file: its name; empty if there are no rows.
        after, upto: it has the rows with ``after`` < id <= ``upto``.
        level: of its size.
        rows: when it was written.
        size: bytes.
        sizes_checksum: CRC-32 of the lists' sizes at the file's end.
        checksum: CRC-32 of the file.
        first, last: ids of its first and last row.
        first_checksum, last_checksum: CRC-32 of their vectors, which tell whether it is of this store.
        cells: the cells that it was cut by; None: it is exact.
    """

    file: str
    after: int
    upto: int
    level: int
    rows: int = 0
    size: int = 0
    sizes_checksum: int = 0
    checksum: int = 0
    first: int = 0
    last: int = 0
    first_checksum: int = 0
    last_checksum: int = 0
    cells: CellsFile | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What there is: shards by ascending ids, and the newest cells."""

    dimension: int
    shards: tuple[Shard, ...] = ()
    cells: CellsFile | None = None

    @property
    def files(self) -> frozenset[str]:
        """Names of all files that are used, its own among them."""
        cells = [found.file for found in (self.cells, *(s.cells for s in self.shards)) if found]
        return frozenset((MANIFEST, *cells, *(s.file for s in self.shards if s.file)))


def read_manifest(folder: Path, dimension: int) -> Manifest:
    """The manifest of a folder; an empty one where there is none that can be used."""
    try:
        data = json.loads(_bytes(folder / MANIFEST))
        if data["format"] != _FORMAT or data["manifest"]["dimension"] != dimension:
            return Manifest(dimension)
        return _manifest(data["manifest"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Manifest(dimension)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put a manifest in place of the one that there is.

    Raises:
        DiskFullError, SearchError: it can't be written.
    """
    text = json.dumps({"format": _FORMAT, "manifest": asdict(manifest)}, indent=1)
    with new_file(folder / MANIFEST) as stream:
        stream.write(text.encode())


def write_cells(folder: Path, cells: Cells, rows: int) -> CellsFile:
    """Keep cells that were found for so many vectors.

    Raises:
        DiskFullError, SearchError: they can't be written.
    """
    data = cells.to_bytes()
    kept = CellsFile(f"cells-{rows}-{zlib.crc32(data):08x}.npz", zlib.crc32(data), rows)
    with new_file(folder / kept.file) as stream:
        stream.write(data)
    return kept


def read_cells(folder: Path, kept: CellsFile) -> Cells | None:
    """Kept cells; None if they are missing or damaged."""
    try:
        return Cells.from_bytes(_bytes(folder / kept.file), kept.checksum)
    except (OSError, ValueError):
        return None


def open_shard(folder: Path, shard: Shard, codec: Codec) -> Lists | None:
    """Map a shard; None if its file is missing, or isn't what was written."""
    sizes = _sizes(folder / shard.file, shard, codec)
    return None if sizes is None else Lists.mapped(codec, folder / shard.file, sizes)


def checksum(vector: Float16) -> int:
    """CRC-32 of one vector."""
    return zlib.crc32(vector.astype("<f2").tobytes())


def is_whole(folder: Path, shard: Shard, going: Going) -> bool:
    """Whether a shard's bytes, all of them, are those that were written.

    Raises:
        StoppedError: ``going`` said so.
    """
    checksum = 0
    try:
        with (folder / shard.file).open("rb") as stream:
            while part := stream.read(1 << 20):
                if not going():
                    raise StoppedError
                checksum = zlib.crc32(part, checksum)
    except OSError:
        return False
    return checksum == shard.checksum


def _sizes(path: Path, shard: Shard, codec: Codec) -> Counts | None:
    expected = payload(codec, shard.rows) + codec.lists * _SIZE_BYTES
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size != expected:
                return None
            stream.seek(payload(codec, shard.rows))
            data = stream.read(codec.lists * _SIZE_BYTES)
    except OSError:
        return None
    sizes = np.frombuffer(data, "<u8").astype(np.uint64)
    right = zlib.crc32(data) == shard.sizes_checksum and int(sizes.sum()) == shard.rows
    return sizes if right else None


def _manifest(data: dict[str, Any]) -> Manifest:
    shards = tuple(Shard(**{**s, "cells": _cells_file(s["cells"])}) for s in data["shards"])
    manifest = Manifest(int(data["dimension"]), shards, _cells_file(data["cells"]))
    if not _is_sound(manifest):
        raise ValueError("shards overlap, or have names that no shard has")
    return manifest


def _cells_file(data: dict[str, Any] | None) -> CellsFile | None:
    return None if data is None else CellsFile(**data)


def _is_sound(manifest: Manifest) -> bool:
    """Whether spans follow each other without gaps, and names are names of files of this folder."""
    ends = [0, *(s.upto for s in manifest.shards)]
    spans = all(s.after == end < s.upto for s, end in zip(manifest.shards, ends, strict=False))
    rows = all(s.rows >= 0 and (s.rows > 0) == bool(s.file) for s in manifest.shards)
    return spans and rows and all(Path(name).name == name for name in manifest.files)


def _bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("file is larger than any that is written here")
    return data
