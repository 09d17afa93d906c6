"""Memory of images that were looked at goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

BUFFERS = """
import ctypes
from pathlib import Path
from edge.service.memory import tame_malloc

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
assert tame_malloc()
before, buffers = resident(), []
for size in [300_000, 1_000_000, 3_000_000] * 20:
    buffers.append(libc.malloc(size))
    ctypes.memset(buffers[-1], 1, size)
    lasting = libc.malloc(50_000)
    ctypes.memset(lasting, 1, 50_000)
held = resident() - before
for buffer in buffers:
    libc.free(buffer)
print(held, resident() - before)
"""
"""Buffers of images with what lives longer between them: pages before and after the buffers are freed."""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="the C library isn't glibc",
)
def test_buffers_of_images_leave_no_gaps() -> None:
    """Only what lives longer stays: 3 MB of 89."""
    answer = subprocess.run([sys.executable, "-c", BUFFERS], capture_output=True, text=True, check=True)
    held, kept = map(int, answer.stdout.split())
    assert held > 20_000
    assert kept < 1_500
