"""``edge import``: a camera's card into the drop folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import filesize
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from edge.cli.common import ConfigOption, JsonOption, configuration, err, out, write_json
from edge.cli.escaping import escape
from edge.cli.stopping import stoppable
from edge.errors import ConfigError, UsageError
from edge.service.cards.card import CardFile, Survey, deployment_of, is_card, survey
from edge.service.cards.copying import Copying, Fate, Result, Told
from edge.service.cards.mounting import is_device, mounted
from edge.settings import Settings
from edge.store.database import DATABASE, open_readonly
from edge.store.media import MediaStore

_SHOWN = 10


def import_command(
    source: Annotated[
        Path, typer.Argument(metavar="CARD", help="The card's folder, or its device (as root): /dev/sdb1.")
    ],
    *,
    deployment: Annotated[
        str | None,
        typer.Option("--deployment", "-d", metavar="NAME", help="Which camera; see below for the default."),
    ] = None,
    drop: Annotated[
        Path | None, typer.Option("--drop", metavar="DIR", help="The drop folder.", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, say what would be copied, write nothing.")
    ] = False,
    only_cards: Annotated[
        bool,
        typer.Option("--only-cards", help="Leave what has neither DCIM nor edge-card.toml alone."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a card's images into the drop folder, where the daemon finds them. Nothing is written on the card.

    The camera's name is --deployment, else what edge-card.toml in the card's top folder says
    (deployment = "cam-07"), else the card's label. Files that are on record or in the drop folder already,
    by content, aren't copied again; an import that was cut off goes on when it is called again.

    Exit code 0: everything on the card is safe. 1: something isn't, and it is told what. 2: called wrongly.

    Examples:
        edge import /media/card --deployment cam-07

        sudo edge import /dev/sdb1 --dry-run
    """
    settings = configuration(config, drop=drop).settings
    with ExitStack() as stack:
        card = stack.enter_context(mounted(source)) if is_device(source) else source
        if not card.is_dir():
            raise UsageError("no such folder or device", subject=str(source))
        if only_cards and not is_card(card):
            _tell({"card": False}, f"{source} is no camera's card; it is left alone", as_json=as_json)
            return
        name = deployment_of(card, deployment)
        result = _import(settings, card, name, dry_run=dry_run, quiet=as_json)
    values = _json(result, name, settings, dry_run=dry_run)
    _tell(values, _text(result, name, source, dry_run=dry_run), as_json=as_json)
    if not result.complete:
        raise typer.Exit(1)


def _import(settings: Settings, card: Path, name: str, *, dry_run: bool, quiet: bool) -> Result:
    if not settings.drop.is_dir():
        hint = "make it, or name another with --drop DIR"
        raise ConfigError("no drop folder", subject=str(settings.drop), hint=hint)
    found = survey(card)
    with _known(settings) as is_known, stoppable() as stop, _progress(found, quiet=quiet) as told:
        copying = Copying(
            card,
            settings.drop,
            name,
            is_known,
            max_bytes=settings.intake.max_bytes,
            reserve=settings.store.low_water,
            dry_run=dry_run,
            stopping=stop.is_set,
        )
        return copying.run(found, told)


@contextmanager
def _known(settings: Settings) -> Iterator[Callable[[str], bool]]:
    """Whether a content is on record; nothing is, where there is no database yet."""
    if not (settings.state / DATABASE).exists():
        yield lambda _media_id: False
        return
    database = open_readonly(settings.state)
    try:
        yield MediaStore(database).has
    finally:
        database.close()


@contextmanager
def _progress(found: Survey, *, quiet: bool) -> Iterator[Told]:
    if quiet or not err.is_terminal:
        yield lambda _file, _fate: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    counts: dict[Fate, int] = {"new": 0, "known": 0, "refused": 0}
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("reading", total=found.size)

        def told(file: CardFile, fate: Fate) -> None:
            counts[fate] += 1
            text = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
            bar.update(task, advance=file.size, description=text)

        yield told


def _json(result: Result, name: str, settings: Settings, *, dry_run: bool) -> dict[str, Any]:
    return {
        "card": True,
        "deployment": name,
        "folder": str(settings.drop / name),
        "dry_run": dry_run,
        "new": result.new,
        "bytes": result.size,
        "known": result.known,
        "refused": [{"file": file, "reason": reason} for file, reason in result.refused],
        "full": result.full,
        "stopped": result.stopped,
        "complete": result.complete,
    }


def _text(result: Result, name: str, source: Path, *, dry_run: bool) -> str:
    verb = "would be copied" if dry_run else "copied"
    new = f"{result.new} new ({filesize.decimal(result.size)}) {verb}"
    lines = [f"{name}: {new}, {result.known} known, {len(result.refused)} refused"]
    lines += [f"  {file}: {reason}" for file, reason in result.refused[:_SHOWN]]
    if len(result.refused) > _SHOWN:
        lines.append(f"  and {len(result.refused) - _SHOWN} more")
    if result.full:
        lines.append("the disk is full: make room, then call it again; it goes on where it ended")
    if result.stopped:
        lines.append("stopped; call it again, and it goes on where it ended")
    if result.complete and not (result.new or result.known):
        lines.append(f"there are no images in {source}; is that the card, and is it mounted?")
    elif result.complete and not dry_run:
        where = "it is unmounted and can be taken out" if is_device(source) else "the card can be taken out"
        lines.append(f"everything is in the drop folder; {where}")
    return "\n".join(lines)


def _tell(values: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        write_json(values)
    else:
        out.print(escape(text), highlight=False, soft_wrap=True)
