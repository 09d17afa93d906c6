"""The publisher and a real broker, in fair weather."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence

import pytest

from edge.delivery import Publisher
from edge.delivery.broker import LocalBroker
from edge.errors import DeliveryError, StoreError
from tests.contract.outboxes import MemoryOutbox
from tests.delivery.helpers import (
    DEVICE,
    PATIENCE,
    QUICK,
    Ear,
    change,
    eventually,
    health,
    needs_mosquitto,
    payload,
    publishing,
    settings,
)

pytestmark = needs_mosquitto
BASE = f"edge/v1/{DEVICE}"


@pytest.fixture(name="broker")
def _broker() -> Iterator[LocalBroker]:
    with LocalBroker("mosquitto") as broker:
        yield broker


def _seqs(payloads: Sequence[bytes]) -> list[int]:
    return [json.loads(body)["seq"] for body in payloads]


def test_every_message_arrives_once_and_in_order(broker: LocalBroker) -> None:
    """Without faults each message comes once, unchanged, on its deployment's topic, in the order of seq."""
    outbox = MemoryOutbox()
    for number in range(1, 301):
        outbox.append(f"cam-{number % 3}", payload(change(revision=number, deployment=f"cam-{number % 3}")))
    with Ear(broker, f"{BASE}/registration/+") as ear, publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        assert eventually(lambda: len(ear.heard) == 300)
    assert _seqs([heard.payload for heard in ear.heard]) == list(range(1, 301))
    assert [heard.payload for heard in ear.heard] == [row.payload for row in outbox.range(1, 300)]
    assert all(heard.topic.endswith(json.loads(heard.payload)["deployment"]) for heard in ear.heard)


def test_messages_are_typed_and_not_retained(broker: LocalBroker) -> None:
    """A change is JSON by its content type, marked as text, and never retained."""
    outbox = MemoryOutbox()
    outbox.append("cam-1", payload(change()))
    with Ear(broker, f"{BASE}/registration/+") as ear, publishing(outbox, broker.port):
        assert eventually(lambda: len(ear.heard) == 1)
    (heard,) = ear.heard
    assert heard.properties.ContentType == "application/json"
    assert heard.properties.PayloadFormatIndicator == 1
    with Ear(broker, f"{BASE}/registration/+") as late, Ear(broker, f"{BASE}/status") as status:
        assert eventually(lambda: len(status.heard) == 1)
    assert late.heard == []


def test_new_rows_are_sent_when_woken(broker: LocalBroker) -> None:
    """A row appended while the publisher idles goes out on ``wake``."""
    outbox = MemoryOutbox()
    with publishing(outbox, broker.port, pace=QUICK) as publisher:
        assert publisher.drained(PATIENCE)
        outbox.append("cam-1", payload(change()))
        publisher.wake()
        assert eventually(lambda: outbox.counts().acked == 1)


def test_rows_are_found_without_being_woken(broker: LocalBroker) -> None:
    """A retried row, which nobody announced, goes out as well, whatever its number."""
    outbox = MemoryOutbox()
    outbox.append("cam-1", payload(change()))
    outbox.append("cam-1", payload(change(revision=2)))
    outbox.set_aside(1, "refused")
    with publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        assert outbox.counts().set_aside == 1
        outbox.retry([1])
        assert eventually(lambda: outbox.counts().acked == 2)


def test_answers_are_written_in_batches(broker: LocalBroker) -> None:
    """Acknowledgements of many messages share transactions, and each message is acknowledged once."""
    outbox = MemoryOutbox()
    for _ in range(1000):
        outbox.append("cam-1", b"{}")
    with publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
    assert sorted(seq for batch in outbox.acknowledgements for seq in batch) == list(range(1, 1001))
    assert len(outbox.acknowledgements) < 100
    assert max(len(batch) for batch in outbox.acknowledgements) <= QUICK.ack_rows + 20


def test_status_is_online_then_stopped(broker: LocalBroker) -> None:
    """The retained status says online from the connection on, and stopped after a clean stop."""
    outbox = MemoryOutbox()
    with Ear(broker, f"{BASE}/status") as ear:
        with publishing(outbox, broker.port) as publisher:
            assert eventually(lambda: ear.on(f"{BASE}/status") == [b"online"])
            assert publisher.stop(5.0)
        assert eventually(lambda: ear.on(f"{BASE}/status") == [b"online", b"stopped"])
    with Ear(broker, f"{BASE}/status") as late:
        assert eventually(
            lambda: [(heard.payload, heard.retained) for heard in late.heard] == [(b"stopped", True)]
        )


