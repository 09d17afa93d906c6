"""Processes that tests start: whatever a test does, they end with it, and are waited for.

A child that is left when a test fails would live on beside the next tests, and Python would complain of it
in whichever of them happens to run when its ``Popen`` is collected.
"""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any, Final, TypeVar

P = TypeVar("P", bound="subprocess.Popen[Any]")

GRACE: Final = 15.0
"""Seconds that all of them together may take for an orderly end; the daemon promises 10."""

_children: Final[list[subprocess.Popen[Any]]] = []


def minded(process: P) -> P:
    """Have a process ended and waited for when the test is over, unless it was before; returns it."""
    _children.append(process)
    return process


def end_all() -> None:
    """End what still runs, in order (SIGTERM) or, where that takes too long, at once; wait for each."""
    running = [child for child in _children if child.poll() is None]
    for child in running:
        child.terminate()
        child.send_signal(signal.SIGCONT)  # one that a test has stopped hears nothing else
    deadline = time.monotonic() + GRACE
    for child in running:
        _end(child, deadline)
    for child in _children:
        _close_pipes(child)
    _children.clear()


def _end(child: subprocess.Popen[Any], deadline: float) -> None:
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _close_pipes(child: subprocess.Popen[Any]) -> None:
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
