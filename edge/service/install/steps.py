"""What installing and removing the service takes, step by step, and doing it.

The steps are made first, from what the machine has, so that they can be shown without being taken. Files are
written as temp and rename; one that is as it should be is left alone, so that doing it twice does nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from edge.errors import EdgeError, UsageError
from edge.resources import default_configuration, shipped_system_files, shipped_units
from edge.service.install import render
from edge.store.files import write_durably

Action = Literal["write", "same", "keep", "remove", "run", "skip"]

UNITS: Final = "etc/systemd/system"
CONFIGURATION: Final = "etc/edge/edge.toml"
GPU: Final = "edge.service.d/gpu.conf"
OPENVINO: Final = "edge.service.d/openvino.conf"
STARTED: Final = ("edge.service", "edge-backup.timer")
"""Units that ``--enable`` starts, now and at every boot."""
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - the service can't see them
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}", re.ASCII)
_TIMEOUT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Target:
    """What is installed, and where.

    Attributes:
        root: of the system; another one than ``/`` is an image, in which nothing is started.
        program: the command ``edge`` as the service will see it.
        user: that the service runs as.
        gpu, openvino: whether the drop-ins for them are wanted.
    """

    root: Path = Path("/")
    program: str = render.PROGRAM
    user: str = render.USER
    gpu: bool = False
    openvino: bool = False

    def check(self) -> None:
        """Make sure that a service could work so.

        Raises:
            UsageError: it couldn't see the program, or the user's name is none.
        """
        if not _NAME.fullmatch(self.user) or self.user == "root":
            raise UsageError("not a user for a service", subject=self.user, hint="edge is made for it")
        path = self.program.removesuffix(" -m edge")
        if any(character.isspace() or character in "%$\"'\\" for character in path) or path[:1] != "/":
            raise UsageError("not a program's absolute path that a unit can hold", subject=self.program)
        if any(Path(path).is_relative_to(folder) for folder in _HIDDEN):
            hint = "install it into /opt/edge, or elsewhere outside of home folders"
            raise UsageError("the service couldn't see its program", subject=path, hint=hint)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        action: ``same`` is there already, ``keep`` is the user's, ``skip`` can't be done here.
        subject: a file's path, or a command.
        why: for people, may be empty.
        text: to be written.
        mode: of the file.
        must: whether a command has to succeed.
    """

    action: Action
    subject: str
    why: str = ""
    text: str = ""
    mode: int = 0o644
    must: bool = True

    def __str__(self) -> str:
        return f"{self.action:<7}{self.subject}" + (f"  ({self.why})" if self.why else "")


def install_steps(target: Target, *, enable: bool, live: bool) -> Iterator[Step]:
    """What it takes to install.

    Args:
        target: what and where.
        enable: also start the service and the nightly backup, now and at every boot.
        live: systemd runs here, and ``target.root`` is its root.
    """
    for name, text in _files(target).items():
        yield _written(target.root / name, text)
    for name in (GPU, OPENVINO):
        path = target.root / UNITS / name
        if not _wanted(target, name) and path.exists():
            yield Step("remove", str(path), "not for this machine")
    configuration = target.root / CONFIGURATION
    if configuration.exists():
        yield Step("keep", str(configuration), "it is yours")
    else:
        yield Step("write", str(configuration), "the defaults, to be changed", default_configuration())
    yield from _commands(target, _ACTIVATING, live=live)
    if enable:
        now = ("--now",) if live else (f"--root={target.root}",)
        yield Step("run", " ".join(("systemctl", "enable", *now, *STARTED)))


