"""A broker of one's own, as a child process: for the demo, for tests, for trying things out.

Two kinds stand behind one class: mosquitto where it is installed, else rumqttd, which the package ``iotcore``
brings as a wheel (the ``demo`` extra). Both speak MQTT 5; rumqttd keeps nothing on disk. They listen on
127.0.0.1 only.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal, Self

from edge.errors import DeliveryError

Kind = Literal["mosquitto", "rumqttd"]

HOST: Final = "127.0.0.1"
_START_TIMEOUT: Final = 10.0
_STOP_TIMEOUT: Final = 5.0
_LOG_TAIL: Final = 2000

_RUMQTTD: Final = """\
id = 0

[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 16777216
max_segment_count = 10

[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 100
"""


def mosquitto_path() -> str | None:
    """Where mosquitto is; it is often in a folder for administrators that isn't on the path."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def kinds() -> list[Kind]:
    """The kinds that can be started here, best first."""
    found: list[Kind] = ["mosquitto"] if mosquitto_path() else []
    if importlib.util.find_spec("iotcore") is not None:
        found.append("rumqttd")
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class LocalBroker:
    """A broker that lives as long as a ``with`` block.

    ::

        with LocalBroker() as broker:
            settings = MqttSettings(host=broker.host, port=broker.port)

    Args:
        kind: which one; the best that is installed if not given.
        port: a free one if not given; the same over every restart.
        config: further lines of mosquitto's configuration; ``{folder}`` stands for its folder.
        files: written into its folder before the start: name -> text.
        persistence: mosquitto keeps sessions and retained messages over a clean restart.

    Raises:
        DeliveryError: no broker is installed, or options that this kind doesn't have.
    """

    host: Final = HOST

    def __init__(
        self,
        kind: Kind | None = None,
        *,
        port: int | None = None,
        config: Iterable[str] = (),
        files: Mapping[str, str] | None = None,
        persistence: bool = False,
    ) -> None:
        self.kind: Final = kind or _best_kind()
        self.port: Final = port or free_port()
        self._config, self._files, self._persistence = list(config), dict(files or {}), persistence
        if self.kind == "rumqttd" and (self._config or persistence):
            raise DeliveryError(
                "rumqttd has no such options",
                subject=", ".join(self._config) or "persistence",
                hint="use mosquitto",
            )
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Its configuration, log and data; there while the ``with`` block lasts."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="edge-broker-")
        return Path(self._folder.name)

    @property
    def pid(self) -> int | None:
        """Its process, None while it doesn't run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def log(self) -> str:
        """What it wrote so far."""
        path = self.folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it takes connections; where that fails, nothing is left running.

        Raises:
            DeliveryError: it ended, or didn't listen in time, with the end of its log; or it runs already.
        """
        if self.pid is not None:
            raise DeliveryError(
                f"{self.kind} runs already", subject=f"port {self.port}", hint="stop it first"
            )
        command = self._command()
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        with ExitStack() as undo:
            undo.callback(self.kill)
            self._await_listening()
            undo.pop_all()

    def stop(self) -> None:
        """End it cleanly: mosquitto writes what it keeps."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash or a power cut would: what it had in memory is gone."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it hang (SIGSTOP): its connections stay open and nobody answers on them."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after ``freeze``."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.__exit__)
            self.start()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _command(self) -> list[str]:
        for name, text in self._files.items():
            (self.folder / name).write_text(text)
        if self.kind == "rumqttd":
            path = self.folder / "rumqttd.toml"
            path.write_text(_RUMQTTD.format(host=HOST, port=self.port))
            return [sys.executable, "-P", "-m", "iotcore", "--log-level", "WARNING", "--config", str(path)]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join(self._mosquitto_lines()) + "\n")
        return [mosquitto_path() or "mosquitto", "-c", str(path)]

    def _mosquitto_lines(self) -> list[str]:
        lines = [f"listener {self.port} {HOST}", "max_queued_messages 0"]
        if not any(line.startswith("allow_anonymous") for line in self._config):
            lines.append("allow_anonymous true")
        if os.geteuid() == 0:
            lines.append("user root")  # otherwise it becomes a user that can't read this folder
        if self._persistence:
            lines += ["persistence true", f"persistence_location {self.folder}/"]
        return lines + [line.replace("{folder}", str(self.folder)) for line in self._config]

    def _await_listening(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if self.pid is None:
                raise DeliveryError(f"{self.kind} ended at once", subject=self.log()[-_LOG_TAIL:])
            try:
                socket.create_connection((HOST, self.port), timeout=1.0).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise DeliveryError(
            f"{self.kind} doesn't listen", subject=f"port {self.port}: {self.log()[-_LOG_TAIL:]}"
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            raise DeliveryError(f"{self.kind} isn't running", hint="call start first")
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _best_kind() -> Kind:
    found = kinds()
    if not found:
        raise DeliveryError(
            "there is no MQTT broker here", hint="install mosquitto, or the demo extra, which brings one"
        )
    return found[0]
