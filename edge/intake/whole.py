"""Whether bytes are a whole JPEG file, and reading them (see docs/decisions/0132-what-is-whole.md)."""

from __future__ import annotations

import hashlib
import os
import stat

from edge.errors import NotAnImageError, NotWholeError
from edge.intake import jpeg
from edge.intake.header import open_file, unreadable
from edge.intake.types import Candidate, FileStat, Frame, Loaded
from edge.settings import IntakeSettings
from edge.sniff import name_of

# A tail of this many zeros was never written; fewer may be padding, or a cut that ends on a zero.
ZERO_TAIL = 16
# A colour image in progressive form takes some 10 scans, a hand-made one some 100. The format allows 2,646,
# each of which goes over the whole image again: 140 KB could keep a decoder busy for most of a minute.
MOST_SCANS = 200
# Metadata in 64 KB pieces, restarts left out: thousands are more than any camera or editor writes.
MOST_SEGMENTS = 10_000
_MAGIC = jpeg.SOI + b"\xff"
_FRAME_HEADER = 6


def load(candidate: Candidate, settings: IntakeSettings) -> Loaded:
    """Reads a file, once, and makes sure that it is a whole JPEG image.

    Raises:
        GoneError: the file isn't there any more.
        NotWholeError: it is empty, cut, still being written, or has a tail of zeros; it may yet become whole.
        NotAnImageError: it will never be an image that is taken: something else, too large, damaged.
        IntakeError: it can't be read.
    """
    data = read(candidate, settings.max_bytes)
    frame = check(data, settings.max_pixels, subject=candidate.file)
    return Loaded(data, f"sha256:{hashlib.sha256(data).hexdigest()}", frame)


def check(data: bytes, max_pixels: int, *, subject: str = "") -> Frame:
    """The frame header of a whole JPEG file.

    Whole means that, stepping from segment to segment, an end-of-image marker is reached; it needn't be the
    last of the file, since cameras append zeros, data of their own or further pictures.

    Args:
        data: the bytes of a file.
        max_pixels: width times height at most.
        subject: the file's name, for errors.

    Raises:
        NotWholeError: there is no end of image.
        NotAnImageError: it isn't JPEG, is damaged, too large, or made to keep a decoder busy.
    """
    if not data.startswith(_MAGIC):
        raise _no_jpeg(data, subject)
    frame: Frame | None = None
    scans = 0
    for number, segment in enumerate(jpeg.segments(data)):
        if segment.end > len(data) or segment.start > len(data):
            break
        if segment.end < segment.start:
            what = f"damaged: the segment at byte {segment.start} has an impossible length"
            raise _damaged(data, segment.start, what, subject)
        if segment.is_frame and frame is None:
            frame = _frame(data, segment, subject)
            _check_size(frame, max_pixels, subject)
        scans += segment.marker == jpeg.SOS
        if scans > MOST_SCANS or number >= MOST_SEGMENTS:
            raise NotAnImageError(_too_many(scans), subject=subject)
        if segment.marker == jpeg.EOI:
            return _complete(frame, scanned=scans > 0, subject=subject)
    raise _cut(data, subject)


def read(candidate: Candidate, max_bytes: int) -> bytes:
    """Every byte of a file, of whatever kind, that doesn't change meanwhile.

    Raises:
        GoneError: the file isn't there any more.
        NotWholeError: it isn't the one that was listed, or is still changing.
        NotAnImageError: it is no regular file, or larger than allowed.
        IntakeError: it can't be read.
    """
    descriptor = open_file(candidate)
    with os.fdopen(descriptor, "rb") as file:
        try:
            before = os.fstat(descriptor)
            _check_file(before, max_bytes, candidate.file)
            data = file.read(before.st_size + 1)
            after = candidate.path.stat(follow_symlinks=False)
        except OSError as error:
            raise unreadable(candidate, error) from error
    still = FileStat.of(before).same_version(candidate.stat) and FileStat.of(after) == FileStat.of(before)
    if not still or len(data) != before.st_size:
        raise NotWholeError("the file is still changing", subject=candidate.file)
    return data


def _check_file(result: os.stat_result, max_bytes: int, subject: str) -> None:
    if not stat.S_ISREG(result.st_mode):
        raise NotAnImageError("not a regular file", subject=subject)
    if result.st_size > max_bytes:
        what = f"the file is too large: {result.st_size} bytes, at most {max_bytes} are taken"
        raise NotAnImageError(what, subject=subject, hint="raise intake.max_bytes if such files are expected")


def _no_jpeg(data: bytes, subject: str) -> NotWholeError | NotAnImageError:
    if not data:
        return NotWholeError("the file is empty", subject=subject)
    if not (written := data.rstrip(b"\0")):
        return NotWholeError(f"the file holds nothing but {len(data)} zero bytes", subject=subject)
    if _MAGIC.startswith(written):
        return _cut(data, subject)
    if not data[:ZERO_TAIL].rstrip(b"\0") and len(data) > ZERO_TAIL:
        return NotWholeError("the file begins with zeros: its start was never written", subject=subject)
    return NotAnImageError(f"not a JPEG image: the file holds {name_of(data)}", subject=subject)


def _cut(data: bytes, subject: str) -> NotWholeError:
    zeros = len(data) - len(data.rstrip(b"\0"))
    if zeros >= ZERO_TAIL:
        what = f"the file's tail was never written: its last {zeros} of {len(data)} bytes are zeros"
    else:
        what = f"the file is cut: it ends after {len(data)} bytes, before the end of its image"
    return NotWholeError(what, subject=subject)


def _damaged(data: bytes, after: int, what: str, subject: str) -> NotWholeError | NotAnImageError:
    """Damage that the file will keep, unless all that follows is zeros that were never written over."""
    if not data[after:].rstrip(b"\0"):
        return _cut(data, subject)
    return NotAnImageError(what, subject=subject)


def _frame(data: bytes, segment: jpeg.Segment, subject: str) -> Frame:
    header = data[segment.start : segment.end]
    if len(header) < _FRAME_HEADER:
        raise _damaged(data, segment.end, "damaged: the frame header is too short", subject)
    height, width = int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big")
    if not width or not height:
        raise _damaged(data, segment.end, "damaged: the image has no width or no height", subject)
    return Frame(width, height, header[0], header[5])


def _check_size(frame: Frame, max_pixels: int, subject: str) -> None:
    if frame.width * frame.height > max_pixels:
        what = (
            f"the image is too large: {frame.width} x {frame.height} pixels, at most {max_pixels} are taken"
        )
        raise NotAnImageError(
            what, subject=subject, hint="raise intake.max_pixels if such images are expected"
        )


def _too_many(scans: int) -> str:
    if scans > MOST_SCANS:
        return f"the image is drawn in too many turns: more than {MOST_SCANS} scans"
    return f"the file falls into too many parts: more than {MOST_SEGMENTS} segments"


def _complete(frame: Frame | None, *, scanned: bool, subject: str) -> Frame:
    if frame is None or not scanned:
        raise NotAnImageError("damaged: the JPEG file holds no image data", subject=subject)
    return frame
