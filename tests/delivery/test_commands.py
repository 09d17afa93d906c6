"""Requests to the device: what is carried out, refused, and answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from edge.delivery.broker import LocalBroker
from edge.delivery.commands import RATE, Asked, Command, Commands
from edge.delivery.connection import Incoming, Outgoing
from edge.delivery.messages import REPLAY_LIMIT, Pong, Refusal
from edge.delivery.publisher import Publisher
from edge.delivery.throttle import Throttle
from edge.errors import UsageError
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

BASE = f"edge/v1/{DEVICE}"


class _Counting:
    """A handler that counts how often it is called."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def __call__(self, command: Command) -> BaseModel:
        """Answer with a pong."""
        self.calls.append(command.payload)
        if command.payload == b"bad":
            raise UsageError("can't do that", subject="bad", hint="be good")
        return Pong(device=DEVICE, version="1", epoch="epoch-1", seq=len(self.calls))


def _commands() -> tuple[Commands, _Counting]:
    handler = _Counting()
    return Commands(MemoryOutbox(), {"count": handler}, BASE), handler


def _request(body: bytes, *, reply_to: str | None = "answer", correlation: bytes | None = b"1") -> Incoming:
    return Incoming(
        f"{BASE}/command/x", body, retained=False, response_topic=reply_to, correlation=correlation
    )


def _body(answer: Outgoing | Asked | None) -> dict[str, object]:
    assert isinstance(answer, Outgoing)
    found: dict[str, object] = json.loads(answer.payload)
    return found


def test_a_command_is_carried_out_and_answered() -> None:
    """The answer goes to the response topic."""
    commands, handler = _commands()
    answer = commands.receive("count", _request(b"{}"), 0.0)
    assert isinstance(answer, Outgoing)
    assert (answer.topic, answer.retain) == ("answer", False)
    assert _body(answer)["ok"] is True
    assert handler.calls == [b"{}"]


def test_a_command_delivered_twice_has_no_second_effect() -> None:
    """The same request is answered again with the same answer and carried out once."""
    commands, handler = _commands()
    first = commands.receive("count", _request(b"{}"), 0.0)
    assert commands.receive("count", _request(b"{}"), 0.0) == first
    assert len(handler.calls) == 1
    commands.receive("count", _request(b"{}", correlation=b"2"), 0.0)
    commands.receive("count", _request(b"{}", reply_to="elsewhere"), 0.0)
    assert len(handler.calls) == 3


def test_a_refusal_tells_what_and_why() -> None:
    """An error of the handler is the answer, with its hint."""
    commands, _ = _commands()
    body = _body(commands.receive("count", _request(b"bad"), 0.0))
    assert body == {
        "schema": "edge.reply/1",
        "command": "count",
        "ok": False,
        "what": "can't do that",
        "subject": "bad",
        "hint": "be good",
    }


def test_an_unknown_command_is_told_what_there_is() -> None:
    """The answer names the commands."""
    commands, _ = _commands()
    assert "count, replay" in str(_body(commands.receive("sing", _request(b""), 0.0))["hint"])


def test_retained_requests_are_ignored() -> None:
    """A request that the broker kept from earlier is not one for now."""
    commands, handler = _commands()
    assert (
        commands.receive("count", Incoming("t", b"{}", retained=True, response_topic="answer"), 0.0) is None
    )
    assert handler.calls == []


def test_without_a_response_topic_nobody_is_answered() -> None:
    """The command is carried out all the same."""
    commands, handler = _commands()
    assert commands.receive("count", _request(b"{}", reply_to=None), 0.0) is None
    assert len(handler.calls) == 1


@pytest.mark.parametrize("topic", ["a/+", "#", "$SYS/x", f"{BASE}/command/count", "x" * 600])
def test_answers_do_not_go_just_anywhere(topic: str) -> None:
    """Not to wildcards, system topics, absurd ones, or to commands of this device (which would be a loop)."""
    commands, _ = _commands()
    assert commands.receive("count", _request(b"{}", reply_to=topic), 0.0) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "not a replay request"),
        (b"[]", "not a replay request"),
        (b'{"epoch":"epoch-1","from":0,"to":3}', "not a replay request"),
        (b'{"epoch":"epoch-1","from":1,"to":3,"more":1}', "not a replay request"),
        (b'{"epoch":"another","from":1,"to":3}', "unknown epoch"),
        (b'{"epoch":"epoch-1","from":4,"to":3}', "of this size"),
        (b'{"epoch":"epoch-1","from":1,"to":%d}' % (REPLAY_LIMIT + 1), "of this size"),
        (b"x" * 70_000, "too long"),
    ],
)
def test_replay_requests_are_checked(body: bytes, expected: str) -> None:
    """Anything but a bounded range of this epoch is refused with a reason."""
    commands, _ = _commands()
    assert expected in str(_body(commands.receive("replay", _request(body), 0.0))["what"])


