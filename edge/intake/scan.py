"""Listing one folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from edge.intake.names import passed_over, unfinished
from edge.intake.types import FileStat

SYMLINK = "symbolic link"
SPECIAL = "not a regular file"
HIDDEN = "hidden, or not finished by its name"
HIDDEN_FOLDER = "hidden folder, or the system's"

_LEFT_OUT = frozenset({HIDDEN, HIDDEN_FOLDER})

EntryKind = Literal["file", "folder", "skipped"]


class Entry(NamedTuple):
    """One name in a folder.

    Attributes:
        kind: skipped ones are neither read nor followed.
        name: without its folder, as the system gives it.
        stat: of a file.
        reason: for a skipped one, for people.
    """

    kind: EntryKind
    name: str
    stat: FileStat | None = None
    reason: str = ""


def list_folder(path: Path, *, hidden: bool = False) -> Iterator[Entry]:
    """What is in a folder, in no order.

    Symbolic links are skipped, whether to files or folders: what they point to is either in the drop folder
    anyway, or isn't part of it. So there are no loops.

    Args:
        path: the folder.
        hidden: give hidden and unfinished names as skipped ones; they are left out otherwise.

    Raises:
        OSError: the folder can't be listed; nothing is said of it then.
    """
    with os.scandir(path) as entries:
        for entry in entries:
            found = _entry(entry)
            if found is not None and (hidden or found.reason not in _LEFT_OUT):
                yield found


def look(path: Path) -> FileStat | None:
    """Stat of a regular file; None if there is none to be seen."""
    try:
        result = path.stat(follow_symlinks=False)
    except OSError:
        # Gone, or out of reach: a scan of its folder finds it again, or reports the folder.
        return None
    return FileStat.of(result) if stat.S_ISREG(result.st_mode) else None


def _entry(entry: os.DirEntry[str]) -> Entry | None:
    name = entry.name
    if entry.is_dir(follow_symlinks=False):
        return Entry("skipped", name, reason=HIDDEN_FOLDER) if passed_over(name) else Entry("folder", name)
    if unfinished(name):
        return Entry("skipped", name, reason=HIDDEN)
    if not entry.is_file(follow_symlinks=False):
        return Entry("skipped", name, reason=SYMLINK if entry.is_symlink() else SPECIAL)
    try:
        return Entry("file", name, FileStat.of(entry.stat(follow_symlinks=False)))
    except FileNotFoundError:
        return None
