"""A subscriber, a publisher and a broker of each kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from edge.delivery.broker import Kind, LocalBroker, free_port, kinds
from edge.delivery.messages import RegistrationMessage
from edge.errors import StoreError
from edge.subscriber import Gap, Subscriber
from tests.contract.outboxes import MemoryOutbox
from tests.delivery.helpers import (
    DEVICE,
    PATIENCE,
    Ear,
    change,
    eventually,
    needs_mosquitto,
    payload,
    publishing,
)

_ALL: list[Kind] = ["mosquitto", "rumqttd"]


@pytest.fixture(name="broker", params=_ALL)
def _broker(request: pytest.FixtureRequest) -> Iterator[LocalBroker]:
    if request.param not in kinds():
        pytest.skip(f"{request.param} is not installed")
    with LocalBroker(request.param) as broker:
        yield broker


def _outbox(number: int) -> MemoryOutbox:
    outbox = MemoryOutbox()
    for revision in range(1, number + 1):
        outbox.append("cam-1", payload(change(f"reg-{revision % 7}", revision)))
    return outbox


def _revisions(subscriber: Subscriber) -> dict[str, int]:
    return {row["registration_id"]: row["revision"] for row in subscriber.rows()}


def test_a_subscriber_sees_what_is_published(broker: LocalBroker) -> None:
    """Changes reach the callback in order and the table is right, on every kind of broker."""
    seen: list[int] = []
    with Subscriber(port=broker.port, on_change=lambda change: seen.append(change.seq)) as subscriber:
        assert subscriber.connected.wait(PATIENCE)
        with publishing(_outbox(70), broker.port) as publisher:
            assert publisher.drained(PATIENCE)
            assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
            assert subscriber.statuses() == {DEVICE: "online"}
        assert eventually(lambda: subscriber.statuses() == {DEVICE: "stopped"})
    assert seen == list(range(1, 71))
    assert _revisions(subscriber) == {f"reg-{which}": 70 - (70 - which) % 7 for which in range(7)}


class _Failing(MemoryOutbox):
    """Its disk fails when the first answer is to be written down."""

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Fail."""
        raise StoreError("could not write", subject=str(list(seqs)))


def test_a_device_that_dies_is_said_to_be_offline_after_the_delay(broker: LocalBroker) -> None:
    """The will waits for its delay, on every kind of broker."""
    outbox = _Failing()
    outbox.append("cam-1", payload(change()))
    with Subscriber(port=broker.port) as subscriber:
        assert subscriber.connected.wait(PATIENCE)
        with publishing(outbox, broker.port, will_delay=5) as publisher:
            assert eventually(lambda: publisher.failure is not None)
            assert subscriber.wait_until(lambda: subscriber.statuses() == {DEVICE: "online"}, PATIENCE)
            assert not eventually(lambda: subscriber.statuses() == {DEVICE: "offline"}, timeout=0.5)
            assert subscriber.wait_until(lambda: subscriber.statuses() == {DEVICE: "offline"}, PATIENCE)


