"""What subscribers may know of a database that can't be opened any more, from its bytes.

Messages lie in the outbox as they were sent, and the first 489 bytes at least of each lie in one piece
(SQLite's "Database File Format", section 1.6). They begin with everything that is asked here. Deleted ones
whose page wasn't used again are found too, which does no harm: of each registration only the last word
counts.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from edge.errors import StoreError
from edge.store.recovery import Stray

_TEXT: Final = rb'"(?:[^"\\\x00-\x1f]|\\.){0,300}"'
_SAID: Final = re.compile(
    rb'\{"schema":"edge\.registration/1","device":' + _TEXT + rb',"epoch":' + _TEXT + rb',"seq":\d{1,19},'
    rb'"change":"(?P<change>[a-z]+)","registration_id":(?P<id>'
    + _TEXT
    + rb'),"revision":(?P<revision>\d{1,15}),'
    rb'"state":"[a-z]+","superseded_by":(?:null|'
    + _TEXT
    + rb'),"deployment":(?P<deployment>'
    + _TEXT
    + rb"),"
    rb'"label":(?P<label>'
    + _TEXT
    + rb'),"scientific_name":(?:null|'
    + _TEXT
    + rb'),"count":(?P<count>\d{1,9}),'
    rb'"start":"(?P<start>[^"]{10,40})","end":"(?P<end>[^"]{10,40})"'
    rb'(?:[^\x00-\x1f]{0,1500}?"media":\[\{"media_id":"(?P<media>[^"\\\x00-\x1f]{1,100})")?'
)


@dataclass(frozen=True, slots=True)
class Salvage:
    """What was said.

    Attributes:
        revision: the greatest that was found; 0 if none.
        living: of each registration whose last word isn't that it is retracted, that word.
    """

    revision: int
    living: tuple[Stray, ...]


def salvage(paths: Iterable[Path]) -> Salvage:
    """Look through files for messages about registrations.

    Args:
        paths: of a database and its log; no connection of this process may be open to them.

    Raises:
        StoreError: one can't be read.
    """
    last: dict[str, tuple[int, Stray | None]] = {}
    for path in paths:
        try:
            with path.open("rb") as stream:
                if path.stat().st_size:
                    _look_through(stream.fileno(), last)
        except OSError as error:
            raise StoreError("damaged database can't be read", subject=str(path), hint=str(error)) from error
    living = tuple(stray for _, stray in last.values() if stray is not None)
    return Salvage(max((revision for revision, _ in last.values()), default=0), living)


def _look_through(descriptor: int, last: dict[str, tuple[int, Stray | None]]) -> None:
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        for found in _SAID.finditer(content):
            try:
                stray, revision = _stray(found), int(found["revision"])
            except ValueError:  # text that isn't UTF-8, or a time that is none: damage
                continue
            if revision > last.get(stray.registration_id, (0, None))[0]:
                last[stray.registration_id] = (revision, None if found["change"] == b"retracted" else stray)


def _stray(found: re.Match[bytes]) -> Stray:
    return Stray(
        registration_id=str(json.loads(found["id"])),
        deployment=str(json.loads(found["deployment"])),
        label=str(json.loads(found["label"])),
        count=int(found["count"]),
        first_t=_ms(found["start"]),
        last_t=_ms(found["end"]),
        media_id=(found["media"] or b"").decode(),
    )


def _ms(text: bytes) -> int:
    return round(datetime.fromisoformat(text.decode()).timestamp() * 1000)
