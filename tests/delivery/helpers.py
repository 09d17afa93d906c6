"""What the delivery tests share: a quick pace, messages, and an ear at the broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.delivery import (
    Health,
    MediaLine,
    Origin,
    Pace,
    Publisher,
    RegistrationMessage,
    encode,
    registration_message,
)
from edge.delivery.broker import LocalBroker, kinds
from edge.delivery.messages import BundleRef, timestamp
from edge.delivery.outbox import Outbox
from edge.registration.types import Change, ChangeKind, Key, Registration
from edge.settings import MqttSettings
from tests.contract.outboxes import MemoryOutbox

DEVICE = "ridge-01"
PATIENCE = 60.0
"""Seconds after which what must come is missed, on a busy machine too; a test's own limit is twice that."""
QUICK = Pace(
    retry_first=0.05,
    retry_longest=0.3,
    hold_first=0.2,
    hold_longest=0.4,
    handshake=3.0,
    ack_seconds=0.01,
    idle=0.1,
    cursor=0.05,
)

needs_mosquitto = pytest.mark.skipif("mosquitto" not in kinds(), reason="mosquitto is not installed")
needs_rumqttd = pytest.mark.skipif("rumqttd" not in kinds(), reason="the demo extra is not installed")


def origin(epoch: str = "epoch-1") -> Origin:
    """Who speaks in these tests."""
    return Origin(DEVICE, epoch, BundleRef(name="starter", sha256="ab" * 32), {"Red_Deer": "Cervus elaphus"})


def change(
    identity: str = "reg-1",
    revision: int = 1,
    kind: ChangeKind = "updated",
    deployment: str = "cam-1",
    count: int = 1,
) -> Change:
    """A change of a registration with one image."""
    key = Key(1_000, "sha256:00")
    return Change(
        kind,
        Registration(
            id=identity,
            deployment=deployment,
            label="Red_Deer",
            count=count,
            first=key,
            last=key,
            media_count=1,
            votes={"Red_Deer": 1},
            confidence=870_000,
            revision=revision,
        ),
    )


def message(seq: int, what: Change, epoch: str = "epoch-1") -> RegistrationMessage:
    """The message that tells of it."""
    media = [MediaLine("sha256:00", "cam-1/IMG_1.JPG", 1_000, "Red_Deer", 1, [(0.1, 0.2, 0.3, 0.4)])]
    return registration_message(what, media, origin(epoch), seq=seq, observed=2_000)


def payload(what: Change, epoch: str = "epoch-1") -> Callable[[int], bytes]:
    """Makes the encoded message once its number is known."""
    return lambda seq: encode(message(seq, what, epoch))


def filled(number: int, deployments: int = 1) -> MemoryOutbox:
    """An outbox with messages of one registration per deployment, in turns; the revision is the number."""
    outbox = MemoryOutbox()
    for revision in range(1, number + 1):
        deployment = f"cam-{revision % deployments + 1}"
        outbox.append(deployment, payload(change(f"reg-{deployment}", revision, deployment=deployment)))
    return outbox


def health(outbox: Outbox) -> Callable[[], Health]:
    """Makes a small health message."""
    return lambda: Health(
        device=DEVICE, epoch=outbox.epoch, version="1.0", at=timestamp(0), state="ok", since=timestamp(0)
    )


def settings(port: int, **changes: Any) -> MqttSettings:
    """Settings for a local broker; values may be outside of what users may set, to make tests quick."""
    return MqttSettings(port=port).model_copy(update={"will_delay": 0, **changes})


@contextmanager
def publishing(outbox: Outbox, port: int, *, pace: Pace = QUICK, **changes: Any) -> Iterator[Publisher]:
    """A publisher that runs as long as the block."""
    publisher = Publisher(settings(port, **changes), DEVICE, outbox, health(outbox), version="1.0", pace=pace)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop(5.0)


def eventually(condition: Callable[[], bool], timeout: float = PATIENCE) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, as a subscriber got it."""

    topic: str
    payload: bytes
    retained: bool
    properties: Any


class Ear:
    """An independent MQTT 5 client that writes down what it hears, and can speak."""

    def __init__(self, broker: LocalBroker, *topics: str) -> None:
        self.heard: list[Heard] = []
        self._topics = topics or ("#",)
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect(broker.host, broker.port)

    def say(self, topic: str, payload: bytes, *, reply_to: str = "", correlation: bytes = b"") -> None:
        """Publish, with a response topic and correlation data if given."""
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
        if reply_to:
            properties.ResponseTopic = reply_to
            properties.CorrelationData = correlation
        self._client.publish(topic, payload, qos=1, properties=properties)

    def on(self, topic: str) -> list[bytes]:
        """Payloads heard on a topic."""
        return [heard.payload for heard in list(self.heard) if heard.topic == topic]

    def below(self, start: str) -> list[bytes]:
        """Payloads heard on topics that begin so."""
        return [heard.payload for heard in list(self.heard) if heard.topic.startswith(start)]

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._client.subscribe([(topic, 1) for topic in self._topics])
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, bytes(message.payload), message.retain, message.properties))
