"""``edge outbox``: messages that the broker refuses."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from edge.cli.common import ConfigOption, JsonOption, StateOption, configuration, local, out, write_json
from edge.delivery.messages import timestamp
from edge.store.database import open_beside, open_readonly
from edge.store.outbox import AsideRow, Outbox


def outbox_command(
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Put all of them back in line, for a daemon to send."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show messages that were set aside because the broker refuses them, and why.

    Examples:
        edge outbox

        edge outbox --retry
    """
    folder = configuration(config, state=state).settings.state
    database = open_beside(folder) if retry else open_readonly(folder)
    try:
        outbox = Outbox(database)
        aside = outbox.aside()
        if retry:
            outbox.retry([row.seq for row in aside])
    finally:
        database.close()
    if as_json:
        write_json([_json(row) for row in aside])
        return
    if aside:
        out.print(_table(aside))
    if retry:
        out.print(f"back in line: {len(aside)}", highlight=False)
    elif not aside:
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
