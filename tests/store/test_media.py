"""Vectors of an image: those of several bundles side by side, replaced one bundle at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.store.database import Database, open_database
from edge.store.media import Embedded, MediaRow, MediaStore, add_embeddings, replace_embeddings


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    found = open_database(tmp_path)
    yield found
    found.close()


def _vectors(database: Database) -> list[tuple[object, ...]]:
    return database.execute("SELECT bundle, ordinal, vector FROM embeddings ORDER BY bundle, ordinal")


def test_vectors_are_replaced_one_bundle_at_a_time(database: Database) -> None:
    """An image may have vectors of several bundles; new ones take the place of their own bundle's alone."""
    add_embeddings(database, "m", "old", [Embedded("image", b"o0"), Embedded("crop", b"o1")])
    replace_embeddings(database, "m", "new", [Embedded("image", b"n0"), Embedded("crop", b"n1")])
    replace_embeddings(database, "m", "new", [Embedded("image", b"n2")])
    assert _vectors(database) == [("new", 0, b"n2"), ("old", 0, b"o0"), ("old", 1, b"o1")]


def test_replaced_vectors_are_new_ones(database: Database) -> None:
    """What takes a vector's place has a number after all others, so that whoever has seen those sees it."""
    for media in ("a", "b"):
        add_embeddings(database, media, "bundle", [Embedded("image", media.encode())])
    replace_embeddings(database, "b", "bundle", [Embedded("image", b"b2")])
    assert database.execute("SELECT id, vector FROM embeddings ORDER BY id") == [(1, b"a"), (3, b"b2")]


@pytest.mark.parametrize(("night", "stored"), [(True, 1), (False, 0), (None, None)])
def test_night_is_kept(database: Database, night: bool | None, stored: int | None) -> None:
    """By infrared light, by day, or unknown."""
    row = MediaRow(
        media_id="m",
        file="cam/a.jpg",
        deployment="cam",
        taken=0,
        offset_minutes=0,
        time_source="exif",
        clock_ok=True,
        size=1,
        width=1,
        height=1,
        bundle="b",
        received=0,
        night=night,
    )
    assert MediaStore(database).add(row)
    assert database.execute("SELECT night FROM media") == [(stored,)]
