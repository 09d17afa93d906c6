"""What the virtual cameras deliver: pictures that exist, each time with other bytes and another time."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from edge.demo.camera import picture
from edge.demo.story import STORY
from edge.testing import Manner, Shot

LARGEST = 1600
"""Pixels of the longer side: hours of full-size images fill a disk and tell nothing more."""
MOST = 120
_EXIF_IFD, _ORIGINAL, _OFFSET, _SUBSEC = 0x8769, 0x9003, 0x9011, 0x9291
_SOI, _APP1, _COM = b"\xff\xd8", b"\xff\xe1", b"\xff\xfe"
_BURST = (1, 2, 3, 3, 5)


class Picture(NamedTuple):
    """A JPEG without EXIF, in the two parts between which its time is put."""

    body: bytes


def load(folder: Path | None) -> list[Picture]:
    """JPEGs below a folder, large ones made smaller; the demo's images without one.

    Raises:
        SystemExit: there is none.
    """
    if folder is None:
        whole = [moment for moment in STORY if moment.arrival != "torn"]
        data = [picture(moment, date(2025, 6, 11)) for moment in whole]
    else:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        data = [path.read_bytes() for path in paths[:MOST]]
    if not data:
        raise SystemExit(f"no JPEG below {folder}")
    return [_plain(one) for one in data]


def _plain(data: bytes) -> Picture:
    """Encoded anew, which leaves out whatever its file said of time and camera."""
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((LARGEST, LARGEST))
        target = io.BytesIO()
        image.convert("RGB").save(target, "JPEG", quality=85)
    return Picture(target.getvalue().removeprefix(_SOI))


def stamped(source: Picture, taken: datetime, note: str) -> bytes:
    """The picture with a time and a comment: a file of its own, by content.

    Args:
        source: from :func:`load`.
        taken: aware.
        note: put into a comment, ASCII.
    """
    exif = Image.Exif()
    exif.get_ifd(_EXIF_IFD).update(
        {
            _ORIGINAL: f"{taken:%Y:%m:%d %H:%M:%S}",
            _OFFSET: "+00:00",
            _SUBSEC: f"{taken.microsecond // 1000:03}",
        }
    )
    segments = (_APP1, exif.tobytes()), (_COM, note.encode("ascii"))
    head = b"".join(marker + struct.pack(">H", len(data) + 2) + data for marker, data in segments)
    return _SOI + head + source.body


def shots(
    sources: Sequence[Picture], cameras: int, *, seed: int, began: datetime | None = None
) -> Iterator[Shot]:
    """Shots without end, the cameras in turns: bursts of one scene, pauses of random length between them.

    Event times begin a year ago, for they run much faster than the clock: registrations close all the time.

    Args:
        sources: what is to be seen.
        cameras: how many.
        seed: of the scenes, bursts and pauses.
        began: time of the first image; a year ago if not given.
    """
    start = began or datetime.now(UTC) - timedelta(days=365)
    rolls = [_roll(sources, f"cam-{number:02}", start, seed + number) for number in range(1, cameras + 1)]
    while True:
        for roll in rolls:
            yield next(roll)


def _roll(sources: Sequence[Picture], camera: str, start: datetime, seed: int) -> Iterator[Shot]:
    chance = random.Random(seed)
    taken, number = start, 0
    while True:
        scene = chance.choice(sources)
        for _ in range(chance.choice(_BURST)):
            number += 1
            data = stamped(scene, taken, f"{camera} {number}")
            folder = f"{camera}/{100 + number // 1000}EDGE"
            manner: Manner = "grow" if chance.random() < 0.1 else "rename"
            yield Shot(f"{folder}/IMG_{number % 10000:04}.JPG", data, manner=manner)
            taken += timedelta(milliseconds=chance.randrange(500, 4000))
        taken += timedelta(seconds=chance.expovariate(1 / 1200))
