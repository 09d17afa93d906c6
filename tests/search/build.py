"""A small database for search: images with vectors, and registrations over them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.registration.types import Key, Observation, Registration
from edge.store.database import Database, open_database
from edge.store.media import Embedded, MediaRow, MediaStore
from edge.store.record import SqliteRecord

BUNDLE = "b" * 64
OTHER_BUNDLE = "c" * 64
MINUTE = 60_000
Float32 = npt.NDArray[np.float32]


def media_id(name: str) -> str:
    """The id of an image that is called so."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def unit(*numbers: float) -> Float32:
    """A direction: (len(numbers),) float32 of length 1."""
    vector = np.array(numbers, np.float32)
    scaled: Float32 = vector / np.linalg.norm(vector)
    return scaled


class Site:
    """Writes images and registrations as the daemon would."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.db: Database = open_database(state)
        self._media = MediaStore(self.db)
        self._record = SqliteRecord(self.db)
        self._opened = 0
        self.db.execute("INSERT INTO bundles VALUES (?, 'meadow'), (?, 'ridge')", (BUNDLE, OTHER_BUNDLE))

    def image(
        self,
        name: str,
        *vectors: Float32,
        camera: str = "cam-1",
        minute: int = 0,
        animal: str | None = "Fox",
        bundle: str = BUNDLE,
        night: bool | None = None,
    ) -> str:
        """Put one image on record, its first vector the whole image's; ``animal=""``: none in it."""
        identity = media_id(name)
        kinds = ["image", *["crop"] * len(vectors)]
        row = MediaRow(
            media_id=identity,
            file=f"{camera}/{name}.jpg",
            deployment=camera,
            taken=minute * MINUTE,
            offset_minutes=120,
            time_source="exif",
            clock_ok=True,
            size=1,
            width=1,
            height=1,
            bundle=bundle,
            received=0,
            night=night,
            embeddings=tuple(
                Embedded("image" if kind == "image" else "crop", vector.astype("<f2").tobytes())
                for kind, vector in zip(kinds, vectors, strict=False)
            ),
        )
        assert self._media.add(row)
        if animal != "":
            observed = Observation(camera, identity, minute * MINUTE, animal, 1, 900_000)
            assert self._record.add(observed)
        return identity

    def registration(
        self, identity: str, label: str, first: str, last: str, *, camera: str = "cam-1"
    ) -> None:
        """Put one living registration on record, from one image to another."""
        self._opened += 1
        self._record.put(self._registration(identity, label, camera, first, last))

    def retracted(self, identity: str, label: str, first: str, last: str, *, camera: str = "cam-1") -> None:
        """Put a registration on record that lives no more."""
        self._record.retract(self._registration(identity, label, camera, first, last))

    def _registration(self, identity: str, label: str, camera: str, first: str, last: str) -> Registration:
        return Registration(
            id=identity,
            deployment=camera,
            label=label,
            count=1,
            first=self._key(first),
            last=self._key(last),
            media_count=1,
            votes={},
            confidence=0,
            state="closed",
            revision=1,
            opened=self._opened,
        )

    def _key(self, name: str) -> Key:
        row = self.db.one("SELECT taken, media_id FROM media WHERE media_id = ?", (media_id(name),))
        assert row is not None
        return Key(*row)


def two_cameras(state: Path) -> Site:
    """Seven images of three numbers each: x is foxes, y badgers, z the empty meadow.

    cam-1: f1, f2, f3 are one registration of a fox, with the empty e1 between them; b1 of a badger.
    cam-2: f4 of a fox, and the empty e2.
    """
    site = Site(state)
    site.image("f1", unit(0.2, 0, 1), unit(1, 0, 0.1), minute=0)
    site.image("f2", unit(0.21, 0, 1), unit(1, 0, 0.2), minute=5)
    site.image("e1", unit(0.1, 0, 1), minute=7, animal="")
    site.image("f3", unit(0.22, 0, 1), unit(1, 0, 0.3), minute=9, animal=None)
    site.image("b1", unit(0, 0.2, 1), unit(0, 1, 0.1), minute=90, animal="Badger")
    site.image("f4", unit(0.23, 0, 1), unit(1, 0, 0.15), minute=4, camera="cam-2")
    site.image("e2", unit(0, 0.1, 1), minute=200, camera="cam-2", animal="")
    site.registration("r-fox", "Fox", "f1", "f3")
    site.registration("r-badger", "Badger", "b1", "b1")
    site.registration("r-fox-2", "Fox", "f4", "f4", camera="cam-2")
    return site


def names(files: Sequence[str]) -> list[str]:
    """Files as the names that the images were given."""
    return [Path(file).stem for file in files]
