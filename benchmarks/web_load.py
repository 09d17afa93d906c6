"""What browsers can do to the daemon: a thousand rapid queries of two clients, and uploads meant to break it.

``python -m benchmarks.web_load`` takes about five minutes. ``edge run`` with the starter bundle looks at
images without a pause while ``edge web`` is asked; printed are the daemon's images a second before, during
and after, and what the clients got. At the end everything must be alive, or the exit code is 1. The clients
run at the page's priority: in the field they are other machines. Images are the shared test data's
(``EDGE_SHARED``, by default ``../shared``) or, without it, invented ones; each gets bytes of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.web_uploads import BAD, SIZE_100MB
from edge.testing import jpeg_bytes
from tests.e2e.site import stop

AHEAD = 60
"""Images that lie in the drop folder, waiting."""
CLIENTS = ("127.0.0.1", "127.0.0.2")
WORDS = (
    "jaguar",
    "a bird on a branch",
    "black bear",
    "fox at night",
    "rabbit",
    "wild boar",
    "snare",
    "people",
)
START = 90.0


@dataclass
class Got:
    """What clients got: answers by status, and how long those took that were answered well."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, status: str, seconds: float) -> None:
        """Count one."""
        self.statuses[status] += 1
        if status == "200":
            self.seconds.append(seconds)

    def __str__(self) -> str:
        """For people."""
        told = ", ".join(f"{number} x {status}" for status, number in sorted(self.statuses.items()))
        if not self.seconds:
            return told
        ranked = sorted(self.seconds)
        p95 = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]
        return f"{told}; 200 in p50 {1000 * ranked[len(ranked) // 2]:.0f} ms, p95 {1000 * p95:.0f} ms"


@dataclass
class Site:
    """A daemon at work, fed without a pause."""

    folder: Path
    pictures: Sequence[bytes]
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def drop(self) -> Path:
        """Where images are put."""
        return self.folder / "drop"

    @property
    def state(self) -> Path:
        """Where the database is."""
        return self.folder / "state"

    def images(self) -> int:
        """Images on record."""
        path = self.state / "edge.db"
        if not path.exists():
            return 0
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as database:
            return int(database.execute("SELECT COUNT(*) FROM media").fetchone()[0])

    def feed(self) -> None:
        """Keep so many images waiting, each with bytes of its own."""
        given = itertools.count()
        made = 0
        while not self.done.wait(0.05):
            while made - self.images() < AHEAD and not self.done.is_set():
                picture = self.pictures[next(given) % len(self.pictures)]
                comment = b"\xff\xfe\x00\x12" + secrets.token_bytes(16)
                path = self.drop / f"cam-{made % 3}" / f"2026050{made % 9 + 1}-{made:07}.JPG"
                path.parent.mkdir(parents=True, exist_ok=True)
                hidden = path.with_suffix(".part")
                hidden.write_bytes(picture[:2] + comment + picture[2:])
                hidden.rename(path)
                made += 1

    def rate(self, seconds: float) -> float:
        """Images a second for so long."""
        before, began = self.images(), time.monotonic()
        time.sleep(seconds)
        return (self.images() - before) / (time.monotonic() - began)


def ask(port: int, source: str, method: str, path: str, body: bytes | Iterator[bytes] | None = None) -> str:
    """One request from an address; the status, or what happened instead."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120, source_address=(source, 0))
    with closing(connection):
        try:
            connection.request(method, path, body=body, headers=_headers(body))
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException) as error:
            return type(error).__name__
        return str(answer.status)


def _headers(body: bytes | Iterator[bytes] | None) -> dict[str, str]:
    kind = {"Content-Type": "image/jpeg"}
    if isinstance(body, Iterator):
        return kind | {"Content-Length": str(SIZE_100MB)}
    return {} if body is None else kind


def told(port: int, body: bytes | Iterator[bytes]) -> str:
    """What is said about a bad upload."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("POST", "/api/classify", body=body, headers=_headers(body))
        answer = connection.getresponse()
        said = json.loads(answer.read())
        return f"{answer.status} {said.get('title', '')}: {said.get('detail', '')}".rstrip(": ")


def queries(port: int, source: str, number: int, until: float, got: Got) -> None:
    """So many searches as fast as they are answered, then no more before the time is over."""
    choose = random.Random(source)
    for _ in range(number):
        began = time.monotonic()
        words = choose.choice(WORDS).replace(" ", "+")
        got.add(ask(port, source, "GET", f"/api/search?q={words}&top=12"), time.monotonic() - began)
    while time.monotonic() < until:
        time.sleep(0.1)


def uploads(port: int, source: str, until: float, got: Got) -> None:
    """Bad uploads, one after the other."""
    for make in itertools.cycle(BAD.values()):
        if time.monotonic() >= until:
            return
        began = time.monotonic()
        got.add(ask(port, source, "POST", "/api/classify", make()), time.monotonic() - began)


