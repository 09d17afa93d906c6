"""The command line: one program, its commands, and how errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Final

import typer

from edge import __version__
from edge.cli.lazily import command, group, lazy
from edge.errors import EdgeError

COMMANDS: Final = {
    "demo": command("edge.cli.demo:demo_command"),
    "run": command("edge.cli.run:run_command"),
    "import": command("edge.cli.imports:import_command"),
    "status": command("edge.cli.look:status_command"),
    "registrations": group("edge.cli.look:registrations_app"),
    "register": command("edge.cli.register:register_command"),
    "media": command("edge.cli.look:media_command"),
    "relabel": command("edge.cli.correct:relabel_command"),
    "clock": group("edge.cli.correct:app"),
    "outbox": group("edge.cli.outbox:app"),
    "subscribe": command("edge.cli.subscribe:subscribe_command"),
    "web": command("edge.cli.web:web_command"),
    "backup": command("edge.cli.keep:backup_command"),
    "restore": command("edge.cli.keep:restore_command"),
    "retention": command("edge.cli.keep:retention_command"),
    "doctor": command("edge.cli.doctor:doctor_command"),
    "service": group("edge.cli.services:app"),
    "config": group("edge.cli.config:app"),
    "models": group("edge.cli.models:app"),
    "search": group("edge.cli.search:app"),
    "index": command("edge.cli.index:index_command"),
    "collections": group("edge.cli.index:app"),
    "classify": command("edge.cli.classify:classify_command", "edge.cli.variadic:LabelsCommand"),
}
"""Every command and where it is; its module is imported when it is called, or help is asked for."""

app = typer.Typer(
    name="edge",
    cls=lazy(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Camera-trap images in, registrations of animals out, on a small machine in the field.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"edge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell it.")
    ] = False,
) -> None:
    """Camera-trap images in, registrations of animals out, on a small machine in the field."""


def mount(target: typer.Typer, points: list[EntryPoint]) -> None:
    """Add commands that other packages bring, such as ``edge export``."""
    for point in points:
        target.add_typer(point.load(), name=point.name)


def main() -> None:
    """Run the command line; errors that this product raises become one line and an exit code."""
    if sys.argv[1:2] in ([], ["export"], ["--help"], ["-h"]):
        mount(app, list(entry_points(group="edge.commands")))
    try:
        app()
    except EdgeError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may complain about it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _tell(error: EdgeError) -> None:
    # Settings and tables come along, for errors alone.
    from edge.cli.common import err  # noqa: PLC0415
    from edge.cli.escaping import escape  # noqa: PLC0415

    err.print(f"[red]edge:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
