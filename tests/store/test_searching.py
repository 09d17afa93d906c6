"""What search asks of the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.errors import StoreError
from edge.store.queries import Filter
from edge.store.searching import (
    StoredSpace,
    allowed,
    embedded_count,
    newest_vector,
    place,
    stored_spaces,
    vector_count,
    vector_pages,
    vector_rows,
    vectors_of,
)
from tests.search.build import BUNDLE, MINUTE, OTHER_BUNDLE, Site, media_id, two_cameras, unit


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two cameras' images and registrations."""
    found = two_cameras(tmp_path)
    yield found
    found.db.close()


def let_through(site: Site, wanted: Filter, night: bool | None = None) -> list[str]:
    """The images of the vectors that a filter lets through, each once for each of its vectors."""
    chosen = allowed(site.db, BUNDLE, wanted, night)
    assert chosen is not None
    return sorted(vector_rows(site.db, chosen.tolist(), 3).media)


def every_vector(site: Site, *names: str) -> list[str]:
    """These images, each once for each of its vectors."""
    marks = ", ".join(f"'{media_id(name)}'" for name in names)
    rows = site.db.execute(f"SELECT media_id FROM embeddings WHERE media_id IN ({marks})")  # noqa: S608 - ids
    return sorted(row[0] for row in rows)


def test_pages_hold_every_vector_of_a_bundle_once(site: Site) -> None:
    """Whatever the size of a page, all vectors come, by ascending id, and none of another bundle."""
    site.image("x", unit(1, 1, 1), minute=999, bundle=OTHER_BUNDLE)
    stored = site.db.execute("SELECT id, vector FROM embeddings WHERE bundle = ? ORDER BY id", (BUNDLE,))
    for size in (1, 3, 12, 4096):
        pages = list(vector_pages(site.db, BUNDLE, 3, page=size))
        assert all(len(page.ids) <= size for page in pages)
        rows = [(n, page.data[6 * i : 6 * i + 6]) for page in pages for i, n in enumerate(page.ids)]
        assert rows == stored


def test_pages_begin_and_end_where_they_are_told_to(site: Site) -> None:
    """``after`` isn't included, ``upto`` is; counting agrees."""
    pages = list(vector_pages(site.db, BUNDLE, 3, 2, 7, page=2))
    assert [n for page in pages for n in page.ids] == [3, 4, 5, 6, 7]
    assert vector_count(site.db, BUNDLE, 2, 7) == 5
    assert vector_count(site.db, BUNDLE) == len(site.db.execute("SELECT 1 FROM embeddings"))
    assert vector_count(site.db, OTHER_BUNDLE) == 0


def test_the_newest_id_never_goes_back(site: Site) -> None:
    """Also when its vector is deleted: whoever has seen it looks only behind it."""
    newest = newest_vector(site.db)
    assert site.db.execute("SELECT MAX(id) FROM embeddings") == [(newest,)]
    site.db.execute("DELETE FROM embeddings")
    assert newest_vector(site.db) == newest


def test_rows_that_exist_come_with_their_images(site: Site) -> None:
    """Rows of any ids, in any order; those that don't exist are left out."""
    rows = vector_rows(site.db, [2, 1, 10**12, -5], 3)
    expected = site.db.execute("SELECT id, media_id, vector FROM embeddings WHERE id IN (1, 2)")
    found = {n: (m, rows.data[6 * i : 6 * i + 6]) for i, (n, m) in enumerate(zip(*rows[:2], strict=True))}
    assert found == {n: (m, v) for n, m, v in expected}
    assert vector_rows(site.db, [], 3) == ((), (), b"")


def test_a_vector_of_another_length_is_refused(site: Site) -> None:
    """A vector that can't be of this bundle says so, and which one it is."""
    site.image("x", unit(1, 1), minute=999)
    newest = newest_vector(site.db)
    for read in (
        lambda: list(vector_pages(site.db, BUNDLE, 3)),
        lambda: vector_rows(site.db, [newest], 3),
        lambda: vectors_of(site.db, media_id("x"), BUNDLE, 3),
    ):
        with pytest.raises(StoreError, match="has 4 bytes, 6 were expected") as caught:
            read()
        assert caught.value.subject == f"embedding {newest}"


def test_an_images_vectors_begin_with_the_whole_image(site: Site) -> None:
    """One image's own vectors come in the order whole, animals; none for another bundle."""
    numbers = np.frombuffer(vectors_of(site.db, media_id("f1"), BUNDLE, 3), "<f2").reshape(-1, 3)
    assert numbers == pytest.approx(np.stack([unit(0.2, 0, 1), unit(1, 0, 0.1)]), abs=1e-3)
    assert vectors_of(site.db, media_id("f1"), OTHER_BUNDLE, 3) == b""


def test_counts_images_by_bundle(site: Site) -> None:
    """An image counts once, however many vectors it has, for the bundle that embedded it."""
    site.image("x", unit(1, 1, 1), unit(1, 1, 2), minute=999, bundle=OTHER_BUNDLE)
    assert embedded_count(site.db) == 8
    assert stored_spaces(site.db) == [
        StoredSpace(BUNDLE, "meadow", 7),
        StoredSpace(OTHER_BUNDLE, "ridge", 1),
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(deployment="cam-2"), ("f4", "e2")),
        (Filter(label="Fox"), ("f1", "f2", "f3", "f4")),
        (Filter(deployment="cam-1", label="Fox"), ("f1", "f2", "f3")),
        (Filter(label="Badger"), ("b1",)),
        (Filter(since=5 * MINUTE, until=9 * MINUTE), ("f2", "e1")),
        (Filter(label="Fox", since=5 * MINUTE), ("f2", "f3")),
        (Filter(label="Fox", until=5 * MINUTE), ("f1", "f4")),
    ],
)
def test_a_filter_lets_through_its_images(site: Site, wanted: Filter, expected: tuple[str, ...]) -> None:
    """Camera, time (the end not included) and the registration's label, alone and together."""
    assert let_through(site, wanted) == every_vector(site, *expected)