def both(work: Callable[[str, Got], None]) -> Got:
    """Two clients at once."""
    got = Got()
    threads = [threading.Thread(target=work, args=(source, got)) for source in CLIENTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


@contextmanager
def running(command: Sequence[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of ours in a process of its own."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge", *command], stderr=stream, env={**os.environ, **environment}
        )
        try:
            yield process
        finally:
            stop(process)


def pictures() -> list[bytes]:
    """Real ones where they are, a few of each set."""
    root = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    found = sorted((root / "data" / "trap-images").glob("*/*.jpg"))
    if not found:
        return [jpeg_bytes(2000, 1500, seed=seed) for seed in range(6)]
    return [path.read_bytes() for path in found[:: max(1, len(found) // 24)]]


def cores(pids: dict[str, int]) -> dict[str, float]:
    """Processor seconds that each process has had so far."""
    found = {}
    for name, pid in pids.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def measured(site: Site, seconds: float, what: Callable[[float], Got] | None) -> tuple[float, Got]:
    """The daemon's images a second while something is done for so long."""
    found: list[Got] = []
    until = time.monotonic() + seconds
    doing = threading.Thread(target=lambda: found.append(what(until) if what else Got()))
    doing.start()
    rate = site.rate(seconds)
    doing.join()
    return rate, found[0]


def phases(
    site: Site, ports: tuple[int, int], seconds: float, pids: dict[str, int]
) -> list[tuple[str, float, Got]]:
    """All of it, in turn; quiet between any two, so that each has its own before and after."""
    limited, unlimited = ports
    plan: list[tuple[str, Callable[[float], Got] | None]] = [
        ("quiet", None),
        (
            "1,000 queries, two clients",
            lambda until: both(lambda source, got: queries(limited, source, 500, until, got)),
        ),
        ("quiet", None),
        (
            "bad uploads, two clients",
            lambda until: both(lambda source, got: uploads(limited, source, until, got)),
        ),
        ("quiet", None),
        (
            "searches without a pause, limits of a client lifted",
            lambda until: both(lambda source, got: _on_and_on(unlimited, source, until, got)),
        ),
        ("quiet", None),
    ]
    found = []
    for name, what in plan:
        before, began = cores(pids), time.monotonic()
        rate, got = measured(site, seconds, what)
        took = time.monotonic() - began
        used = ", ".join(f"{who} {(now - before[who]) / took:.2f}" for who, now in cores(pids).items())
        print(f"{name:<54}{rate:6.2f} images/s   cores: {used}   {got}", flush=True)
        found.append((name, rate, got))
    return found


def _on_and_on(port: int, source: str, until: float, got: Got) -> None:
    while time.monotonic() < until:
        queries(port, source, 1, 0.0, got)


def listening(log: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that a page says."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        for line in log.read_text("utf-8", "replace").splitlines():
            if "http://127.0.0.1:" in line:
                return int(line.rstrip("/ ").rpartition(":")[2])
        time.sleep(0.1)
    sys.exit(f"edge web didn't start: {log.read_text('utf-8', 'replace')[-2000:]}")


def memory(process: subprocess.Popen[bytes]) -> str:
    """Resident now and at most, MB."""
    status = (Path("/proc") / str(process.pid) / "status").read_text()
    figures = {
        line.split(":")[0]: int(line.split()[1]) // 1024 for line in status.splitlines() if "kB" in line
    }
    return f"{figures['VmRSS']} MB, at most {figures['VmHWM']} MB"


def main(arguments: list[str]) -> int:
    """Run it; 1 if the daemon suffered or something ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the seven phases")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        site = Site(Path(stack.enter_context(tempfile.TemporaryDirectory())), pictures())
        where = ["--state", str(site.state)]
        daemon_log, logs = site.folder / "daemon.log", [site.folder / f"web-{n}.log" for n in range(2)]
        run = ["run", "--drop", str(site.drop), *where, "--broker", "none"]
        site.drop.mkdir()
        daemon = stack.enter_context(running(run, daemon_log))
        os.nice(10)
        feeder = threading.Thread(target=site.feed)
        feeder.start()
        stack.callback(feeder.join)
        stack.callback(site.done.set)
        page, free = (
            stack.enter_context(running(["web", *where, "--port", "0"], log, **environment))
            for log, environment in zip(
                logs, ({}, {"EDGE_WEB__SEARCHES": "10000", "EDGE_WEB__REQUESTS": "10000"}), strict=True
            )
        )
        ports = listening(logs[0], page), listening(logs[1], free)
        _warm(site, ports)
        for name, make in BAD.items():
            print(f"{name:<12}{told(ports[0], make())}")
        pids = {"daemon": daemon.pid, "page": page.pid, "unlimited page": free.pid, "clients": os.getpid()}
        found = phases(site, ports, options.seconds, pids)
        print(f"page: {memory(page)}; without limits of a client: {memory(free)}; daemon: {memory(daemon)}")
        alive = all(process.poll() is None for process in (daemon, page, free))
        _ratios(found)
        complaints = [line for line in daemon_log.read_text("utf-8").splitlines() if " INFO " not in line]
        print(f"all three alive: {alive}; the daemon's warnings: {len(complaints)}")
        for line in complaints[:5]:
            print(f"  {line}")
    return 0 if alive else 1


def _warm(site: Site, ports: tuple[int, int]) -> None:
    """Models are open, some images are on record, and each page has answered once."""
    until = time.monotonic() + START
    while site.images() < AHEAD // 2 and time.monotonic() < until:
        time.sleep(0.2)
    for port in ports:
        while ask(port, "127.0.0.9", "GET", "/api/search?q=fox") != "200" and time.monotonic() < until:
            time.sleep(1)


def _ratios(found: list[tuple[str, float, Got]]) -> None:
    """Each phase against the quiet before and after it."""
    for number in range(1, len(found) - 1, 2):
        quiet = (found[number - 1][1] + found[number + 1][1]) / 2
        name, rate, _ = found[number]
        print(f"ratio during/quiet  {name:<54}{rate / quiet if quiet else 0:.2f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
