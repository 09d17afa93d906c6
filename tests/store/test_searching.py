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
    embedded_count,
    matching,
    place,
    stored_spaces,
    vector_pages,
    vectors_of,
)
from tests.search.build import BUNDLE, MINUTE, OTHER_BUNDLE, Site, media_id, two_cameras, unit


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two cameras' images and registrations."""
    found = two_cameras(tmp_path)
    yield found
    found.db.close()


def test_pages_hold_every_vector_of_a_bundle_once(site: Site) -> None:
    """Whatever the size of a page, all vectors come, each with its image, and none of another bundle."""
    site.image("x", unit(1, 1, 1), minute=999, bundle=OTHER_BUNDLE)
    stored = site.db.execute("SELECT media_id, vector FROM embeddings WHERE bundle = ?", (BUNDLE,))
    for size in (1, 3, 12, 4096):
        pages = list(vector_pages(site.db, BUNDLE, 3, page=size))
        assert all(len(page.media) <= size for page in pages)
        rows = [(m, page.data[6 * i : 6 * i + 6]) for page in pages for i, m in enumerate(page.media)]
        assert sorted(rows) == sorted(stored)


def test_a_vector_of_another_length_is_refused(site: Site) -> None:
    """A vector that can't be of this bundle says so, and on which image."""
    identity = site.image("x", unit(1, 1), minute=999)
    with pytest.raises(StoreError, match="has 4 bytes, 6 were expected") as caught:
        list(vector_pages(site.db, BUNDLE, 3))
    assert caught.value.subject == identity


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
        (Filter(deployment="cam-2"), frozenset({"f4", "e2"})),
        (Filter(label="Fox"), frozenset({"f1", "f2", "f3", "f4"})),
        (Filter(deployment="cam-1", label="Fox"), frozenset({"f1", "f2", "f3"})),
        (Filter(label="Badger"), frozenset({"b1"})),
        (Filter(label="Wolf"), frozenset()),
        (Filter(since=5 * MINUTE, until=9 * MINUTE), frozenset({"f2", "e1"})),
        (Filter(label="Fox", since=5 * MINUTE), frozenset({"f2", "f3"})),
        (Filter(label="Fox", until=5 * MINUTE), frozenset({"f1", "f4"})),
    ],
)
def test_a_filter_lets_through_its_images(site: Site, wanted: Filter, expected: frozenset[str]) -> None:
    """Camera, time (the end not included) and the registration's label, alone and together."""
    assert matching(site.db, wanted) == frozenset(media_id(name) for name in expected)


def test_no_filter_is_not_the_set_of_all(site: Site) -> None:
    """Without a filter nothing is listed: None stands for all."""
    assert matching(site.db, Filter()) is None


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
    assert matching(site.db, Filter(label="Wolf")) == frozenset()


def test_images_of_the_same_moment_are_told_apart_by_their_ids(site: Site) -> None:
    """A registration's ends are keys, time and id: an equal time outside of them is outside."""
    ids = sorted(site.image(f"same-{n}", unit(1, 0, 0), minute=300) for n in range(3))
    middle = next(n for n in range(3) if media_id(f"same-{n}") == ids[1])
    site.registration("r-same", "Fox", f"same-{middle}", f"same-{middle}")
    found = [place(site.db, identity) for identity in ids]
    assert [p and p.registration_id for p in found] == [None, "r-same", None]
    assert matching(site.db, Filter(label="Fox", since=300 * MINUTE)) == frozenset({ids[1]})


def test_an_image_that_is_not_on_record_has_no_place(site: Site) -> None:
    """Unknown ids are answered, not raised."""
    assert place(site.db, media_id("nothing")) is None
