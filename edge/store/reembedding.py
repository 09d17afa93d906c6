"""What is on record while one bundle's vectors take the place of another's.

An image is done as soon as it has vectors of the new bundle: what is left to do follows from the vectors, so
that nothing has to be remembered for going on after a stop. Only that all is done is written down, because
finding it out takes a look at every image.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from edge.store.database import Database
from edge.store.media import Box, Embedded, add_embeddings

_KEY: Final = "embedded_by"
_ONE_HAS: Final = (
    "EXISTS (SELECT 1 FROM embeddings e INDEXED BY embeddings_of_images "
    "WHERE e.bundle = ? AND e.media_id = p.media_id AND e.ordinal = 0)"
)
_NEXT_BUNDLE: Final = (
    "SELECT bundle FROM embeddings INDEXED BY embeddings_of_images WHERE ordinal = 0 AND bundle > ? "
    "ORDER BY bundle LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a bundle is with the images on record.

    Attributes:
        images: on record.
        embedded: those with vectors of the bundle.
        unreachable: those that it can't embed, their originals being gone, changed or damaged; known once all
            others are done, 0 before.
        complete: whether it has embedded all that it can.
    """

    images: int
    embedded: int
    unreachable: int
    complete: bool


class Mark(NamedTuple):
    """How far a walk through the images has come: when one was received (ms UTC), and which."""

    received: int = -(2**62)
    media_id: str = ""


class Wanting(NamedTuple):
    """An image that lacks something.

    Attributes:
        media_id: which.
        vectors: whether it lacks vectors of the bundle.
        night: whether nobody has looked if it is a night image.
    """

    media_id: str
    vectors: bool
    night: bool


class Forgotten(NamedTuple):
    """How many vectors were removed, and the image that this came to; None where there is nothing behind."""

    vectors: int
    media_id: str | None


class Page(NamedTuple):
    """Images that lack something among the next ones, and where the walk stands then; None at its end."""

    wanting: tuple[Wanting, ...]
    mark: Mark | None


def is_complete(database: Database, bundle: str) -> bool:
    """Whether a bundle (by its SHA-256) has embedded every image that it can."""
    if _done(database, bundle) is not None:
        return True
    images, embedded = _counts(database, bundle)
    return embedded >= images


def coverage(database: Database, bundle: str) -> Coverage:
    """How far a bundle (by its SHA-256) is; two counts by index."""
    images, embedded = _counts(database, bundle)
    done = _done(database, bundle)
    unreachable = int(done["unreachable"]) if done else 0
    return Coverage(images, embedded, unreachable, done is not None or embedded >= images)