def test_the_largest_replay_is_allowed() -> None:
    """The boundary of the limit."""
    commands, _ = _commands()
    asked = commands.receive("replay", _request(b'{"epoch":"epoch-1","from":1,"to":%d}' % REPLAY_LIMIT), 0.0)
    assert isinstance(asked, Asked)
    assert (asked.request.first, asked.request.last) == (1, REPLAY_LIMIT)


def test_a_flood_is_carried_out_a_few_at_a_time() -> None:
    """Of 1,000 requests in a second the burst is carried out, one is told so, the rest is dropped."""
    handler = _Counting()
    commands = Commands(MemoryOutbox(), {"count": handler}, BASE, throttle=Throttle(RATE, 20))
    answers = [
        commands.receive("count", _request(b"{}", correlation=b"%d" % n), n / 1000) for n in range(1000)
    ]
    assert len(handler.calls) == 20 + int(RATE * 0.999)
    refused = [a for a in answers if isinstance(a, Outgoing) and b'"ok":false' in a.payload]
    assert [_body(answer)["what"] for answer in refused] == [
        "too many requests: at most 5 a second are carried out"
    ]
    commands.receive("count", _request(b"{}", correlation=b"later"), 60.0)
    assert len(handler.calls) == 20 + int(RATE * 0.999) + 1


def test_a_request_is_the_same_only_if_all_of_it_is() -> None:
    """Name, payload, response topic and correlation data make its identity, and none runs into the next."""
    base = Command("a", b"b", "c", b"d")
    others = [Command("ab", b"", "c", b"d"), Command("a", b"bc", "", b"d"), Command("a", b"b", "cd", None)]
    assert len({command.identity() for command in (base, *others)}) == 4
    assert base.identity() == Command("a", b"b", "c", b"d").identity()


@pytest.mark.parametrize("name", ["x" * 60_000, "replay"])
def test_what_is_long_is_not_repeated_whole(name: str) -> None:
    """A refusal stays small, whatever the topic was and whatever was asked for."""
    commands, _ = _commands()
    body = b'{"epoch":"%s","from":1,"to":2}' % (b"e" * 60_000)
    answer = commands.receive(name, _request(body), 0.0)
    assert _body(answer)["ok"] is False
    assert isinstance(answer, Outgoing)
    assert len(answer.payload) < 1000


@given(st.text(max_size=20), st.binary(max_size=200))
def test_nothing_that_is_sent_is_more_than_refused(name: str, body: bytes) -> None:
    """Any bytes under any name get an answer, and never an exception."""
    commands, _ = _commands()
    answer = commands.receive(name, _request(body), 0.0)
    assert _body(answer)["ok"] is (name == "count" and body != b"bad")


@pytest.fixture(name="broker")
def _broker() -> Iterator[LocalBroker]:
    with LocalBroker("mosquitto") as broker:
        yield broker


@needs_mosquitto
def test_ping_answers_over_the_broker(broker: LocalBroker) -> None:
    """A request with response topic and correlation data gets its answer with the same correlation data."""
    with Ear(broker, "answer/me") as ear, publishing(MemoryOutbox(), broker.port) as publisher:
        assert eventually(lambda: publisher.state().commands)
        ear.say(f"{BASE}/command/ping", b"", reply_to="answer/me", correlation=b"\x00\x01")
        assert eventually(lambda: len(ear.heard) == 1)
    (heard,) = ear.heard
    assert heard.properties.CorrelationData == b"\x00\x01"
    assert json.loads(heard.payload) == {
        "schema": "edge.reply/1",
        "command": "ping",
        "ok": True,
        "device": DEVICE,
        "version": "1.0",
        "epoch": "epoch-1",
        "seq": 0,
    }


