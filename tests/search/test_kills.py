"""Killed while it stores, seals and searches: afterwards the index answers as one that is made afresh."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge.search import Library
from edge.service.indexing import index_folder
from edge.store.database import Database, open_database
from tests.children import minded
from tests.search import at_work

Float32 = npt.NDArray[np.float32]


def _killed_at_work(state: Path, seed: int, exact: int, moment: float) -> None:
    """Let the process work until it has done each of its works, and a moment more; then end it at once."""
    command = [sys.executable, "-m", "tests.search.at_work", str(state), str(seed), str(exact)]
    child = minded(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    assert child.stdout is not None
    missing = {"stored", "sealed", "searched"}
    for line in child.stdout:
        missing.discard(line.strip())
        if not missing:
            break
    time.sleep(moment)
    assert child.poll() is None, "it ended by itself"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert not missing


def _settled(state: Path, database: Database, exact: int, folder: Path) -> Library:
    indexer = at_work.indexer(state, database, exact, folder)
    while indexer.step():
        pass
    return at_work.library(state, database, folder)


def _same_answers(one: Library, other: Library, seed: int) -> bool:
    queries = at_work.directions(20, seed)
    return all(one.nearest(q[None], 12) == other.nearest(q[None], 12) for q in queries)


def _brute_force(database: Database, query: Float32) -> list[str]:
    """The best twelve by comparing the query with everything on record."""
    rows = database.execute("SELECT media_id, vector FROM embeddings")
    vectors = np.frombuffer(b"".join(v for _, v in rows), "<f2").reshape(len(rows), -1)
    scores = (vectors.astype(np.float64) @ query.astype(np.float64)).round(9)
    return [rows[i][0] for i in sorted(range(len(rows)), key=lambda i: (-scores[i], rows[i][0]))[:12]]


def _kill_and_compare(tmp_path: Path, kills: int, exact: int) -> None:
    state = tmp_path / "state"
    moments = random.Random(kills)
    for kill in range(kills):
        _killed_at_work(state, 1000 * kill, exact, moments.uniform(0, 0.5))
        database = open_database(state, thorough=True)
        folder = index_folder(state, database, at_work.BUNDLE)
        as_found = at_work.library(state, database)
        fresh = _settled(state, database, exact, tmp_path / f"fresh-{kill}")
        if exact == at_work.EXACT:
            assert _same_answers(as_found, fresh, kill)
            query = at_work.directions(1, kill)
            found = [match.media_id for match in as_found.nearest(query, 12)]
            assert found == _brute_force(database, query[0])
        settled = _settled(state, database, exact, folder)
        assert (
            settled.facts().kind
            == fresh.facts().kind
            == ("exact" if exact == at_work.EXACT else "approximate")
        )
        assert _same_answers(settled, fresh, kill)
        assert not list(folder.glob("*.tmp"))
        database.close()


@pytest.mark.parametrize("exact", [at_work.EXACT, 500], ids=["exact", "approximate"])
def test_after_three_kills_it_answers_as_one_made_afresh(tmp_path: Path, exact: int) -> None:
    """The short form."""
    _kill_and_compare(tmp_path, 3, exact)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("exact", [at_work.EXACT, 500], ids=["exact", "approximate"])
def test_after_twenty_kills_it_answers_as_one_made_afresh(tmp_path: Path, exact: int) -> None:
    """Each time both as it was found, and once it has been brought up to date."""
    _kill_and_compare(tmp_path, 20, exact)