@pytest.mark.parametrize(("wanted", "lit"), [(Filter(), "f1 e1"), (Filter(label="Fox"), "f1")])
def test_night_is_by_infrared_light(site: Site, wanted: Filter, lit: str) -> None:
    """Night, day or both, also together with a label; an unknown light is neither."""
    marks = f"('{media_id('f1')}', '{media_id('e1')}')"
    site.db.execute("UPDATE media SET clock_ok = 0")  # so that the hour says nothing
    site.db.execute(f"UPDATE media SET night = media_id IN {marks} WHERE deployment = 'cam-1'")  # noqa: S608
    assert let_through(site, wanted, night=True) == every_vector(site, *lit.split())
    by_day = let_through(site, wanted, night=False)
    assert by_day == every_vector(site, *({"f2", "f3", "b1"} - ({"b1"} if wanted.label else set())))


def test_a_filter_of_another_bundles_images_lets_nothing_through(site: Site) -> None:
    """Vectors of other bundles are never among those allowed, and a label without images allows none."""
    found = allowed(site.db, OTHER_BUNDLE, Filter(label="Fox"))
    assert found is not None
    assert list(found) == []
    assert let_through(site, Filter(label="Wolf")) == []


def test_no_filter_is_not_the_set_of_all(site: Site) -> None:
    """Without a filter nothing is listed: None stands for all."""
    assert allowed(site.db, BUNDLE, Filter()) is None


@pytest.mark.parametrize(
    ("name", "registration", "label"),
    [
        ("f1", "r-fox", "Fox"),
        ("f2", "r-fox", "Fox"),
        ("f3", "r-fox", "Fox"),
        ("e1", None, None),
        ("b1", "r-badger", "Badger"),
        ("f4", "r-fox-2", "Fox"),
        ("e2", None, None),
    ],
)
def test_an_image_belongs_to_the_registration_around_its_key(
    site: Site, name: str, registration: str | None, label: str | None
) -> None:
    """Both ends are members; an image without an animal is none, even between members."""
    found = place(site.db, media_id(name))
    assert found is not None
    assert (found.registration_id, found.label) == (registration, label)


def test_an_image_between_registrations_belongs_to_none(site: Site) -> None:
    """The registration that began last before an image has it only if it lasted so long."""
    identity = site.image("late", unit(1, 0, 0), minute=50)
    found = place(site.db, identity)
    assert found is not None
    assert (found.registration_id, found.label) == (None, None)


def test_retracted_registrations_have_no_members(site: Site) -> None:
    """A tombstone over the same images changes nothing."""
    site.retracted("r-gone", "Wolf", "f2", "b1")
    found = place(site.db, media_id("f3"))
    assert found is not None
    assert found.registration_id == "r-fox"
    assert let_through(site, Filter(label="Wolf")) == []


def test_images_of_the_same_moment_are_told_apart_by_their_ids(site: Site) -> None:
    """A registration's ends are keys, time and id: an equal time outside of them is outside."""
    ids = sorted(site.image(f"same-{n}", unit(1, 0, 0), minute=300) for n in range(3))
    middle = next(n for n in range(3) if media_id(f"same-{n}") == ids[1])
    site.registration("r-same", "Fox", f"same-{middle}", f"same-{middle}")
    found = [place(site.db, identity) for identity in ids]
    assert [p and p.registration_id for p in found] == [None, "r-same", None]
    assert let_through(site, Filter(label="Fox", since=300 * MINUTE)) == [ids[1]]


def test_an_image_that_is_not_on_record_has_no_place(site: Site) -> None:
    """Unknown ids are answered, not raised."""
    assert place(site.db, media_id("nothing")) is None


@pytest.mark.parametrize(
    ("night", "hour", "clock", "source", "expected"),
    [
        (1, 12, 1, "exif", True),
        (1, None, 0, "mtime", True),
        (0, 23, 1, "exif", True),
        (0, 22, 1, "filename", True),
        (0, 3, 1, "exif", True),
        (0, 4, 1, "exif", False),
        (0, 21, 1, "exif", False),
        (0, 23, 0, "exif", False),
        (0, 23, 1, "mtime", False),
        (None, 23, 1, "exif", True),
        (None, 12, 1, "exif", False),
        (None, 23, 0, "exif", None),
        (None, 12, 1, "mtime", None),
    ],
)
def test_night_is_infrared_light_or_the_small_hours(  # noqa: PLR0917 - one row of a table
    site: Site, night: int | None, hour: int | None, clock: int, source: str, expected: bool | None
) -> None:
    """By pixels, or by the camera's own hour if its clock can be right; what isn't known is neither."""
    for day in (0, 20_000, -3):
        identity = site.image(
            f"x{day}", unit(1, 0, 0), minute=(day * 24 + (hour or 0) - 2) * 60, camera="cam-9"
        )
        site.db.execute(
            "UPDATE media SET night = ?, clock_ok = ?, time_source = ? WHERE media_id = ?",
            (night, clock, source, identity),
        )
    for asked in (True, False):
        found = let_through(site, Filter(deployment="cam-9"), night=asked)
        assert len(found) == (3 if asked is expected else 0)
