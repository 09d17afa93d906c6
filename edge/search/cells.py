"""The cells of space that an approximate index is cut into: found once, on a sample, for all shards.

Spherical k-means (Dhillon and Modha, "Concept decompositions for large sparse text data using clustering",
2001) on a sample that is spread evenly over the first vectors. Where it starts is fixed, so that the same
vectors give the same cells.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from edge.search.lists import (
    Codec,
    Codes,
    Probe,
    centres_index,
    encoded,
    learned_ranges,
    nearest_centres,
)
from edge.search.types import Float16, Float32, Float64, Numbers, Source

ROUNDS: Final = 8
_EACH: Final = 32
"""Sampled vectors for each cell."""
_CHUNK: Final = 2048
_FOR_RANGES: Final = 4096
_SEED: Final = 20261122
Going = Callable[[], bool]
"""Asked now and then, and may take its time; False: stop."""


class StoppedError(Exception):
    """Whoever wanted it doesn't any more. Nothing was left behind."""


@dataclass(frozen=True)
class Cells:
    """Centres, and how what remains of a vector is written down.

    Attributes:
        centres: (cells, dimension) float32, of length 1.
        ranges: (2 * dimension,) float32, of the codec.
    """

    centres: Float32
    ranges: Float32

    @property
    def codec(self) -> Codec:
        """Of the shards that use these cells."""
        return Codec(self.centres.shape[1], len(self.centres), self.ranges)

    def probe(self, queries: Float32, count: int) -> Probe:
        """The ``count`` most promising cells of each query."""
        return nearest_centres(self._index, queries, min(count, len(self.centres)))

    def written(self, vectors: Float16) -> tuple[Numbers, Codes]:
        """The cell of each vector, and its bytes."""
        full = vectors.astype(np.float32)
        cells = nearest_centres(self._index, full, 1).lists[:, 0]
        return cells, encoded(self.codec, full - self.centres[cells])

    @cached_property
    def _index(self) -> Any:
        return centres_index(self.centres)

    def to_bytes(self) -> bytes:
        """For a file."""
        stream = io.BytesIO()
        np.savez(stream, centres=self.centres, ranges=self.ranges)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, checksum: int) -> Cells | None:
        """The reverse; None if these aren't the bytes that were written."""
        if zlib.crc32(data) != checksum:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            return cls(kept["centres"], kept["ranges"])


def cell_count(rows: int) -> int:
    """How many cells so many vectors are cut into: a power of two, about four times their root."""
    return 1 << max(1, round(math.log2(4 * math.sqrt(rows))))


def find_cells(source: Source, rows: int, going: Going) -> Cells:
    """The cells for the first ``rows`` vectors of a source.

    Raises:
        StoppedError: ``going`` said so.
    """
    count = cell_count(rows)
    sample = _sampled(source, rows, max(1, rows // (count * _EACH)), going)
    if not len(sample):  # all were deleted since they were sealed
        sample = np.eye(1, source.dimension, dtype=np.float16)
    centres = _clustered(sample, min(count, len(sample)), going)
    index = centres_index(centres)
    few = sample[:: max(1, len(sample) // _FOR_RANGES)].astype(np.float32)
    remains = few - centres[nearest_centres(index, few, 1).lists[:, 0]]
    return Cells(centres, learned_ranges(remains))


def _sampled(source: Source, rows: int, stride: int, going: Going) -> Float16:
    """Each ``stride``-th of the first ``rows`` vectors."""
    sample = np.empty(
        (-(-rows // stride), source.dimension), np.float16
    )  # in one piece: it is what memory goes to
    seen = kept = 0
    for block in source.blocks(0):
        _go_on(going)
        vectors = block.vectors[: rows - seen]
        chosen = vectors[-seen % stride :: stride]
        sample[kept : kept + len(chosen)] = chosen
        kept += len(chosen)
        seen += len(vectors)
        if seen == rows:
            break
    return sample[:kept]


def _clustered(sample: Float16, count: int, going: Going) -> Float32:
    """(count, dimension) float32 centres of a sample, each of length 1."""
    order = np.random.default_rng(_SEED).permutation(len(sample))
    centres = _unit(sample[order[:count]].astype(np.float64))
    for _ in range(ROUNDS):
        sums = _sums(sample, centres, going)
        # A cell that nobody is nearest to stays where it is.
        empty = ~sums.any(1)
        sums[empty] = centres[empty]
        centres = _unit(sums)
    return centres


def _sums(sample: Float16, centres: Float32, going: Going) -> Float64:
    """The sum of the vectors that are nearest to each centre."""
    index = centres_index(centres)
    sums = np.zeros(centres.shape, np.float64)
    for start in range(0, len(sample), _CHUNK):
        _go_on(going)
        vectors = sample[start : start + _CHUNK].astype(np.float32)
        cells = nearest_centres(index, vectors, 1).lists[:, 0]
        order = np.argsort(cells, kind="stable")
        present, first = np.unique(cells[order], return_index=True)
        sums[present] += np.add.reduceat(vectors[order].astype(np.float64), first, axis=0)
    return sums


def _unit(vectors: Float64) -> Float32:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Float32 = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit


def _go_on(going: Going) -> None:
    if not going():
        raise StoppedError
