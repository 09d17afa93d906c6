"""The index between the store and those who ask: what the daemon keeps, and what readers find."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.errors import StoreError
from edge.service.heartbeat import Worker
from edge.service.indexing import FOLDER, StoredVectors, facts_of, index_folder, open_library, seal
from edge.service.librarian import Calm, Librarian
from edge.service.report import HEALTH_FILE, status_of
from edge.settings import SearchSettings, Settings, StoreSettings
from edge.store.database import Database, open_database, open_readonly
from edge.store.media import Embedded, add_embeddings
from tests.search.source import units

BUNDLE, OTHER = "b" * 64, "c" * 64
DIMENSION = 8
ROWS = 5000
SEALED = 4096


def store(database: Database, count: int, *, first: int = 0, bundle: str = BUNDLE) -> None:
    """So many images, each with one vector."""
    with database.transaction():
        for number, vector in enumerate(units(count, first), start=first):
            embedded = Embedded("image", vector.astype("<f2").tobytes())
            add_embeddings(database, f"sha256:{number:08}", bundle, [embedded])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """With more vectors of one bundle than the smallest shard has, between a few of another."""
    found = open_database(tmp_path)
    store(found, 10, first=90_000, bundle=OTHER)
    store(found, ROWS)
    store(found, 10, first=80_000, bundle=OTHER)
    yield found
    found.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_the_database_is_a_source(database: Database) -> None:
    """Its vectors of one bundle, by id, counted, and with their images."""
    source = StoredVectors(database, BUNDLE, DIMENSION)
    assert source.newest() == ROWS + 20
    assert source.count(0) == ROWS
    blocks = list(source.blocks(10, 10 + ROWS))
    assert np.concatenate([block.ids for block in blocks]).tolist() == list(range(11, ROWS + 11))
    assert np.array_equal(np.concatenate([b.vectors for b in blocks]), units(ROWS, 0).astype(np.float16))
    rows = source.rows([13, 10**9])
    assert (rows.ids.tolist(), list(rows.media)) == ([13], ["sha256:00000002"])
    assert source.rows([]).vectors.shape == (0, DIMENSION)


def test_vectors_of_another_length_are_no_source(database: Database) -> None:
    """A bundle whose dimension isn't that of what is stored says so."""
    with pytest.raises(StoreError, match="were expected"):
        list(StoredVectors(database, BUNDLE, DIMENSION + 1).blocks(0))


def test_readers_answer_with_any_index_and_with_none(tmp_path: Path, database: Database) -> None:
    """The same before and after sealing; what is stored afterwards is in the next answer."""
    query = units(1, 0)
    library = open_library(tmp_path, database, BUNDLE, DIMENSION)
    before = library.nearest(query, 5)
    assert not (tmp_path / FOLDER).exists()
    facts = seal(tmp_path, database, BUNDLE, DIMENSION, SearchSettings())
    assert (facts.kind, facts.vectors, facts.sealed) == ("exact", ROWS, SEALED)
    library.refresh()
    assert library.facts() == facts == facts_of(tmp_path, database, BUNDLE)
    assert facts_of(tmp_path, database, "d" * 64) is None
    assert library.nearest(query, 5) == before
    add_embeddings(database, "sha256:!", BUNDLE, [Embedded("image", query[0].astype("<f2").tobytes())])
    library.refresh()
    assert "sha256:!" in [match.media_id for match in library.nearest(query, 20)]


def test_status_tells_what_searches_go_through(tmp_path: Path, database: Database) -> None:
    """For the daemon's bundle, as of now; nothing where that isn't known."""
    settings = Settings(state=tmp_path, drop=tmp_path / "drop")
    assert status_of(settings, database)["index"] == {}
    (tmp_path / HEALTH_FILE).write_text(json.dumps({"models": {"bundle": {"sha256": BUNDLE}}}))
    seal(tmp_path, database, BUNDLE, DIMENSION, settings.search)
    told = status_of(settings, database)["index"]
    assert (told["kind"], told["vectors"], told["sealed"], told["shards"]) == ("exact", ROWS, SEALED, 1)
    assert told["size"] > SEALED * (2 * DIMENSION + 8)


