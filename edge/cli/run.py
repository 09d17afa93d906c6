"""``edge run``: the daemon."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

from edge.cli.common import ConfigOption, broker_overrides, configuration, err
from edge.service.daemon import Progress
from edge.service.run import Watch, run

log = logging.getLogger("edge")

LINE_INTERVAL = 10.0
_NO_FOLDER = "(?!)"
"""Matches no path: every image is then the default deployment's."""


def run_command(
    *,
    config: ConfigOption = None,
    drop: Annotated[
        Path | None,
        typer.Option("--drop", metavar="DIR", help="Folder that cameras write to; it is only read."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Folder for the database and everything else."),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option("--broker", metavar="URL", help="mqtt://[user:password@]host[:port], or none."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="SET", help="Label set: a name, or a TOML or JSON file.")
    ] = None,
    bundle: Annotated[
        str | None, typer.Option("--bundle", metavar="BUNDLE", help="Models: a name, or a folder.")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="Name of this machine in messages.")] = None,
    deployment: Annotated[
        str | None,
        typer.Option(
            "--deployment", "-d", metavar="NAME", help="All images are this camera's; default: by folder."
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", metavar="ZONE", help="Of the cameras' clocks, such as Europe/Berlin."),
    ] = None,
    until_idle: Annotated[
        bool,
        typer.Option(
            "--until-idle", help="Process what is there, close, deliver, end: the way to import a card."
        ),
    ] = False,
    drain_timeout: Annotated[
        float,
        typer.Option("--drain-timeout", metavar="SECONDS", min=0, help="For delivery, with --until-idle."),
    ] = 60.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more.")] = False,
) -> None:
    """Watch a folder of camera-trap images and publish registrations of animals.

    Examples:
        edge run --config /etc/edge/edge.toml

        edge run --drop /media/card/DCIM --deployment cam-07 --state ~/ridge --broker none --until-idle
    """
    settings = configuration(
        config,
        drop=drop,
        state=state,
        device=device,
        vision__labels=labels,
        vision__bundle=bundle,
        intake__timezone=timezone,
        intake__deployment_pattern=None if deployment is None else _NO_FOLDER,
        intake__default_deployment=deployment,
        **broker_overrides(broker),
    ).settings
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    stop = threading.Event()
    _stop_on_signals(stop)
    with _progress(shown=until_idle) as watch:
        ending = run(settings, stop=stop, until_idle=until_idle, drain_timeout=drain_timeout, watch=watch)
    if ending == "interrupted":
        err.print("stopped before everything was processed; run it again to go on")
        raise typer.Exit(1)
    if ending == "undelivered":
        where = f"{settings.mqtt.host}:{settings.mqtt.port}"
        err.print(f"broker {where} didn't take every message in time; they are kept and sent at the next run")
        raise typer.Exit(1)


def _stop_on_signals(stop: threading.Event) -> None:
    """End in order at the first signal; a second Ctrl-C ends at once, and loses no more than a power cut."""

    def orderly(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, orderly)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Watch]:
    if not shown or not err.is_terminal:
        yield _Lines(LINE_INTERVAL) if shown else _quiet
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=err) as bar:
        images = bar.add_task("images", total=None)

        def watch(progress: Progress, phase: str) -> None:
            text = f"{phase}: {progress.messages} messages, {progress.waiting} waiting"
            bar.update(images, description=text, completed=progress.recorded, total=progress.found or None)

        yield watch


class _Lines:
    """Progress as lines in the log, one in a while, where there is no terminal."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = time.monotonic() + interval

    def __call__(self, progress: Progress, phase: str) -> None:
        now = time.monotonic()
        if now < self._next and phase != "done":
            return
        self._next = now + self._interval
        text = "%s: %d of %d files, %d messages, %d in the outbox"
        log.info(text, phase, progress.recorded, progress.found, progress.messages, progress.waiting)


def _quiet(_progress: Progress, _phase: str) -> None:
    """Say nothing."""