class Reembedding:
    """Reads and writes what is needed for one bundle to embed what others have.

    Args:
        database: opened for writing.
        bundle: SHA-256 of the bundle that embeds from now on.
    """

    def __init__(self, database: Database, bundle: str) -> None:
        self._db = database
        self._bundle = bundle

    def take_over(self) -> bool:
        """Say that new images are embedded by this bundle from here on; whether nothing is left to do.

        To be called before the first new image is taken in.
        """
        done = _done(self._db, self._bundle)
        if done is None:
            self._db.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
        return bool(done and done["cleared"] and not done["unreachable"])

    def page(self, after: Mark, limit: int) -> Page:
        """Look through the next images, in the order in which they were received.

        Args:
            after: where the walk stands.
            limit: images looked at.
        """
        rows = self._db.execute(
            f"SELECT p.received, p.media_id, {_ONE_HAS}, "
            "(SELECT night IS NULL FROM media WHERE media_id = p.media_id) FROM "
            "(SELECT received, media_id FROM media INDEXED BY media_by_arrival "
            "WHERE (received, media_id) > (?, ?) ORDER BY received, media_id LIMIT ?) p",
            (self._bundle, *after, limit),
        )
        wanting = tuple(Wanting(row[1], not row[2], bool(row[3])) for row in rows if not row[2] or row[3])
        return Page(wanting, Mark(*rows[-1][:2]) if rows else None)

    def boxes(self, media_id: str) -> tuple[Box, ...]:
        """The crops that were embedded last, in their order."""
        rows = self._db.execute(
            "SELECT box FROM embeddings WHERE media_id = ?1 AND kind = 'crop' AND bundle = "
            "(SELECT bundle FROM embeddings WHERE media_id = ?1 ORDER BY id DESC LIMIT 1) ORDER BY ordinal",
            (media_id,),
        )
        return tuple(Box(*json.loads(row[0])) for row in rows)

    def attempts(self, media_id: str) -> int:
        """How often this bundle began with an image and didn't come to an end."""
        row = self._db.one(
            "SELECT attempts FROM reembed_attempts WHERE media_id = ? AND bundle = ?",
            (media_id, self._bundle),
        )
        return int(row[0]) if row else 0

    def attempt(self, media_id: str) -> None:
        """Note, durably, that an image is being embedded: it may end the process."""
        self._db.execute(
            "INSERT INTO reembed_attempts (media_id, bundle, attempts) VALUES (?, ?, 1) "
            "ON CONFLICT DO UPDATE SET attempts = IIF(bundle = excluded.bundle, attempts + 1, 1), "
            "bundle = excluded.bundle",
            (media_id, self._bundle),
        )

    def settle(self, media_id: str) -> None:
        """The attempt has come to an end, with or without a result."""
        self._db.execute("DELETE FROM reembed_attempts WHERE media_id = ?", (media_id,))

    def keep(self, media_id: str, vectors: Sequence[Embedded], *, night: bool) -> bool:
        """Put an image's new vectors beside its old ones; false if it has some of this bundle already.

        It has where it was looked at again meanwhile: those belong to newer boxes.

        Args:
            media_id: which.
            vectors: may be empty, where only ``night`` was missing.
            night: as vision says.
        """
        with self._db.transaction():
            self.settle(media_id)
            self._db.execute("UPDATE media SET night = ? WHERE media_id = ?", (night, media_id))
            if not vectors or self._has(media_id):
                return False
            add_embeddings(self._db, media_id, self._bundle, vectors)
            return True

    def others(self) -> list[str]:
        """Bundles (SHA-256) besides this one of which vectors are on record."""
        found, bundle = [], ""
        while row := self._db.one(_NEXT_BUNDLE, (bundle,)):
            bundle = str(row[0])
            found.append(bundle)
        return [bundle for bundle in found if bundle != self._bundle]

    def forget(self, other: str, after: str, limit: int) -> Forgotten:
        """Remove another bundle's vectors of images that have this one's, a few at a time.

        Args:
            other: SHA-256 of that bundle.
            after: the image where the last call came to; an empty string at first.
            limit: images looked at in one transaction.
        """
        with self._db.transaction():
            rows = self._db.execute(
                f"SELECT p.media_id, {_ONE_HAS} FROM (SELECT media_id FROM embeddings "
                "INDEXED BY embeddings_of_images WHERE ordinal = 0 AND bundle = ? AND media_id > ? "
                "ORDER BY media_id LIMIT ?) p",
                (self._bundle, other, after, limit),
            )
            removed = sum(self._forget(row[0], other) for row in rows if row[1])
        return Forgotten(removed, rows[-1][0] if rows else None)

    def finish(self, unreachable: int, *, cleared: bool) -> None:
        """Write down that all is done but for so many images, and whether the old vectors are gone."""
        done = {"bundle": self._bundle, "unreachable": unreachable, "cleared": cleared}
        self._db.remember(_KEY, json.dumps(done))

    def _has(self, media_id: str) -> bool:
        sql = "SELECT 1 FROM embeddings WHERE media_id = ? AND bundle = ? LIMIT 1"
        return self._db.one(sql, (media_id, self._bundle)) is not None

    def _forget(self, media_id: str, bundle: str) -> int:
        sql = "DELETE FROM embeddings WHERE media_id = ? AND bundle = ? RETURNING 1"
        return len(self._db.execute(sql, (media_id, bundle)))


def _done(database: Database, bundle: str) -> dict[str, Any] | None:
    """What ``finish`` wrote down, if it was for this bundle."""
    row = database.one("SELECT value FROM meta WHERE key = ?", (_KEY,))
    found: dict[str, Any] = json.loads(row[0]) if row else {}
    return found if found.get("bundle") == bundle else None


def _counts(database: Database, bundle: str) -> tuple[int, int]:
    """Images on record, and those with vectors of a bundle."""
    row = database.one(
        "SELECT (SELECT COUNT(*) FROM media), (SELECT COUNT(*) FROM embeddings "
        "INDEXED BY embeddings_of_images WHERE bundle = ? AND ordinal = 0)",
        (bundle,),
    )
    return (int(row[0]), int(row[1])) if row else (0, 0)
