"""Where a command that only looks keeps what it computed once."""

from __future__ import annotations

import os
from pathlib import Path


def cache_of(state: Path) -> Path:
    """The state folder's cache, or the person's own where that can't be written: classifying needs no site.

    Args:
        state: the state folder; needn't exist.

    Returns:
        a folder, which is made by whoever writes to it.
    """
    cache = state / "cache"
    if os.access(cache if cache.is_dir() else state, os.W_OK | os.X_OK):
        return cache
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "edge"
