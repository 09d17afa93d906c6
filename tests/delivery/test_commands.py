"""Requests to the device: what is carried out, refused, and answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from edge.delivery.broker import LocalBroker
from edge.delivery.commands import Asked, Commands
from edge.delivery.connection import Incoming, Outgoing
from edge.delivery.messages import REPLAY_LIMIT, Pong
from edge.errors import UsageError
from tests.contract.outboxes import MemoryOutbox
from tests.delivery.helpers import DEVICE, Ear, change, eventually, needs_mosquitto, payload, publishing

BASE = f"edge/v1/{DEVICE}"


class _Counting:
    """A handler that counts how often it is called."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def __call__(self, body: bytes) -> BaseModel:
        """Answer with a pong."""
        self.calls.append(body)
        if body == b"bad":
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
    answer = commands.receive("count", _request(b"{}"))
    assert isinstance(answer, Outgoing)
    assert (answer.topic, answer.retain) == ("answer", False)
    assert _body(answer)["ok"] is True
    assert handler.calls == [b"{}"]


def test_a_command_delivered_twice_has_no_second_effect() -> None:
    """The same request is answered again with the same answer and carried out once."""
    commands, handler = _commands()
    first = commands.receive("count", _request(b"{}"))
    assert commands.receive("count", _request(b"{}")) == first
    assert len(handler.calls) == 1
    commands.receive("count", _request(b"{}", correlation=b"2"))
    commands.receive("count", _request(b"{}", reply_to="elsewhere"))
    assert len(handler.calls) == 3


def test_a_refusal_tells_what_and_why() -> None:
    """An error of the handler is the answer, with its hint."""
    commands, _ = _commands()
    body = _body(commands.receive("count", _request(b"bad")))
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
    assert "count, replay" in str(_body(commands.receive("sing", _request(b"")))["hint"])


def test_retained_requests_are_ignored() -> None:
    """A request that the broker kept from earlier is not one for now."""
    commands, handler = _commands()
    assert commands.receive("count", Incoming("t", b"{}", retained=True, response_topic="answer")) is None
    assert handler.calls == []


def test_without_a_response_topic_nobody_is_answered() -> None:
    """The command is carried out all the same."""
    commands, handler = _commands()
    assert commands.receive("count", _request(b"{}", reply_to=None)) is None
    assert len(handler.calls) == 1


@pytest.mark.parametrize("topic", ["a/+", "#", "$SYS/x", f"{BASE}/command/count", "x" * 600])
def test_answers_do_not_go_just_anywhere(topic: str) -> None:
    """Not to wildcards, system topics, absurd ones, or to commands of this device (which would be a loop)."""
    commands, _ = _commands()
    assert commands.receive("count", _request(b"{}", reply_to=topic)) is None


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
    assert expected in str(_body(commands.receive("replay", _request(body)))["what"])


def test_the_largest_replay_is_allowed() -> None:
    """The boundary of the limit."""
    commands, _ = _commands()
    asked = commands.receive("replay", _request(b'{"epoch":"epoch-1","from":1,"to":%d}' % REPLAY_LIMIT))
    assert isinstance(asked, Asked)
    assert (asked.request.first, asked.request.last) == (1, REPLAY_LIMIT)


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
        assert publisher.drained(5)
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
