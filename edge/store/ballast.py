"""A file that holds space in reserve: on a full disk even an update fails, and giving it up helps."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.errors import StoreError
from edge.store.files import NO_SPACE, free_space

NAME: Final = "ballast"


class Ballast:
    """Thread-safe.

    Args:
        state: the state folder.
        size: bytes; 0 keeps none.
        spare: bytes that must stay free beside it for it to be taken up again.
    """

    def __init__(self, state: Path, size: int, spare: int) -> None:
        self._path = state / NAME
        self._size = size
        self._spare = spare
        self._lock = threading.Lock()

    @property
    def held(self) -> bool:
        """Whether the reserve is there in full; True where none is wanted."""
        return not self._size or self._found() >= self._size

    def give_up(self) -> bool:
        """Free the space; returns whether there was any."""
        with self._lock:
            if not self._found():
                return False
            with suppress(FileNotFoundError):
                self._path.unlink()
            return True

    def take_up(self) -> bool:
        """Reserve the space if it isn't and there is enough; returns whether it is reserved now.

        Raises:
            StoreError: the disk refuses for another reason than want of space.
        """
        with self._lock:
            found = self._found()
            if not self._size:
                self._path.unlink(missing_ok=True)
                return True
            if found >= self._size:
                return True
            if free_space(self._path.parent) < self._size - found + self._spare:
                return False
            return self._allocate()

    def _found(self) -> int:
        """Bytes that it really holds: blocks, not what its length says."""
        try:
            return self._path.stat().st_blocks * 512
        except OSError:
            return 0

    def _allocate(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            if error.errno in NO_SPACE:
                return False
            raise StoreError("ballast can't be made", subject=str(self._path), hint=str(error)) from error
        return True