def test_the_setting_decides_the_kind(tmp_path: Path, database: Database) -> None:
    """Few enough: exact; more: approximate; and back."""
    kinds = [
        seal(tmp_path, database, BUNDLE, DIMENSION, SearchSettings(exact_up_to=limit)).kind
        for limit in (10_000, 1000, 10_000)
    ]
    assert kinds == ["exact", "approximate", "exact"]


def test_each_bundle_has_its_own(tmp_path: Path, database: Database) -> None:
    """So that one is searched while another takes its place."""
    assert index_folder(tmp_path, database, BUNDLE) != index_folder(tmp_path, database, OTHER)
    assert len(open_library(tmp_path, database, OTHER, DIMENSION)) == 20


class Kept:
    """The librarian's thread at work."""

    def __init__(self, state: Path, **store_settings: int) -> None:
        settings = Settings(state=state, drop=state / "drop", store=StoreSettings(**store_settings))
        self.state = state
        self.busy = False
        self.stop = threading.Event()
        self.librarian = Librarian(settings, BUNDLE, DIMENSION)
        self.worker = Worker("librarian", self.librarian.loop(lambda: self.busy, self.stop))

    def sealed(self) -> int:
        """Vectors in files."""
        database = open_readonly(self.state)
        try:
            return open_library(self.state, database, BUNDLE, DIMENSION).facts().sealed
        finally:
            database.close()

    def end(self) -> None:
        """Stop it."""
        self.stop.set()
        self.worker.join(10)
        assert not self.worker.is_alive()
        assert self.worker.failure is None


@pytest.mark.usefixtures("database")
def test_the_daemon_seals_while_nothing_waits(tmp_path: Path) -> None:
    """Not while images do; then all of it, and what isn't needed any more is removed."""
    unused = tmp_path / FOLDER / "of-a-bundle-that-is-gone"
    unused.mkdir(parents=True)
    (unused / "shard.bin").write_bytes(b"old")
    kept = Kept(tmp_path, low_water=0)
    kept.busy = True
    kept.worker.start()
    time.sleep(0.5)
    assert kept.sealed() == 0
    assert kept.worker.fresh
    kept.busy = False
    until(lambda: kept.sealed() == SEALED)
    assert not unused.exists()
    kept.end()


@pytest.mark.usefixtures("database")
def test_the_daemon_seals_nothing_on_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    """Below the low-water mark space is for images alone."""
    kept = Kept(tmp_path, low_water=2**60)
    kept.worker.start()
    time.sleep(0.5)
    kept.end()
    assert kept.sealed() == 0
    assert kept.librarian.problems() == ()


@pytest.mark.usefixtures("database")
def test_an_index_that_can_not_be_written_ends_no_thread(tmp_path: Path) -> None:
    """It is told as a problem, and tried again."""
    (tmp_path / "cache").mkdir()
    (tmp_path / FOLDER).write_text("in the way")
    kept = Kept(tmp_path, low_water=0)
    kept.worker.start()
    until(lambda: bool(kept.librarian.problems()))
    (problem,) = kept.librarian.problems()
    assert problem.code == "index_unwritten"
    assert str(tmp_path / FOLDER) in problem.message
    kept.end()


@pytest.mark.usefixtures("database")
def test_only_the_librarians_own_thread_gives_way(tmp_path: Path) -> None:
    """Its priority is lowered, not that of the process."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    kept = Kept(tmp_path, low_water=0)
    kept.worker.start()
    until(lambda: kept.sealed() == SEALED)
    assert kept.worker.native_id is not None
    assert os.getpriority(os.PRIO_PROCESS, kept.worker.native_id) > before
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
    kept.end()


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where images always wait, a step is done now and then all the same."""
    monkeypatch.setattr("edge.service.librarian.PATIENCE", 0.3)
    beats: list[int] = []
    calm = Calm(lambda: True, threading.Event(), lambda: beats.append(1))
    assert calm()
    assert beats
    count = len(beats)
    assert calm()
    assert len(beats) == count + 1
    calm.rest(0.0)
    assert calm()
    assert len(beats) > count + 2
