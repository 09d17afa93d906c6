"""The examples in the pages on messages do what they say."""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.delivery import reasons
from edge.delivery.broker import LocalBroker
from edge.delivery.messages import RegistrationMessage
from edge.delivery.tls import _VERIFY
from tests.contract.outboxes import MemoryOutbox
from tests.delivery.helpers import (
    DEVICE,
    PATIENCE,
    change,
    eventually,
    filled,
    needs_mosquitto,
    payload,
    publishing,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
MESSAGES, SUBSCRIBERS = ((DOCS / name).read_text() for name in ("messages.md", "subscribers.md"))
BASE = f"edge/v1/{DEVICE}"


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def _run(program: str) -> str:
    said = StringIO()
    with redirect_stdout(said):
        exec(compile(program, "example", "exec"), {})  # noqa: S102 - our own page
    return said.getvalue()


@needs_mosquitto
def test_the_subscriber_of_the_page_prints_the_table() -> None:
    """As it stands there, but for the port."""
    program = _blocks(SUBSCRIBERS, "python")[0]
    with LocalBroker("mosquitto") as broker, publishing(filled(6, 2), broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        said = _run(program.replace('"127.0.0.1"', f'"127.0.0.1", {broker.port}'))
    assert said.splitlines()[-2:] == [f"cam-{n} Red_Deer 1 1970-01-01T00:00:01.000+00:00" for n in (1, 2)]


def test_the_table_of_the_page_reads_an_exported_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for each message."""
    outbox = MemoryOutbox()
    for revision in (1, 2):
        outbox.append("cam-1", payload(change(revision=revision)))
    lines = [row.payload.decode() for row in outbox.rows.values()]
    (tmp_path / "waiting.jsonl").write_text("".join(f"{line}\n" for line in lines))
    monkeypatch.chdir(tmp_path)
    assert _run(_blocks(SUBSCRIBERS, "python")[1]) == "1 []\n"


def test_the_summary_of_the_page_is_decoded() -> None:
    """To what its text says."""
    said = _run(_blocks(SUBSCRIBERS, "python")[2])
    assert said == "Red_Deer 2 2026-05-03 20:12:09+00:00 2026-05-03 20:31:40+00:00 cam-07\n"


def test_telegraf_is_asked_for_fields_that_there_are() -> None:
    """Every path is a field of a change, with a type that fits."""
    (parser,) = tomllib.loads(_blocks(SUBSCRIBERS, "toml")[0])["inputs"]["mqtt_consumer"][0]["json_v2"]
    kinds = {name: field.annotation for name, field in RegistrationMessage.model_fields.items()}
    paths = [parser["timestamp_path"], *(part["path"] for part in parser["tag"] + parser["field"])]
    assert set(paths) <= set(kinds)
    assert {part["path"]: part["type"] for part in parser["field"]} == {
        "registration_id": "string",
        "change": "string",
        "revision": "int",
        "count": "int",
        "confidence": "float",
    }


def test_every_reason_of_the_broker_is_explained() -> None:
    """Each word that health can say of the broker for long has its line."""
    words = {word for word, _ in [*reasons._WORDS.values(), *_VERIFY.values()]}
    words |= {"ok", "unreachable", "no_answer", "keepalive", "no_answers", "closed", "client_error"}
    words |= {"not_welcome", "tls_refused", "tls_files", "no_tls", "tls_failed"}
    momentary = {
        "protocol_error", "client_id_refused", "server_unavailable", "server_busy", "banned", "topic_refused",
        "server_shutting_down", "receive_maximum_exceeded", "administrative", "payload_refused",
        "use_another_server", "server_moved",
    }  # fmt: skip
    table = MESSAGES.partition("### What health says of the broker")[2]
    assert {word for word in words - momentary if f"`{word}`" not in table} == set()


class _User:
    """Somebody at the broker."""

    def __init__(self, broker: LocalBroker, name: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self.name = name
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set(name, "x")
        self.client.on_message = lambda _c, _d, message: self.heard.append(json.loads(message.payload))
        self.client.connect(broker.host, broker.port)
        self.client.subscribe(f"{BASE}/reply/{name}", 1)
        self.client.loop_start()

    def ask(self, command: str, text: bytes = b"") -> None:
        """One request."""
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types
        properties.ResponseTopic = f"{BASE}/reply/{self.name}"
        properties.CorrelationData = command.encode()
        self.client.publish(f"{BASE}/command/{command}", text, qos=1, properties=properties)

    def leave(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


@needs_mosquitto
def test_the_access_rules_of_the_page_let_each_do_what_it_may() -> None:
    """The device delivers everything; a subscriber pings and can't command; an operator can."""
    (rules,) = _blocks(MESSAGES, "acl")
    outbox = filled(30)
    limited = LocalBroker("mosquitto", config=["acl_file {folder}/acl"], files={"acl": rules})
    with limited as broker, publishing(outbox, broker.port, username=DEVICE) as publisher:
        assert publisher.drained(PATIENCE)
        assert eventually(lambda: publisher.state().commands)
        assert publisher.state().reason == "ok"
        subscriber, operator = _User(broker, "subscriber"), _User(broker, "operator")
        subscriber.ask("ping")
        assert eventually(lambda: [answer["command"] for answer in subscriber.heard] == ["ping"])
        subscriber.ask("config")
        operator.ask("config")
        assert eventually(lambda: len(operator.heard) == 1)
        assert (
            operator.heard[0]["what"] == "unknown command"
        )  # this publisher has no such handler; it was asked
        assert len(subscriber.heard) == 1
        assert publisher.state().connections == 1
        subscriber.leave()
        operator.leave()