class _Failing(MemoryOutbox):
    """Its disk fails when the first answer is to be written down."""

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Fail."""
        raise StoreError("could not write", subject=str(list(seqs)))


def test_a_failing_store_is_surfaced_and_the_will_is_published(broker: LocalBroker) -> None:
    """A fault of the store ends the thread, is raised by ``check``, and the broker says offline."""
    outbox = _Failing()
    outbox.append("cam-1", b"{}")
    with Ear(broker, f"{BASE}/status") as ear, publishing(outbox, broker.port) as publisher:
        assert eventually(lambda: publisher.failure is not None)
        assert isinstance(publisher.failure, StoreError)
        assert publisher.state().phase == "failed"
        with pytest.raises(DeliveryError, match="could not write"):
            publisher.check()
        with pytest.raises(DeliveryError):
            publisher.drained(1)
        assert eventually(lambda: ear.on(f"{BASE}/status") == [b"online", b"offline"])


def test_a_quick_restart_does_not_flap(broker: LocalBroker) -> None:
    """With a will delay, a publisher that dies and comes back in time is never said to be offline."""
    outbox = _Failing()
    outbox.append("cam-1", b"{}")
    with Ear(broker, f"{BASE}/status") as ear:
        with publishing(outbox, broker.port, will_delay=5) as publisher:
            assert eventually(lambda: publisher.failure is not None)
        with publishing(MemoryOutbox(), broker.port, will_delay=5):
            assert eventually(lambda: len(ear.heard) == 2)
            assert not eventually(lambda: len(ear.heard) > 2, timeout=5.5)
    assert ear.on(f"{BASE}/status") == [b"online", b"online", b"stopped"][: len(ear.heard)]


def test_the_cursor_tells_the_head(broker: LocalBroker) -> None:
    """The retained cursor has the epoch and, after draining, the last number."""
    outbox = MemoryOutbox("epoch-7")
    with Ear(broker, f"{BASE}/cursor") as ear, publishing(outbox, broker.port) as publisher:
        assert eventually(lambda: ear.on(f"{BASE}/cursor") == [b'{"epoch":"epoch-7","seq":0}'])
        for _ in range(7):
            outbox.append("cam-1", b"{}")
        publisher.wake()
        assert eventually(lambda: ear.on(f"{BASE}/cursor")[-1:] == [b'{"epoch":"epoch-7","seq":7}'])
    with Ear(broker, f"{BASE}/cursor") as late:
        assert eventually(lambda: len(late.heard) == 1)
    assert late.heard[0].retained


def test_health_is_sent_at_intervals_and_on_change(broker: LocalBroker) -> None:
    """Health comes on connecting, at its interval, and at once when something changed."""
    outbox = MemoryOutbox()
    with Ear(broker, f"{BASE}/health") as ear:
        with publishing(outbox, broker.port, health_interval=0.3):
            assert eventually(lambda: len(ear.heard) >= 3)
        before = len(ear.heard)
        with publishing(outbox, broker.port) as publisher:
            assert eventually(lambda: len(ear.heard) > before)
            assert publisher.drained(PATIENCE)
            sent = len(ear.heard)
            publisher.health_changed()
            assert eventually(lambda: len(ear.heard) > sent)
    assert json.loads(ear.heard[-1].payload)["schema"] == "edge.health/1"


def test_discovery_comes_on_connect_birth_and_new_deployments(broker: LocalBroker) -> None:
    """Home Assistant is told of the device when it starts, and of a deployment when it first appears."""
    outbox = MemoryOutbox()
    topic = f"homeassistant/device/{DEVICE}/config"
    with Ear(broker, topic) as ear, publishing(outbox, broker.port) as publisher:
        assert eventually(lambda: len(ear.heard) == 1)
        assert publisher.drained(PATIENCE)
        ear.say("homeassistant/status", b"online")
        assert eventually(lambda: len(ear.heard) == 2)
        ear.say("homeassistant/status", b"offline")
        outbox.append("cam-9", b"{}")
        publisher.wake()
        assert eventually(lambda: len(ear.heard) == 3)
    assert "cam-9_label" in json.loads(ear.heard[2].payload)["components"]
    assert "cam-9_label" not in json.loads(ear.heard[1].payload)["components"]


def test_discovery_can_be_turned_off(broker: LocalBroker) -> None:
    """Without ``homeassistant`` nothing is published outside of the prefix."""
    outbox = MemoryOutbox()
    with Ear(broker) as ear, publishing(outbox, broker.port, homeassistant=False) as publisher:
        assert publisher.drained(PATIENCE)
        assert eventually(lambda: len(ear.on(f"{BASE}/health")) == 1)
    assert {heard.topic.partition("/")[0] for heard in ear.heard} == {"edge"}


def test_snapshots_carry_what_they_show(broker: LocalBroker) -> None:
    """A snapshot has its registration and media as user properties, its type, and an expiry."""
    outbox = MemoryOutbox()
    with Ear(broker, f"{BASE}/snapshot/+") as ear, publishing(outbox, broker.port) as publisher:
        publisher.offer_snapshot("cam-1", "reg-1", "sha256:00", b"\xff\xd8jpeg")
        assert eventually(lambda: len(ear.heard) == 1)
    (heard,) = ear.heard
    assert heard.topic == f"{BASE}/snapshot/cam-1"
    assert dict(heard.properties.UserProperty) == {"registration_id": "reg-1", "media_id": "sha256:00"}
    assert heard.properties.ContentType == "image/jpeg"
    assert heard.properties.MessageExpiryInterval > 0


def test_deployments_may_have_any_name(broker: LocalBroker) -> None:
    """What MQTT gives a meaning to is percent-encoded in the topic; the message has the true name."""
    outbox = MemoryOutbox()
    outbox.append("cam #1/+", payload(change(deployment="cam #1/+")))
    with Ear(broker, f"{BASE}/registration/+") as ear, publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        assert eventually(lambda: len(ear.heard) == 1)
    assert ear.heard[0].topic == f"{BASE}/registration/cam %231%2F%2B"
    assert json.loads(ear.heard[0].payload)["deployment"] == "cam #1/+"


def test_disabled_starts_nothing() -> None:
    """With ``enabled`` False there is no thread and messages stay where they are."""
    outbox = MemoryOutbox()
    outbox.append("cam-1", b"{}")
    before = threading.active_count()
    with publishing(outbox, 1, enabled=False) as publisher:
        assert publisher.state().phase == "disabled"
        assert threading.active_count() == before
        assert not publisher.drained(0.05)
        assert publisher.stop()
    assert outbox.counts().pending == 1


def test_state_counts_what_was_sent(broker: LocalBroker) -> None:
    """The state tells of the connection and of messages taken; after the stop it says so."""
    outbox = MemoryOutbox()
    for _ in range(25):
        outbox.append("cam-1", b"{}")
    with publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        state = publisher.state()
        assert (state.connected, state.reason, state.acked, state.connections) == (True, "ok", 25, 1)
        assert eventually(lambda: publisher.state().in_flight == 0)
        assert eventually(lambda: publisher.state().commands)
    assert publisher.state().phase == "stopped"


def test_stop_leaves_the_backlog_and_loses_nothing(broker: LocalBroker) -> None:
    """A stop in the middle of a backlog ends soon; what was answered is written down, the rest is in line."""
    outbox = MemoryOutbox()
    for _ in range(20_000):
        outbox.append("cam-1", b"{}")
    with Ear(broker, f"{BASE}/status") as ear, publishing(outbox, broker.port) as publisher:
        assert eventually(lambda: publisher.state().acked > 0)
        assert publisher.stop(5.0)
        assert eventually(lambda: ear.on(f"{BASE}/status")[-1:] == [b"stopped"])
    counts = outbox.counts()
    assert counts.acked > 0
    assert counts.pending > 0
    assert counts.acked == publisher.state().acked


def test_the_heart_beats_while_the_broker_is_away() -> None:
    """Without a broker the thread goes on showing that it is alive, and says what is wrong."""
    outbox = MemoryOutbox()
    publisher = Publisher(settings(1), DEVICE, outbox, health(outbox), pace=QUICK)
    publisher.start()
    try:
        assert eventually(lambda: publisher.state().reason == "unreachable")
        assert "is the broker running" in publisher.state().detail
        seen = publisher.heartbeat
        assert eventually(lambda: publisher.heartbeat > seen)
    finally:
        assert publisher.stop(2.0)
