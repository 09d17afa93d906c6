"""How fast the outbox reaches a broker, against a bare paho client that sends the same bytes.

``python -m benchmarks.delivery`` takes about half a minute and needs a broker here; ``--messages``
says how many are waiting. Ratios are paired: both sides are timed in turns, and the median of the turns'
ratios is printed. ``--backlog 100000`` measures the return of a broker after days instead, without limits and
with a broker that takes 5 at once.

- encode: building and encoding one message with 20 images, microseconds.
- drain: from the store's database (``synchronous=FULL``) to the durable record of the PUBACK, messages/s.
- cpu: messages per second of the process's own time, which other load on the machine doesn't touch.
- wire: bytes of a registration's messages and of its compact form, over 1,000 made-up registrations.
- backlog: resident memory before, at its highest and after; what the broker counted and what the database
  says was acknowledged.
- bare: the same payloads through paho with 20 in flight and nothing written down.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.delivery import BundleRef, Health, MediaLine, Origin, Publisher, encode, registration_message
from edge.delivery.broker import LocalBroker, kinds
from edge.delivery.messages import timestamp
from edge.delivery.summaries import compacted
from edge.registration.types import Change, Key, Registration
from edge.settings import MqttSettings
from edge.store.database import open_database
from edge.store.outbox import Outbox, Stamp

TURNS = 3
WINDOW = 20


def example(revision: int, images: int = 20, *, closed: bool = False) -> bytes:
    """One encoded message of ordinary size."""
    first, last = Key(0, "sha256:00"), Key(images * 1000, f"sha256:{images:02}")
    about = Registration(
        "id",
        "cam-1",
        "Red_Deer",
        2,
        first,
        last,
        images,
        {"Red_Deer": images},
        870_000,
        "closed" if closed else "open",
        revision,
    )
    lines = [
        MediaLine(
            f"sha256:{n:064}", f"cam-1/IMG_{n:04}.JPG", n * 1000, "Red_Deer", 1, [(0.61, 0.22, 0.18, 0.31)]
        )
        for n in range(images)
    ]
    origin = Origin(
        "ridge-01", "epoch", BundleRef(name="starter", sha256="00" * 32), {"Red_Deer": "Cervus elaphus"}
    )
    return encode(
        registration_message(
            Change("closed" if closed else "updated", about), lines, origin, seq=revision, observed=0
        )
    )


def encoding(number: int = 2000) -> float:
    """Microseconds for one message."""
    began = time.perf_counter()
    for revision in range(1, number + 1):
        example(revision)
    return (time.perf_counter() - began) / number * 1e6


def filled(folder: Path, payload: bytes, number: int) -> Outbox:
    """The store's outbox with so many messages in line."""
    database = open_database(folder)
    outbox, key = Outbox(database), Key(0, "m")
    about = Registration("id", "cam-1", "Fox", 1, key, key, 1, {}, 0)
    with database.transaction():
        for _ in range(number):
            outbox.append(about, "updated", lambda _seq: payload, Stamp(1, "bundle"))
    return outbox


class Drained(NamedTuple):
    """Messages per second of wall time, and of the process's own."""

    wall: float
    cpu: float


def drain(broker: LocalBroker, payload: bytes, number: int) -> Drained:
    """From the outbox to its last durable acknowledgement."""
    with tempfile.TemporaryDirectory() as folder:
        outbox = filled(Path(folder), payload, number)
        told = Health(
            device="d", epoch=outbox.epoch, version="1", at=timestamp(0), state="ok", since=timestamp(0)
        )
        publisher = Publisher(MqttSettings(port=broker.port, homeassistant=False), "d", outbox, lambda: told)
        began, worked = time.perf_counter(), time.process_time()
        publisher.start()
        assert publisher.drained(600)
        took, work = time.perf_counter() - began, time.process_time() - worked
        publisher.stop()
        assert outbox.counts().acked == number
        return Drained(number / took, number / work)