def uninstall_steps(target: Target, *, purge: bool, live: bool) -> Iterator[Step]:
    """What it takes to remove the service; data and configuration stay, but with ``purge``."""
    units = [name for name in shipped_units() if name.endswith((".service", ".timer")) and "@" not in name]
    there = [name for name in units if (target.root / UNITS / name).exists()]
    if there:
        how = ("--now",) if live else (f"--root={target.root}",)
        yield Step("run", " ".join(("systemctl", "disable", *how, *there)), must=False)
    for name in _files(Target(target.root, target.program, target.user, gpu=True, openvino=True)):
        if (target.root / name).exists():
            yield Step("remove", str(target.root / name))
    yield from _commands(target, _FORGETTING, live=live)
    for path, what in (("etc/edge", "configuration"), ("var/lib/edge", "database and images")):
        folder = target.root / path
        if folder.exists():
            yield Step("remove", str(folder), what) if purge else Step("keep", str(folder), what)
    if purge and live:
        yield Step("run", f"userdel {target.user}", must=False)
        # It outlives its user where uploaders are in it.
        yield Step("run", f"groupdel {target.user}", must=False)


def take(steps: Iterable[Step]) -> Iterator[Step]:
    """Take steps one after the other; each is given back when it is done.

    Raises:
        EdgeError: a file can't be written or removed, or a command failed; what comes after isn't done.
    """
    for step in steps:
        if step.action == "write":
            _write(Path(step.subject), step)
        elif step.action == "remove":
            _remove(Path(step.subject))
        elif step.action == "run":
            _run(step)
        yield step


_ACTIVATING: Final = (
    ("systemd-sysusers", "/etc/sysusers.d/edge.conf"),
    ("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/edge.conf"),
    ("udevadm", "control", "--reload"),
    ("systemctl", "daemon-reload"),
)
_FORGETTING: Final = (("udevadm", "control", "--reload"), ("systemctl", "daemon-reload"))


def _commands(target: Target, commands: Iterable[Sequence[str]], *, live: bool) -> Iterator[Step]:
    for command in commands:
        text = " ".join(command)
        if live:
            # A container has systemd but no udev; nothing else depends on it.
            yield Step("run", text, must=command[0] != "udevadm")
        else:
            why = (
                "its systemd does it at the next start"
                if target.root != Path("/")
                else "no systemd runs here"
            )
            yield Step("skip", text, why)


def _files(target: Target) -> dict[str, str]:
    """Everything that is installed: path below the root -> text."""
    units = {
        f"{UNITS}/{name}": render.unit(source.read_text("utf-8"), target.program, target.user)
        for name, source in shipped_units().items()
        if _wanted(target, name)
    }
    others = {
        f"etc/{name}": render.system_file(source.read_text("utf-8"), target.user)
        for name, source in shipped_system_files().items()
    }
    return {**others, **units}


def _wanted(target: Target, name: str) -> bool:
    return {GPU: target.gpu, OPENVINO: target.openvino}.get(name, True)


def _written(path: Path, text: str) -> Step:
    if path.is_symlink() and path.readlink() == Path(os.devnull):
        return Step("keep", str(path), "masked, and so it stays")
    try:
        same = path.read_text("utf-8") == text
    except FileNotFoundError:
        return Step("write", str(path), text=text)
    except (OSError, ValueError) as error:
        raise EdgeError("can't be read", subject=str(path), hint=str(error)) from error
    return Step("same", str(path)) if same else Step("write", str(path), "it was another version's", text)


def _write(path: Path, step: Step) -> None:
    _folder(path.parent)
    write_durably(path, step.text.encode())
    path.chmod(step.mode)


def _folder(path: Path) -> None:
    """A folder for everybody to look into, whatever the umask says."""
    if not path.is_dir():
        _folder(path.parent)
        try:
            path.mkdir()
            path.chmod(0o755)
        except OSError as error:
            raise EdgeError("folder can't be made", subject=str(path), hint=str(error)) from error


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise EdgeError("can't be removed", subject=str(path), hint=str(error)) from error
    if path.parent.name.endswith(".service.d"):
        with suppress(OSError):  # drop-ins of the user's own are in it
            path.parent.rmdir()


def _run(step: Step) -> None:
    """Run a command; its words have no spaces in them."""
    environment = {**os.environ, "SYSTEMD_PAGER": "", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            step.subject.split(" "),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if not step.must:
            return
        raise EdgeError("command can't be run", subject=step.subject, hint=str(error)) from error
    if done.returncode and step.must:
        said = (done.stderr or done.stdout).strip()
        raise EdgeError(f"command ended with {done.returncode}", subject=step.subject, hint=said)
