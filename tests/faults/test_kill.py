"""Killed anywhere, hundreds of times: nothing is lost, nothing doubles, and nobody can tell afterwards."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge.delivery.broker import LocalBroker, mosquitto_path
from edge.store.database import DATABASE
from edge.subscriber import Subscriber
from tests.e2e.site import facts, stop, verdicts, wait_for
from tests.faults.toy_site import deliver, images, toy_site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]

KILLS, FILES = 200, 2000


@pytest.mark.fault(2)
def test_two_hundred_kills_over_two_thousand_images(
    tmp_path: Path, fault_figure: Callable[[str], None]
) -> None:
    """Every file has exactly one observation, and record and subscriber are those of an undisturbed run."""
    if mosquitto_path() is None:
        pytest.skip("needs mosquitto")
    calm = toy_site(tmp_path / "calm")
    deliver(calm, images(FILES))
    calm.run_until_idle()
    moments = random.Random(200)
    during = 0
    with LocalBroker("mosquitto") as broker, Subscriber(broker.host, broker.port, patience=0.3) as subscriber:
        site = toy_site(tmp_path / "killed", broker.port)
        files = images(FILES)
        for _ in range(KILLS):
            # A backlog lies there at each start, so that most kills come in the middle of work.
            deliver(site, files, FILES // KILLS)
            daemon = site.start()
            time.sleep(moments.uniform(0.4, 2.2))
            during += daemon.poll() is None
            stop(daemon, signal.SIGKILL)
        site.run_until_idle()
        last = site.start()
        wait_for(lambda: subscriber.statuses() == {"site-1": "online"} and subscriber.is_complete())
        rows = subscriber.rows()
        assert stop(last) == 0
    assert during == KILLS
    assert verdicts(site.media()) == verdicts(calm.media())
    assert len(site.media()) == FILES
    assert facts(site.registrations()) == facts(calm.registrations())
    assert rows == site.registrations()
    with closing(sqlite3.connect(site.state / DATABASE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT COUNT(*), COUNT(DISTINCT media_id) FROM media").fetchone() == (
            FILES,
            FILES,
        )
    fault_figure(f"{KILLS} kills, {FILES} images: 0 lost, 0 doubled, tables equal")
