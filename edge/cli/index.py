"""``edge index``: a folder of pictures into a collection; ``edge collections``: which there are."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich import filesize
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bar,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from edge.cli.common import ConfigOption, JsonOption, StateOption, configuration, err, local, out, write_json
from edge.cli.escaping import escape
from edge.cli.stopping import stoppable
from edge.delivery.messages import timestamp
from edge.errors import UsageError
from edge.intake.types import printable
from edge.service.collecting import CollectionInfo, collections, remove_collection
from edge.service.collecting.index import Wish, index
from edge.service.collecting.summary import Progress, Summary, Told
from edge.service.report import is_running

_SHOWN: Final = 10
_LINE_INTERVAL: Final = 10.0
_NICE: Final = 10
_FEW: Final = 10

app = typer.Typer(invoke_without_command=True)


def index_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with pictures, at any depth; it is only read.")
    ],
    *,
    collection: Annotated[
        str, typer.Option("--collection", metavar="NAME", help="What the collection is called.")
    ],
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            help="Embed whole pictures only, without looking for animals or people: faster, and on contact "
            "sheets nobody is blurred.",
        ),
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove pictures from the collection whose files are gone.")
    ] = False,
    moved: Annotated[
        bool, typer.Option("--moved", help="The collection's folder lies here now; nothing is read again.")
    ] = False,
    bundle: Annotated[
        str | None, typer.Option("--bundle", metavar="BUNDLE", help="Models: a name, or a folder.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="SET", help="Label set for animals: a name, or a file.")
    ] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a folder of pictures into a collection, which search and classify work on; no daemon is needed.

    JPEG, PNG, WebP, TIFF, BMP and GIF files are taken. What is on record and hasn't changed isn't read again,
    so an indexing that was cut off, with Ctrl-C or worse, goes on when the command is called again. Copies of
    a picture count once. What can't be used is told, with the reason, and is no failure.

    Exit code 0: everything that can be used is in the collection. 1: it was stopped, or failed. 2: called
    wrongly.

    Examples:
        edge index ~/Pictures/sights --collection sights --state ~/edge

        edge search text "a waterfall" --collection sights --state ~/edge
    """
    settings = configuration(config, state=state, vision__bundle=bundle, vision__labels=labels).settings
    if is_running(settings.state):
        os.nice(_NICE)  # the cameras' images come first
    wish = Wish(folder, collection, whole=whole, prune=prune, moved=moved)
    with stoppable() as stop, _progress(quiet=as_json) as told:
        summary = index(settings, wish, stop=stop, told=told)
    if as_json:
        write_json(_json(summary))
    else:
        out.print(escape(_text(summary)), highlight=False, soft_wrap=True)
    if summary.stopped:
        raise typer.Exit(1)


@app.callback()
def collections_command(
    context: typer.Context,
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the collections that `edge index` made, or remove one.

    Examples:
        edge collections --state ~/edge

        edge collections remove sights --yes
    """
    if context.invoked_subcommand is None:
        found = collections(configuration(config, state=state).settings)
        if as_json:
            write_json([_info_json(info) for info in found])
        elif found:
            out.print(_table(found))
        else:
            err.print(
                "there are no collections; `edge index DIR --collection NAME` makes one", highlight=False
            )


@app.command("remove")
def remove_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the collection.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Remove a collection: its database and its index. The pictures themselves aren't touched.

    Examples:
        edge collections remove sights --state ~/edge
    """
    settings = configuration(config, state=state).settings
    if not yes and not typer.confirm(f"Remove collection {name}? The pictures themselves stay.", err=True):
        raise UsageError("not confirmed; nothing was removed", hint="answer y, or give --yes")
    remove_collection(settings, name)
    err.print(f"removed {escape(name)}", highlight=False)


class _Rate(ProgressColumn):
    """Pictures a second, of late."""

    def render(self, task: Task) -> Text:
        """One number with its unit."""
        if not task.speed:
            return Text("")
        digits = 1 if task.speed < _FEW else 0
        return Text(f"{task.speed:.{digits}f}/s")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Told]:
    if quiet or not err.is_terminal:
        yield (lambda _progress: None) if quiet else _Lines(_LINE_INTERVAL)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=err, speed_estimate_period=60) as bar:
        search, pictures = bar.add_task("searching", total=None), None

        def told(progress: Progress) -> None:
            nonlocal pictures
            if progress.phase == "searching":
                bar.update(search, completed=progress.done)
                return
            bar.update(search, visible=False)
            if progress.phase == "looking":
                if pictures is None:
                    pictures = bar.add_task("pictures")
                text = f"pictures, {progress.refused} set aside" if progress.refused else "pictures"
                bar.update(pictures, description=text, completed=progress.done, total=progress.total)

        yield told


