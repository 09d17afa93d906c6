"""From a card into the drop folder: whole files only, each content once.

A file is read once, into memory, for no camera's image is larger than ``intake.max_bytes``. Its hash tells
whether it is on record already, or lies in the drop folder. If not, it is written beside its place under a
hidden name, forced to the disk, and then renamed: intake never sees half of one, and after a power cut what
has its name is whole. Whoever imports the same card again goes on where it ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from edge.errors import DiskFullError, IntakeError, StoreBusyError, StoreError
from edge.service.cards.card import CardFile, Survey
from edge.store.files import NO_SPACE, free_space, sync_folder

Fate = Literal["new", "known", "refused"]
Told = Callable[[CardFile, Fate], None]

_TEMPORARY: Final = ".edge-import-"
_MODE: Final = 0o640
_MOST_FOLDERS: Final = 1000


@dataclass(slots=True)
class Result:
    """What became of a card's images.

    Attributes:
        new: files that were copied, or would be; ``size`` bytes of them.
        known: files whose content is on record, or in the drop folder.
        refused: files that couldn't be taken, with the reason.
        full: the disk had no room for the rest.
        stopped: whoever called wanted it to end.
    """

    new: int = 0
    known: int = 0
    size: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    full: bool = False
    stopped: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything on the card is safe, so that it may be wiped."""
        return not (self.refused or self.full or self.stopped)


@dataclass(frozen=True, slots=True)
class Copying:
    """One import.

    Attributes:
        card: folder that is imported.
        drop: the drop folder.
        deployment: the camera's folder in it.
        is_known: whether a content (``sha256:...``) is on record.
        max_bytes: larger files are refused, as intake would.
        reserve: bytes that stay free on the disk.
        dry_run: look, and write nothing.
        stopping: asked before each file.
    """

    card: Path
    drop: Path
    deployment: str
    is_known: Callable[[str], bool]
    max_bytes: int
    reserve: int = 0
    dry_run: bool = False
    stopping: Callable[[], bool] = lambda: False

    def run(self, found: Survey, told: Told = lambda _file, _fate: None) -> Result:
        """Import what a survey found.

        Raises:
            StoreBusyError: another import of this camera is under way.
            StoreError: the drop folder can't be written.
        """
        result = Result(refused=list(found.unreadable))
        if self.dry_run:
            self._all(found, result, told)
            return result
        self._prepare()
        with _alone(self._folder):
            _clean(self._folder)
            self._all(found, result, told)
        return result

    def _prepare(self) -> None:
        try:
            self._make(self._folder)
        except OSError as error:
            raise StoreError(
                "drop folder can't be written", subject=str(self._folder), hint=str(error)
            ) from error

    @property
    def _folder(self) -> Path:
        return self.drop / self.deployment

    def _all(self, found: Survey, result: Result, told: Told) -> None:
        seen: set[str] = set()
        for file in found.images:
            if self.stopping():
                result.stopped = True
                return
            try:
                fate = self._one(file, seen)
            except DiskFullError:
                result.full = True
                return
            except IntakeError as error:
                result.refused.append((file.name, error.what))
                told(file, "refused")
                continue
            result.new += fate == "new"
            result.size += file.size if fate == "new" else 0
            result.known += fate == "known"
            told(file, fate)

    def _one(self, file: CardFile, seen: set[str]) -> Fate:
        data, times = self._read(file)
        media_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if media_id in seen or self.is_known(media_id):
            return "known"
        seen.add(media_id)
        target = self._place(file.name, data)
        if target is None:
            return "known"
        if free_space(self.drop) - len(data) < self.reserve:
            raise DiskFullError("no room for more", subject=str(self.drop))
        if not self.dry_run:
            self._write(target, data, times)
        return "new"

    def _read(self, file: CardFile) -> tuple[bytes, tuple[int, int]]:
        """All of a file, and its times.

        Raises:
            IntakeError: it can't be read, is too large, or changed meanwhile.
        """
        if file.size > self.max_bytes:
            raise IntakeError(f"larger than {self.max_bytes} bytes", subject=file.name)
        try:
            with open(self.card / file.name, "rb", opener=_untouched) as stream:
                data = stream.read(self.max_bytes + 1)
                status = os.fstat(stream.fileno())
        except OSError as error:
            raise IntakeError(f"can't be read: {error.strerror}", subject=file.name) from error
        if len(data) != status.st_size or not stat.S_ISREG(status.st_mode):
            raise IntakeError("changes while it is read", subject=file.name)
        return data, (status.st_atime_ns, status.st_mtime_ns)

    def _place(self, name: str, data: bytes) -> Path | None:
        """Where a file goes: where the card has it, or, if another one is there, into a folder beside.

        None if this very content is there already. Names stay what they are, for they are the camera's
        numbers, and cameras use them again.
        """
        folder, _, base = name.rpartition("/")
        for path in self._candidates(folder, base):
            try:
                if path.stat().st_size == len(data) and path.read_bytes() == data:
                    return None
            except FileNotFoundError:
                return path
            except OSError as error:
                raise IntakeError(f"{path} can't be read: {error.strerror}", subject=name) from error
        raise IntakeError("there are too many other files of this name", subject=name)

    def _candidates(self, folder: str, base: str) -> Iterator[Path]:
        yield self._folder / folder / base
        for number in range(2, _MOST_FOLDERS):
            yield self._folder / (f"{folder}~{number}" if folder else f"card~{number}") / base

    def _write(self, path: Path, data: bytes, times: tuple[int, int]) -> None:
        """Temp, fsync, rename, fsync of the folder; the owner is the drop folder's, if root does it."""
        temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}.part")
        try:
            self._make(path.parent)
            with open(temporary, "xb", opener=_private) as stream:
                stream.write(data)
                stream.flush()
                self._hand_over(stream.fileno(), _MODE)
                os.utime(stream.fileno(), ns=times)
                os.fsync(stream.fileno())
            temporary.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if error.errno in NO_SPACE:
                raise DiskFullError("no room for more", subject=str(self.drop)) from error
            raise IntakeError(f"can't be written: {error.strerror}", subject=str(path)) from error

    def _make(self, folder: Path) -> None:
        """A folder and those above it, each one's name durable."""
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._hand_over(descriptor, 0o2770)
            finally:
                os.close(descriptor)
            sync_folder(folder.parent)

    def _hand_over(self, descriptor: int, mode: int) -> None:
        """Give what root made to whom the drop folder belongs."""
        owner = self.drop.stat()
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fchmod(descriptor, mode)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One import for each camera at a time, by a lock on its folder itself: no file is left there.

    Raises:
        StoreBusyError: another one is under way.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        what = "another import for this camera is under way"
        raise StoreBusyError(what, subject=str(folder), hint="wait until it is done") from error
    finally:
        os.close(descriptor)


def _clean(folder: Path) -> None:
    """Remove what an import that was cut off left behind; nobody else writes such names, under the lock."""
    for path in folder.rglob(f"{_TEMPORARY}*.part"):
        path.unlink(missing_ok=True)


def _untouched(path: str, flags: int) -> int:
    """Open a file on the card without leaving a trace on it: no link followed, no time of access written."""
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # only its owner may ask for that; a card of another is mounted read-only anyway
        return os.open(path, flags)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
