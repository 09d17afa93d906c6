"""Whether a write-ahead log has lost commits that were on the disk. Pure: bytes in.

SQLite ends its reading at the first frame whose checksum doesn't fit, and says nothing. After a power cut
that is right: only the last commit can be torn, for each is synced before the next is written
(``synchronous=FULL``). Where more commits come after such a frame, it was on the disk once, and so were they.

Source: SQLite's "Database File Format", section 4, "The Write-Ahead Log".
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import Final

HEADER: Final = 32
_MAGIC: Final = (0x377F0682, 0x377F0683)
_WORD: Final = 0xFFFFFFFF
_TORN: Final = 1
"""Commits after a frame that doesn't fit which a power cut can explain: the one that it belongs to."""
_PAGE_SIZES: Final = tuple(2**power for power in range(9, 17))


def has_lost_commits(wal: bytes, page_size: int) -> bool:
    """Whether commits that were whole can't be read any more.

    Args:
        wal: the whole file.
        page_size: of its database, bytes; used where the log's own header is unreadable.
    """
    if len(wal) <= HEADER:
        return False
    salts, good = _readable(wal, page_size)
    size = _page_size(wal) or page_size
    commits = Counter(
        salt for salt, is_commit in _frames(wal, size, good) if is_commit and (salts is None or salt == salts)
    )
    return any(number > _TORN for number in commits.values())


def _readable(wal: bytes, page_size: int) -> tuple[bytes | None, int]:
    """The salts that frames have, None where the header is unreadable, and how many frames fit."""
    header = wal[:HEADER]
    magic = int.from_bytes(header[:4], "big")
    order = ">" if magic & 1 else "<"
    if magic not in _MAGIC or _sum(header[:24], order, (0, 0)) != struct.unpack(">II", header[24:]):
        return None, 0
    size, salts = _page_size(wal) or page_size, header[16:24]
    total = struct.unpack(">II", header[24:])
    good = 0
    for start in range(HEADER, len(wal) - 24 - size + 1, 24 + size):
        frame = wal[start : start + 24 + size]
        if frame[8:16] != salts:
            break
        total = _sum(frame[24:], order, _sum(frame[:8], order, total))
        if total != struct.unpack(">II", frame[16:24]):
            break
        good += 1
    return salts, good


def _frames(wal: bytes, size: int, skip: int) -> list[tuple[bytes, bool]]:
    """Salts of the frames after those, and whether each ends a commit."""
    found = []
    for start in range(HEADER + skip * (24 + size), len(wal) - 24 - size + 1, 24 + size):
        page, pages = struct.unpack(">II", wal[start : start + 8])
        found.append((wal[start + 8 : start + 16], 0 < page <= pages))
    return found


def _page_size(wal: bytes) -> int | None:
    size = int.from_bytes(wal[8:12], "big")
    return size if size in _PAGE_SIZES else None


def _sum(data: bytes, order: str, before: tuple[int, ...]) -> tuple[int, int]:
    """SQLite's checksum: two running sums over pairs of 32-bit words."""
    first, second = before
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for i in range(0, len(words), 2):
        first = (first + words[i] + second) & _WORD
        second = (second + words[i + 1] + first) & _WORD
    return first, second
