"""Small pictures of images on record: of the original while it is there, else the kept snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from edge.errors import ImageError
from edge.service.sheet import thumbnail
from edge.settings import Settings
from edge.store.database import Database
from edge.store.pictures import recorded
from edge.vision.crops import Corners
from edge.vision.decode import Pixels


class Thumbnails:
    """Small pictures, people blurred if the settings say so.

    Args:
        database: with the images.
        settings: limits, and whether people are made unrecognisable.
        path_of: from a file's name on record to where it lies.
        folder: in which snapshots are.
    """

    def __init__(
        self, database: Database, settings: Settings, path_of: Callable[[str], Path], folder: Path
    ) -> None:
        self._db = database
        self._settings = settings
        self._path_of = path_of
        self._folder = folder

    def __call__(self, media_id: str) -> Pixels | None:
        """The picture; None if it isn't there any more, or is another one by now.

        A file under the same name is only shown if its content is that of the record: the boxes of people
        belong to that content.
        """
        about = recorded(self._db, media_id)
        if about is None:
            return None
        most = self._settings.intake.max_bytes
        data = _read(self._path_of(about.file), most)
        if data is not None and media_id == f"sha256:{hashlib.sha256(data).hexdigest()}":
            people = [_corners(d.box) for d in about.detections if d.kind == "person"]
            return self._small(data, people if self._settings.vision.blur_people else [])
        kept = _read(self._folder / about.snapshot, most) if about.snapshot else None
        return self._small(kept, []) if kept is not None else None

    def _small(self, data: bytes, people: list[Corners]) -> Pixels | None:
        try:
            return thumbnail(data, people, self._settings.intake.max_pixels)
        except ImageError:  # what was whole once is damaged now: as good as gone
            return None


def _read(path: Path, most: int) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= most else None
    except OSError:
        return None


def _corners(box: tuple[float, float, float, float]) -> Corners:
    left, top, width, height = box
    return (left, top, left + width, top + height)
