"""A whole site for a browser: broker, daemon, virtual camera and ``edge web``, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from edge.delivery.broker import LocalBroker
from edge.demo.camera import picture
from edge.demo.stage import DEVICE, Service, Stage
from edge.demo.story import STORY, Moment, default_evening
from edge.service.report import is_running, last_health
from edge.subscriber import Subscriber
from edge.testing import Shot, VirtualCamera
from tests.e2e.site import wait_for

EVENING: Final = default_evening(datetime.now(UTC).date()) - timedelta(days=1)
NEXT_EVENING: Final = EVENING + timedelta(days=1)
TOKEN: Final = "three-otters-and-a-lynx"  # noqa: S105 - of pages that live for a test
_LIMITS: Final = {"EDGE_WEB__REQUESTS": "1000", "EDGE_WEB__SEARCHES": "1000"}


@dataclass(frozen=True, slots=True)
class Place:
    """A running site.

    Attributes:
        stage: its folders, and questions to its command line.
        url: of its page, without a slash at the end.
        subscriber: hears its messages.
    """

    stage: Stage
    url: str
    subscriber: Subscriber

    @property
    def state(self) -> Path:
        """What the daemon writes."""
        return self.stage.root / "state"

    def deliver(self, moments: Iterable[Moment], evening: date = NEXT_EVENING, pace: float = 0.0) -> None:
        """Have the virtual camera write pictures, as cameras do."""
        whole = (moment for moment in moments if moment.arrival != "torn")
        shots = (Shot(_file(moment, evening), picture(moment, evening), pace) for moment in whole)
        VirtualCamera(self.stage.drop).run(shots)


def _file(moment: Moment, evening: date) -> str:
    """A folder of the camera for each evening."""
    return f"{moment.deployment}/{evening:%m%d}/IMG_{moment.number:04}.JPG"


def moments(deployment: str, *numbers: int) -> list[Moment]:
    """Pictures of the demo's story."""
    return [moment for moment in STORY if moment.deployment == deployment and moment.number in numbers]


@contextmanager
def serving(stage: Stage, **environment: str) -> Iterator[str]:
    """``edge web`` over a site, as a process of its own; its address."""
    command = [sys.executable, "-m", "edge", "web", "--config", str(stage.config), "--port", "0"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EDGE_", "NOTIFY_"))}
    log = stage.root / "web.log"
    with log.open("ab") as sink:
        before = sink.tell()
        process = subprocess.Popen(command, stderr=sink, env={**kept, **_LIMITS, **environment})
    try:
        wait_for(lambda: _address(log, before) != "" or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield _address(log, before)
    finally:
        process.terminate()
        process.wait(60)


def _address(log: Path, before: int) -> str:
    """What the process said of where it listens."""
    said = log.read_bytes()[before:].decode()
    lines = [line for line in said.splitlines(keepends=True) if "http://" in line and line.endswith("\n")]
    return lines[0].split()[-1].rstrip("/") if lines else ""


@contextmanager
def running(
    folder: Path, past: Iterable[tuple[date, Iterable[Moment]]] = ((EVENING, STORY),)
) -> Iterator[Place]:
    """A site whose cameras have delivered some evenings, and whose daemon now watches for more.

    Args:
        folder: a new one; everything is written there.
        past: evenings, and what was seen; these registrations are closed.
    """
    with ExitStack() as stack:
        broker = stack.enter_context(LocalBroker("mosquitto"))
        stage = Stage(folder, broker.port)
        stage.prepare()
        subscriber = stack.enter_context(Subscriber(broker.host, broker.port, device=DEVICE, patience=0.5))
        service = Service(stage)
        stack.callback(service.kill)
        place = Place(stage, "", subscriber)
        for evening, seen in past:
            place.deliver(seen, evening)
        service.start("--until-idle")
        service.finish(300)
        service.start()
        wait_for(lambda: is_running(place.state) and last_health(place.state) is not None)
        yield Place(stage, stack.enter_context(serving(stage)), subscriber)
