"""``edge demo``: the main job in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import JsonOption, out
from edge.demo.run import run_demo


def demo_command(
    *,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep images, database and log in this folder."),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw the final screen into this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show everything at once, offline, in less than a minute.

    Three virtual cameras write images into a drop folder; the real daemon watches it, a real broker carries
    its messages, and a real subscriber rebuilds the table. Exit code 0 only if that table equals the
    database.

    Examples:
        edge demo

        edge demo --keep demo-evening && edge registrations --state demo-evening/state
    """
    raise typer.Exit(run_demo(keep=keep, json=as_json, svg=svg, console=out))
