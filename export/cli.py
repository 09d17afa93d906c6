"""``edge export``: bundles of models, made and measured on a workstation."""

from __future__ import annotations

import typer

from export.commands import bundle, clip, starter, yolo

app = typer.Typer(no_args_is_help=True, help="Make bundles of models on a workstation, and measure them.")


@app.callback()
def _root() -> None:
    """Make bundles of models on a workstation, and measure them."""


app.command("yolo")(yolo.yolo_command)
app.command("clip")(clip.clip_command)
app.command("bundle")(bundle.bundle_command)
app.command("starter")(starter.starter_command)