def test_a_late_subscriber_asks_for_everything(broker: LocalBroker) -> None:
    """What was published before a subscriber came is replayed, in parts, until nothing is missing."""
    with publishing(_outbox(2300), broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        with Subscriber(port=broker.port, patience=0.1, retry=3.0) as subscriber:
            assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
            assert max(_revisions(subscriber).values()) == 2300
            assert subscriber.missing() == []


@needs_mosquitto
def test_a_subscriber_may_want_only_what_comes() -> None:
    """Without ``from_start`` nothing of the past is asked for."""
    outbox = _outbox(50)
    with LocalBroker("mosquitto") as broker, publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        with Subscriber(port=broker.port, from_start=False, patience=0.05) as subscriber:
            assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
            outbox.append("cam-1", payload(change("new", 1)))
            publisher.wake()
            assert subscriber.wait_until(lambda: len(subscriber.rows()) == 1, PATIENCE)
            assert subscriber.missing() == []


@needs_mosquitto
def test_a_gap_is_noticed_and_filled() -> None:
    """Messages lost between publisher and subscriber are asked for again."""
    outbox = _outbox(100)
    with LocalBroker("mosquitto") as broker:
        with publishing(outbox, broker.port) as publisher:
            assert publisher.drained(PATIENCE)  # nobody listens: the broker throws them away
            with Subscriber(port=broker.port, patience=0.1) as subscriber:
                outbox.append("cam-1", payload(change("reg-0", 200)))
                publisher.wake()
                assert subscriber.wait_until(lambda: _revisions(subscriber).get("reg-0") == 200, PATIENCE)
                assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
        assert len(subscriber.rows()) == 7


@needs_mosquitto
def test_what_is_gone_for_good_is_given_up() -> None:
    """Numbers removed after retention, and messages set aside, are reported missing and given up."""
    outbox = _outbox(40)
    outbox.acknowledge(range(1, 41))
    outbox.prune(10)
    outbox.set_aside(25, "packet_too_large")
    with LocalBroker("mosquitto") as broker, publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        with Subscriber(port=broker.port, patience=0.1) as subscriber:
            assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
            assert max(_revisions(subscriber).values()) == 40


@needs_mosquitto
def test_a_subscriber_lives_through_restarts_of_the_broker() -> None:
    """A broker that restarts with nothing in memory costs neither side a message."""
    outbox = _outbox(10)
    with (
        LocalBroker("mosquitto") as broker,
        publishing(outbox, broker.port) as publisher,
        Subscriber(port=broker.port, patience=0.2, retry=2.0) as subscriber,
    ):
        assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
        broker.kill()
        for revision in range(11, 31):
            outbox.append("cam-1", payload(change("reg-0", revision)))
        broker.start()
        publisher.wake()
        assert publisher.drained(PATIENCE)
        assert subscriber.wait_until(lambda: _revisions(subscriber).get("reg-0") == 30, PATIENCE)
        assert subscriber.wait_until(subscriber.is_complete, PATIENCE)


@needs_mosquitto
def test_a_session_keeps_messages_for_a_subscriber_that_is_away() -> None:
    """With a session the broker keeps what comes meanwhile; no replay is needed."""
    outbox, seen = MemoryOutbox(), list[int]()

    def follow(port: int) -> Subscriber:
        note = lambda message: seen.append(message.seq)  # noqa: E731 - one line is clearer here
        return Subscriber(
            port=port, client_id="reader", session_expiry=300, from_start=False, on_message=note
        )

    with LocalBroker("mosquitto") as broker, publishing(outbox, broker.port) as publisher:
        with follow(broker.port) as subscriber:
            assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
        for revision in range(1, 21):
            outbox.append("cam-1", payload(change(revision=revision)))
        publisher.wake()
        assert publisher.drained(PATIENCE)
        with follow(broker.port) as subscriber:
            assert subscriber.wait_until(lambda: len(seen) == 20, PATIENCE)
    assert seen == list(range(1, 21))


@needs_mosquitto
def test_garbage_is_counted_and_ignored() -> None:
    """Something that is no message of ours neither ends the subscriber nor changes the table."""
    with (
        LocalBroker("mosquitto") as broker,
        Ear(broker, "none") as ear,
        Subscriber(port=broker.port) as subscriber,
    ):
        assert subscriber.connected.wait(PATIENCE)
        ear.say(f"edge/v1/{DEVICE}/registration/cam-1", b"not json")
        ear.say(f"edge/v1/{DEVICE}/cursor", b'{"epoch": 3}')
        ear.say(f"edge/v1/{DEVICE}/status", b"\xff\xfe")
        assert subscriber.wait_until(lambda: subscriber.invalid == 2, PATIENCE)
        assert subscriber.rows() == []


@needs_mosquitto
def test_a_fault_in_the_callback_is_raised_to_who_waits() -> None:
    """An exception in ``on_change`` isn't swallowed."""

    def fails(_: RegistrationMessage) -> None:
        raise RuntimeError("no room")

    with LocalBroker("mosquitto") as broker:
        subscriber = Subscriber(port=broker.port, on_change=fails)
        subscriber.start()
        with publishing(_outbox(1), broker.port), pytest.raises(RuntimeError, match="no room"):
            subscriber.wait_until(lambda: False, 5)
        with pytest.raises(RuntimeError, match="no room"):
            subscriber.stop()


@needs_mosquitto
def test_a_device_that_is_not_there_is_not_asked() -> None:
    """While a device is stopped its gaps wait; when it is back they are filled."""
    outbox, port = _outbox(20), free_port()
    with LocalBroker("mosquitto", port=port) as broker:
        with publishing(outbox, port) as publisher:
            assert publisher.drained(PATIENCE)
        with (
            Ear(broker, "edge/v1/+/command/replay") as ear,
            Subscriber(port=port, patience=0.1) as subscriber,
        ):
            assert subscriber.wait_until(
                lambda: subscriber.missing() == [Gap(DEVICE, "epoch-1", 1, 20)], PATIENCE
            )
            assert not eventually(lambda: bool(ear.heard), timeout=0.5)
            with publishing(outbox, port):
                assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
