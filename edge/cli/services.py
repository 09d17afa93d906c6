"""``edge service``: installed on this machine, and removed again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from edge.cli.common import out
from edge.cli.escaping import escape
from edge.errors import UsageError
from edge.service.install.render import USER
from edge.service.install.steps import Step, Target, install_steps, take, uninstall_steps
from edge.vision.session import installed_runtimes

app = typer.Typer(no_args_is_help=True, help="Install the service on this machine, or remove it.")

_RUNNING: Final = Path("/run/systemd/system")
_ENABLED: Final = Path("/etc/systemd/system/multi-user.target.wants/edge.service")
_GPUS: Final = ("nvidia0", "nvidiactl", "nvmap", "nvhost-gpu", "nvgpu")

RootOption = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="Of a system's image; nothing is started in it.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show every step, take none.")]
UserOption = Annotated[str, typer.Option("--user", metavar="NAME", help="That the service runs as.")]


@app.command("install")
def install_command(
    *,
    root: RootOption = Path("/"),
    user: UserOption = USER,
    program: Annotated[
        str | None,
        typer.Option("--program", metavar="PATH", help="The command edge, as the service will see it."),
    ] = None,
    gpu: Annotated[
        bool | None, typer.Option("--gpu/--no-gpu", help="The drop-in for NVIDIA; default: if there is one.")
    ] = None,
    enable: Annotated[
        bool, typer.Option("--enable", help="Start it and the nightly backup, now and at every boot.")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Install units, user, folders and the rule for cards; again after each upgrade. Twice does nothing.

    The units start this very installation. The configuration is only written if there is none.

    Examples:
        sudo edge service install --enable

        edge service install --dry-run
    """
    target = Target(
        root=root.absolute(),
        program=program or _program(),
        user=user,
        gpu=_has_gpu() if gpu is None else gpu,
        openvino="onnxruntime-openvino" in installed_runtimes(),
    )
    target.check()
    _insist_on_root(root, dry_run=dry_run)
    live = _live(root)
    _go(install_steps(target, enable=enable, live=live), dry_run=dry_run)
    if live and not enable and not dry_run:
        enabled = os.path.lexists(_ENABLED)
        hint = "restart edge" if enabled else "enable --now edge edge-backup.timer"
        out.print(f"next: sudo systemctl {hint}", highlight=False, soft_wrap=True)


@app.command("uninstall")
def uninstall_command(
    *,
    root: RootOption = Path("/"),
    user: UserOption = USER,
    purge: Annotated[
        bool, typer.Option("--purge", help="Also remove configuration, database, images and the user.")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Stop the service and remove what install wrote. Data and configuration stay, unless --purge.

    Examples:
        sudo edge service uninstall

        sudo edge service uninstall --purge --dry-run
    """
    _insist_on_root(root, dry_run=dry_run)
    _go(
        uninstall_steps(Target(root=root.absolute(), user=user), purge=purge, live=_live(root)),
        dry_run=dry_run,
    )


def _go(steps: Iterable[Step], *, dry_run: bool) -> None:
    # All steps are made before the first is taken, for they look at what is there.
    planned = list(steps)
    for step in planned if dry_run else take(planned):
        out.print(escape(str(step)), highlight=False, soft_wrap=True)
    if dry_run:
        out.print("nothing was done", highlight=False)


def _insist_on_root(root: Path, *, dry_run: bool) -> None:
    if not dry_run and root.absolute() == Path("/") and os.geteuid() != 0:
        hint = "sudo, or look first: --dry-run"
        raise UsageError("only root can change the system's services", hint=hint)


def _live(root: Path) -> bool:
    return root.absolute() == Path("/") and _RUNNING.is_dir()


def _program() -> str:
    """This installation's command, links of a virtual environment kept."""
    beside = Path(sys.executable).absolute().parent / "edge"
    return str(beside) if beside.exists() else f"{Path(sys.executable).absolute()} -m edge"


def _has_gpu() -> bool:
    return any(Path("/dev", name).exists() for name in _GPUS)
