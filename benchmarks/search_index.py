"""What the index costs, up to a million vectors and more: ``python -m benchmarks.search_index``.

Everything goes through the store, as in the daemon: vectors are committed to SQLite, sealed by ``Indexer``
and asked through ``Library``, on one thread. ``--vectors 1000000`` takes some minutes and 3 GB of disk.
``--table`` compares kinds of index instead, from which the defaults of ``[search]`` come.

- a query: the 12 best images, p50 and p95.
- recall@12: against comparing all vectors, for pictures like those on record and for words.
- build: sealing everything, cells and all; memory: of a process that asks; files.
- add: a commit of one image with its vector, durable; and of 20, as the daemon commits while many come.
- start: opening the index, and the first answer, in a process of its own that has FAISS loaded.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.kinds import choice_table
from benchmarks.vectors import DIMENSION, Meadow, found_embeddings, words
from edge.search import Library, Match
from edge.service.indexing import open_library, seal
from edge.settings import SearchSettings
from edge.store.database import Database, open_database, open_readonly
from edge.store.media import Embedded, MediaRow, MediaStore, add_embeddings
from edge.store.searching import newest_vector

Float16 = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]
BUNDLE: Final = "b" * 64
TOP: Final = 12
GROUP: Final = 20
_CHUNK: Final = 50_000
_PICTURES: Final = 200
_TURNS: Final = 9


class Truth(NamedTuple):
    """Queries, and the ids of their best vectors."""

    queries: Float32
    best: list[set[str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--table", action="store_true", help="the choice between kinds of index")
    parser.add_argument("--folder", type=Path, help="keep the database here, and use it again")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        _ask_once(given.ask)
    elif given.table:
        choice_table(given.vectors)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure((given.folder or Path(folder)) / f"state-{given.vectors}", given.vectors)


def measure(state: Path, count: int) -> None:
    """All figures of one size."""
    real = found_embeddings()
    like = "real embeddings" if real is not None else "made-up ones"
    print(f"{count} vectors of {DIMENSION}, spread like {like}")
    meadow = Meadow(real, max(30, count // 300))
    settings = SearchSettings()
    database = _filled(state, meadow, count)
    with _timed("build: sealing all of it"):
        facts = seal(state, database, BUNDLE, DIMENSION, settings)
    kept = (state / "edge.db").stat().st_size >> 20
    print(
        f"kind {facts.kind}, {facts.sealed} sealed in {facts.shards} shards, {facts.size >> 20} MB of files, "
        f"{kept} MB database"
    )
    library = open_library(state, open_readonly(state), BUNDLE, DIMENSION, settings)
    for name, queries in (("pictures", meadow.vectors(5 * _PICTURES, 10**6)[::5]), ("words", words())):
        _queries(name, library, _truth(database, queries))
    _adding(state, database, meadow)
    _starting(state)


def _queries(name: str, library: Library, truth: Truth) -> None:
    times, busy, hits = [], [], 0
    for query, best in zip(truth.queries, truth.best, strict=True):
        begun, cpu = time.perf_counter(), time.thread_time()
        found = library.nearest(query[None], TOP)
        times.append(time.perf_counter() - begun)
        busy.append(time.thread_time() - cpu)
        hits += len({match.media_id for match in found} & best)
    p50, p95 = np.percentile(times, [50, 95]) * 1e3
    print(
        f"{name}: top {TOP} p50 {p50:.2f} ms, p95 {p95:.2f} ms, of a core {_ms(busy)}, "
        f"recall@{TOP} {hits / TOP / len(times):.4f} ({len(times)} queries)"
    )


def _adding(state: Path, database: Database, meadow: Meadow) -> None:
    """One image in a commit, and twenty; each is in the next answer."""
    first = 10**9 + newest_vector(database)  # none that an earlier run has added
    fresh = meadow.vectors(_TURNS * 20 * (GROUP + 1), first).astype(np.float16)
    library = open_library(state, open_readonly(state), BUNDLE, DIMENSION)
    alone, grouped, seen = [], [], []
    for turn in range(_TURNS * 20):
        number = first + turn * (GROUP + 1)
        alone.append(_committed(database, fresh[:1], number))
        begun = time.perf_counter()
        library.refresh()
        seen.append(time.perf_counter() - begun)
        some = fresh[(turn + 1) * GROUP : (turn + 2) * GROUP]
        grouped.append(_committed(database, some, number + 1) / GROUP)
    print(
        f"add, durable: alone p50 {_ms(alone)}, in a commit of {GROUP} p50 {_ms(grouped)} each; "
        f"seen by who asks after another {_ms(seen)}"
    )


def _committed(database: Database, vectors: Float16, first: int) -> float:
    store = MediaStore(database)
    begun = time.perf_counter()
    with database.transaction():
        for number, vector in enumerate(vectors, start=first):
            store.add(_image(number, vector))
    return time.perf_counter() - begun


def _starting(state: Path) -> None:
    """A process of its own, several times; it prints what it took, and its memory."""
    lines = [
        subprocess.run(
            [sys.executable, "-m", "benchmarks.search_index", "--ask", str(state)],
            check=True, capture_output=True, text=True,
        ).stdout.split()
        for _ in range(_TURNS)
    ]  # fmt: skip
    opened, first, private, mapped = (statistics.median(float(x[i]) for x in lines) for i in range(4))
    print(
        f"start: opened in {opened:.1f} ms, first answer after {first:.1f} ms; "
        f"memory of the process {private:.0f} MB of its own, {mapped:.0f} MB mapped from files"
    )


def _ask_once(state: Path) -> None:
    import faiss  # noqa: F401, PLC0415 - its 0.1 s are the same whatever the index is

    query = np.eye(1, DIMENSION, dtype=np.float32)
    begun = time.perf_counter()
    library = open_library(state, open_readonly(state), BUNDLE, DIMENSION)
    opened = time.perf_counter() - begun
    library.nearest(query, TOP)
    print(opened * 1e3, (time.perf_counter() - begun) * 1e3, *_memory())


def _memory() -> tuple[float, float]:
    """MB of this process: its own, and mapped from files."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    sizes = {name: float(rest.split()[0]) / 1024 for name, rest in (x.split(":") for x in lines if "kB" in x)}
    return sizes["RssAnon"], sizes["RssFile"]


