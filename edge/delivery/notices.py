"""The retained messages: status, cursor, health, discovery. What is due, in which order, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from edge.delivery.backlog import Pace
from edge.delivery.connection import Outgoing, publish_properties
from edge.delivery.messages import Cursor, Health, Status, encode
from edge.delivery.outbox import Outbox
from edge.delivery.topics import Topics

Name = Literal["status", "discovery", "cursor", "health"]

_ORDER: Final[tuple[Name, ...]] = ("status", "discovery", "cursor", "health")


def status_message(topics: Topics, status: Status) -> Outgoing:
    """Whether the device is there."""
    return Outgoing(topics.status, status.encode(), retain=True, properties=publish_properties("text/plain"))


class Notices:
    """What is due on the connection of the moment.

    Args:
        topics: where they go.
        outbox: whose head the cursor tells.
        health: makes the health message.
        discovery: makes Home Assistant's payload; None if it isn't wanted.
        pace: times.
        health_interval: seconds between health messages.
    """

    def __init__(
        self,
        topics: Topics,
        outbox: Outbox,
        health: Callable[[], Health],
        discovery: Callable[[], bytes] | None,
        *,
        pace: Pace,
        health_interval: float,
    ) -> None:
        self._topics, self._outbox, self._health, self._discovery = topics, outbox, health, discovery
        self._pace, self._health_interval = pace, health_interval
        self._json = publish_properties("application/json")
        self._due: set[Name] = set()
        self._muted: dict[Name, float] = {}
        self._health_at = self._cursor_at = float("-inf")
        self._head = -1

    def connected(self) -> None:
        """A new connection: the broker is told everything."""
        self._due.update(_ORDER)
        self._head = -1

    def rediscover(self) -> None:
        """Home Assistant has started, or there is a new deployment."""
        self._due.add("discovery")

    def changed(self) -> None:
        """Something that health tells of has changed."""
        self._due.add("health")

    def mute(self, name: Name, now: float) -> None:
        """The broker hangs up on this one: not again for a while."""
        self._muted[name] = now + self._pace.mute

    def next(self, now: float, *, quiet: bool) -> tuple[Name, Outgoing] | None:
        """The next one that is due; it counts as sent.

        Args:
            now: monotonic time.
            quiet: whether no other message waits to be sent; a cursor can wait until then, but not for long.
        """
        self._look(now, quiet=quiet)
        for name in _ORDER:
            if name in self._due and self._muted.get(name, 0.0) <= now:
                self._due.discard(name)
                message = self._made(name, now)
                if message is not None:
                    return name, message
        return None

    def last(self) -> list[Outgoing]:
        """What is said before a clean end: the cursor as it stands, and the status."""
        return [self._cursor(), status_message(self._topics, "stopped")]

    def due_in(self, now: float) -> float:
        """Seconds until the next health message."""
        return max(0.0, self._health_at + self._health_interval - now)

    def _look(self, now: float, *, quiet: bool) -> None:
        if now - self._health_at >= self._health_interval:
            self._due.add("health")
        waited = now - self._cursor_at
        patience = self._pace.cursor * (1 if quiet else 5)
        if waited >= patience and self._outbox.head() != self._head:
            self._due.add("cursor")

    def _made(self, name: Name, now: float) -> Outgoing | None:
        match name:
            case "status":
                return status_message(self._topics, "online")
            case "cursor":
                self._cursor_at = now
                return self._cursor()
            case "health":
                self._health_at = now
                return self._retained(self._topics.health, encode(self._health()))
            case "discovery":
                payload = self._discovery() if self._discovery else None
                return self._retained(self._topics.discovery, payload) if payload is not None else None

    def _cursor(self) -> Outgoing:
        self._head = self._outbox.head()
        return self._retained(self._topics.cursor, encode(Cursor(epoch=self._outbox.epoch, seq=self._head)))

    def _retained(self, topic: str, payload: bytes) -> Outgoing:
        return Outgoing(topic, payload, retain=True, properties=self._json)
