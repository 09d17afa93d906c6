"""``edge config``: write a commented configuration, check one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from edge.cli.common import ConfigOption, JsonOption, configuration, err, out, write_json
from edge.cli.escaping import escape
from edge.configuration import SYSTEM_FILE
from edge.errors import ConfigError
from edge.resources import default_configuration

app = typer.Typer(no_args_is_help=True, help="Write a commented configuration, check one.")


@app.command("init")
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; - writes to standard output.")
    ] = SYSTEM_FILE,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write every setting with its default and what it means.

    Examples:
        edge config init edge.toml

        edge config init - | less
    """
    text = default_configuration()
    if str(file) == "-":
        sys.stdout.write(text)
        return
    if file.exists() and not force:
        raise ConfigError("configuration is there already", subject=str(file), hint="--force replaces it")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError("configuration can't be written", subject=str(file), hint=str(error)) from error
    err.print(escape(f"wrote {file}; check it with: edge config check --config {file}"), soft_wrap=True)


@app.command("check")
def check(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check the configuration; show what is in force and where each value came from.

    Examples:
        edge config check --config edge.toml

        EDGE_MQTT__HOST=broker.lan edge config check
    """
    values = list(configuration(config).values())
    if as_json:
        write_json([{"name": v.name, "value": v.value, "source": v.source} for v in values])
        return
    table = Table(box=None, header_style="bold")
    for name in ("setting", "value", "from"):
        table.add_column(name, overflow="fold")
    for value in values:
        style = "dim" if value.source == "default" else None
        table.add_row(value.name, escape(_shown(value.value)), escape(value.source), style=style)
    out.print(table)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)
