"""Looks at one image in a process of its own, so that what kills it kills nothing else.

Run as ``python -m edge.service.probe BUNDLE FILE MAX_PIXELS``. Exit code 0: the image may be good or bad, but the
process lived to tell.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TIMEOUT = 300.0


def survives(bundle: Path, image: Path, max_pixels: int) -> bool:
    """Whether a process that looks at this image lives to tell."""
    command = [sys.executable, "-m", "edge.service.probe", str(bundle), str(image), str(max_pixels)]
    try:
        finished = subprocess.run(command, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return finished.returncode == 0
