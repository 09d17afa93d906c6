"""Kinds of index beside each other: every vector, cells (at several numbers of probes), a graph.

The same vectors in memory, one thread, queries one by one; what is found is scored again with the float16
vectors, as ``Library`` does. Each query is asked of all kinds in turn, and the ratio to comparing every
vector is the median of the queries' ratios.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.vectors import DIMENSION, Meadow, found_embeddings, words
from edge.search import Block, Found
from edge.search.cells import Cells, cell_count, find_cells
from edge.search.lists import Lists, faiss

Float16 = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Ask = Callable[[Float32], Numbers]

SIZES: Final = (10_000, 30_000, 100_000, 300_000, 1_000_000)
PROBES: Final = (16, 32, 64, 128)
EF: Final = (64, 128)
GRAPH: Final = 300_000
"""A graph of more takes too long to build."""
DEPTH: Final = 64
TOP: Final = 12
_CHUNK: Final = 25_000


class Kind(NamedTuple):
    """One way: its name, how it is asked, seconds to build it, bytes."""

    name: str
    ask: Ask
    build: float
    size: int


class InMemory:
    """``edge.search.Source``: vectors that stay as they are."""

    def __init__(self, vectors: Float16) -> None:
        """Of (n, dimension) vectors; their ids begin at 1."""
        self.vectors = vectors
        self.dimension = vectors.shape[1]

    def newest(self) -> int:
        """See ``Source``."""
        return len(self.vectors)

    def count(self, after: int, upto: int | None = None) -> int:
        """See ``Source``."""
        return min(self.newest() if upto is None else upto, self.newest()) - after

    def rows(self, ids: Sequence[int]) -> Found:
        """See ``Source``."""
        rows = np.array(ids, np.int64)
        return Found(rows, [str(row) for row in ids], self.vectors[rows - 1])

    def blocks(self, after: int, upto: int | None = None) -> Iterator[Block]:
        """See ``Source``."""
        for start in range(after, len(self.vectors) if upto is None else upto, 4096):
            part = self.vectors[start : start + 4096]
            yield Block(np.arange(start + 1, start + 1 + len(part), dtype=np.int64), part)


def choice_table(most: int) -> None:
    """Print a line for each kind and size up to ``most``."""
    real = found_embeddings()
    print("  vectors kind                    p50 ms  p95 ms  ratio pictures  words  build s     MB")
    for count in (size for size in SIZES if size <= most):
        meadow = Meadow(real, max(30, count // 300))
        parts = [meadow.vectors(min(_CHUNK, count), start) for start in range(0, count, _CHUNK)]
        vectors = np.concatenate([part.astype(np.float16) for part in parts])[:count]
        queries = np.concatenate([meadow.vectors(1000, 10**6)[::5], words()])
        _compare(vectors, np.ascontiguousarray(queries), pictures=200)


def _compare(vectors: Float16, queries: Float32, pictures: int) -> None:
    truth = _truth(vectors, queries)
    kinds = [_flat(vectors), *_cut(vectors), *(_graphs(vectors) if len(vectors) <= GRAPH else ())]
    times = np.empty((len(kinds), len(queries)))
    hits = np.empty((len(kinds), len(queries)))
    for number, query in enumerate(queries):
        for row, kind in enumerate(kinds):
            begun = time.perf_counter()
            rows = kind.ask(query[None])
            best = rows[np.argsort(-(vectors[rows].astype(np.float32) @ query), kind="stable")[:TOP]]
            times[row, number] = time.perf_counter() - begun
            hits[row, number] = len(set(best.tolist()) & truth[number]) / TOP
    for row, kind in enumerate(kinds):
        p50, p95 = np.percentile(times[row], [50, 95]) * 1e3
        ratio = statistics.median(times[row] / times[0])
        seen, said = hits[row, :pictures].mean(), hits[row, pictures:].mean()
        print(f"{len(vectors):>9} {kind.name:<22} {p50:>7.2f} {p95:>7.2f} {ratio:>6.3f} {seen:>8.4f} "
              f"{said:>6.3f} {kind.build:>8.1f} {kind.size >> 20:>6}", flush=True)  # fmt: skip


def _truth(vectors: Float16, queries: Float32) -> list[set[int]]:
    scores, rows = [], []
    for start in range(0, len(vectors), _CHUNK):
        some = vectors[start : start + _CHUNK].astype(np.float32) @ queries.T
        top = np.argpartition(-some, TOP - 1, axis=0)[:TOP]
        scores.append(np.take_along_axis(some, top, 0))
        rows.append(top + start)
    order = np.argsort(-np.concatenate(scores), axis=0)[:TOP]
    best = np.take_along_axis(np.concatenate(rows), order, 0)
    return [set(column.tolist()) for column in best.T]


def _flat(vectors: Float16) -> Kind:
    lists = Lists.held(np.arange(len(vectors), dtype=np.int64), vectors)
    return Kind("every vector, fp16", lambda q: lists.search(q, DEPTH, None, None)[1][0], 0.0, vectors.nbytes)


def _cut(vectors: Float16) -> Iterator[Kind]:
    begun = time.perf_counter()
    cells = find_cells(InMemory(vectors), len(vectors), lambda: True)
    index = _ivf(cells, vectors)
    build = time.perf_counter() - begun
    for probes in PROBES:
        if probes < cell_count(len(vectors)) // 2:
            yield Kind(f"{len(cells.centres)} cells, {probes} probes", _probing(index, cells, probes), build,
                       vectors.nbytes // 2)  # fmt: skip


def _ivf(cells: Cells, vectors: Float16) -> Lists:
    inverted = faiss().ArrayInvertedLists(cells.codec.lists, cells.codec.code_bytes)
    for start in range(0, len(vectors), 4096):
        cell, codes = cells.written(vectors[start : start + 4096])
        order = np.argsort(cell, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
            ids = np.ascontiguousarray(members + start)
            code = np.ascontiguousarray(codes[members])
            inverted.add_entries(
                int(cell[members[0]]), len(ids), faiss().swig_ptr(ids), faiss().swig_ptr(code)
            )
    return Lists(cells.codec, inverted, len(vectors))


def _probing(index: Lists, cells: Cells, probes: int) -> Ask:
    def ask(query: Float32) -> Numbers:
        return _found(index.search(query, DEPTH, cells.probe(query, probes), None)[1][0])

    return ask


def _graphs(vectors: Float16) -> Iterator[Kind]:
    """HNSW (Malkov and Yashunin, 2018) with bytes, as FAISS has it."""
    begun = time.perf_counter()
    graph = faiss().index_factory(DIMENSION, "HNSW32,SQ8", faiss().METRIC_INNER_PRODUCT)
    graph.train(vectors[:: max(1, len(vectors) // 50_000)].astype(np.float32))
    for start in range(0, len(vectors), _CHUNK):
        graph.add(vectors[start : start + _CHUNK].astype(np.float32))
    build = time.perf_counter() - begun
    size = len(vectors) * (DIMENSION + 32 * 2 * 4)
    for ef in EF:
        yield Kind(f"HNSW32, ef {ef}", _walking(graph, ef), build, size)


def _walking(graph: Any, ef: int) -> Ask:
    def ask(query: Float32) -> Numbers:
        return _found(graph.search(query, DEPTH, params=faiss().SearchParametersHNSW(efSearch=ef))[1][0])

    return ask


def _found(rows: Numbers) -> Numbers:
    return rows[rows >= 0]
