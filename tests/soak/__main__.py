"""A soak: cameras, daemon, broker and subscriber for an hour or more, with what the field does to a broker.

::

    python -m tests.soak --minutes 70 --rate 2 --out soak --images FOLDER

The daemon is ``edge run`` in a process of its own. The broker keeps nothing on disk, is killed every few
minutes at random and comes back empty a little later. At the end every file must have an outcome, and the
subscriber's table must be the daemon's. Leaves ``samples.csv``, ``latency.csv``, ``outcome.json`` and
``soak.png``; exit code 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.delivery.broker import LocalBroker
from edge.demo.verdict import same
from edge.subscriber import Subscriber
from edge.testing import VirtualCamera
from tests.e2e.site import Row, Site, stop
from tests.soak.material import load, shots
from tests.soak.outcome import Outcome, draw, minutes_of, slope
from tests.soak.sampling import Latencies, Recording

LOOK = 10.0
PATIENCE = 600.0


@dataclass
class Soak:
    """All parts of one soak while it runs.

    Attributes:
        options: of the command line.
        site: the daemon's folders.
        broker: at the same port after every restart.
        began: monotonic.
        delivered: files, by name.
        outages: seconds since the beginning.
        deaths: ends of the daemon that nobody asked for.
    """

    options: argparse.Namespace
    site: Site
    broker: LocalBroker
    began: float = field(default_factory=time.monotonic)
    delivered: list[str] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    deaths: int = 0

    def __post_init__(self) -> None:
        """Begin to measure."""
        self.latencies = Latencies(self.began)
        self.recording = Recording(self.options.out / "samples.csv", self.site.state)
        self.daemon = self.site.start()
        self.over = threading.Event()

    @property
    def at(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def deliver(self) -> None:
        """The cameras' thread: images at the rate asked for, until it is over."""
        camera = VirtualCamera(self.site.drop)
        sources = load(self.options.images)
        due = time.monotonic()
        for shot in shots(sources, self.options.cameras, seed=self.options.seed):
            due += 1 / self.options.rate
            if self.over.wait(max(0.0, due - time.monotonic())):
                return
            camera.deliver(shot)
            self.latencies.delivered(shot.file)
            self.delivered.append(shot.file)

    def disturb(self) -> None:
        """The broker's thread: killed at random, back after some seconds, having forgotten everything."""
        chance = random.Random(self.options.seed)
        while not self.over.wait(chance.uniform(0.5, 1.5) * self.options.broker_every):
            gone = time.monotonic()
            self.broker.kill()
            self.over.wait(chance.uniform(1.0, 20.0))
            self.broker.start()
            self.outages.append((gone - self.began, self.at))
            self.latencies.trouble(gone, time.monotonic())

    def watch(self, subscriber: Subscriber) -> None:
        """Sample until the time is up; a daemon that ended is counted and started again."""
        next_look = 0.0
        while self.at < self.options.minutes * 60:
            time.sleep(max(0.05, next_look - self.at))
            next_look += LOOK
            subscriber.check()
            if self.daemon.poll() is not None:
                self.deaths += 1
                self.daemon = self.site.start()
            self.recording.look(self.at, self.daemon.pid, len(self.delivered))

    def finish(self, subscriber: Subscriber, minutes: float) -> Outcome:
        """Let the daemon come to its end, close everything, and compare."""
        _wait(lambda: _outcomes(self.site) >= len(self.delivered))
        exit_code = stop(self.daemon)
        closing = self.site.start("--until-idle")
        exit_code = exit_code or closing.wait(PATIENCE)
        rows = self.site.registrations()
        _wait(lambda: subscriber.is_complete() and same(subscriber.rows(), rows))
        status = self.site.json("status")
        media = self.site.media()
        samples, latencies = self.recording.samples, list(self.latencies.all)
        calm = [one.seconds for one in latencies if one.calm]
        at = [s.at for s in samples]
        return Outcome(
            minutes=minutes,
            delivered=len(self.delivered),
            files={state: number for state, number in status["files"].items() if number},
            unaccounted=sum(
                media.get(file, {}).get("state", "attempted") == "attempted" for file in self.delivered
            ),
            given_out=sum(status["outbox"].values()),
            missing=sum(gap.last - gap.first + 1 for gap in subscriber.missing()),
            equal=same(subscriber.rows(), rows),
            registrations=len(rows),
            restarts=len(self.outages),
            deaths=self.deaths,
            rss=slope(at, [s.rss for s in samples]),
            anonymous=slope(at, [s.anonymous for s in samples]),
            latency=slope(*minutes_of(latencies)),
            latency_p95=float(np.percentile(calm, 95)) if calm else None,
            exit_code=exit_code,
        )