@needs_mosquitto
def test_replay_sends_the_same_messages_again(broker: LocalBroker) -> None:
    """The same payloads come on the same topics, and the answer comes after the last."""
    outbox = MemoryOutbox()
    for revision in range(1, 31):
        outbox.append("cam-1", payload(change(revision=revision)))
    with publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        assert eventually(lambda: publisher.state().commands)
        with Ear(broker, f"{BASE}/registration/+", "answer") as ear:
            body = b'{"epoch":"epoch-1","from":11,"to":40}'
            ear.say(f"{BASE}/command/replay", body, reply_to="answer", correlation=b"7")
            assert eventually(lambda: len(ear.on("answer")) == 1)
            assert eventually(lambda: len(ear.heard) == 21)
    assert ear.below(f"{BASE}/registration/") == [row.payload for row in outbox.range(11, 30)]
    reply = json.loads(ear.on("answer")[0])
    assert (reply["sent"], reply["waiting"], reply["missing"]) == (20, 0, [{"from": 31, "to": 40}])


@needs_mosquitto
def test_new_messages_flow_during_a_replay(broker: LocalBroker) -> None:
    """A long replay doesn't hold up what is new."""
    outbox = MemoryOutbox()
    for _ in range(9000):
        outbox.append("cam-1", b"x" * 300)
    outbox.acknowledge(range(1, 9001))
    with publishing(outbox, broker.port) as publisher, Ear(broker, "answer") as ear:
        assert eventually(lambda: publisher.state().commands)
        ear.say(f"{BASE}/command/replay", b'{"epoch":"epoch-1","from":1,"to":9000}', reply_to="answer")
        outbox.append("cam-2", b"new")
        publisher.wake()
        assert eventually(lambda: outbox.rows[9001].state == "acked")
        assert ear.heard == []
        assert eventually(lambda: len(ear.heard) == 1)


@needs_mosquitto
def test_a_flood_of_commands_does_not_hold_up_messages(broker: LocalBroker) -> None:
    """While thousands of requests come in, everything in line is sent, and what comes after them as well."""
    outbox = MemoryOutbox()
    with publishing(outbox, broker.port) as publisher, Ear(broker, "answer") as ear:
        assert eventually(lambda: publisher.state().commands)
        for number in range(3000):
            ear.say(f"{BASE}/command/ping", b"", reply_to="answer", correlation=b"%d" % number)
        for _ in range(500):
            outbox.append("cam-1", b"x" * 300)
        assert publisher.drained(PATIENCE)
        assert publisher.state().connections == 1
    assert outbox.counts() == (0, 0, 500)
    assert 20 <= len(ear.heard) < 200


@needs_mosquitto
def test_an_answer_that_the_broker_would_hang_up_on_is_refused_instead() -> None:
    """Where a broker names a limit, an answer beyond it becomes a short one that says so."""
    long = Refusal(command="long", what="x" * 3000)
    limited = LocalBroker("mosquitto", config=["max_packet_size 2000"])
    with limited, Ear(limited, "answer") as ear:
        publisher = Publisher(
            settings(limited.port, homeassistant=False),
            DEVICE,
            MemoryOutbox(),
            health(MemoryOutbox()),
            commands={"long": lambda _: long},
            pace=QUICK,
        )
        publisher.start()
        assert eventually(lambda: publisher.state().commands)
        ear.say(f"{BASE}/command/long", b"", reply_to="answer", correlation=b"1")
        assert eventually(lambda: len(ear.heard) == 1)
        publisher.stop()
    assert json.loads(ear.heard[0].payload)["what"].startswith("packet_too_large")


@needs_mosquitto
def test_requests_beyond_the_packet_limit_never_arrive(broker: LocalBroker) -> None:
    """The broker is told how large a packet may be, so that nobody can fill this device's memory."""
    with publishing(MemoryOutbox(), broker.port) as publisher, Ear(broker, "answer") as ear:
        assert eventually(lambda: publisher.state().commands)
        ear.say(f"{BASE}/command/ping", b"x" * 100_000, reply_to="answer", correlation=b"1")
        ear.say(f"{BASE}/command/ping", b"x" * 1_000_000, reply_to="answer", correlation=b"2")
        ear.say(f"{BASE}/command/ping", b"", reply_to="answer", correlation=b"3")
        assert eventually(lambda: len(ear.heard) == 2)
        assert publisher.state().connections == 1
    assert "too long" in json.loads(ear.heard[0].payload)["what"]
    assert json.loads(ear.heard[1].payload)["ok"] is True
