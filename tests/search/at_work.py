"""A process that stores vectors, deletes some, keeps the index and searches, all at once, until it is killed.

Run as ``python -m tests.search.at_work STATE SEED EXACT``. It says ``stored``, ``sealed`` or ``searched``
each time it did so. Where the index is approximate nothing is deleted: cells are found on the first vectors,
and so only without deletions an index that grew is the same as one that is made at once.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.search import Indexer, Library, Sizes
from edge.service.indexing import StoredVectors, index_folder
from edge.store.database import Database, open_database, open_readonly
from edge.store.media import Embedded, add_embeddings

BUNDLE = "b" * 64
EXACT = 10**9
DIMENSION = 32
GROUP = 60


def sizes(exact: int) -> Sizes:
    """Small, so that a few thousand vectors are sealed, merged and cut many times over."""
    return Sizes(base=64, fan=3, levels=4, exact=exact, growth=3)


def library(state: Path, database: Database, folder: Path | None = None) -> Library:
    """What answers."""
    source = StoredVectors(database, BUNDLE, DIMENSION)
    return Library(folder or index_folder(state, database, BUNDLE), source, probes=4)


def indexer(state: Path, database: Database, exact: int, folder: Path | None = None) -> Indexer:
    """Who keeps the files."""
    source = StoredVectors(database, BUNDLE, DIMENSION)
    return Indexer(folder or index_folder(state, database, BUNDLE), source, sizes(exact))


def directions(count: int, seed: int) -> npt.NDArray[np.float32]:
    """(count, DIMENSION) of length 1, in bunches."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((20, DIMENSION))
    vectors = centres[random.integers(0, 20, count)] + 0.4 * random.standard_normal((count, DIMENSION))
    unit: npt.NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


def store(database: Database, seed: int, *, delete: bool) -> None:
    """One durable group of new images, with which some of the older ones are deleted."""
    with database.transaction():
        for number, vector in enumerate(directions(GROUP, seed)):
            embedded = Embedded("image", vector.astype("<f2").tobytes())
            add_embeddings(database, f"sha256:{seed:08}{number:04}", BUNDLE, [embedded])
        if delete:
            database.execute("DELETE FROM embeddings WHERE id % 97 = ? AND id % 5 = 0", (seed % 97,))


def _again_and_again(name: str, do: Callable[[], object]) -> None:
    while True:
        do()
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()


def _index(state: Path, exact: int) -> None:
    database = open_readonly(state)
    _again_and_again("sealed", indexer(state, database, exact).step)


def _search(state: Path, seed: int) -> None:
    database = open_readonly(state)
    asked = library(state, database)

    def ask() -> None:
        asked.refresh()
        found = asked.nearest(directions(1, seed), 12)
        if not found or found != sorted(found, key=lambda match: (-match.score, match.media_id)):
            raise AssertionError("no answer, or not best first")

    _again_and_again("searched", ask)


def main() -> None:
    """Until it is killed."""
    state, seed, exact = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    database = open_database(state)
    for group in range(12):
        store(database, seed + 500 + group, delete=exact == EXACT)
    for work in (lambda: _index(state, exact), lambda: _search(state, seed)):
        threading.Thread(target=work, daemon=True).start()
    while True:
        seed += 1
        store(database, seed, delete=exact == EXACT)
        sys.stdout.write("stored\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
