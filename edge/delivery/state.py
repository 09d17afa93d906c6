"""How the publisher is doing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["disabled", "connecting", "connected", "waiting", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class PublisherState:
    """A picture of one moment.

    Attributes:
        phase: what it is doing; ``waiting`` is for the next try to connect.
        reason: a stable word: ``ok``, or what stands in the way (``unreachable``, ``not_authorized``, ...).
        detail: a sentence for people; empty when all is well.
        since: monotonic time of the last change of phase or reason, seconds.
        in_flight: messages at the broker and not answered.
        acked: messages of the outbox that the broker took since the start.
        aside: messages that were set aside since the start.
        connections: times a connection was made.
        held: deployments whose messages the broker refuses now.
        commands: whether the broker lets this device listen for commands.
        unwritten: answers of the broker that the store doesn't take at present; they are kept.
    """

    phase: Phase
    reason: str
    detail: str
    since: float
    in_flight: int
    acked: int
    aside: int
    connections: int
    held: tuple[str, ...]
    commands: bool
    unwritten: int = 0

    @property
    def connected(self) -> bool:
        """Whether there is a connection that the broker accepted."""
        return self.phase == "connected"


@dataclass(slots=True)
class Tally:
    """What the publisher's thread notes as it goes; others read it through ``PublisherState``."""

    phase: Phase = "disabled"
    reason: str = "disabled"
    detail: str = ""
    since: float = 0.0
    in_flight: int = 0
    connections: int = 0
    commands: bool = False
    held: tuple[str, ...] = field(default=())

    def note(self, phase: Phase, reason: str, detail: str, now: float) -> bool:
        """Enter a phase; returns whether anything but the detail is new."""
        news = (phase, reason) != (self.phase, self.reason)
        self.phase, self.reason, self.detail = phase, reason, detail
        if news:
            self.since = now
        return news
