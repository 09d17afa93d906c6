"""Inotify watches on folders, and what their events mean for intake.

Events are hints: they say where to look, and losing any of them loses no file (see
docs/decisions/0130-the-scan-is-the-truth.md).
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from inotify_simple import INotify, flags

HintKind = Literal["file", "folder", "overflow", "lost"]

_MASK = (
    flags.CLOSE_WRITE | flags.MOVED_TO | flags.MOVED_FROM | flags.CREATE | flags.ONLYDIR | flags.EXCL_UNLINK
)
# inotify_init: too many instances or descriptors, no memory, no such call. Polling does without.
_NO_INSTANCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSYS})
# inotify_add_watch: fs.inotify.max_user_watches is reached, or no memory.
_NO_ROOM = frozenset({errno.ENOSPC, errno.ENOMEM})


class Hint(NamedTuple):
    """Something may have changed.

    Attributes:
        kind: a file or folder to look at; or that everything must be, since the kernel's queue ran over, or
            since the drop folder itself is gone, or a file system in it.
        name: path below the drop folder, for a file or folder.
    """

    kind: HintKind
    name: str = ""


class Watches:
    """Watches on folders below the drop folder.

    Attributes:
        limit_reached: the system had no room for a watch, or none for an inotify instance.
    """

    def __init__(self) -> None:
        self._folders: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._inotify: INotify | None = None
        self.limit_reached = False
        try:
            self._inotify = INotify()
        except OSError as error:
            if error.errno not in _NO_INSTANCE:
                raise
            self.limit_reached = True

    def __len__(self) -> int:
        return len(self._folders)

    def __contains__(self, folder: str) -> bool:
        return folder in self._numbers

    def fileno(self) -> int | None:
        """To wait on; None without inotify."""
        return None if self._inotify is None else int(self._inotify.fileno())

    def close(self) -> None:
        """Removes all watches."""
        if self._inotify is not None:
            self._inotify.close()
        self._inotify = None
        self._folders.clear()
        self._numbers.clear()

    def add(self, folder: str, path: Path) -> bool:
        """Watches a folder, once, even if it was replaced or moved; False if that isn't possible now."""
        if self._inotify is None:
            return False
        try:
            number = self._inotify.add_watch(path, _MASK)
        except OSError as error:
            self.limit_reached = self.limit_reached or error.errno in _NO_ROOM
            return False
        self._remember(folder, number)
        return True

    def forget(self, folder: str) -> None:
        """Ends the watches on a folder and all below it; ``""`` is all of them."""
        prefix = f"{folder}/" if folder else ""
        below = [name for name in self._numbers if name == folder or name.startswith(prefix)]
        for name in below:
            self._remove(name)

    def read(self) -> Iterator[Hint]:
        """What happened since the last call; doesn't wait."""
        if self._inotify is None:
            return
        for event in self._inotify.read(timeout=0):
            if (hint := self._hint(event.wd, event.mask, event.name)) is not None:
                yield hint

    def _hint(self, number: int, mask: int, name: str) -> Hint | None:
        if mask & flags.Q_OVERFLOW:
            return Hint("overflow")
        if mask & flags.IGNORED:
            return Hint("lost") if self._ended(number) == "" else None
        if mask & flags.UNMOUNT:
            return Hint("lost")
        folder = self._folders.get(number)
        if folder is None:
            return None
        return self._inside(mask, f"{folder}/{name}" if folder else name)

    def _inside(self, mask: int, name: str) -> Hint | None:
        if not mask & flags.ISDIR:
            return Hint("file", name) if mask & (flags.CLOSE_WRITE | flags.MOVED_TO) else None
        if mask & flags.MOVED_FROM:
            # Its watches go with it, and would report under the old name.
            self.forget(name)
            return None
        return Hint("folder", name) if mask & (flags.CREATE | flags.MOVED_TO) else None

    def _remember(self, folder: str, number: int) -> None:
        if self._numbers.get(folder, number) != number:
            self._remove(folder)
        moved_from = self._folders.get(number, folder)
        if moved_from != folder:
            self._numbers.pop(moved_from, None)
        self._folders[number] = folder
        self._numbers[folder] = number

    def _remove(self, folder: str) -> None:
        number = self._numbers.pop(folder)
        self._folders.pop(number, None)
        if self._inotify is not None:
            # The kernel has removed it already if the folder is gone.
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(number)

    def _ended(self, number: int) -> str | None:
        """The folder that the kernel stopped watching, None if that was wanted."""
        folder = self._folders.pop(number, None)
        if folder is None or self._numbers.get(folder) != number:
            return None
        del self._numbers[folder]
        return folder
