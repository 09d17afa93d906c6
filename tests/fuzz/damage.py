"""Damage to bytes: what wear, bad cables, bad luck and bad people do to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import strategies as st

Edit: TypeAlias = tuple[str, int, bytes]
_KINDS = ("flip", "set", "insert", "cut", "remove", "zero", "repeat", "splice")
_LONGEST = 64


def damaged(
    originals: Sequence[bytes], words: Sequence[bytes] = (), most: int = 6
) -> st.SearchStrategy[bytes]:
    """One of the originals with up to so many edits.

    Args:
        originals: at least one.
        words: what has a meaning in this format; put in more often than chance would.
        most: edits.
    """
    some = st.binary(max_size=8)
    piece = st.one_of(some, st.sampled_from(list(words))) if words else some
    edit = st.tuples(st.sampled_from(_KINDS), st.integers(0, 1 << 20), piece)
    return st.builds(
        lambda which, edits: _all(originals, which, edits),
        st.integers(0, len(originals) - 1),
        st.lists(edit, max_size=most),
    )


def _all(originals: Sequence[bytes], which: int, edits: Sequence[Edit]) -> bytes:
    data = originals[which]
    for kind, place, piece in edits:
        data = _one(data, kind, place, piece, originals)
    return data


def _one(data: bytes, kind: str, place: int, piece: bytes, originals: Sequence[bytes]) -> bytes:
    at = place % (len(data) + 1)
    size = place % _LONGEST
    other = originals[place % len(originals)]
    middle, after = {
        "flip": (bytes(b ^ (1 << place % 8) for b in data[at : at + 1]), data[at + 1 :]),
        "set": (piece, data[at + len(piece) :]),
        "insert": (piece, data[at:]),
        "cut": (b"", b""),
        "remove": (b"", data[at + size :]),
        "zero": (b"\0" * min(size, len(data) - at), data[at + size :]),
        "repeat": (data[at : at + size] * (place % 7), data[at + size :]),
        "splice": (b"", other[place % (len(other) + 1) :]),
    }[kind]
    return data[:at] + middle + after
