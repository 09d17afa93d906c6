"""How long a person waits for the page while the device works: ``python -m benchmarks.web_latency``.

A real Chromium, a real daemon and a real ``edge web`` on the same machine; the virtual camera writes pictures
all the while, or a card's backlog is being worked off. Two figures:

- first view: from the start of the navigation to the first contentful paint, and to the end of loading, with
  nothing in the browser's cache, each time in a fresh profile;
- live update: from the commit of a registration's change in the store to its card in the document. Commits
  are seen by looking at the database every 2 ms with SQLite's own counter; figures are too small by that.
  A MutationObserver notes the card's moment.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser

from edge.demo.scenes import compose
from edge.demo.story import STORY, Moment
from edge.testing import Shot, VirtualCamera, encode_jpeg
from tests.browser.chromium import chromium_path, context, launched
from tests.browser.place import EVENING, Place, running

_VIEW = """async () => {
  const painted = new Promise((told) => {
    const watcher = new PerformanceObserver((list) => {
      list.getEntriesByName('first-contentful-paint').forEach((entry) => told(entry.startTime));
    });
    watcher.observe({ type: 'paint', buffered: true });
  });
  return [await painted, performance.getEntriesByType('navigation')[0].loadEventEnd];
}"""
_WATCH = """() => {
  window.seen = {};
  const note = () => document.querySelectorAll('#cards > li').forEach((card) => {
    window.seen[card.dataset.seq] ??= Date.now();
  });
  new MutationObserver(note).observe(document.querySelector('#cards'), { childList: true, subtree: true });
  note();
}"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds."""

    values: list[float]

    def __str__(self) -> str:
        ordered = sorted(self.values)
        at = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
        middle = statistics.median(ordered)
        return f"median {middle:5.0f}, p95 {at:5.0f}, worst {ordered[-1]:5.0f}, of {len(ordered)}"


@contextmanager
def cameras(place: Place, rate: float) -> Iterator[None]:
    """The virtual camera at work: so many pictures a second, each of another minute."""
    ended = threading.Event()

    def work() -> None:
        camera = VirtualCamera(place.stage.drop)
        for number, data in enumerate(_pictures()):
            if ended.wait(1 / rate):
                return
            camera.deliver(Shot(f"busy-01/IMG_{number:05}.JPG", data, 0.0))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _pictures() -> Iterator[bytes]:
    """Pictures without end: a few scenes, drawn once, with another time each; every one is its own file."""
    scenes = [compose(moment.scene) for moment in _animals()]
    began = datetime.combine(EVENING, datetime.min.time(), UTC) - timedelta(days=20)
    order = random.Random(5)
    for number in range(10_000):
        taken = began + timedelta(minutes=2 * number)
        yield encode_jpeg(order.choice(scenes), taken=taken, make="EDGE DEMO", model="busy-01")


def _animals() -> list[Moment]:
    """Moments of the story with an animal."""
    return [moment for moment in STORY if moment.label and moment.arrival == "renamed"][:6]


def first_views(browser: Browser, place: Place, repeats: int, path: str = "/") -> tuple[Figures, Figures]:
    """First contentful paint and load of a page, with nothing in the cache."""
    paints, loads = [], []
    for _ in range(repeats):
        made = context(browser, place.url)
        page = made.new_page()
        page.goto(path, wait_until="load")
        paint, load = page.evaluate(_VIEW)
        paints.append(float(paint))
        loads.append(float(load))
        made.close()
    return Figures(paints), Figures(loads)


def live_updates(browser: Browser, place: Place, wanted: int) -> Figures:
    """From a change's commit to its card on an open page."""
    made = context(browser, place.url)
    page = made.new_page()
    page.goto("/")
    page.locator("#watching").wait_for(state="visible")
    page.evaluate(_WATCH)
    with _commits(place.state / "edge.db") as commits:
        _wait(lambda: len(commits) >= wanted + 1, 600)
        page.wait_for_timeout(3000)
    seen: dict[str, float] = page.evaluate("window.seen")
    made.close()
    late = [seen[str(seq)] - at for seq, at in commits.items() if str(seq) in seen]
    missed = len(commits) - len(late)
    if missed:
        print(f"    {missed} of {len(commits)} changes were overtaken by a newer one before they were shown")
    return Figures(late)


@contextmanager
def _commits(path: Path) -> Iterator[dict[int, float]]:
    """When each number of a registration's newest message was first seen in the store, ms since 1970."""
    found: dict[int, float] = {}
    ended = threading.Event()
    watching = threading.Thread(target=_watch, args=(path, found, ended))
    watching.start()
    try:
        yield found
    finally:
        ended.set()
        watching.join()


def _watch(path: Path, found: dict[int, float], ended: threading.Event) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        last = database.execute("SELECT max(seq) FROM registrations").fetchone()[0] or 0
        version = None
        while not ended.wait(0.002):
            now = database.execute("PRAGMA data_version").fetchone()[0]
            if now == version:
                continue
            version, at = now, time.time() * 1000
            for (seq,) in database.execute("SELECT seq FROM registrations WHERE seq > ?", (last,)).fetchall():
                found[seq] = at
                last = max(last, seq)


def _wait(condition: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("too few registrations changed")
        time.sleep(0.1)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15, help="first views of each page")
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--rate", type=float, nargs="+", default=[2.0, 20.0], help="pictures a second")
    options = parser.parse_args(arguments)
    if chromium_path() is None:
        print("skipped: needs Chromium")
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="edge-latency-") as folder,
        running(Path(folder) / "site") as place,
        launched() as browser,
    ):
        for rate in options.rate:
            _measure(browser, place, rate, options.repeats, options.updates)
    return 0


def _measure(browser: Browser, place: Place, rate: float, repeats: int, updates: int) -> None:
    print(f"{rate:g} pictures a second arrive; milliseconds")
    with cameras(place, rate):
        time.sleep(3)
        for path in ("/", "/review", "/search", "/activity"):
            paint, load = first_views(browser, place, repeats, path)
            print(f"  {path:<10} first paint: {paint}")
            print(f"  {'':<10} loaded:      {load}")
        print(f"  commit to card:         {live_updates(browser, place, updates)}")


if __name__ == "__main__":
    sys.exit(main())
