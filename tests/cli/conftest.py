from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge import configuration
from edge.delivery.messages import BundleRef
from edge.registration import Options
from edge.registration.engine import Engine
from edge.service.emit import Voice
from edge.service.looker import settled
from edge.service.pending import PendingTimes
from edge.service.recorder import Recorder
from edge.settings import RegistrationSettings, Settings
from edge.store.database import open_database
from edge.store.names import remember_bundle, remember_labels
from edge.store.record import SqliteRecord
from tests.service.outcomes import examined, seen

BUNDLE = "b" * 64
NAMES = {"Red_Fox": "Vulpes vulpes", "Red_Deer": "Cervus elaphus"}


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command line as its entry point runs it, away from this machine's own configuration."""
    from edge.cli.app import main  # noqa: PLC0415 - after the environment is prepared

    monkeypatch.setattr(configuration, "SYSTEM_FILE", tmp_path / "absent.toml")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["edge", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        said = capfd.readouterr()
        return Result(code, said.out, said.err)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """The command line in a process of its own."""

    def call(*arguments: object) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "edge", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200"},
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with two registrations, a blank, and a file that was set aside."""
    folder = tmp_path / "state"
    database = open_database(folder)
    remember_bundle(database, BUNDLE, "starter")
    remember_labels(database, NAMES)
    database.remember("device", "ridge-01")
    voice = Voice("ridge-01", database.epoch, NAMES, BundleRef(name="starter", sha256=BUNDLE))
    settings = Settings(device="ridge-01", registration=RegistrationSettings(allowed_lateness=0.0))
    pending = PendingTimes()
    recorder = Recorder(database, Engine(Options(), SqliteRecord(database)), voice, pending, settings)
    files = [
        seen(examined("a", 0)),
        seen(examined("b", 10), count=2),
        seen(examined("c", 20), count=0),
        seen(examined("d", 30, deployment="ridge [west]"), label="Red_Deer"),
        settled(examined("broken", 40), "set_aside", "it is empty"),
    ]
    for outcome in files:
        assert outcome.examined is not None
        pending.add(outcome.examined.deployment, outcome.examined.taken_ms)
    recorder.record(files)
    database.close()
    return folder
