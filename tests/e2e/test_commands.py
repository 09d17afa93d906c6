"""Commands to a running daemon over a real broker: what they do, and that they do it once."""

from __future__ import annotations

import json
import re
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge.delivery.broker import LocalBroker, mosquitto_path as mosquitto
from edge.delivery.schemas import schemas
from edge.demo.camera import picture
from edge.demo.story import MEADOW, STORY, default_evening
from edge.subscriber import Subscriber
from tests.delivery.helpers import Ear, Heard, eventually
from tests.delivery.homeassistant_rules import SCHEMA as DISCOVERY
from tests.e2e.site import PATIENCE, Site, stop, wait_for

LABELS = Path(__file__).resolve().parents[2] / "edge" / "demo" / "labels.toml"
BASE = "edge/v1/site-1"
EVENING = default_evening(datetime.now(UTC).date())

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    """A running mosquitto."""
    if mosquitto() is None:
        pytest.skip("needs mosquitto")
    with LocalBroker("mosquitto") as running:
        yield running


def _site(folder: Path, port: int, labels: Path) -> Site:
    return Site(folder, port, {"vision": {"labels": str(labels)}}).prepare()


def _renamed(folder: Path) -> Path:
    """The demo's labels under other names: what a model sees stays the same, what it is called doesn't."""
    target = folder / "renamed.toml"
    target.write_text(re.sub(r'^label = "', 'label = "New_', LABELS.read_text(), flags=re.MULTILINE))
    return target


def _ask(ear: Ear, name: str, correlation: bytes, **values: Any) -> dict[str, Any]:
    """One request and its answer."""
    before = len(ear.on("answer/test"))
    body = json.dumps(values).encode()
    ear.say(f"{BASE}/command/{name}", body, reply_to="answer/test", correlation=correlation)
    assert eventually(lambda: len(ear.on("answer/test")) > before, PATIENCE)
    found: dict[str, Any] = json.loads(ear.on("answer/test")[-1])
    return found


def _answers(ear: Ear) -> bool:
    """Whether the daemon listens."""
    body = _ask(ear, "ping", b"ping")
    return bool(body["ok"])


def _check_contract(heard: Sequence[Heard]) -> None:
    """Every payload is valid by its JSON Schema, and no number is missing."""
    found: dict[str, list[Heard]] = defaultdict(list)
    for one in heard:
        found[_kind(one)].append(one)
    assert {"registration", "status", "cursor", "health", "snapshot", "discovery", "reply"} <= set(found)
    known = schemas()
    seqs = {json.loads(one.payload)["seq"] for one in found["registration"]}
    assert seqs == set(range(1, max(seqs) + 1))
    for one in (*found["registration"], *found["cursor"], *found["health"]):
        Draft202012Validator(known[_kind(one)]).validate(json.loads(one.payload))
    for one in found["status"]:
        Draft202012Validator(known["status"]).validate(one.payload.decode())
    for one in found["snapshot"]:
        properties = dict(one.properties.UserProperty)
        Draft202012Validator(known["snapshot-properties"]).validate(properties)
        assert one.payload[:2] == b"\xff\xd8"
        assert len(one.payload) <= 65_536
    for one in found["discovery"]:
        DISCOVERY.validate(json.loads(one.payload))
    for one in found["reply"]:
        reply = json.loads(one.payload)
        name = f"reply-{reply['command'] if reply['ok'] else 'refusal'}"
        Draft202012Validator(known[name]).validate(reply)


def _kind(heard: Heard) -> str:
    levels = heard.topic.split("/")
    if levels[0] == "homeassistant":
        return "discovery"
    return "reply" if levels[0] == "answer" else levels[3]


@pytest.mark.fault(23, "every payload valid, no number missing")
def test_images_are_looked_at_again_once_for_each_request(tmp_path: Path, broker: LocalBroker) -> None:
    """With new labels a command renames what is on record; delivered again, also after a crash, nothing more.

    A subscriber's table follows, and the answers to the deliveries are the same. Of all that was published
    each payload is what its schema says.
    """
    site = _site(tmp_path, broker.port, LABELS)
    for moment in (m for m in STORY if m.deployment == MEADOW and m.arrival != "torn"):
        path = site.drop / moment.file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(moment, EVENING))
    with (
        Ear(broker, "edge/v1/#", "homeassistant/#") as everything,
        Subscriber(broker.host, broker.port) as subscriber,
    ):
        site.run_until_idle()
        wait_for(lambda: bool(subscriber.rows()) and subscriber.is_complete())
        before = {row["label"] for row in subscriber.rows()} - {"unidentified"}
        assert before
        _site(tmp_path, broker.port, _renamed(tmp_path))
        daemon = site.start()
        site.wait_ready()
        with Ear(broker, "answer/test") as ear:
            assert eventually(lambda: subscriber.statuses() == {"site-1": "online"})
            assert _answers(ear)
            first = _ask(ear, "reprocess", b"once", deployment=MEADOW)
            assert (first["ok"], first["images"]) == (True, len(site.media()))
            wait_for(
                lambda: (
                    {row["label"] for row in subscriber.rows()} - {"unidentified"}
                    == {f"New_{label}" for label in before}
                )
            )
            wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations(), 15)
            head = _ask(ear, "ping", b"after")["seq"]
            assert _ask(ear, "reprocess", b"once", deployment=MEADOW) == first
            assert stop(daemon, signal.SIGKILL) != 0
            daemon = site.start()
            site.wait_ready()
            assert _ask(ear, "reprocess", b"once", deployment=MEADOW) == first
            assert _ask(ear, "ping", b"last")["seq"] == head
            page = _ask(ear, "registration", b"page", registration_id=subscriber.rows()[0]["registration_id"])
            assert len(page["media"]) == page["media_count"] == subscriber.rows()[0]["media_count"]
            assert page["next"] is None
            config = _ask(ear, "config", b"config")
            assert config["settings"]["vision"]["labels"].endswith("renamed.toml")
            wrong = _ask(ear, "dance", b"wrong")
            assert (wrong["ok"], wrong["what"]) == (False, "unknown command")
            assert "config, ping, registration, replay, reprocess" in wrong["hint"]
        assert stop(daemon) == 0
        assert subscriber.rows() == site.registrations()
        assert eventually(lambda: everything.on(f"{BASE}/status")[-1:] == [b"stopped"])
    _check_contract([*everything.heard, *ear.heard])