def soak(options: argparse.Namespace) -> Outcome:
    """Run one; what it measured is left in ``options.out``."""
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("drop", "state", "daemon.log", "toy"):
        path = options.out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    with ExitStack() as stack:
        broker = stack.enter_context(LocalBroker("mosquitto"))
        site = Site(options.out, broker.port, _settings(options)).prepare()
        run = Soak(options, site, broker)
        stack.callback(_end, run)
        subscriber = Subscriber(
            broker.host,
            broker.port,
            device="site-1",
            on_message=run.latencies.heard,
            patience=0.5,
            keepalive=5,
        )
        stack.enter_context(subscriber)
        threads = [threading.Thread(target=work, daemon=True) for work in (run.deliver, run.disturb)]
        for thread in threads:
            thread.start()
        run.watch(subscriber)
        minutes = run.at / 60
        run.over.set()
        for thread in threads:
            thread.join()
        outcome = run.finish(subscriber, minutes)
        _leave(run, outcome)
    return outcome


def _leave(run: Soak, outcome: Outcome) -> None:
    out: Path = run.options.out
    outcome.save(out / "outcome.json")
    run.latencies.save(out / "latency.csv")
    title = f"{outcome.minutes:.0f} minutes, {run.options.rate:g} images/s, {outcome.restarts} restarts"
    draw(out / "soak.png", run.recording.samples, run.latencies.all, run.outages, title)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """The daemon's: as in the field, but for what a test machine's disk has to spare."""
    found: dict[str, Any] = {"intake": {"settle": 2.0}}
    if options.fake:
        from tests.vision import toy  # noqa: PLC0415 - needs onnx

        found["vision"] = {"bundle": str(toy.save_bundle(options.out / "toy"))}
    return found


def _end(run: Soak) -> None:
    run.over.set()
    if run.daemon.poll() is None:
        run.daemon.kill()
        run.daemon.wait()


def _is_open(row: Row | None) -> bool:
    """Whether a file has no outcome."""
    return row is None or row["state"] == "attempted"


def _outcomes(site: Site) -> int:
    files: dict[str, int] = site.json("status")["files"]
    return sum(number for state, number in files.items() if state != "attempted")


def _wait(condition: Any) -> None:
    """Wait, but go on to the verdict if it never comes true."""
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(2.0)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="that the cameras deliver (60)")
    parser.add_argument("--rate", type=float, default=2.0, help="images a second, all cameras together (2)")
    parser.add_argument("--cameras", type=int, default=4, help="(4)")
    parser.add_argument("--out", type=Path, default=Path("soak"), help="folder for everything (soak)")
    parser.add_argument("--images", type=Path, help="folder with JPEGs; default: the demo's images")
    parser.add_argument("--fake", action="store_true", help="toy models instead of the starter bundle")
    parser.add_argument("--broker-every", type=float, default=240.0, help="seconds between restarts (240)")
    parser.add_argument("--seed", type=int, default=1, help="of scenes, pauses and restarts (1)")
    found = parser.parse_args(arguments)
    found.out = found.out.absolute()
    return found


def main() -> int:
    """Exit code 0 only if nothing was lost."""
    outcome = soak(_options(sys.argv[1:]))
    sys.stdout.write(outcome.text() + "\n")
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())
