"""``edge backup``, ``edge restore``, ``edge retention``: what is kept, where, and for how long."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import filesize
from rich.table import Table

from edge.cli.common import (
    ConfigOption,
    JsonOption,
    StateOption,
    configuration,
    local,
    out,
    reading,
    write_json,
)
from edge.cli.escaping import escape
from edge.delivery.messages import timestamp
from edge.errors import StoreError, UsageError
from edge.service.keeper import is_due
from edge.service.recovery import Replaced, replace_database
from edge.service.report import is_running
from edge.service.retention import due
from edge.service.work import now_ms
from edge.settings import Settings
from edge.store.backup import FOLDER, GENTLE, HURRIED, Made, backups, make_backup, rotate
from edge.store.database import DATABASE, VERSION, open_readonly
from edge.store.files import StateLock
from edge.store.recovery import Prepared, forget_copy, prepared
from edge.store.retention import Retention

EARLY = 0.1
"""Share of the interval by which ``--if-due`` is early: a timer comes before the daemon, not after it."""
_SHOWN = 20


def backup_command(
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="Another folder, such as a stick's. Nothing is removed there."
        ),
    ] = None,
    if_due: Annotated[
        bool,
        typer.Option("--if-due", help="Only if the newest is about as old as store.backup_interval says."),
    ] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Show those that there are.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a backup of the database, beside a running daemon too, and check it.

    Old ones are removed as store.backup_days and store.backup_weeks say, except with --to.

    Examples:
        sudo -u edge edge backup

        edge backup --to /media/stick --json
    """
    settings = configuration(config, state=state).settings
    folder = to or settings.state / FOLDER
    if list_only:
        _show_backups(folder, as_json=as_json)
        return
    if if_due and not _is_due(settings, folder):
        _tell({"made": False, "why": "the newest is recent enough"}, "the newest is recent enough", as_json)
        return
    open_readonly(settings.state).close()  # says what is wrong where there is none, or it isn't ours
    pace = GENTLE if is_running(settings.state) else HURRIED
    reserve = 0 if to else settings.store.low_water
    made = make_backup(settings.state / DATABASE, folder, pace=pace, reserve=reserve)
    removed = () if to else rotate(folder, days=settings.store.backup_days, weeks=settings.store.backup_weeks)
    text = f"{made.path}: {filesize.decimal(made.size)} in {made.seconds:.1f} s, checked"
    _tell(_json(made, removed), text, as_json)


def restore_command(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A backup.", show_default=False)] = None,
    *,
    newest: Annotated[
        bool, typer.Option("--newest", help="The newest sound one of the state folder.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check it, say what would be done, change nothing.")
    ] = False,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the database's place. The daemon must be stopped; what is replaced is kept beside it.

    A new epoch begins: everything on record is said again to subscribers, and what came after the backup is
    found in the drop folder.

    Examples:
        sudo systemctl stop edge && sudo -u edge edge restore --newest

        edge restore /media/stick/edge-000012-20260504T023000-v4.db --dry-run
    """
    if (file is None) != newest:
        raise UsageError("give a backup's file, or --newest", hint="see `edge backup --list`")
    settings = configuration(config, state=state).settings
    if not settings.state.is_dir():
        raise StoreError("no state folder", subject=str(settings.state), hint="is --state right?")
    with StateLock(settings.state):
        chosen = _chosen(settings.state, file)
        if dry_run:
            chosen.copy.close()
            forget_copy(settings.state)
            text = f"{chosen.source} is sound; nothing was changed"
            _tell({"restored": False, "source": str(chosen.source)}, text, as_json)
            return
        replaced = replace_database(settings.state, chosen)
    _tell(_restored(replaced), _restored_text(replaced), as_json)


def retention_command(
    *, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show what the settings let go of now, and what was removed last. Removes nothing: the daemon does.

    Examples:
        edge retention

        EDGE_STORE__KEEP_ORIGINALS=7776000 edge retention
    """
    with reading(config, state) as (found, database):
        waiting = due(found.settings, database, now_ms())
        removals = Retention(database).removals(_SHOWN)
    if as_json:
        done = [{**r._asdict(), "at": timestamp(r.at)} for r in removals]
        write_json({"due": [d._asdict() for d in waiting], "removed": done})
        return
    table = _table("what", "number", "bytes", "rule")
    for line in waiting:
        table.add_row(line.kind, str(line.number), _size(line.size), escape(line.rule))
    out.print(table)
    if removals:
        table = _table("removed (UTC)", "what", "number", "bytes", "why")
        for r in removals:
            table.add_row(
                local(r.at), escape(f"{r.kind} {r.what}"), str(r.number), _size(r.size), escape(r.reason)
            )
        out.print(table)


def _is_due(settings: Settings, folder: Path) -> bool:
    ages = [time.time() - path.stat().st_mtime for _, path in backups(folder)]
    interval = settings.store.backup_interval or 86400.0
    return is_due(ages, interval, since_last=interval, slack=EARLY)


def _chosen(state: Path, file: Path | None) -> Prepared:
    """A copy of the backup to restore, checked.

    Raises:
        StoreError: it isn't sound, or there is none.
    """
    if file is not None and not file.is_file():
        raise StoreError("no such backup", subject=str(file), hint="see `edge backup --list`")
    found = prepared(state, None if file is None else [file])
    if found.source is None:
        found.copy.close()
        forget_copy(state)
        why = "; ".join(reason for _, reason in found.passed) or f"there is none in {state / FOLDER}"
        raise StoreError("no backup can be restored", subject=str(file or state / FOLDER), hint=why)
    return found


def _show_backups(folder: Path, *, as_json: bool) -> None:
    found = [(backup, path, path.stat().st_size) for backup, path in backups(folder)]
    if as_json:
        write_json([{**b._asdict(), "path": str(path), "size": size} for b, path, size in found])
        return
    table = _table("backup", "made (UTC)", "bytes", "version")
    for backup, path, size in found:
        other = "" if backup.version == VERSION else f" (this program: {VERSION})"
        table.add_row(escape(path.name), backup.made, _size(size), f"{backup.version}{other}")
    out.print(table if found else f"no backups in {escape(str(folder))}")


def _json(made: Made, removed: tuple[Path, ...]) -> dict[str, Any]:
    return {
        "made": True,
        "path": str(made.path),
        "size": made.size,
        "seconds": round(made.seconds, 3),
        "removed": [str(path) for path in removed],
    }


def _restored(replaced: Replaced) -> dict[str, Any]:
    return {
        "restored": True,
        "source": str(replaced.source),
        "kept": str(replaced.aside) if replaced.aside else None,
        "epoch": replaced.epoch,
        "strays": replaced.strays,
    }


def _restored_text(replaced: Replaced) -> str:
    kept = f"; what was there is now {replaced.aside}" if replaced.aside else ""
    return (
        f"restored {replaced.source}{kept}\n"
        f"epoch {replaced.epoch}: start the daemon, it says everything again and reads the drop folder"
    )


def _tell(values: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        write_json(values)
    else:
        out.print(escape(text), highlight=False, soft_wrap=True)


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name in ("number", "bytes", "version") else "left")
    return table


def _size(size: int) -> str:
    return filesize.decimal(size) if size else ""
