"""How fast the outbox reaches a broker, against a bare paho client that sends the same bytes.

``python -m benchmarks.delivery`` takes about half a minute and needs a broker here; ``--messages``
says how many are waiting. Ratios are paired: both sides are timed in turns, and the median of the turns'
ratios is printed.

- encode: building and encoding one message with 20 images, microseconds.
- drain: from the store's database (``synchronous=FULL``) to the durable record of the PUBACK, messages/s.
- bare: the same payloads through paho with 20 in flight and nothing written down.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.delivery import BundleRef, Health, MediaLine, Origin, Publisher, encode, registration_message
from edge.delivery.broker import LocalBroker, kinds
from edge.delivery.messages import timestamp
from edge.registration.types import Change, Key, Registration
from edge.settings import MqttSettings
from edge.store.database import open_database
from edge.store.outbox import Outbox, Stamp

TURNS = 3
WINDOW = 20


def example(revision: int, images: int = 20) -> bytes:
    """One encoded message of ordinary size."""
    first, last = Key(0, "sha256:00"), Key(images * 1000, f"sha256:{images:02}")
    about = Registration(
        "id", "cam-1", "Red_Deer", 2, first, last, images, {"Red_Deer": images}, 870_000, "open", revision
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
    return encode(registration_message(Change("updated", about), lines, origin, seq=revision, observed=0))


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


def drain(broker: LocalBroker, payload: bytes, number: int) -> float:
    """Messages per second from the outbox to its last durable acknowledgement."""
    with tempfile.TemporaryDirectory() as folder:
        outbox = filled(Path(folder), payload, number)
        told = Health(
            device="d", epoch=outbox.epoch, version="1", at=timestamp(0), state="ok", since=timestamp(0)
        )
        publisher = Publisher(MqttSettings(port=broker.port, homeassistant=False), "d", outbox, lambda: told)
        began = time.perf_counter()
        publisher.start()
        assert publisher.drained(600)
        took = time.perf_counter() - began
        publisher.stop()
        assert outbox.counts().acked == number
        return number / took


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
    number = parser.parse_args().messages
    payload = example(1)
    print(f"encode: {encoding():.0f} us for a message of {len(payload)} bytes")
    for kind in kinds():
        with LocalBroker(kind) as broker:
            turns = [(drain(broker, payload, number), bare(broker, payload, number)) for _ in range(TURNS)]
        ratio = statistics.median(ours / theirs for ours, theirs in turns)
        ours, theirs = (statistics.median(side) for side in zip(*turns, strict=True))
        print(f"{kind}: drain {ours:,.0f} messages/s, bare paho {theirs:,.0f}; ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
