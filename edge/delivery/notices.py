"""The retained messages: status, cursor, health, discovery. What is due, in which order, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from edge.delivery.backlog import Pace
from edge.delivery.backoff import Backoff
from edge.delivery.connection import Outgoing, publish_properties
from edge.delivery.messages import Cursor, Health, Status, encode
from edge.delivery.outbox import Outbox
from edge.delivery.topics import Topics

Name = Literal["status", "discovery", "cursor", "health"]

_ORDER: Final[tuple[Name, ...]] = ("status", "discovery", "cursor", "health")


def status_message(topics: Topics, status: Status) -> Outgoing:
    """Whether the device is there."""
    return Outgoing(topics.status, status.encode(), retain=True, properties=publish_properties("text/plain"))


@dataclass(slots=True)
class _Mute:
    backoff: Backoff
    until: float = 0.0
    word: str = ""


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
        self._muted: dict[Name, _Mute] = {}
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

    def refused(self, name: Name, word: str, now: float) -> None:
        """The broker refuses this one, or hangs up on it: not again for a while."""
        mute = self._muted.get(name) or _Mute(Backoff(self._pace.hold_first, self._pace.hold_longest))
        mute.until, mute.word = now + mute.backoff.next(), word
        self._muted[name] = mute
        self._due.add(name)

    def accepted(self, name: Name) -> None:
        """The broker took it."""
        self._muted.pop(name, None)

    def muted(self) -> dict[Name, str]:
        """Those that the broker didn't take when they were last sent, and why."""
        return {name: mute.word for name, mute in self._muted.items()}

    def next(self, now: float, *, quiet: bool) -> tuple[Name, Outgoing] | None:
        """The next one that is due and that the broker takes; it counts as sent.

        Args:
            now: monotonic time.
            quiet: whether no other message waits to be sent; a cursor can wait until then, but not for long.
        """
        self._look(now, quiet=quiet)
        return self._first([name for name in _ORDER if name not in self._muted], now)

    def next_muted(self, now: float) -> tuple[Name, Outgoing] | None:
        """The next one that the broker refused before and that may be tried again.

        For when nothing else is to be sent: where the broker hangs up on it, it would hold up all else.
        """
        return self._first([name for name in self._muted if self._muted[name].until <= now], now)

    def last(self) -> list[Outgoing]:
        """What is said before a clean end: the cursor as it stands, and the status."""
        return [self._cursor(), status_message(self._topics, "stopped")]

    def due_in(self, now: float) -> float:
        """Seconds until the next one is due."""
        waits = [mute.until - now for name, mute in self._muted.items() if name in self._due]
        if "health" not in self._muted:
            waits.append(self._health_at + self._health_interval - now)
        return max(0.0, min(waits, default=self._health_interval))

    def _first(self, names: list[Name], now: float) -> tuple[Name, Outgoing] | None:
        for name in names:
            if name in self._due:
                self._due.discard(name)
                message = self._made(name, now)
                if message is not None:
                    return name, message
        return None

    def _look(self, now: float, *, quiet: bool) -> None:
        if now - self._health_at >= self._health_interval:
            self._due.add("health")
        waited = now - self._cursor_at
        patience = self._pace.cursor * (1 if quiet else 5)
        if waited >= patience:
            self._cursor_at = now  # the database isn't asked at every message
            if self._outbox.head() != self._head:
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