class _Lines:
    """Progress as lines, one in a while, where there is no terminal."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = time.monotonic() + interval

    def __call__(self, progress: Progress) -> None:
        if progress.phase == "looking" and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._interval
            err.print(f"{progress.done} of {progress.total} pictures", highlight=False)


def _json(summary: Summary) -> dict[str, Any]:
    return {
        "collection": summary.name,
        "root": _shown(summary.root),
        "folder": _shown(summary.folder),
        "pictures": summary.pictures,
        "unchanged": summary.unchanged,
        "outcomes": dict(summary.outcomes),
        "images": summary.sizes.images,
        "files": summary.sizes.files,
        "vectors": summary.sizes.vectors,
        "index": summary.kind,
        "refused": [refused._asdict() for refused in summary.refused],
        "skipped": dict(summary.skipped),
        "unreadable": dict(summary.unreadable),
        "missing": list(summary.missing),
        "removed": summary.removed,
        "moved": summary.moved,
        "seconds": round(summary.seconds, 3),
        "looking": round(summary.looking, 3),
        "stopped": summary.stopped,
    }


def _text(summary: Summary) -> str:
    """The summary for people: what came in, what there is, and what didn't come in and why."""
    counts, sizes, root = summary.outcomes, summary.sizes, _shown(summary.root)
    parts = [f"{counts.get('new', 0)} new"]
    parts += [f"{counts[name]} {text}" for name, text in _OUTCOMES.items() if counts.get(name)]
    parts.append(f"{summary.unchanged} unchanged")
    rate = f"; {summary.looked / summary.looking:.1f} a second" if summary.looking and summary.looked else ""
    lines = [
        f"{summary.name}: {', '.join(parts)} ({summary.seconds:.0f} s{rate})",
        f"it holds {sizes.images} pictures of {root} ({sizes.files} files, {sizes.vectors} vectors)",
        *_troubles(summary),
    ]
    if summary.removed:
        lines.append(f"{summary.removed} pictures were removed: their files are gone")
    if summary.moved:
        lines.append(f"{summary.moved} files have moved, or a copy has stayed")
    if summary.stopped:
        lines.append("stopped; call it again, and it goes on where it ended")
    elif not summary.pictures:
        lines.append(f"there are no pictures in {root}; is it mounted, and is it the right folder?")
    return "\n".join(lines)


def _troubles(summary: Summary) -> list[str]:
    """What didn't come in, and why; what is gone."""
    refused = [f"{file}: {reason}" for file, reason in summary.refused]
    closed = [f"{file}: {reason}" for file, reason in summary.unreadable.items()]
    skipped = sorted(summary.skipped.items(), key=lambda item: (-item[1], item[0]))
    gone = f"{len(summary.missing)} pictures' files are gone; --prune removes them from the collection:"
    return [
        *_listed(f"{len(refused)} files can't be used:", refused),
        *_listed(f"{len(closed)} folders or files can't be read:", closed),
        *_listed("passed over:", [f"{number} x {reason}" for reason, number in skipped]),
        *_listed(gone, summary.missing),
    ]


_OUTCOMES: Final[Mapping[str, str]] = {
    "renewed": "seen anew by other models",
    "duplicate": "copies",
    "set_aside": "set aside",
    "quarantined": "quarantined",
    "unreadable": "unreadable",
}


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  and {len(lines) - _SHOWN} more (--json shows all)"] if len(lines) > _SHOWN else []
    return [title, *(f"  {line}" for line in lines[:_SHOWN]), *more]


def _shown(path: Path | None) -> str:
    """A path as text that can always be written."""
    return "" if path is None else printable(os.fspath(path))


def _info_json(info: CollectionInfo) -> dict[str, Any]:
    return {
        "collection": info.name,
        "root": None if info.root is None else _shown(info.root),
        **info.sizes._asdict(),
        "bundle": info.bundle,
        "whole": info.whole,
        "bytes": info.size,
        "finished": None if info.finished is None else timestamp(info.finished, 0),
        "problem": info.problem,
    }


def _table(found: Sequence[CollectionInfo]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("collection", "pictures", "vectors", "size", "models", "finished (UTC)", "folder"):
        right = name in ("pictures", "vectors", "size")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for info in found:
        table.add_row(
            escape(info.name),
            str(info.sizes.images),
            str(info.sizes.vectors),
            filesize.decimal(info.size),
            escape(info.bundle) + (" (whole)" if info.whole else ""),
            "never" if info.finished is None else local(info.finished),
            escape(info.problem or _shown(info.root)),
        )
    return table
