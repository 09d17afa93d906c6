"""People's corrections once more, beside the database: those that no backup has aren't lost with it.

``corrections.jsonl`` has a line of JSON for each correction, or each part of a large one: when, by whom, and
for every image what is true from then on. Images are named by their content and values are absolute, so that
it doesn't matter on which backup they are put, how often, or whether an image has to be found again first.
The last line about an image counts.

A line is on the disk before its correction is committed; one whose commit failed may stay. It is written, and
the file rewritten, only within a transaction of the database: that keeps processes apart. A line with a wrong
check sum, such as half a one, is passed over.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge.errors import DiskFullError, StoreError
from edge.store.corrections import Retimed
from edge.store.files import NO_SPACE, keep_durably, make_private, sync_folder

JOURNAL: Final = "corrections.jsonl"
_SMALL: Final = 256 * 1024
"""Bytes; a file so small isn't worth rewriting."""
_SLACK: Final = 2


class Said(NamedTuple):
    """A person's word on an image: a label (None: an animal that nobody can name) and how many; 0: none."""

    label: str | None
    number: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        made: when, ms UTC by the device's clock.
        made_by: the system's user.
        labels: by image; None: the models' word counts again.
        times: by image.
    """

    made: int
    made_by: str
    labels: Mapping[str, Said | None]
    times: Mapping[str, Retimed]


class Journal:
    """Reads and writes the file.

    Args:
        state: the folder of the database.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / JOURNAL

    def append(self, entry: Entry) -> None:
        """Add a line, durably; within the transaction of what it tells of, and at its end.

        Raises:
            DiskFullError: there is no space for it.
            StoreError: the disk refused.
        """
        line = _line(entry)
        try:
            if not self._path.exists():
                make_private(self._path)
                sync_folder(self._path.parent)
            with self._path.open("rb+") as file:
                end = file.seek(0, os.SEEK_END)
                if end and (file.seek(end - 1), file.read(1))[1] != b"\n":
                    line = b"\n" + line  # half a line of a power cut: what follows is one of its own
                file.seek(end)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._refused("correction can't be kept", error) from error

    def entries(self) -> list[Entry]:
        """Every line that can be read, in order.

        Raises:
            StoreError: the disk refused.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._refused("corrections can't be read", error) from error
        return [entry for line in data.split(b"\n") if (entry := _parsed(line)) is not None]

    def size(self) -> int:
        """Bytes; it changes with every line."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._refused("corrections can't be read", error) from error

    def shorten(self) -> bool:
        """Rewrite it without what a later line makes void, if that halves it; within a transaction.

        So its size is bounded by the number of images that were ever corrected.

        Returns:
            whether it was rewritten.

        Raises:
            DiskFullError: there is no space; the file is as it was.
            StoreError: the disk refused.
        """
        if self.size() < _SMALL:
            return False
        data = b"".join(map(_line, in_force(self.entries())))
        if len(data) * _SLACK > self.size():
            return False
        shorter = self._path.with_name(f".{JOURNAL}.new")
        try:
            shorter.unlink(missing_ok=True)
            make_private(shorter)
            shorter.write_bytes(data)
        except OSError as error:
            raise self._refused("corrections can't be kept", error) from error
        keep_durably(shorter, self._path)
        return True

    def _refused(self, what: str, error: OSError) -> StoreError:
        kind = DiskFullError if error.errno in NO_SPACE else StoreError
        return kind(what, subject=str(self._path), hint=str(error))


def in_force(entries: Iterable[Entry]) -> list[Entry]:
    """What no later line makes void, in order. Pure."""
    told: set[tuple[str, str]] = set()
    kept = []
    for one in reversed(list(entries)):
        labels = {m: said for m, said in one.labels.items() if ("label", m) not in told}
        times = {m: time for m, time in one.times.items() if ("clock", m) not in told}
        told |= {("label", m) for m in labels} | {("clock", m) for m in times}
        if labels or times:
            kept.append(Entry(one.made, one.made_by, labels, times))
    return kept[::-1]


def _line(one: Entry) -> bytes:
    body = {
        "made": one.made,
        "by": one.made_by,
        "labels": one.labels,
        "times": {m: time[1:] for m, time in one.times.items()},
    }
    return json.dumps({**body, "crc": _crc(body)}, separators=(",", ":")).encode() + b"\n"


def _crc(body: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(body, separators=(",", ":")).encode())


def _parsed(line: bytes) -> Entry | None:
    """What a line says; None of one that isn't as it was written."""
    try:
        body = json.loads(line)
        if body.pop("crc") != _crc(body):
            return None
        labels = {m: None if said is None else Said(*said) for m, said in body["labels"].items()}
        times = {m: Retimed(m, *time) for m, time in body["times"].items()}
        return Entry(body["made"], body["by"], labels, times)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
