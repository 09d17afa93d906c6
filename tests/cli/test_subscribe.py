"""``edge subscribe``: how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.delivery.broker import LocalBroker, free_port
from tests.delivery.helpers import PATIENCE, Ear, eventually, filled, needs_mosquitto, publishing


@contextmanager
def _running(port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "edge", "subscribe", "--broker", f"mqtt://127.0.0.1:{port}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _handles_signals(process: subprocess.Popen[str]) -> None:
    """Wait until the program has its own handlers for signals."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught & 1 << (signal.SIGTERM - 1):
            return
        time.sleep(0.05)
    raise AssertionError("it never came so far")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_while_it_waits_for_the_broker_ends_it_cleanly(number: signal.Signals, code: int) -> None:
    """One line on what it was doing, nothing on standard output, and the exit code of that signal."""
    port = free_port()
    with _running(port) as process:
        _handles_signals(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (code, "")
    assert err == f"stopped before 127.0.0.1:{port} answered\n"


@needs_mosquitto
def test_a_broker_that_wants_a_password_is_told_from_one_that_is_silent() -> None:
    """It ends at once, with the broker's reason and how to say who one is."""
    closed = LocalBroker("mosquitto", config=["allow_anonymous false"])
    with closed as broker, _running(broker.port, "--once") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, "")
    assert "access rules" in err or "user name or password" in err
    assert "mqtt://USER:PASSWORD@HOST" in err


@needs_mosquitto
def test_ctrl_c_while_it_follows_prints_what_there_is() -> None:
    """The table, as always at the end; stopping is how following ends, so that's no error."""
    with LocalBroker("mosquitto") as broker, publishing(filled(4, 2), broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        with Ear(broker, "edge/v1/+/registration/#") as ear, _running(broker.port, "--json") as process:
            assert eventually(lambda: len(ear.heard) >= 4)  # what it asks for
            time.sleep(2.0)  # it says nothing before its end
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert {row["deployment"]: row["revision"] for row in json.loads(out)} == {"cam-1": 4, "cam-2": 3}
