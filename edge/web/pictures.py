"""Small pictures of images on record, made when they are first asked for.

People are made unrecognisable unless the settings say otherwise. What is sent has no metadata. The bytes of
an original count only if they still are the image's; one that is gone is stood in for by its snapshot.

One thread of its own makes them, so that a page of pictures waits for no search, and takes no more than one
core. What was made is kept in memory, up to a limit: browsers keep pictures for good, and a cache on disk
would wear the card for little.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import cv2
import numpy as np
import simplejpeg

from edge.errors import ImageError, TooBusyError
from edge.settings import Settings
from edge.store.browsing import Pictured, paths, picture
from edge.store.database import Database, open_readonly
from edge.vision.blur import blur
from edge.vision.decode import Pixels, decode, read_header, reduction

SMALL: Final = 320
LARGE: Final = 960
WIDTHS: Final = (SMALL, LARGE)
_QUALITY: Final = 80
_KEPT: Final = 24 * 1024 * 1024
_WAITING: Final = 256


@dataclass(frozen=True, slots=True)
class Small:
    """A picture to send: JPEG bytes, and the version that its address should have had."""

    jpeg: bytes
    version: str


def version(pictured: Pictured, *, blurred: bool) -> str:
    """What a picture's address changes with: where people are in it, and whether they are blurred."""
    people = [d.box for d in pictured.detections if d.kind == "person"] if blurred else []
    return hashlib.blake2b(repr((blurred and bool(people), people)).encode(), digest_size=4).hexdigest()


class Pictures:
    """Makes small pictures.

    Args:
        settings: where images are, and whether people are blurred.
        kept: bytes of pictures that are kept in memory.
        waiting: pictures that may be in line.
    """

    def __init__(self, settings: Settings, *, kept: int = _KEPT, waiting: int = _WAITING) -> None:
        self._settings = settings
        self._blurred = settings.web.blur_people
        self._cache = _Cache(kept)
        self._waiting = waiting
        self._line = 0
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    def ask(self, media_id: str, width: int) -> Future[Small | None]:
        """Have a picture made.

        Args:
            media_id: of an image on record.
            width: one of ``WIDTHS``, pixels; smaller images keep theirs.

        Returns:
            a future; its value is None where the image isn't on record, or neither it nor its snapshot can be
            shown any more. It raises StoreError where the database can't be read.

        Raises:
            TooBusyError: too many are waiting.
        """
        with self._lock:
            if self._line >= self._waiting:
                raise TooBusyError("too many pictures at once", hint="try again in a few seconds")
            self._line += 1
        try:
            asked = self._thread.submit(self._made, media_id, width)
        except RuntimeError as error:
            raise TooBusyError("the page is being stopped") from error
        asked.add_done_callback(self._left)
        return asked

    def stop(self) -> None:
        """End after the picture in hand; those that wait are cancelled."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _left(self, _: Future[Small | None]) -> None:
        with self._lock:
            self._line -= 1

    def _made(self, media_id: str, width: int) -> Small | None:
        database = open_readonly(self._settings.state)
        try:
            pictured = picture(database, media_id)
            if pictured is None:
                return None
            current = version(pictured, blurred=self._blurred)
            key = (media_id, width, current)
            jpeg = self._cache.get(key) or self._make(database, pictured, width)
        finally:
            database.close()
        if jpeg is None:
            return None
        self._cache.put(key, jpeg)
        return Small(jpeg, current)

    def _make(self, database: Database, pictured: Pictured, width: int) -> bytes | None:
        """From the snapshot where it is enough: it is decoded in a tenth of the time."""
        # Snapshots have people blurred as [vision] says, which may be more than [web] wants.
        enough = width <= SMALL and (self._blurred or not self._settings.vision.blur_people)
        makers = [self._from_snapshot, self._from_original]
        for make in makers if enough else reversed(makers):
            jpeg = make(database, pictured, width)
            if jpeg is not None:
                return jpeg
        return None

    def _from_snapshot(self, _: Database, pictured: Pictured, width: int) -> bytes | None:
        if not pictured.snapshot:
            return None
        data = _read(self._settings.state / pictured.snapshot, self._settings.vision.snapshot_bytes * 4)
        return None if data is None else self._scaled(data, pictured, width)

    def _from_original(self, database: Database, pictured: Pictured, width: int) -> bytes | None:
        for path in paths(database, pictured.media_id):
            data = _read(self._settings.drop / path, pictured.size)
            if data is not None and f"sha256:{hashlib.sha256(data).hexdigest()}" == pictured.media_id:
                return self._scaled(data, pictured, width)
        return None

    def _scaled(self, data: bytes, pictured: Pictured, width: int) -> bytes | None:
        """A JPEG of at most that width; None where it can't be decoded."""
        try:
            pixels = _decoded(data, width, self._settings.intake.max_pixels)
        except ImageError:
            return None  # an answer too: the caller takes the next source
        if self._blurred:
            for found in pictured.detections:
                if found.kind == "person":
                    x, y, w, h = found.box
                    blur(pixels, (x, y, x + w, y + h))
        return bytes(simplejpeg.encode_jpeg(pixels, _QUALITY, colorspace="RGB", colorsubsampling="420"))


def _decoded(data: bytes, width: int, max_pixels: int) -> Pixels:
    """HWC uint8 RGB, upright, at most that wide; decoded at a fraction of its size where that is enough."""
    header = read_header(data, max_pixels=max_pixels)
    full_width, full_height = header.upright_size
    scale = min(1.0, width / full_width)
    size = (max(1, round(full_width * scale)), max(1, round(full_height * scale)))
    swapped = (size[1], size[0]) if header.upright_size != (header.width, header.height) else size
    pixels = decode(data, header, reduction(header.width, header.height, *swapped))
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _read(path: Path, most: int) -> bytes | None:
    """A file's bytes; None where it is gone, can't be read, or is larger than it was."""
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError:
        return None
    return data if len(data) <= most else None


class _Cache:
    """Bytes by key, the least recently used go first. Used by one thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._found: OrderedDict[tuple[str, int, str], bytes] = OrderedDict()

    def get(self, key: tuple[str, int, str]) -> bytes | None:
        found = self._found.get(key)
        if found is not None:
            self._found.move_to_end(key)
        return found

    def put(self, key: tuple[str, int, str], value: bytes) -> None:
        self._held += len(value) - len(self._found.pop(key, b""))
        self._found[key] = value
        while self._held > self._most and len(self._found) > 1:
            self._held -= len(self._found.popitem(last=False)[1])
