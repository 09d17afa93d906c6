"""glibc's allocator, told to keep one arena for all threads and to give back what it doesn't need.

Otherwise each thread gets an arena of its own, what images leave behind stays in it, and the threshold above
which buffers are returned grows with them. The daemon's peak over 73 real images with two workers was 299 MB
with a threshold of 16 MB, 230 MB with 4 MB, and 215 MB with 1 MB, which costs a sixth more CPU time.

Buffers below the threshold leave gaps between what lives longer, and by itself glibc gives back only what is
free above the last allocation: of 125 to 145 MB that the arena had, 53 MB were in use, always the same, and
the gaps held the rest, more or less of it as chance would have it. So the gaps are given back now and then.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 4 * 1024 * 1024


def tame_malloc() -> bool:
    """Use one arena, and map large buffers by themselves; False where the C library can't (musl)."""
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_M_ARENA_MAX, 1) == 1 and mallopt(_M_MMAP_THRESHOLD, _LARGE) == 1)


def give_back() -> bool:
    """Give every page that is free back to the system, between others too; False where nothing was.

    Takes milliseconds, during which other threads wait for the allocator, but not for Python's lock.
    """
    malloc_trim = _of_glibc("malloc_trim")
    return malloc_trim is not None and bool(malloc_trim(0))


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where there is none of this name."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
