"""Closed registrations in the compact form, as companions of the messages that tell of them.

A companion is published just before its message, on the same connection, so a broker that acknowledges the
message had the companion before. Where it refuses companions, messages go on without; from which number on
they were without is on record, and made up for later (``edge.delivery.arrears``). A companion may come twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from edge.compact import Summary, encode_summary
from edge.delivery.backlog import Pace
from edge.delivery.backoff import Backoff
from edge.delivery.connection import Outgoing, publish_properties
from edge.delivery.messages import RegistrationMessage
from edge.delivery.outbox import OutboxRow
from edge.delivery.topics import Topics

CONTENT_TYPE: Final = "application/cbor"


def summary_of(message: RegistrationMessage) -> Summary | None:
    """What the compact form says of a change; None of one that leaves a registration open."""
    if message.state != "closed" and message.change != "retracted":
        return None
    return Summary(
        id=message.registration_id,
        revision=message.revision,
        label=message.label,
        deployment=message.deployment,
        device=message.device,
        count=message.count,
        start=datetime.fromisoformat(message.start),
        end=datetime.fromisoformat(message.end),
        retracted=message.change == "retracted",
        clock_ok=message.clock_ok,
    )


def compacted(payload: bytes) -> bytes | None:
    """The compact form of an encoded message; None where there is none."""
    try:
        message = RegistrationMessage.model_validate_json(payload)
    except ValidationError:
        return None  # of a version that said something else; it goes out as it is
    summary = summary_of(message)
    return encode_summary(summary) if summary is not None else None


@dataclass(slots=True)
class Mute:
    """The broker takes no companions for a while."""

    backoff: Backoff
    until: float
    word: str


class Companions:
    """Makes companions. One that the broker refuses holds up nothing: none is sent for a while.

    Args:
        topics: where they go.
        pace: times.
        wanted: whether there are any at all.
    """

    def __init__(self, topics: Topics, pace: Pace, *, wanted: bool) -> None:
        self._topics, self._pace, self._wanted = topics, pace, wanted
        self._properties = publish_properties(CONTENT_TYPE)
        self._mute: Mute | None = None

    def of(self, row: OutboxRow, now: float) -> Outgoing | None:
        """What goes before this row; None if nothing does."""
        if not self._wanted or self.are_muted(now):
            return None
        body = compacted(row.payload)
        if body is None:
            return None
        return Outgoing(self._topics.compact(row.deployment), body, properties=self._properties)

    def are_muted(self, now: float) -> bool:
        """Whether none may go out now."""
        return self._wanted and self._mute is not None and self._mute.until > now

    def withheld(self, row: OutboxRow, now: float) -> bool:
        """Whether this row would have one, if the broker took any."""
        return self.are_muted(now) and compacted(row.payload) is not None

    def refused(self, word: str, now: float) -> None:
        """The broker refuses one, or hangs up on it."""
        if self._mute is None:
            self._mute = Mute(Backoff(self._pace.hold_first, self._pace.hold_longest), now, word)
        self._mute.until, self._mute.word = now + self._mute.backoff.next(), word

    def accepted(self) -> None:
        """The broker took one."""
        self._mute = None

    def muted(self) -> dict[str, str]:
        """Why the broker takes none at present, as notices tell it; empty if it does."""
        return {} if self._mute is None else {"compact": self._mute.word}
