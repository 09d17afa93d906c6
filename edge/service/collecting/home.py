"""Where collections lie, which there are, and opening one for reading.

``<state>/collections/NAME/`` is a state folder of its own: ``edge.db`` and ``cache/search``. Where the
pictures themselves lie is noted in the database.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import unicodedata
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import unquote_to_bytes, urlsplit

from edge.errors import EdgeError, SearchError, StoreError, UsageError
from edge.settings import Settings
from edge.store.collecting import Holdings, Sizes
from edge.store.database import DATABASE, Database, open_readonly
from edge.store.files import StateLock

FOLDER: Final = "collections"
LOCK: Final = "collection.lock"
BUSY: Final = "another `edge index` works on this collection"
ROOT, WHOLE, BUNDLE, FINISHED = (
    "collection_root",
    "collection_whole",
    "collection_bundle",
    "collection_finished",
)
"""Entries of the database's ``meta``; the last is ms UTC of the last run that came to its end."""
_NAME: Final = re.compile(r"[^\W_][\w.-]*")
_LONGEST: Final = 100
_ESCAPED: Final = re.compile(rb"\\x([0-9a-f]{2})")


class CollectionInfo(NamedTuple):
    """One line of the list.

    Attributes:
        name: what it is called.
        size: bytes that it takes on the disk.
        root: the folder that it is of; None where that can't be read.
        sizes: pictures, files, vectors.
        bundle: name of the models that embedded it.
        whole: whether only whole images were embedded, without looking for animals.
        finished: when the last complete run ended, ms UTC; None if there was none.
        problem: why it can't be used; empty if it can.
    """

    name: str
    size: int
    root: Path | None = None
    sizes: Sizes = Sizes(0, 0, 0)
    bundle: str = ""
    whole: bool = False
    finished: int | None = None
    problem: str = ""


class Collection:
    """A collection that is open for reading; close it, or use it as a context manager.

    Attributes:
        name: of it.
        folder: with its database and its index; a state folder for everything that searches.
        database: read-only.
        root: the folder with the pictures.
        whole: whether only whole images were embedded.
    """

    def __init__(self, name: str, folder: Path, database: Database) -> None:
        self.name = name
        self.folder = folder
        self.database = database
        self.root = root_of(database)
        self.whole = _noted(database, WHOLE) == "1"

    def path_of(self, file: str) -> Path:
        """Where a picture lies, from its name on record; it may be gone."""
        return original(self.root, file)

    def copies(self, media_id: str) -> tuple[str, ...]:
        """All files with this content, as they were found."""
        return tuple(holder.file for holder in Holdings(self.database).holders(media_id))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database."""
        self.close()


def checked_name(name: str) -> str:
    """A collection's name, in the form in which it is that of a folder.

    Raises:
        UsageError: it isn't letters, digits, ``. _ -`` with a letter or a digit first, 100 bytes at most.
    """
    normal = unicodedata.normalize("NFC", name)
    if not _NAME.fullmatch(normal) or len(normal.encode("utf-8", "surrogateescape")) > _LONGEST:
        hint = "letters, digits and . _ - with a letter or a digit first, such as sights or ridge-2026"
        raise UsageError("not a name for a collection", subject=name, hint=hint)
    return normal


def folder_of(settings: Settings, name: str) -> Path:
    """Where a collection lies, or would.

    Raises:
        UsageError: the name can't be used.
    """
    return settings.state / FOLDER / checked_name(name)


def open_collection(settings: Settings, name: str) -> Collection:
    """Open a collection for reading, also while it is being indexed.

    Raises:
        UsageError: the name can't be used.
        SearchError: there is no such collection.
        StoreError: its database can't be read.
    """
    folder = folder_of(settings, name)
    if not (folder / DATABASE).exists():
        there = ", ".join(_names(settings))
        hint = f"there are: {there}" if there else "`edge index DIR --collection NAME` makes one"
        raise SearchError("no such collection", subject=name, hint=hint)
    database = open_readonly(folder)
    try:
        return Collection(folder.name, folder, database)
    except EdgeError:
        database.close()
        raise


def collections(settings: Settings) -> list[CollectionInfo]:
    """All that there are, by name; one that can't be read is among them, with the reason."""
    return [_info(settings, name) for name in _names(settings)]


def remove_collection(settings: Settings, name: str) -> None:
    """Remove a collection; the pictures stay where they are.

    Raises:
        UsageError: the name can't be used.
        SearchError: there is no such collection.
        StoreBusyError: it is being indexed.
        StoreError: it can't be removed.
    """
    folder = folder_of(settings, name)
    if not folder.is_dir():
        open_collection(settings, name).close()  # says which there are
    with StateLock(folder, LOCK, BUSY):
        aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.removed")
        try:
            folder.rename(aside)
            shutil.rmtree(aside)
        except OSError as error:
            raise StoreError("collection can't be removed", subject=str(folder), hint=str(error)) from error


def root_of(database: Database) -> Path:
    """The folder that a collection is of.

    Raises:
        StoreError: it isn't noted.
    """
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(database.meta(ROOT)).path)))


def original(root: Path, file: str) -> Path:
    r"""Where a file lies by its name on record, in which bytes that aren't UTF-8 stand as ``\xNN``."""
    plain = root / file
    if "\\x" not in file or os.path.lexists(plain):
        return plain
    name = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), file.encode())
    return root / os.fsdecode(name)


def _names(settings: Settings) -> list[str]:
    try:
        found = [entry.name for entry in os.scandir(settings.state / FOLDER) if entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        folder = settings.state / FOLDER
        raise StoreError("collections can't be listed", subject=str(folder), hint=str(error)) from error
    return sorted(name for name in found if _NAME.fullmatch(name))


def _info(settings: Settings, name: str) -> CollectionInfo:
    folder = settings.state / FOLDER / name
    size = _size(folder)
    try:
        with closing(open_readonly(folder)) as database:
            finished = _noted(database, FINISHED)
            return CollectionInfo(
                name=name,
                size=size,
                root=root_of(database),
                sizes=Holdings(database).sizes(),
                bundle=_noted(database, BUNDLE),
                whole=_noted(database, WHOLE) == "1",
                finished=int(finished) if finished else None,
            )
    except StoreError as error:
        return CollectionInfo(name, size, problem=str(error))


def _noted(database: Database, key: str) -> str:
    row = database.one("SELECT value FROM meta WHERE key = ?", (key,))
    return str(row[0]) if row else ""


def _size(folder: Path) -> int:
    """Bytes of all files below a folder, as far as they can be seen."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_size  # noqa: PTH118 - many, and short
            except OSError:  # gone meanwhile
                continue
    return total
