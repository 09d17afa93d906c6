"""The end of processes that tests start."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import children
from tests.children import minded

pytest_plugins = ["pytester"]

_DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
)
_HELD = """
import subprocess, sys
import pytest
from tests import children

@pytest.fixture(autouse=True)
def _children_end():
    yield
    children.end_all()

def test_failing():
    daemon = children.minded(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
    assert daemon.pid == 0

def test_next():
    pass
"""


def test_what_still_runs_is_ended_and_waited_for() -> None:
    """In order where it can be, also one that was stopped; one that has ended keeps its exit code."""
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    running, halted = (minded(subprocess.Popen(sleep, stdout=subprocess.PIPE)) for _ in range(2))
    ended = minded(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]))
    ended.wait()
    halted.send_signal(signal.SIGSTOP)
    children.end_all()
    assert (running.returncode, halted.returncode, ended.returncode) == (-15, -15, 3)
    assert running.stdout is not None
    assert running.stdout.closed


def test_one_that_ignores_the_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while; nothing keeps the tests from going on."""
    monkeypatch.setattr(children, "GRACE", 0.2)
    deaf = minded(subprocess.Popen([sys.executable, "-c", _DEAF], stdout=subprocess.PIPE))
    assert deaf.stdout is not None
    deaf.stdout.readline()
    began = time.monotonic()
    children.end_all()
    assert deaf.returncode == -signal.SIGKILL
    assert time.monotonic() - began >= 0.2


def test_a_failing_test_spoils_no_other(pytester: pytest.Pytester) -> None:
    """Its child is ended, and Python doesn't complain in a later test that it still runs."""
    pytester.makepyfile(_HELD)
    pytester.makeini(f"[pytest]\nfilterwarnings = error\npythonpath = {Path(__file__).parents[1]}")
    pytester.runpytest_subprocess().assert_outcomes(passed=1, failed=1)
