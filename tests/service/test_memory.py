"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from edge.service import memory
from edge.service.memory import give_back, tame_malloc

PAGES = """
import ctypes, sys
from pathlib import Path
from edge.service.memory import give_back, tame_malloc

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
tame_malloc()
before = resident()
buffers = []
for _ in range(40):
    buffers.append(libc.malloc(1_000_000))
    ctypes.memset(buffers[-1], 1, 1_000_000)
lasting = libc.malloc(500_000)  # larger than any gap from before
for buffer in buffers:
    libc.free(buffer)
held = resident() - before
gave = give_back()
print(held, gave, resident() - before)
"""
"""Buffers below what lives on: sizes in pages while they are free, and after they were given back."""

glibc = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="the C library isn't glibc",
)


@glibc
def test_gaps_below_what_lives_on_are_given_back() -> None:
    """By itself the allocator keeps them: the process stays as large as it ever was."""
    answer = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, check=True)
    held, gave, kept = answer.stdout.split()
    assert gave == "True"
    assert int(held) > 9000
    assert int(kept) < 1000


def test_without_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another C library has neither call."""
    monkeypatch.setattr(memory, "_of_glibc", lambda _name: None)
    assert (tame_malloc(), give_back()) == (False, False)
