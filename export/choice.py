"""A user's folders for calibration and evaluation: which images are taken, and what became of the rest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ExportError, ImageError
from edge.intake.header import parse_header
from edge.intake.identity import deployment_of
from edge.intake.moment import moment
from edge.intake.names import passed_over, unfinished
from edge.settings import IntakeSettings
from export.pictures import SUFFIXES, Picture, Step, look, quiet
from export.selection import Entry, halves, neighbourhood, rank, spread, spread_bursts

LEAST = 8
"""Fewer readable images than that say nothing of what a camera sees."""
BLANK = 2.0
"""Standard deviation of grey values below which there is nothing to be seen in an image."""
_MOST_EXAMINED = 5000
_HEADER_BYTES = 64 * 1024
_SETTINGS = IntakeSettings()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that wasn't taken.

    Attributes:
        name: path below its folder.
        reason: for people.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What was taken of a folder.

    Attributes:
        pictures: in the order of their choice; of the first n, each n is a fair choice.
        found: files that are images by their names.
        skipped: of those that were tried, what couldn't be read, or is in the other set already.
        digest: identity of the choice: SHA-256 over the sorted hashes of the contents, whatever the names.
    """

    pictures: tuple[Picture, ...]
    found: int
    skipped: tuple[Skipped, ...]
    digest: str

    @property
    def distinct(self) -> int:
        """How many of the pictures have contents of their own."""
        return len({picture.sha256 for picture in self.pictures})


def choose(folder: Path, count: int = 200, *, step: Step = quiet) -> Choice:
    """Take up to ``count`` images of a folder and the folders in it.

    The choice depends on paths below the folder and on the files' own times only: it is the same on every
    machine. Cameras and their bursts take turns, so that none dominates.

    Args:
        folder: JPEG and PNG files are looked for.
        count: at most so many.
        step: told of progress.

    Raises:
        ExportError: the folder can't be listed, or fewer than :data:`LEAST` of its images can be read.
    """
    entries, found = _entries(folder, step)
    return _Folder(folder, found, step).take(spread(entries), count)


def choose_both(
    calibration: Path | None,
    evaluation: Path | None,
    counts: tuple[int, int] = (200, 300),
    *,
    step: Step = quiet,
) -> tuple[Choice | None, Choice | None]:
    """Take images for calibration and, none of them the same by content, for evaluation.

    One folder given for both is split, no burst on both sides; of a folder inside the other the images are
    its own alone. For evaluation bursts are taken whole, since
    visits are counted on them.

    Args:
        calibration: folder; None where none is given.
        evaluation: the same.
        counts: at most so many of each.
        step: told of progress.

    Raises:
        ExportError: a folder can't be listed, or too few of its images can be read.
    """
    ours, many = _entries(calibration, step) if calibration else ([], 0)
    theirs, more = _entries(evaluation, step) if evaluation else ([], 0)
    if calibration and evaluation:
        ours, theirs = _apart((calibration, ours), (evaluation, theirs))
    first = second = None
    if calibration:
        first = _Folder(calibration, many, step).take(spread(ours), counts[0])
    if evaluation:
        bursts = (entry for burst in spread_bursts(theirs) for entry in burst)
        avoid = frozenset(picture.sha256 for picture in first.pictures) if first else frozenset[str]()
        second = _Folder(evaluation, more, step).take(bursts, counts[1], avoid)
    return first, second


def _apart(
    first: tuple[Path, list[Entry]], second: tuple[Path, list[Entry]]
) -> tuple[list[Entry], list[Entry]]:
    """Folders with their entries, so that none is on both sides."""
    (one, ours), (other, theirs) = first, second
    if one.resolve() == other.resolve():
        return halves(ours)
    return _outside(ours, one, other), _outside(theirs, other, one)


def _outside(entries: list[Entry], folder: Path, inner: Path) -> list[Entry]:
    """Entries of a folder without those of a folder in it."""
    if not inner.resolve().is_relative_to(folder.resolve()):
        return entries
    below = f"{inner.resolve().relative_to(folder.resolve()).as_posix()}/"
    return [entry for entry in entries if not entry.name.startswith(below)]


