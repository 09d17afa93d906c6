"""One pass through a collection's folder: what is new or has changed, and what can't be taken, and why.

Nothing is read of a file whose path, size and mtime are on record. Folders come in the order of their names,
a folder's files before its subfolders, so that two passes over the same files agree, and the first of several
copies is always the same. Symbolic links are reported and not followed: there are no loops.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from edge.errors import IntakeError
from edge.intake.header import open_file
from edge.intake.names import classify_picture
from edge.intake.scan import Entry, list_folder
from edge.intake.types import Candidate, FileStat, printable
from edge.store.collecting import Known
from edge.vision.foreign import ENOUGH, is_picture

OWN_STATE: Final = "folder of edge itself"
_SHOWN: Final = 1000


class Walk:
    """Iterate over it once; its attributes say what was met, and are complete at the end.

    Attributes:
        pictures: files that look like pictures.
        unchanged: of those, files that are on record as they are.
        skipped: how many names were passed over, by reason.
        unreadable: folders and files that the system keeps closed, with its reason; the first 1,000.
        vanished: paths on record that aren't there any more.
    """

    def __init__(
        self,
        root: Path,
        known_in: Callable[[str], Mapping[str, Known]],
        *,
        again: frozenset[str] = frozenset(),
        avoid: Path | None = None,
    ) -> None:
        """Prepare a pass.

        Args:
            root: the folder.
            known_in: what is on record of a folder.
            again: content that is to be looked at once more, though its file hasn't changed.
            avoid: a folder below the root that isn't entered: the state folder.
        """
        self._root = root
        self._known_in = known_in
        self._again = again
        self._avoid = None if avoid is None else os.path.realpath(avoid)
        self.pictures = 0
        self.unchanged = 0
        self.skipped: Counter[str] = Counter()
        self.unreadable: dict[str, str] = {}
        self.vanished: list[str] = []
        self._seen: set[str] = set()
        self._closed: set[str] = set()

    def __iter__(self) -> Iterator[Candidate]:
        """Files to look at."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                entries = sorted(list_folder(self._root / folder, hidden=True), key=lambda entry: entry.name)
            except OSError as error:
                self._keep_out(folder, error.strerror or str(error))
                continue
            below = [e.name for e in entries if e.kind == "folder" and self._enters(folder, e)]
            waiting += [_join(folder, name) for name in reversed(below)]
            yield from self._files(folder, entries)

    def lost(self, folders: list[str]) -> list[str]:
        """Folders on record that weren't met in this pass, though they could have been."""
        return [f for f in folders if f not in self._seen and not self._is_closed(f)]

    def _files(self, folder: str, entries: list[Entry]) -> Iterator[Candidate]:
        self._seen.add(printable(folder))
        known = dict(self._known_in(printable(folder)))
        for entry in entries:
            if entry.kind == "skipped":
                self.skipped[entry.reason] += 1
            if entry.kind != "file" or entry.stat is None:
                continue
            before = known.pop(printable(entry.name), None)
            candidate = Candidate(self._root, _join(folder, entry.name), entry.stat)
            if before is None and not self._is_picture(candidate):
                continue
            self.pictures += 1
            if self._is_settled(before, entry.stat):
                self.unchanged += 1
            else:
                yield candidate
        self.vanished += [_join(printable(folder), name) for name in known]

    def _is_settled(self, before: Known | None, stat: FileStat) -> bool:
        return (
            before is not None
            and before.settled
            and stat.same_version(before.stat)
            and not (before.names and before.media_id in self._again)
        )

    def _is_picture(self, candidate: Candidate) -> bool:
        """By its name; one without an extension is looked into, since it may be anything."""
        reason = classify_picture(candidate.file)
        if reason is None:
            return True
        if not PurePosixPath(candidate.name).suffix:
            try:
                descriptor = open_file(candidate)
                try:
                    if is_picture(os.read(descriptor, ENOUGH)):
                        return True
                finally:
                    os.close(descriptor)
            except (IntakeError, OSError) as error:
                self._note(candidate.file, str(error))
                return False
        self.skipped[reason] += 1
        return False

    def _enters(self, folder: str, entry: Entry) -> bool:
        # The root is resolved and no link is followed, so only a folder of that name can be it.
        suspicious = self._avoid is not None and entry.name == os.path.basename(self._avoid)  # noqa: PTH119
        inside = suspicious and os.path.realpath(self._root / folder / entry.name) == self._avoid
        if inside:
            self.skipped[OWN_STATE] += 1
        return not inside

    def _keep_out(self, folder: str, reason: str) -> None:
        self._closed.add(printable(folder))
        self._note(printable(folder) or ".", reason)

    def _note(self, file: str, reason: str) -> None:
        if len(self.unreadable) < _SHOWN:
            self.unreadable[file] = reason

    def _is_closed(self, folder: str) -> bool:
        """Whether a folder lies in one that couldn't be listed: then nobody knows what became of it."""
        return "" in self._closed or any(folder == c or folder.startswith(f"{c}/") for c in self._closed)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
