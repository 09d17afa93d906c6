"""Brokers that refuse: by access rules, by size, by hanging up."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest

from edge.delivery.broker import LocalBroker
from tests.contract.outboxes import MemoryOutbox
from tests.delivery.helpers import (
    DEVICE,
    PATIENCE,
    QUICK,
    Ear,
    eventually,
    filled,
    needs_mosquitto,
    publishing,
)

pytestmark = needs_mosquitto
BASE = f"edge/v1/{DEVICE}"
NO_WRITE = "topic read #\n"
ONE_DENIED = f"topic readwrite #\ntopic deny {BASE}/registration/cam-1\n"


def _with_acl(text: str) -> LocalBroker:
    return LocalBroker("mosquitto", config=["acl_file {folder}/acl"], files={"acl": text})


def _allow(broker: LocalBroker) -> None:
    """Rewrite the access rules and have mosquitto read them."""
    (broker.folder / "acl").write_text("topic readwrite #\n")
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGHUP)


@pytest.mark.fault(5, "50 rows stay, health says not_authorized")
def test_denied_messages_stay_in_line_until_they_are_allowed() -> None:
    """Where nothing may be written, all rows stay in line, the state says so, and then they flow."""
    outbox = filled(50)
    with _with_acl(NO_WRITE) as broker, publishing(outbox, broker.port) as publisher:
        assert eventually(lambda: publisher.state().reason == "not_authorized")
        assert not publisher.drained(1.0)
        assert outbox.counts() == (50, 0, 0)
        _allow(broker)
        assert publisher.drained(PATIENCE)
        assert eventually(lambda: publisher.state().reason == "ok")
    assert outbox.counts() == (0, 0, 50)


def test_denied_discovery_costs_few_connections() -> None:
    """Where only Home Assistant's topics are denied, discovery is left out for a while and messages flow."""
    outbox, pace = filled(100), replace(QUICK, hold_first=60.0, hold_longest=60.0)
    with (
        _with_acl("topic readwrite edge/#\n") as broker,
        publishing(outbox, broker.port, pace=pace) as publisher,
    ):
        assert publisher.drained(PATIENCE)
        assert eventually(lambda: publisher.state().connected)
        assert publisher.state().reason == "not_authorized"
        assert "discovery" in publisher.state().detail
        before = publisher.state().connections
        for _ in range(20):
            outbox.append("cam-1", b"{}")
        assert publisher.drained(PATIENCE)
        assert publisher.state().connections == before <= 5


def test_denied_is_told_even_with_nothing_in_line() -> None:
    """An empty outbox doesn't hide that the broker refuses this device."""
    with _with_acl(NO_WRITE) as broker, publishing(MemoryOutbox(), broker.port) as publisher:
        assert eventually(lambda: publisher.state().reason == "not_authorized")


def test_a_denied_deployment_does_not_block_the_others() -> None:
    """Messages of a deployment that is refused wait in line; those of others are sent."""
    outbox = filled(60, deployments=3)
    with _with_acl(ONE_DENIED) as broker, publishing(outbox, broker.port) as publisher:
        assert eventually(lambda: outbox.counts().acked == 40)
        assert eventually(lambda: publisher.state().reason == "not_authorized")
        assert publisher.state().held == ("cam-1",)
        assert "cam-1" in publisher.state().detail
        assert {row.deployment for row in outbox.pending(0, 100)} == {"cam-1"}
        with Ear(broker, f"{BASE}/registration/cam-1") as ear:
            _allow(broker)
            assert publisher.drained(PATIENCE)
            assert eventually(lambda: len(ear.heard) >= 20)
        assert publisher.state().held == ()
    seqs = [json.loads(heard.payload)["seq"] for heard in ear.heard]
    assert seqs == sorted(seqs)


@pytest.mark.fault(6, "1 set aside, 59 delivered")
@pytest.mark.parametrize("limit", ["message_size_limit 1000", "max_packet_size 1500"])
def test_a_message_over_the_limit_is_set_aside_and_the_rest_flows(limit: str) -> None:
    """Whether the broker names its limit or just breaks the connection: only the large one is set aside."""
    outbox = MemoryOutbox()
    for number in range(60):
        outbox.append("cam-1", b"x" * (5000 if number == 30 else 100))
    with (
        LocalBroker("mosquitto", config=[limit]) as broker,
        publishing(outbox, broker.port, homeassistant=False) as publisher,
    ):
        assert eventually(lambda: outbox.counts().acked == 59)
        assert outbox.rows[31].state == "set_aside"
        assert outbox.rows[31].reason
        assert publisher.state().aside == 1
        outbox.append("cam-1", b"next")
        publisher.wake()
        assert eventually(lambda: outbox.counts().acked == 60)
        assert publisher.state().reason == "ok"


def test_poison_among_retained_messages_does_not_block_the_line() -> None:
    """A health message that the broker hangs up on is left out for a while, and messages flow."""
    outbox = MemoryOutbox()
    for _ in range(30):
        outbox.append("cam-1", b"x" * 50)
    with LocalBroker("mosquitto", config=["message_size_limit 100"]) as broker:  # noqa: SIM117 - order matters
        with publishing(outbox, broker.port):
            assert eventually(lambda: outbox.counts().acked == 30)
    assert outbox.counts().set_aside == 0


def test_a_poisoned_replay_is_given_up() -> None:
    """A message that the broker took once and hangs up on now blocks neither the line nor other replays."""
    outbox = MemoryOutbox()
    outbox.append("cam-1", b"x" * 5000)
    outbox.acknowledge([1])
    with LocalBroker("mosquitto", config=["message_size_limit 2500"]) as broker:  # noqa: SIM117 - order matters
        with publishing(outbox, broker.port) as publisher, Ear(broker, "answer") as ear:
            assert eventually(lambda: publisher.state().commands)
            request = b'{"epoch":"epoch-1","from":1,"to":1}'
            ear.say(f"{BASE}/command/replay", request, reply_to="answer", correlation=b"1")
            outbox.append("cam-1", b"small")
            publisher.wake()
            assert eventually(lambda: outbox.rows[2].state == "acked")
            assert publisher.drained(PATIENCE)
    assert outbox.rows[1].state == "acked"
