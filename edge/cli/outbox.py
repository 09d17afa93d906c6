"""``edge outbox``: messages that wait or that the broker refuses; look, retry, carry by hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from edge.cli.common import (
    ConfigOption,
    JsonOption,
    StateOption,
    configuration,
    err,
    local,
    out,
    reading,
    write_json,
)
from edge.cli.escaping import escape
from edge.delivery.messages import timestamp
from edge.errors import StoreError, UsageError
from edge.store.database import open_beside, open_readonly
from edge.store.files import keep_durably
from edge.store.outbox import AsideRow, Outbox, OutboxState

_PAGE = 500

app = typer.Typer()

Which = Literal["set-aside", "pending", "all"]


@app.callback(invoke_without_command=True)
def outbox_command(
    context: typer.Context,
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    retry: Annotated[bool, typer.Option("--retry", help="The same as `edge outbox retry --all`.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show messages that were set aside because the broker refuses them, and why.

    Examples:
        edge outbox

        edge outbox --json
    """
    if context.invoked_subcommand is not None:
        if config or state or retry or as_json:
            raise UsageError("options belong behind the command", subject=context.invoked_subcommand)
        return
    if retry:
        _retry(_folder(config, state), None, as_json=as_json)
    else:
        _list(_folder(config, state), as_json=as_json)


@app.command("list")
def list_command(
    *, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show messages that were set aside because the broker refuses them, and why.

    Examples:
        edge outbox list

        edge outbox list --json | jq '.[].reason'
    """
    _list(_folder(config, state), as_json=as_json)


@app.command("retry")
def retry_command(
    seqs: Annotated[
        list[int] | None,
        typer.Argument(metavar="[SEQ]...", help="Numbers, as `edge outbox list` shows them."),
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put messages that were set aside back in line; a running daemon sends them within a second or two.

    Examples:
        edge outbox retry 1042 1043

        edge outbox retry --all
    """
    if bool(seqs) == everything:
        raise UsageError("say which messages", hint="give their numbers, or --all")
    _retry(_folder(config, state), seqs, as_json=as_json)


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; - writes to standard output.")],
    *,
    which: Annotated[Which, typer.Option("--which", help="Which messages.")] = "set-aside",
    after: Annotated[int, typer.Option("--after", metavar="SEQ", min=0, help="Only larger numbers.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write messages as JSON lines, to be carried by hand where no broker can be reached.

    Each line is a message as it would be published. Nothing changes: what is in line stays in line, and a
    subscriber that gets a message both ways keeps it once.

    Examples:
        edge outbox export waiting.jsonl --which pending

        edge outbox export - --which all --after 1042 | zstd > card.jsonl.zst
    """
    with reading(config, state) as (_, database):
        lines = _lines(Outbox(database), which, after)
        number = sum(_print(line) for line in lines) if str(file) == "-" else _write(file, lines, force=force)
    err.print(escape(f"messages written: {number}"), highlight=False)


def _folder(config: Path | None, state: Path | None) -> Path:
    return configuration(config, state=state).settings.state


def _list(folder: Path, *, as_json: bool) -> None:
    database = open_readonly(folder)
    try:
        _show(Outbox(database).aside(), as_json=as_json)
    finally:
        database.close()


def _retry(folder: Path, seqs: list[int] | None, *, as_json: bool) -> None:
    """Put some, or all, back in line; numbers that weren't set aside are an error, and nothing happens."""
    database = open_beside(folder)
    try:
        with database.transaction():
            outbox = Outbox(database)
            rows = [row for row in outbox.aside() if seqs is None or row.seq in seqs]
            strange = sorted(set(seqs or ()) - {row.seq for row in rows})
            if strange:
                subject = ", ".join(map(str, strange))
                raise UsageError("not set aside", subject=subject, hint="`edge outbox list` shows what is")
            outbox.retry([row.seq for row in rows])
    finally:
        database.close()
    if as_json:
        write_json([_json(row) for row in rows])
        return
    if rows:
        out.print(_table(rows))
    out.print(f"back in line: {len(rows)}", highlight=False)


def _lines(outbox: Outbox, which: Which, after: int) -> Iterator[bytes]:
    """Messages in the order of their numbers, a page of each state in memory at a time."""
    states: dict[Which, tuple[OutboxState, ...]] = {
        "set-aside": ("set_aside",),
        "pending": ("pending",),
        "all": ("pending", "set_aside", "acked"),
    }
    while rows := outbox.kept(states[which], after, _PAGE):
        after = rows[-1].seq
        yield from (row.payload for row in rows)


def _print(line: bytes) -> int:
    sys.stdout.write(f"{line.decode()}\n")
    return 1


def _write(file: Path, lines: Iterator[bytes], *, force: bool) -> int:
    """The whole of it or nothing; returns the number of lines."""
    if file.exists() and not force:
        raise UsageError("the file is there already", subject=str(file), hint="--force replaces it")
    number = 0
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            for line in lines:
                stream.write(line + b"\n")
                number += 1
        keep_durably(temporary, file)
    except OSError as error:
        raise StoreError("file can't be written", subject=str(file), hint=str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)
    return number


def _show(aside: list[AsideRow], *, as_json: bool) -> None:
    if as_json:
        write_json([_json(row) for row in aside])
    elif aside:
        out.print(_table(aside))
    else:
        out.print("no message was set aside", highlight=False)


def _json(row: AsideRow) -> dict[str, object]:
    return {
        "seq": row.seq,
        "deployment": row.deployment,
        "created": timestamp(row.created),
        "size": row.size,
        "reason": row.reason,
    }


def _table(rows: list[AsideRow]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("seq", "deployment", "created (UTC)", "bytes", "reason"):
        table.add_column(name, justify="right" if name in ("seq", "bytes") else "left", overflow="fold")
    for row in rows:
        table.add_row(
            str(row.seq), escape(row.deployment), local(row.created), str(row.size), escape(row.reason)
        )
    return table
