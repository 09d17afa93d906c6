"""glibc's allocator, told to keep one arena for all threads, and nothing in it that is as large as an image.

Otherwise each thread gets an arena of its own, and buffers of images share it with what lives longer. glibc
gives back only what is free above the last allocation, so buffers leave gaps: of an arena of 125 to 150 MB
53 MB were in use, never more, and chance made the rest grow, by 18 MiB an hour in a soak. So whatever is as
large as an image's buffers is mapped by itself, and goes when it is freed.

Models are why that costs next to nothing: ONNX Runtime plans what a run needs as one piece
(`enable_mem_pattern`), instead of mapping every tensor. Two workers over 60 real images, 300 times, without
the rest of the service; own memory, mean and most, and the arena's size at the end:

| ONNX Runtime's plan | mapped from | mean, MiB | most, MiB | arena, MiB | CPU, ms an image |
| --- | --- | --- | --- | --- | --- |
| no | 4 MiB | 160 | 188 | 132 | 34.1 |
| no | 1 MiB | 125 | 143 | 86 | 42.7 |
| yes | 1 MiB | 134 | 157 | 86 | 32.7 |
| yes | 256 KiB | 118 | 140 | 35 | 33.9 |
| yes | 128 KiB | 114 | 138 | 27 | 36.1 |

The daemon's own memory between images was 92 MiB from the 700th to the 3,300th image, its arena 43 to 44 MiB.
"""

from __future__ import annotations

import ctypes
import sys

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 256 * 1024


def tame_malloc() -> bool:
    """Use one arena, and map large buffers by themselves; False where the C library can't (musl)."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_ARENA_MAX, 1) == 1 and mallopt(_M_MMAP_THRESHOLD, _LARGE) == 1)
