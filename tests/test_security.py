"""What ``docs/security.md`` says of rights, permissions and sockets, tried."""

from __future__ import annotations

import os
import queue
import re
import stat
from pathlib import Path
from typing import Any, Final

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.delivery.broker import LocalBroker
from edge.store.database import open_database
from tests.delivery.helpers import needs_mosquitto

MESSAGES: Final = Path(__file__).parents[1] / "docs" / "messages.md"
D: Final = "edge/v1/ridge-01"
OTHER: Final = "edge/v1/valley-02"
ASKING: Final = [f"{D}/command/{name}" for name in ("ping", "replay", "registration")]
ORDERS: Final = [f"{D}/command/{name}" for name in ("config", "reprocess", "anything")]
SPEAKING: Final = [f"{D}/{kind}" for kind in ("status", "cursor", "health", "registration/c", "snapshot/c")]
DISCOVERY: Final = "homeassistant/device/ridge-01/config"
BIRTH: Final = "homeassistant/status"
MAY_WRITE: Final = {
    "ridge-01": {*SPEAKING, *ASKING, *ORDERS, DISCOVERY},
    "subscriber": {*ASKING, f"{OTHER}/command/ping"},
    "operator": {*ASKING, *ORDERS, f"{OTHER}/command/ping"},
    "homeassistant": {BIRTH},
    "stranger": set[str](),
}
MAY_READ: Final = {
    "ridge-01": {*SPEAKING, *ASKING, *ORDERS, BIRTH},
    "subscriber": {*SPEAKING, *ASKING, *ORDERS, f"{OTHER}/status", f"{OTHER}/command/ping"},
    "operator": {*SPEAKING, *ASKING, *ORDERS, f"{OTHER}/status", f"{OTHER}/command/ping"},
    "homeassistant": {
        *SPEAKING,
        *ASKING,
        *ORDERS,
        f"{OTHER}/status",
        f"{OTHER}/command/ping",
        BIRTH,
        DISCOVERY,
    },
    "stranger": set[str](),
}
TOPICS: Final = sorted(set().union(*MAY_WRITE.values(), *MAY_READ.values()))


class _User:
    """Somebody at the broker, who hears what may be heard and learns what may be said."""

    def __init__(self, broker: LocalBroker, name: str) -> None:
        self.heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._codes: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set(name, "x")
        self.client.on_publish = lambda _c, _d, _m, code, _p: self._codes.put(code.value)
        self.client.on_subscribe = lambda *_: self._ready.put(None)
        self.client.on_message = self._hear
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()

    def _hear(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self.heard.put(message.topic)

    def listen(self) -> None:
        """To everything there is."""
        self.client.subscribe("#", 1)
        self._ready.get(timeout=60)

    def says(self, topic: str) -> bool:
        """Whether the broker takes it."""
        self.client.publish(topic, b"x", qos=1)
        return self._codes.get(timeout=60) < 0x80

    def leave(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker() -> Any:
    """One with the rules of the page, and somebody who may do anything and says when all was said."""
    (rules,) = re.findall(r"```acl\n(.*?)```", MESSAGES.read_text("utf-8"), re.DOTALL)
    everything = "\nuser root\ntopic readwrite #\n"
    ends = "".join(f"\nuser {name}\ntopic read the/end\n" for name in MAY_READ)
    files = {"acl": rules + everything + ends}
    with LocalBroker("mosquitto", config=["acl_file {folder}/acl"], files=files) as found:
        yield found


@needs_mosquitto
@pytest.mark.parametrize("name", MAY_WRITE)
def test_each_may_say_what_the_page_says_and_no_more(broker: LocalBroker, name: str) -> None:
    """A subscriber can't command, nobody but a device can speak for it, a stranger can't say anything."""
    # One connection for each: this broker hangs up on who was denied something.
    topics = [*TOPICS, f"{OTHER}/cursor", "homeassistant/device/valley-02/config"]
    users = [_User(broker, name) for _ in topics]
    allowed = {topic for topic, user in zip(topics, users, strict=True) if user.says(topic)}
    for user in users:
        user.leave()
    assert allowed == MAY_WRITE[name]


@needs_mosquitto
@pytest.mark.parametrize("name", MAY_READ)
def test_each_may_hear_what_the_page_says_and_no_more(broker: LocalBroker, name: str) -> None:
    """A device doesn't hear another one; a stranger hears nothing."""
    user, root = _User(broker, name), _User(broker, "root")
    user.listen()
    assert all(root.says(topic) for topic in [*TOPICS, f"{OTHER}/status", "the/end"])
    heard = set()
    while (topic := user.heard.get(timeout=60)) != "the/end":
        heard.add(topic)
    assert heard == MAY_READ[name]
    user.leave()
    root.leave()


def test_a_state_folder_that_is_made_is_nobody_else_s(tmp_path: Path) -> None:
    """Pictures, places and embeddings: no other user of the machine may look, whatever the umask is."""
    before = os.umask(0)
    try:
        open_database(tmp_path / "state").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
