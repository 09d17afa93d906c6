"""The files that images on record were read from, as long as they are still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from edge.store.requests import Kept


class Original(NamedTuple):
    """An image's bytes, and the path below the drop folder where they were found."""

    file: str
    data: bytes


def find_original(drop: Path, place: Kept, copies: Iterable[str]) -> Original | None:
    """Read an image on record again; None where it is gone, or isn't the same any more.

    Args:
        drop: the drop folder.
        place: where the image was taken in.
        copies: other files with the same content; any will do.
    """
    for file in (place.file, *copies):
        data = _content(drop / file, place)
        if data is not None:
            return Original(file, data)
    return None


def _content(path: Path, place: Kept) -> bytes | None:
    """A file's bytes, if they are still the image's."""
    try:
        with path.open("rb") as stream:
            data = stream.read(place.size + 1)
    except OSError:
        return None
    return data if f"sha256:{hashlib.sha256(data).hexdigest()}" == place.media_id else None