def wire(number: int = 1000) -> tuple[float, float, float]:
    """Mean bytes of a closed registration's last message, of all its messages, and of its compact form."""
    dice = random.Random(1)
    last, every, compact = [], [], []
    for _ in range(number):
        images = min(200, 1 + int(dice.expovariate(1 / 8)))
        sizes = [len(example(revision, min(revision, 20))) for revision in range(1, images + 1)]
        body = example(images + 1, min(images, 20), closed=True)
        last.append(len(body))
        every.append(sum(sizes) + len(body))
        compact.append(len(compacted(body) or b""))
    return statistics.mean(last), statistics.mean(every), statistics.mean(compact)


def resident() -> float:
    """MiB of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch(threading.Thread):
    """Looks at resident memory ten times a second while a ``with`` block lasts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before, self.peak = resident(), 0.0
        self._over = threading.Event()

    def run(self) -> None:
        """Until the block ends."""
        while not self._over.wait(0.1):
            self.peak = max(self.peak, resident())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def counted(broker: LocalBroker, at_least: int) -> int:
    """Messages that mosquitto says it was sent; it says so once a second."""
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _client, _data, message: numbers.put(int(message.payload))
    client.connect(broker.host, broker.port)
    client.subscribe("$SYS/broker/publish/messages/received")
    client.loop_start()
    deadline, last = time.monotonic() + 5.0, 0
    while last < at_least and time.monotonic() < deadline:
        last = numbers.get(timeout=5.0)
    client.loop_stop()
    client.disconnect()
    return last


def backlog(payload: bytes, number: int) -> None:
    """A broker comes back after days; with and without flow control."""
    for name, lines in (("no limit", []), ("max_inflight_messages 5", ["max_inflight_messages 5"])):
        with LocalBroker("mosquitto", config=["sys_interval 1", *lines]) as broker:
            with Watch() as memory:
                speed = drain(broker, payload, number)
            got = counted(broker, number)
            hangups = broker.log().count("exceeded")
        print(
            f"backlog of {number:,}, {name}: {number / speed.wall:.1f} s, {speed.wall:,.0f} messages/s "
            f"({speed.cpu:,.0f} per second of own time); memory {memory.before:.0f} MiB before, "
            f"{memory.peak:.0f} at most, {resident():.0f} after; acknowledged {number:,}, "
            f"the broker counted {got:,}; lost {max(0, number - got)}; complaints {hangups}"
        )


def bare(broker: LocalBroker, payload: bytes, number: int) -> float:
    """Messages per second through paho alone."""
    done, answered = threading.Event(), 0

    def count(*_: object) -> None:
        nonlocal answered
        answered += 1
        if answered == number:
            done.set()

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_publish = count
    client.max_inflight_messages_set(WINDOW)
    client.connect(broker.host, broker.port)
    began = time.perf_counter()
    client.loop_start()
    for _ in range(number):
        client.publish("bench/registration/cam-1", payload, qos=1)
    assert done.wait(600)
    took = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return number / took


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--backlog", type=int, default=0)
    arguments = parser.parse_args()
    payload = example(1)
    if arguments.backlog:
        backlog(payload, arguments.backlog)
        return
    print(f"encode: {encoding():.0f} us for a message of {len(payload)} bytes")
    last, every, compact = wire()
    print(f"wire: {last:,.0f} bytes when closed, {every:,.0f} in all its messages, {compact:.0f} compact")
    for kind in kinds():
        with LocalBroker(kind) as broker:
            turns = [one_turn(broker, payload, arguments.messages) for _ in range(TURNS)]
        ratio = statistics.median(ours.wall / theirs for ours, theirs in turns)
        wall, cpu = (statistics.median(side) for side in zip(*(ours for ours, _ in turns), strict=True))
        theirs = statistics.median(theirs for _, theirs in turns)
        print(
            f"{kind}: drain {wall:,.0f} messages/s ({cpu:,.0f} per second of own time), "
            f"bare paho {theirs:,.0f}; ratio {ratio:.2f}"
        )


def one_turn(broker: LocalBroker, payload: bytes, number: int) -> tuple[Drained, float]:
    """Both sides once."""
    return drain(broker, payload, number), bare(broker, payload, number)


if __name__ == "__main__":
    main()