def blank(pictures: Sequence[Picture]) -> str:
    """Why pictures can't be calibrated with; empty if they can.

    A range that was measured on black images fits nothing else. The gate refuses what comes of it; this says
    why.
    """
    dull = sum(picture.contrast < BLANK for picture in pictures)
    if dull * 2 > len(pictures):
        return f"{dull} of {len(pictures)} calibration images are of one colour all over"
    distinct = len({picture.sha256 for picture in pictures})
    if distinct < LEAST:
        return f"only {distinct} of {len(pictures)} calibration images differ from each other"
    return ""


def _entries(folder: Path, step: Step) -> tuple[list[Entry], int]:
    """What is known of a folder's images by their names and headers, and how many there are."""
    names = sorted(_names(folder))
    # Of very many, a part that keeps neighbours together: opening each would take longer than the export.
    some = sorted(names, key=lambda name: (rank(neighbourhood(name)), name))[:_MOST_EXAMINED]
    entries = []
    for done, name in enumerate(some):
        step(f"looking through {folder.name}", done, len(some))
        entries.append(entry_of(folder, name))
    return entries, len(names)


def _names(folder: Path) -> Iterable[str]:
    def refuse(error: OSError) -> None:
        raise ExportError(
            "folder can't be listed", subject=str(error.filename), hint=error.strerror or ""
        ) from error

    for root, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not passed_over(name)]
        for name in files:
            if not unfinished(name) and Path(name).suffix.lower() in SUFFIXES:
                yield (Path(root) / name).relative_to(folder).as_posix()


def entry_of(folder: Path, name: str) -> Entry:
    """A file's camera and time as intake reads them; the file's own mtime doesn't count, as copies differ."""
    try:
        with (folder / name).open("rb") as stream:
            header = parse_header(stream.read(_HEADER_BYTES))
    except OSError:
        # It is tried again, and reported, if it is chosen.
        header = parse_header(b"")
    deployment = deployment_of(name, _SETTINGS)
    taken = moment(header.exif, name, 0, deployment, _SETTINGS)
    return Entry(name, deployment, None if taken.source == "mtime" else taken.taken_ms)


@dataclass(frozen=True)
class _Folder:
    """A folder to choose from: where, how many images there are by their names, whom to tell of progress."""

    path: Path
    found: int
    step: Step

    def take(self, order: Iterable[Entry], count: int, avoid: frozenset[str] = frozenset()) -> Choice:
        """The first ``count`` of the order that can be read and whose content isn't to be avoided."""
        pictures: list[Picture] = []
        skipped: list[Skipped] = []
        for entry in order:
            if len(pictures) == count:
                break
            self.step(f"reading {self.path.name}", len(pictures), count)
            picture = _tried(self.path, entry.name, avoid)
            if isinstance(picture, Skipped):
                skipped.append(picture)
            else:
                pictures.append(picture)
        if len(pictures) < LEAST:
            raise _too_few(self, pictures, skipped)
        digest = digest_of(each.sha256 for each in pictures)
        return Choice(tuple(pictures), self.found, tuple(skipped), digest)


def _tried(folder: Path, name: str, avoid: frozenset[str]) -> Picture | Skipped:
    try:
        picture = look(folder / name, name)
    except ImageError as error:
        return Skipped(name, f"{error.what} ({error.hint})" if error.hint else error.what)
    return Skipped(name, "used for calibration") if picture.sha256 in avoid else picture


def digest_of(contents: Iterable[str]) -> str:
    """SHA-256 over hashes of contents, in whatever order they come."""
    return hashlib.sha256("\n".join(sorted(contents)).encode()).hexdigest()


def _too_few(folder: _Folder, pictures: Sequence[Picture], skipped: Sequence[Skipped]) -> ExportError:
    why = f"; {skipped[0].name}: {skipped[0].reason}" if skipped else ""
    return ExportError(
        f"too few images: {len(pictures)} of at least {LEAST}",
        subject=str(folder.path),
        hint=f"{folder.found} files looked like JPEG or PNG, {len(skipped)} couldn't be used{why}",
    )
