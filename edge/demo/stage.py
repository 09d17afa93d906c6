"""The demo's folder and its processes: settings, the real service, questions to the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Any, Final

import tomli_w

from edge.errors import ConfigError, EdgeError

DEVICE: Final = "demo"
_FOREIGN = ("EDGE_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")
_LOG_TAIL = 2000
_ASK_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything of one demo is.

    Attributes:
        root: the folder; nothing outside is written.
        broker_port: where the broker listens on 127.0.0.1.
    """

    root: Path
    broker_port: int

    @property
    def drop(self) -> Path:
        """What the cameras write to."""
        return self.root / "drop"

    @property
    def config(self) -> Path:
        """The service's settings."""
        return self.root / "edge.toml"

    @property
    def log(self) -> Path:
        """What the service said."""
        return self.root / "edge.log"

    def prepare(self) -> None:
        """Make the folders, the label set and the settings.

        Raises:
            ConfigError: the folder has something in it already, or can't be written.
        """
        try:
            self.drop.mkdir(parents=True)
            labels = resources.files("edge.demo") / "labels.toml"
            (self.root / "labels.toml").write_bytes(labels.read_bytes())
            self.config.write_text(tomli_w.dumps(self._settings()), "utf-8")
        except FileExistsError as error:
            raise ConfigError(
                "a demo was here before", subject=str(self.root), hint="name a new folder"
            ) from error
        except OSError as error:
            raise ConfigError("folder can't be used", subject=str(self.root), hint=str(error)) from error

    def _settings(self) -> dict[str, Any]:
        return {
            "device": DEVICE,
            "drop": str(self.drop),
            "state": str(self.root / "state"),
            "intake": {"settle": 0.5, "timezone": "UTC"},
            "vision": {
                "bundle": "starter",
                "labels": str(self.root / "labels.toml"),
                # Halfway between what the detector gives the animals here and what it gives the bushes.
                "animal": 0.3,
            },
            "mqtt": {"host": "127.0.0.1", "port": self.broker_port, "health_interval": 10.0},
            # The folder is thrown away, and needs a few megabytes: a small /tmp must not pause intake.
            "store": {"low_water": 0},
        }

    def ask(self, command: str) -> Any:
        """What ``edge COMMAND --json`` says about this demo's state.

        Raises:
            EdgeError: it failed.
        """
        done = subprocess.run(
            [*_EDGE, command, "--config", str(self.config), "--json"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_TIMEOUT,
            check=False,
        )
        try:
            if done.returncode == 0:
                return loads(done.stdout)
        except JSONDecodeError as error:
            raise EdgeError(f"edge {command} didn't answer in JSON", subject=str(self.root)) from error
        said = done.stderr.decode(errors="replace").strip()
        raise EdgeError(f"edge {command} failed with {done.returncode}", subject=said[-_LOG_TAIL:])


class Service:
    """``edge run`` as a process of its own, as a user starts it.

    Args:
        stage: prepared.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it; returns at once."""
        with self._stage.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_EDGE, "run", "--config", str(self._stage.config), *options],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            EdgeError: it has ended by itself.
        """
        if self._process is not None and (code := self._process.poll()) is not None:
            raise self._failed(f"edge run ended with {code}")

    def kill(self) -> None:
        """End it as a power cut does; nothing if it doesn't run."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def stop(self, timeout: float) -> None:
        """End it in order (SIGTERM).

        Raises:
            EdgeError: it did not end in time, or not with success.
        """
        if self._process is not None:
            self._process.terminate()
        self.finish(timeout)

    def finish(self, timeout: float) -> None:
        """Wait until it ends by itself.

        Raises:
            EdgeError: it did not end in time, or not with success.
        """
        process = self._process
        if process is None:
            return
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise self._failed(f"edge run did not end within {timeout:.0f} s") from error
        self._process = None
        if code != 0:
            raise self._failed(f"edge run ended with {code}")

    def _failed(self, what: str) -> EdgeError:
        said = self._stage.log.read_text("utf-8", errors="replace").strip()
        return EdgeError(what, subject=said[-_LOG_TAIL:])


_EDGE: Final = (sys.executable, "-m", "edge")


def _environment() -> dict[str, str]:
    """This process's environment without what would change the service's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
