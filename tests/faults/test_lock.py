"""Another program that holds the database's lock: it is waited for, said to be there, and costs nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from edge.delivery.broker import LocalBroker, mosquitto_path
from edge.demo.camera import shots
from edge.service.report import last_health
from edge.store.database import DATABASE
from edge.testing import VirtualCamera
from tests.e2e.site import Site, stop, wait_for

LABELS = str(Path(__file__).resolve().parents[2] / "edge" / "demo" / "labels.toml")
LONG = 12.0
"""Seconds; more than a transaction is patient."""
_HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@contextmanager
def locked(state: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds the lock for so long; the block begins once it does."""
    command = [sys.executable, "-c", _HOLDER, str(state / DATABASE), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            holder.kill()


def _codes(site: Site) -> set[str]:
    return {problem["code"] for problem in (last_health(site.state) or {}).get("problems", [])}


def _processed(site: Site) -> int:
    return sum(row["state"] == "processed" for row in site.media().values())


def _site(folder: Path, port: int) -> Site:
    settings = {"mqtt": {"health_interval": 1.0}, "vision": {"labels": LABELS}}
    return Site(folder, port, settings).prepare()


def test_a_lock_held_for_long_costs_nothing_but_time(tmp_path: Path) -> None:
    """Images and acknowledgements that come meanwhile wait; health says for what; then all is as ever."""
    if mosquitto_path() is None:
        pytest.skip("needs mosquitto")
    story = list(shots(date(2025, 6, 11), pace=0.0))
    camera = VirtualCamera(tmp_path / "drop", pause=0.0)
    with LocalBroker("mosquitto") as broker:
        broker.stop()
        site = _site(tmp_path, broker.port)
        camera.run(story[:4])
        daemon = site.start()
        site.wait_ready()
        wait_for(lambda: _processed(site) == 4)
        waiting = site.json("status")["outbox"]["waiting"]
        assert waiting > 0
        with locked(site.state, LONG) as holder:
            camera.run(story[4:8])
            broker.start()
            wait_for(lambda: "database_busy" in _codes(site))
            assert site.json("status")["outbox"]["waiting"] == waiting
            assert holder.wait(60) == 0
        wait_for(lambda: _processed(site) == 8)
        wait_for(lambda: site.json("status")["outbox"]["waiting"] == 0)
        wait_for(lambda: "database_busy" not in _codes(site))
        assert site.json("status")["outbox"]["set_aside"] == 0
        assert stop(daemon) == 0


def test_a_stop_while_the_lock_is_held_loses_nothing(tmp_path: Path) -> None:
    """It ends in time, and the next start does what this one couldn't."""
    site = Site(tmp_path).prepare()
    camera = VirtualCamera(tmp_path / "drop", pause=0.0)
    story = list(shots(date(2025, 6, 11), pace=0.0))
    camera.run(story[:2])
    site.run_until_idle()
    daemon = site.start()
    site.wait_ready()
    wait_for(lambda: "ready:" in site.log().rpartition("ended;")[2])
    with locked(site.state, 60.0):
        camera.run(story[2:6])
        stop(daemon)
    site.run_until_idle()
    assert {row["state"] for row in site.media().values()} == {"processed"}
    assert _processed(site) == 6
