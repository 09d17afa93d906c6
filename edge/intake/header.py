"""A cheap look at the beginning of a file, for its EXIF fields."""

from __future__ import annotations

import os
from typing import NamedTuple

from edge.errors import GoneError, IntakeError
from edge.intake import exif, jpeg
from edge.intake.exif import Exif
from edge.intake.types import Candidate

# EXIF is the first or second segment and holds 64 KiB at most; its text fields mostly lie in the first 4 KiB.
FIRST_READ = 16 * 1024
LAST_READ = 192 * 1024


class Header(NamedTuple):
    """What the beginning of a file says.

    Attributes:
        exif: None if there is none, or it can't be read.
        note: for people: why EXIF can't be read; empty if it can, or if there is none.
    """

    exif: Exif | None
    note: str = ""


def read_header(candidate: Candidate) -> Header:
    """EXIF of a file; never reads more than its first 192 KiB, whatever it claims.

    Raises:
        GoneError: it isn't there any more.
        IntakeError: it can't be read.
    """
    descriptor = open_file(candidate)
    try:
        data = _read(descriptor, FIRST_READ, 0)
        if (wanted := _wanted(data)) > len(data) and len(data) == FIRST_READ:
            data += _read(descriptor, min(wanted, LAST_READ) - len(data), len(data))
    except OSError as error:
        raise unreadable(candidate, error) from error
    finally:
        os.close(descriptor)
    return parse_header(data)


def parse_header(data: bytes) -> Header:
    """EXIF in the first bytes of a JPEG file; other files have none."""
    if not data.startswith(jpeg.SOI):
        return Header(None)
    for segment in jpeg.segments(data):
        if segment.marker == jpeg.SOS:
            break
        if segment.marker == jpeg.APP1 and data.startswith(exif.PREFIX, segment.start):
            fields = exif.parse(data[segment.start + len(exif.PREFIX) : segment.end])
            return Header(fields) if fields else Header(None, "the EXIF data is damaged")
    return Header(None)


def open_file(candidate: Candidate) -> int:
    """A descriptor for reading; never follows a link, never waits on a pipe.

    Raises:
        GoneError: the file isn't there any more.
        IntakeError: it can't be opened.
    """
    try:
        return os.open(candidate.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(candidate, error) from error


def unreadable(candidate: Candidate, error: OSError) -> IntakeError:
    """The system's error as one of ours."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return GoneError("the file is gone", subject=candidate.file)
    hint = "check the permissions of the file and its folder" if isinstance(error, PermissionError) else ""
    return IntakeError(f"can't read the file: {error.strerror}", subject=candidate.file, hint=hint)


def _wanted(data: bytes) -> int:
    """Bytes from the start of the file that hold all of EXIF; 0 if there is none to be had."""
    end = 0
    if data.startswith(jpeg.SOI):
        for segment in jpeg.segments(data):
            if segment.marker == jpeg.SOS:
                return 0
            end = segment.end
            if segment.marker == jpeg.APP1 and data.startswith(exif.PREFIX, segment.start):
                return end
    # A long segment before EXIF: read on past it, far enough for what follows.
    return LAST_READ if end > len(data) else 0


def _read(descriptor: int, count: int, offset: int) -> bytes:
    return os.pread(descriptor, count, offset)
