"""glibc's allocator, told to keep one arena for all threads.

Otherwise each thread gets its own, and what images leave behind stays in it. A low trim threshold would save
more, and was measured to cost half of the throughput in page faults.
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8


def tame_malloc() -> bool:
    """Use one arena; False where the C library has no such knob (musl, macOS)."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_ARENA_MAX, 1) == 1)