def _filled(state: Path, meadow: Meadow, count: int) -> Database:
    database = open_database(state)
    row = database.one("SELECT COUNT(*) FROM embeddings")
    if row and row[0] >= count:
        return database
    with _timed(f"filling the database with {count}"):
        for start in range(0, count, _CHUNK):
            vectors = meadow.vectors(min(_CHUNK, count - start), start).astype(np.float16)
            with database.transaction():
                for number, vector in enumerate(vectors, start=start):
                    add_embeddings(database, _name(number), BUNDLE, [Embedded("image", vector.tobytes())])
    return database


def _truth(database: Database, queries: Float32) -> Truth:
    """The best of each query by comparing it with every vector on record."""
    best: list[list[Match]] = [[] for _ in queries]
    for media, vectors in _all(database):
        scores = vectors.astype(np.float32) @ queries.T
        top = np.argpartition(-scores, TOP - 1, axis=0)[:TOP]
        for number, rows in enumerate(top.T):
            best[number] += [Match(media[row], float(scores[row, number])) for row in rows]
    chosen = [sorted(found, key=lambda match: -match.score)[:TOP] for found in best]
    return Truth(queries, [{match.media_id for match in found} for found in chosen])


def _all(database: Database) -> Iterator[tuple[list[str], Float16]]:
    last = 0
    while True:
        rows = database.execute(
            "SELECT id, media_id, vector FROM embeddings WHERE id > ? ORDER BY id LIMIT ?", (last, _CHUNK)
        )
        if not rows:
            return
        last = rows[-1][0]
        yield (
            [row[1] for row in rows],
            np.frombuffer(b"".join(row[2] for row in rows), "<f2").reshape(-1, DIMENSION),
        )


def _name(number: int) -> str:
    # As far apart as hashes are: where an id falls in the indexes is part of what storing costs.
    return f"sha256:{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:048x}"


def _image(number: int, vector: Float16) -> MediaRow:
    return MediaRow(
        media_id=_name(number), file=f"cam/{number}.jpg", deployment="cam", taken=number, offset_minutes=0,
        time_source="exif", clock_ok=True, size=1, width=1, height=1, bundle=BUNDLE, received=number,
        embeddings=(Embedded("image", vector.tobytes()),),
    )  # fmt: skip


@contextmanager
def _timed(what: str) -> Iterator[None]:
    begun, cpu = time.perf_counter(), time.process_time()
    yield
    print(
        f"{what}: {time.perf_counter() - begun:.1f} s, {time.process_time() - cpu:.1f} s of a core",
        flush=True,
    )


def _ms(times: list[float]) -> str:
    return f"{statistics.median(times) * 1e3:.3f} ms"


if __name__ == "__main__":
    main()
