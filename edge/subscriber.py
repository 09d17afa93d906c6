"""Follow the registrations of one device or of many, without losing any. Use it, or copy it.

A subscriber that keeps these rules has the right table, whatever the network and the brokers do:

1. Keep a message if its ``revision`` is greater than what you have of its ``registration_id``.
2. Keep id and revision of a retracted one, so that an older message can't bring it back.
3. Numbers (``seq``) have no gaps within an ``epoch``. If one is missing, or the retained ``cursor`` is ahead
   of you, ask for the missing ones with ``command/replay``.

``Table`` is these rules and nothing else: no network, no clock. ``Subscriber`` brings it to a broker::

    with Subscriber("127.0.0.1", on_change=print) as subscriber:
        subscriber.wait_until(lambda: subscriber.is_complete(), timeout=60)
        for row in subscriber.rows():
            print(row["deployment"], row["label"], row["count"], row["start"])
"""

from __future__ import annotations

import queue
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import ValidationError

from edge.delivery import reasons
from edge.delivery.messages import Cursor, Refusal, RegistrationMessage, ReplayReply, ReplayRequest, encode
from edge.delivery.table import CHUNK, Asker, Gap, Table

__all__ = ["Gap", "Subscriber", "Table"]


class Subscriber:
    """Keeps a ``Table`` up to date from a broker, over reconnects, and asks for what is missing.

    paho's thread only puts messages on a queue; one worker thread does the rest. What goes wrong in the
    worker (or in ``on_change``) ends it and is raised by ``check``, ``wait_until`` and ``stop``.

    Args:
        host, port, username, password, tls: the broker.
        prefix: of the topics.
        device: which one; ``+`` for all.
        from_start: whether to ask for everything since number 1 at first contact.
        client_id: a stable one is needed with ``session_expiry``.
        session_expiry: seconds that the broker keeps messages for this subscriber while it is away.
        on_change: called on the worker's thread with every message that changed the table.
        on_message: called with every message, also those that changed nothing.
        patience, retry: seconds before a gap is asked for, and before it is asked for again.
        keepalive: seconds.

    Attributes:
        connected: set while the broker forwards messages to this subscriber.
        refused: why the broker turned the last connection down, as a word and a sentence; empty if it didn't.
        invalid: messages so far that were not of a known form.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 1883,
        *,
        prefix: str = "edge/v1",
        device: str = "+",
        username: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        from_start: bool = True,
        client_id: str | None = None,
        session_expiry: int = 0,
        on_change: Callable[[RegistrationMessage], None] | None = None,
        on_message: Callable[[RegistrationMessage], None] | None = None,
        patience: float = 1.0,
        retry: float = 10.0,
        keepalive: int = 30,
    ) -> None:
        self._host, self._port, self._prefix, self._keepalive = host, port, prefix, keepalive
        self._expiry = session_expiry
        self._id: Final = client_id or f"edge-subscriber-{uuid.uuid4().hex[:12]}"
        self._follow = f"{prefix}/{device}"
        self._on_change, self._on_message = on_change, on_message
        self._table, self._lock = Table(from_start=from_start), threading.Lock()
        self._asker = Asker(patience, retry)
        self._inbox: queue.SimpleQueue[MQTTMessage | None] = queue.SimpleQueue()
        self._statuses: dict[str, str] = {}
        self._cursors: set[str] = set()
        self._failure: Exception | None = None
        self._client = self._made(username, password, tls)
        self._worker = threading.Thread(target=self._run, name=self._id, daemon=True)
        self.invalid = 0
        self.refused: tuple[str, str] | tuple[()] = ()
        self.connected = threading.Event()

    def start(self) -> None:
        """Begin; the broker need not be there yet."""
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
        properties.SessionExpiryInterval = self._expiry
        self._client.connect_async(
            self._host, self._port, self._keepalive, clean_start=not self._expiry, properties=properties
        )
        self._client.loop_start()
        self._worker.start()

    def stop(self) -> None:
        """Disconnect and end the worker; what has come until then is taken in."""
        self._client.disconnect()
        self._client.loop_stop()
        self._inbox.put(None)
        self._worker.join()
        self.check()

    def rows(self) -> list[dict[str, Any]]:
        """The living registrations, as messages have them."""
        with self._lock:
            return self._table.rows()

    def missing(self) -> list[Gap]:
        """What never came."""
        with self._lock:
            return self._table.missing()

    def statuses(self) -> dict[str, str]:
        """The last status of each device: ``online``, ``stopped`` or ``offline``."""
        with self._lock:
            return dict(self._statuses)

    def is_complete(self) -> bool:
        """Whether a cursor was heard of every known device, and nothing is missing."""
        with self._lock:
            known = set(self._table.devices())
            return bool(known) and known <= self._cursors and not self._table.missing()

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait for a condition; returns whether it came true within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def check(self) -> None:
        """Raise what ended the worker, if something did."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _made(self, username: str | None, password: str | None, tls: ssl.SSLContext | None) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id=self._id, protocol=MQTTProtocolVersion.MQTTv5)
        client.reconnect_delay_set(1, 60)
        if username is not None:
            client.username_pw_set(username, password)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self.connected.set()
        client.on_disconnect = lambda *_: self.connected.clear()
        client.on_message = lambda _client, _data, message: self._inbox.put(message)
        return client

    def _on_connect(self, client: Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        self.refused = reasons.explain(code.value) if code.is_failure else ()
        if not code.is_failure:
            kinds = ("registration/+", "cursor", "status", f"reply/{self._id}")
            client.subscribe([(f"{self._follow}/{kind}", 1) for kind in kinds])

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # noqa: BLE001 - raised to whoever waits; a thread can't raise to anyone
            self._failure = error

    def _step(self) -> bool:
        """Take in what has come, then ask for what is missing; False at the end."""
        wait: float | None = 0.1
        while True:
            try:
                message = self._inbox.get(timeout=wait) if wait else self._inbox.get_nowait()
            except queue.Empty:
                break
            if message is None:
                return False
            self._take_in(message)
            wait = None
        self._ask(time.monotonic())
        return True

    def _take_in(self, message: MQTTMessage) -> None:
        _, _, rest = message.topic.partition(f"{self._prefix}/")
        device, kind, *_ = [*rest.split("/"), ""]
        try:
            self._sort(device, kind, message)
        except ValidationError:
            self.invalid += 1  # not ours, or of a schema that this version doesn't know

    def _sort(self, device: str, kind: str, message: MQTTMessage) -> None:
        match kind:
            case "registration":
                self._registration(RegistrationMessage.model_validate_json(message.payload))
            case "cursor" if message.payload:
                with self._lock:
                    self._table.see_cursor(device, Cursor.model_validate_json(message.payload))
                    self._cursors.add(device)
            case "status":
                with self._lock:
                    self._statuses[device] = message.payload.decode(errors="replace")
            case "reply":
                self._reply(message)
            case _:
                return

    def _registration(self, message: RegistrationMessage) -> None:
        with self._lock:
            changed = self._table.apply(message)
        self._asker.news(message.device, time.monotonic())
        if self._on_message is not None:
            self._on_message(message)
        if changed and self._on_change is not None:
            self._on_change(message)

    def _reply(self, message: MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", b"")
        now = time.monotonic()
        try:
            reply = ReplayReply.model_validate_json(message.payload)
        except ValidationError:
            Refusal.model_validate_json(message.payload)
            self._asker.answered(correlation, now, ok=False)
            return
        gap = self._asker.answered(correlation, now, ok=True, waiting=reply.waiting > 0)
        if gap is not None:
            with self._lock:
                for span in reply.missing:
                    self._table.give_up(gap._replace(epoch=reply.epoch, first=span.first, last=span.last))

    def _ask(self, now: float) -> None:
        with self._lock:
            gaps = [
                gap for gap in self._table.missing() if self._statuses.get(gap.device) in (None, "online")
            ]
        if not self.connected.is_set():
            return
        for gap, correlation in self._asker.due(gaps, now):
            last = min(gap.last, gap.first + CHUNK - 1)
            request = ReplayRequest(epoch=gap.epoch, first=gap.first, last=last)
            properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # as above
            properties.ContentType = "application/json"
            properties.ResponseTopic = f"{self._prefix}/{gap.device}/reply/{self._id}"
            properties.CorrelationData = correlation
            topic = f"{self._prefix}/{gap.device}/command/replay"
            self._client.publish(topic, encode(request), qos=1, properties=properties)
