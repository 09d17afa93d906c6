"""A site: a drop folder, a state folder, and the daemon as a user runs it, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from edge.service.report import is_running, last_health
from tests.children import minded

Row = dict[str, Any]
PATIENCE = 90.0


@dataclass(frozen=True)
class Site:
    """One device with its folders.

    Attributes:
        folder: everything is below it.
        port: of the broker; None keeps delivery off.
        settings: more settings, as in the configuration file.
        daemons: those that were started, in order.
    """

    folder: Path
    port: int | None = None
    settings: dict[str, Any] | None = None
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False, compare=False)

    @property
    def drop(self) -> Path:
        """Where cameras write."""
        return self.folder / "drop"

    @property
    def state(self) -> Path:
        """Where the daemon writes."""
        return self.folder / "state"

    def prepare(self) -> Site:
        """Make the folders and the configuration; returns the site."""
        self.drop.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "device": "site-1",
            "drop": str(self.drop),
            "state": str(self.state),
            "mqtt": {"enabled": self.port is not None, "port": self.port or 1883},
            "intake": {"settle": 0.2},
            "store": {"low_water": 0},
        }
        for section, values in (self.settings or {}).items():
            config[section] = {**config.get(section, {}), **values}
        self.config.write_text(tomli_w.dumps(config))
        return self

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "edge.toml"

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the daemon; a test that leaves it running has it ended."""
        return self._started(arguments, _environment())

    def start_with_path(self, path: Path, poison: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the daemon with a ``sitecustomize`` from a folder, which finds ``poison`` in ``$POISON``."""
        return self._started(arguments, _environment() | {"PYTHONPATH": str(path), "POISON": poison})

    def run_until_idle(self) -> None:
        """Process what is there, close, deliver, end; must succeed."""
        assert self._spawn(("--until-idle",), _environment()).wait(PATIENCE) == 0, self.log()

    def json(self, *arguments: str) -> Any:
        """What a command prints with ``--json``."""
        finished = subprocess.run(
            self._command(*arguments, "--json"), capture_output=True, env=_environment(), check=False
        )
        assert finished.returncode == 0, finished.stderr.decode()
        return json.loads(finished.stdout)

    def text(self, *arguments: str) -> str:
        """What a command prints for people."""
        finished = subprocess.run(
            self._command(*arguments), capture_output=True, env=_environment(), check=False
        )
        assert finished.returncode == 0, finished.stderr.decode()
        return finished.stdout.decode()

    def media(self) -> dict[str, Row]:
        """What became of each file, by path."""
        return {row["file"]: row for row in self.json("media")}

    def registrations(self) -> list[Row]:
        """The table of registrations in the message form."""
        rows: list[Row] = self.json("registrations")
        return rows

    def copy_in(self, sources: Iterable[Path], deployment: str) -> None:
        """Copy files as a card reader would."""
        (self.drop / deployment).mkdir(exist_ok=True)
        for source in sources:
            shutil.copyfile(source, self.drop / deployment / source.name)

    def wait_ready(self) -> None:
        """Wait until the daemon runs and has said how it is; fail at once, with its log, if it has ended."""

        def is_ready() -> bool:
            ended = self.daemons and all(daemon.poll() is not None for daemon in self.daemons)
            if ended:
                code = self.daemons[-1].returncode
                pytest.fail(f"the daemon ended with {code} before it was ready:\n{self.log()}")
            return is_running(self.state) and last_health(self.state) is not None

        wait_for(is_ready)

    def wait_for_files(self, number: int) -> None:
        """Wait until so many files have an outcome."""
        wait_for(lambda: sum(1 for row in self.media().values() if row["state"] != "attempted") >= number)

    def log(self) -> str:
        """What the daemon wrote to stderr."""
        return self._log().read_text(errors="replace") if self._log().exists() else ""

    def _started(self, arguments: Iterable[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        self.daemons.append(self._spawn(arguments, environment))
        return self.daemons[-1]

    def _spawn(self, arguments: Iterable[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with self._log().open("ab") as log:
            return minded(subprocess.Popen(self._command("run", *arguments), stderr=log, env=environment))

    def _log(self) -> Path:
        return self.folder / "daemon.log"

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "edge", *arguments, "--config", str(self.config)]


def wait_for(condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """Wait until something is true; fail if it takes too long."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    """Send a signal and wait for the end; returns the exit code."""
    process.send_signal(number)
    return process.wait(60)


def facts(rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """What registrations say, without ids, revisions and numbers, which depend on the order of arrival."""
    fields = (
        "deployment",
        "label",
        "count",
        "start",
        "end",
        "media_count",
        "confidence",
        "state",
        "clock_ok",
    )
    return sorted((*(row[f] for f in fields), json.dumps(row["votes"])) for row in rows)


def verdicts(media: dict[str, Row]) -> dict[str, tuple[Any, ...]]:
    """What is on record of each file, without attempts."""
    fields = ("state", "media_id", "deployment", "taken", "kind", "label", "count", "confidence", "clock_ok")
    return {file: tuple(row[f] for f in fields) for file, row in media.items()}


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("EDGE_")}
