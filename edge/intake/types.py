"""The values that pass through intake, and what it needs of the store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

TimeSource = Literal["exif", "filename", "mtime"]

NS_PER_MS = 1_000_000

# A database's integers are signed; inode numbers aren't, and a damaged file system has times beyond 2262.
_SIGNED_64 = 2**63 - 1


class Version(Protocol):
    """What of a stat tells one version of a file from another."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def mtime_ns(self) -> int:
        """Last modification, ns since 1970."""
        ...


class FileStat(NamedTuple):
    """What the file system says of a file: a cache of its identity, never the identity itself.

    Attributes:
        device: number of the file system; may change with every boot.
        inode: may change while the file doesn't, on FAT and FUSE; without its highest bit.
        size: bytes.
        mtime_ns: last modification, ns since 1970 by the clock of whoever wrote it; within 64 bits.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, result: os.stat_result) -> FileStat:
        """The four of interest from a stat call."""
        mtime_ns = result.st_mtime_ns
        if not -_SIGNED_64 <= mtime_ns <= _SIGNED_64:
            mtime_ns = _SIGNED_64 if mtime_ns > 0 else -_SIGNED_64
        return cls(result.st_dev, result.st_ino & _SIGNED_64, result.st_size, mtime_ns)

    def same_version(self, other: Version) -> bool:
        """Whether two sightings under one path are taken for the same bytes: size and mtime are equal."""
        return self.size == other.size and self.mtime_ns == other.mtime_ns


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that stood still for long enough to be looked at.

    It keeps the shared root and one string instead of a ``Path`` of its own: a backlog holds 100,000 of them.

    Attributes:
        root: the drop folder.
        name: path below it, ``/`` between parts, exactly as the system gives it (bytes that aren't UTF-8
            are surrogates).
        stat: at which it stood still.
    """

    root: Path
    name: str
    stat: FileStat

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.root / self.name

    @property
    def file(self) -> str:
        r"""Its name in the ledger and in messages: always valid UTF-8, other bytes written as ``\xNN``."""
        return printable(self.name)


class Ledger(Protocol):
    """What intake asks of the store."""

    def known_in(self, folder: str, names: Sequence[str]) -> Mapping[str, Version]:
        """Which files directly in a folder (relative, ``""`` is the drop folder) have a settled fate.

        Names are without their folder, as in the last part of `Candidate.file`; the answer has only such.
        """
        ...


class Camera(NamedTuple):
    """What EXIF says of the camera; empty where it says nothing."""

    make: str = ""
    model: str = ""
    serial: str = ""


class FileNumber(NamedTuple):
    """A camera's running number in a file name.

    Attributes:
        sequence: folder and name without the number; numbers are compared only within one.
        number: 0 and up.
        modulus: the counter starts again before this one.
    """

    sequence: str
    number: int
    modulus: int


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a candidate from its name, its stat and its header.

    Attributes:
        candidate: the file.
        deployment: its camera, usable as one level of an MQTT topic.
        taken_ms: event time, ms UTC, clock offset applied.
        nanos: the rest below a millisecond, 0 to 999,999 ns; it only orders.
        offset_minutes: of the camera's local time from UTC, for display.
        time_source: where the time comes from.
        clock_ok: False where the time can't be right.
        number: the camera's running number, None if the name has none.
        camera: make, model and serial number.
        notes: for people: why the clock is in doubt, why EXIF couldn't be used.
    """

    candidate: Candidate
    deployment: str
    taken_ms: int
    nanos: int
    offset_minutes: int
    time_source: TimeSource
    clock_ok: bool
    number: FileNumber | None = None
    camera: Camera = field(default_factory=Camera)
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[int, int, str]:
        """Event time, sub-second, file name."""
        return self.taken_ms, self.nanos, self.candidate.name


class Frame(NamedTuple):
    """The frame header of a JPEG image.

    Attributes:
        width: pixels.
        height: pixels.
        precision: bits per sample.
        components: 1 grey, 3 colour, 4 CMYK.
    """

    width: int
    height: int
    precision: int
    components: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """A whole file.

    Attributes:
        data: every byte of it.
        media_id: ``sha256:`` and the hash of ``data`` in hexadecimal.
        frame: the image's size as its header says.
    """

    data: bytes
    media_id: str
    frame: Frame


def printable(name: str) -> str:
    r"""A file name as valid UTF-8: bytes that aren't are written as ``\xNN``."""
    if name.isascii():
        return name
    return os.fsencode(name).decode("utf-8", "backslashreplace")
