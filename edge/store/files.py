"""Files beside the database: after a power cut there is the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge.errors import DiskFullError, StoreBusyError, StoreError

LOCK: Final = "edge.lock"
# `edge status` holds the lock for an instant to see whether anybody has it; that is no other daemon.
_LOOKS: Final = 5
_LOOK_PAUSE: Final = 0.05
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


def write_durably(path: Path, data: bytes) -> None:
    """Temp file, fsync, rename, fsync of the folder; several writers of one path don't meet.

    Raises:
        DiskFullError: there is no space for it; nothing is left behind.
        StoreError: the disk refused.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, data)
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        kind = DiskFullError if error.errno in NO_SPACE else StoreError
        raise kind("file can't be written", subject=str(path), hint=str(error)) from error


def keep_durably(written: Path, path: Path) -> None:
    """Give a file that is written to its end its name: fsync, rename, fsync of the folder.

    Raises:
        StoreError: the disk refused.
    """
    try:
        descriptor = os.open(written, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        written.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        kind = DiskFullError if error.errno in NO_SPACE else StoreError
        raise kind("file can't be written", subject=str(path), hint=str(error)) from error


def make_private(path: Path) -> None:
    """Make an empty file that only the owner of its folder may read; SQLite's log takes after it.

    Made by root it is the folder's owner's too: the daemon has to read what root put there.

    Raises:
        OSError: it can't be made.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            with suppress(PermissionError):  # file systems of sticks know no owners
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
    finally:
        os.close(descriptor)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes into one that is nobody else's; not durable yet.

    Raises:
        DiskFullError: there is no space for it.
        StoreError: one of the two can't be read or written.
    """
    try:
        make_private(target)
        shutil.copyfile(source, target)
    except OSError as error:
        kind = DiskFullError if error.errno in NO_SPACE else StoreError
        raise kind("file can't be copied", subject=f"{source} to {target}", hint=str(error)) from error


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Make names that were given or taken in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> bytes:
    """A file that is named in the database.

    Raises:
        StoreError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError("file can't be read", subject=str(path), hint=str(error)) from error


def free_space(folder: Path) -> int:
    """Bytes that an ordinary user may still write in a folder.

    Raises:
        StoreError: it can't be asked.
    """
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise StoreError("disk can't be asked for space", subject=str(folder), hint=str(error)) from error


class StateLock:
    """One daemon for each state folder, by ``flock`` on a file in it.

    Args:
        state: the folder.
        name: of the file.
        busy: what to say where another process has it.
    """

    def __init__(
        self, state: Path, name: str = LOCK, busy: str = "another edge daemon uses this state folder"
    ) -> None:
        self._path = state / name
        self._busy = busy
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            StoreBusyError: another daemon has it.
            StoreError: the folder can't be used.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            hint = "is it the service's? Then: sudo -u edge edge ..., or sudo edge ...; else choose another"
            raise StoreError(
                "this user may not write in the folder", subject=str(self._path.parent), hint=hint
            ) from error
        except OSError as error:
            raise StoreError(
                "folder can't be used", subject=str(self._path.parent), hint=str(error)
            ) from error
        for look in range(1, _LOOKS + 1):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if look == _LOOKS:
                    os.close(self._file)
                    self._file = None
                    hint = "stop it first, or give this one its own folder with --state"
                    raise StoreBusyError(
                        self._busy,
                        subject=str(self._path.parent),
                        hint=hint if self._path.name == LOCK else "wait until it is done",
                    ) from error
                time.sleep(_LOOK_PAUSE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
