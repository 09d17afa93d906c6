"""Where a command that only looks keeps what it computed once."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Final

_ROOM: Final = 4 * 1024 * 1024
"""Bytes that a few label sets' vectors take."""


def cache_of(state: Path) -> Path | None:
    """The state folder's cache, or the person's own where that can't be written: classifying needs no site.

    Args:
        state: the state folder; needn't exist.

    Returns:
        a folder, which is made by whoever writes to it; None if neither can be written, as with a service's
        account that has no home, or on a full disk.
    """
    cache, own = state / "cache", _own()
    if _is_open(cache if cache.is_dir() else state):
        return cache
    if own is None:
        return None
    there = next(folder for folder in (own, *own.parents) if folder.exists())
    return own if _is_open(there) else None


def passing_cache(owner: object) -> Path:
    """A new folder that goes when ``owner`` does, for who has no other."""
    folder = tempfile.mkdtemp(prefix="edge-")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _own() -> Path | None:
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(named) if named else Path("~/.cache").expanduser()).absolute() / "edge"
    except RuntimeError:  # a user that the system doesn't know
        return None


def _is_open(folder: Path) -> bool:
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return False
    return shutil.disk_usage(folder).free >= _ROOM
