"""Readers of what comes over the network: requests, messages to a subscriber, compact summaries."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cbor2
from hypothesis import strategies as st

from edge.compact import decode_summary, encode_summary
from edge.delivery.commands import Asked, Commands
from edge.delivery.connection import Incoming
from edge.delivery.messages import BundleRef, encode
from edge.delivery.replay import Replay
from edge.delivery.throttle import Throttle
from edge.service.commands import Office
from edge.settings import Settings
from edge.store.database import open_database
from edge.store.outbox import Outbox
from edge.subscriber import Subscriber
from tests.delivery.helpers import change, message
from tests.fuzz.damage import damaged
from tests.fuzz.target import Target
from tests.fuzz.texts import DEEP, JSON, deep_json, long_number

_DATABASE = open_database(Path(tempfile.mkdtemp(prefix="edge-fuzz-")))
_OFFICE = Office(_DATABASE, Settings(device="d"), BundleRef(name="starter", sha256="b" * 64), "africa")
_BASE = "edge/v1/d"
_COMMANDS = Commands(Outbox(_DATABASE), _OFFICE.handlers(), _BASE, throttle=Throttle(1e9, 10**9))

_NUMBER = st.one_of(
    st.integers(-2, 300), st.integers(-(2**70), 2**70), st.sampled_from([2**31, 2**63 - 1, 2**63])
)
_REQUESTS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"epoch": st.just(_DATABASE.epoch), "from": _NUMBER, "to": _NUMBER}),
    st.integers(1, 2**66).map(lambda n: {"epoch": _DATABASE.epoch, "from": n, "to": n + 5}),
    st.fixed_dictionaries(
        {"registration_id": st.text(max_size=40)}, optional={"offset": _NUMBER, "limit": _NUMBER}
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "media_id": st.one_of(st.none(), st.text(max_size=20)),
            "deployment": st.one_of(st.none(), st.text(max_size=20)),
            "from": st.one_of(st.datetimes().map(lambda t: f"{t.isoformat()}+14:00"), st.text(max_size=20)),
            "to": st.one_of(st.just("0001-01-01T00:00:00+14:00"), st.just("9999-12-31T23:59:59-12:00")),
        },
    ),
)
_PAYLOAD = st.one_of(
    _REQUESTS.map(lambda values: json.dumps(values).encode()),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
    DEEP.map(deep_json),
    DEEP.map(long_number),
)
_TOPIC = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["r", f"{_BASE}/command/ping", f"{_BASE}/cursor", f"{_BASE}/reply/me", "$SYS/x", "a/#"]),
)
_ASKED = st.tuples(
    st.one_of(st.sampled_from(["replay", "registration", "config", "reprocess"]), st.text(max_size=100)),
    st.builds(
        lambda payload, topic, correlation: Incoming("t", payload, False, topic, correlation),
        _PAYLOAD,
        _TOPIC,
        st.one_of(st.none(), st.binary(max_size=40)),
    ),
)


def _ask(asked: tuple[str, Incoming]) -> None:
    """What is asked is answered, or refused in an answer; nothing at all comes out of it as an error."""
    name, asked_for = asked
    found = _COMMANDS.receive(name, asked_for, 0.0)
    if isinstance(found, Asked):
        replay = Replay(found.request, Outbox(_DATABASE))
        assert replay.next() is None  # there is nothing in this outbox
        found = _COMMANDS.answer(asked_for, replay.reply())
    if found is not None:
        assert found.topic == asked_for.response_topic
        assert not found.topic.startswith("$")
        json.loads(found.payload)


_MESSAGE = encode(message(7, change()))
_CURSOR = b'{"epoch": "epoch-1", "seq": 9}'
_REPLY = b'{"schema": "edge.reply/1", "command": "replay", "ok": true, "epoch": "e", "from": 1, "to": 9, "sent": 1, "waiting": 0, "missing": [{"from": 2, "to": 3}]}'  # noqa: E501
_BYTES = [
    b"null",
    b"-1",
    b"1e999",
    b"99999999999999999999999",
    b'"',
    b"{",
    b"}",
    b"[",
    b"\\ud800",
    b"\xff",
    b"NaN",
]


def _hear(heard: tuple[str, bytes]) -> None:
    """A subscriber counts what it can't read, and goes on."""
    topic, payload = heard
    subscriber = Subscriber()
    subscriber._take_in(SimpleNamespace(topic=topic, payload=payload, properties=SimpleNamespace()))  # type: ignore[arg-type]
    subscriber.rows()
    subscriber.missing()
    subscriber._ask(1.0)
    subscriber.statuses()


_HEARD = st.tuples(
    st.one_of(
        st.sampled_from(
            [f"edge/v1/d/{kind}" for kind in ("registration/c", "cursor", "status", "reply/x", "")]
        ),
        st.text(max_size=30),
    ),
    st.one_of(damaged([_MESSAGE, _CURSOR, _REPLY], _BYTES), DEEP.map(deep_json), DEEP.map(long_number)),
)
_SUMMARY = encode_summary(
    decode_summary(cbor2.dumps({0: b"12345678", 1: 3, 2: 10**9, 3: 60, 4: 2, 5: "Fox", 6: "c"}))
)
_CBOR = st.recursive(
    st.one_of(
        st.integers(-(2**80), 2**80), st.text(max_size=8), st.binary(max_size=8), st.booleans(), st.none()
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.builds(cbor2.CBORTag, st.integers(0, 300), inner),
    ),
    max_leaves=4,
)


def _decode(data: bytes) -> None:
    found = decode_summary(data, ("Fox", "Hare"))
    assert len(found.id) == 16
    assert found.start <= found.end


_TAGS = [bytes([0xC0 + n]) for n in range(6)] + [
    b"\xd8\x1c",
    b"\xd8\x1d\x00",
    b"\xd8\x1e",
    b"\xd8\x23",
    b"\xd8\x25",
]
_TAGS += [
    b"\xd9\x01\x02",
    b"\xd9\x01\x04",
    b"\x9f",
    b"\xff",
    b"\xbf",
    b"\x5f",
    b"\x7f",
    b"\xfb",
    b"\x1b",
    b"\x9b",
]

TARGETS: list[Target[Any]] = [
    Target("requests over MQTT", _ASKED, _ask, ()),
    Target("what a subscriber hears", _HEARD, _hear, ()),
    Target(
        "compact summaries",
        st.one_of(
            damaged([_SUMMARY], _TAGS),
            st.binary(max_size=60),
            st.lists(st.one_of(st.sampled_from(_TAGS), st.binary(max_size=3)), max_size=14).map(b"".join),
            st.dictionaries(st.integers(0, 9), _CBOR, max_size=9).map(cbor2.dumps),
        ),
        _decode,
        (ValueError,),
    ),
]
