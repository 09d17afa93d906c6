"""Files of the index: whole or not there. What is in them can be made again: losing one is no loss."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from edge.errors import DiskFullError, SearchError

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
_TEMPORARY: Final = ".tmp"
_LOCK: Final = "lock"


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it gets its name, durably, when the block ends, and is removed if the block raises.

    Raises:
        DiskFullError: there is no space.
        SearchError: the disk refused.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with refusals(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with temporary.open("w+b") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.rename(path)
            _sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """What the operating system refuses, as our errors.

    Raises:
        DiskFullError: there is no space.
        SearchError: anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            hint = "free some space; nothing was lost"
            raise DiskFullError("no space for the index", subject=str(path), hint=hint) from error
        hint = error.strerror or ""
        raise SearchError("index can't be written", subject=str(path), hint=hint) from error


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Whether this is the only process that writes the index, as long as the block lasts.

    Raises:
        SearchError: the folder can't be used.
    """
    with refusals(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _taken(descriptor)
    finally:
        os.close(descriptor)


def tidy(folder: Path, used: frozenset[str]) -> None:
    """Remove what isn't used any more, and what a process that ended left behind. Under the lock only."""
    with refusals(folder):
        for path in folder.iterdir():
            if path.name not in used and path.name != _LOCK:
                path.unlink(missing_ok=True)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
