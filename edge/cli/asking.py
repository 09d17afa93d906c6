"""What searching and classifying share on the command line: where to look, pictures to ask with, sheets."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import err
from edge.cli.escaping import escape
from edge.errors import ImageError, UsageError
from edge.service.collecting.home import open_collection
from edge.service.searching import Desk
from edge.service.sheet import MOST, Tile, contact_sheet
from edge.service.thumbnails import Thumbnails
from edge.settings import Settings
from edge.store.database import Database, open_readonly
from edge.store.files import write_durably

BundleOption = Annotated[
    str | None,
    typer.Option("--bundle", metavar="BUNDLE", help="Models: a name, or a folder.", show_default=False),
]
CollectionOption = Annotated[
    str | None,
    typer.Option("--collection", metavar="NAME", help="Pictures of `edge index`, not the cameras'."),
]
NightOption = Annotated[
    bool | None,
    typer.Option(
        "--night/--day",
        help="Only pictures taken at night (infrared, or 22 to 4 o'clock), or by day.",
        show_default=False,
    ),
]
SheetOption = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="FILE", help="Also write the pictures as one JPEG, people blurred."),
]
MEDIA: str = "sha256:"
"""What a media id begins with."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where is looked: the cameras' images, or a collection.

    Attributes:
        database: read-only.
        desk: answers from it.
        pictures: small ones of what is on record.
    """

    database: Database
    desk: Desk
    pictures: Thumbnails


@contextmanager
def looking(
    settings: Settings, collection: str | None, *, only: bool, sheet: Path | None = None
) -> Iterator[Place]:
    """Open where is looked.

    Args:
        settings: with the state folder.
        collection: its name; None: the cameras' images.
        only: ask the configured bundle, whatever it has embedded.
        sheet: where pictures will be shown; whoever gets it is told if people can't be blurred on it.

    Raises:
        StoreError, SearchError, UsageError: there is no such folder or collection, or it can't be read.
    """
    if collection is None:
        with closing(open_readonly(settings.state)) as database:
            pictures = Thumbnails(database, settings, lambda file: settings.drop / file, settings.state)
            yield Place(database, Desk(settings, only=only), pictures)
        return
    with open_collection(settings, collection) as found:
        if sheet and found.whole and settings.vision.blur_people:
            say([f"{found.name} was indexed with --whole: people in its pictures are not blurred on {sheet}"])
        pictures = Thumbnails(found.database, settings, found.path_of, found.folder)
        yield Place(found.database, Desk(settings, found.folder, only=only), pictures)


def read_picture(path: Path, max_bytes: int) -> bytes:
    """A picture's file.

    Raises:
        UsageError: there is no such file, or it can't be read.
        ImageError: it is larger than allowed.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError("picture is not a file", subject=str(path))
        if found.st_size > max_bytes:
            hint = f"the limit is intake.max_bytes = {max_bytes}"
            raise ImageError("picture is larger than allowed", subject=str(path), hint=hint)
        return path.read_bytes()
    except OSError as error:
        raise UsageError("picture can't be read", subject=str(path), hint=error.strerror or "") from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors about a picture say which it is."""
    try:
        yield
    except ImageError as error:
        raise ImageError(error.what, subject=str(path), hint=error.hint) from error


def say(notes: Iterable[str]) -> None:
    """Remarks, beside the answer."""
    for note in notes:
        err.print(escape(note), highlight=False, soft_wrap=True)


def checked_sheet(path: Path | None, top: int) -> None:
    """Refuse before the work what couldn't be written after it.

    Raises:
        UsageError: it isn't to be a JPEG, its folder is missing, or it would have too many pictures.
    """
    if path is None:
        return
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        raise UsageError("a sheet is a JPEG", subject=str(path), hint="give it a name such as sheet.jpg")
    if path.is_dir():
        raise UsageError("a sheet is a file, and this is a folder", subject=str(path))
    if not path.parent.is_dir():
        raise UsageError("no such folder", subject=str(path.parent))
    if top > MOST:
        raise UsageError("too many pictures for one sheet", subject=str(top), hint=f"{MOST} at most")


def write_sheet(path: Path | None, tiles: Callable[[], Sequence[Tile]], title: str) -> None:
    """Write the sheet, if one is wanted and there is something to put on it.

    Raises:
        StoreError, DiskFullError: it can't be written.
    """
    if path is None:
        return
    shown = tiles()
    if not shown:
        say([f"nothing was found: {path} was not written"])
        return
    write_durably(path, contact_sheet(shown, title))
