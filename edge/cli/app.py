"""The command line: one program, its commands, and how errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer
from rich.markup import escape

from edge import __version__
from edge.cli import (
    classify,
    config,
    correct,
    demo,
    doctor,
    imports,
    index,
    keep,
    look,
    models,
    outbox,
    register,
    run,
    search,
    services,
    subscribe,
    web,
)
from edge.cli.common import err
from edge.cli.variadic import LabelsCommand
from edge.errors import EdgeError

app = typer.Typer(
    name="edge",
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


app.command("demo")(demo.demo_command)
app.command("run")(run.run_command)
app.command("import")(imports.import_command)
app.command("status")(look.status_command)
app.add_typer(look.registrations_app, name="registrations")
app.command("register")(register.register_command)
app.command("media")(look.media_command)
app.command("relabel")(correct.relabel_command)
app.add_typer(correct.app, name="clock")
app.add_typer(outbox.app, name="outbox")
app.command("subscribe")(subscribe.subscribe_command)
app.command("web")(web.web_command)
app.command("backup")(keep.backup_command)
app.command("restore")(keep.restore_command)
app.command("retention")(keep.retention_command)
app.command("doctor")(doctor.doctor_command)
app.add_typer(services.app, name="service")
app.add_typer(config.app, name="config")
app.add_typer(models.app, name="models")
app.add_typer(search.app, name="search")
app.command("index")(index.index_command)
app.add_typer(index.app, name="collections")
app.command("classify", cls=LabelsCommand)(classify.classify_command)


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
        err.print(f"[red]edge:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may complain about it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
