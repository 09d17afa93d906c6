"""What can be on its way to the broker."""

from __future__ import annotations

from dataclasses import dataclass

from edge.delivery.notices import Name
from edge.delivery.outbox import OutboxRow
from edge.delivery.replay import Replay


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the outbox, for the first time."""

    row: OutboxRow

    @property
    def name(self) -> str:
        """By which it is told apart."""
        return f"message {self.row.seq}"


@dataclass(frozen=True, slots=True)
class Again:
    """A row of the outbox that a subscriber asked for."""

    row: OutboxRow
    replay: Replay

    @property
    def name(self) -> str:
        """By which it is told apart."""
        return f"replayed {self.row.seq}"


@dataclass(frozen=True, slots=True)
class Notice:
    """A retained message."""

    notice: Name

    @property
    def name(self) -> str:
        """By which it is told apart."""
        return self.notice


@dataclass(frozen=True, slots=True)
class Companion:
    """The compact form of a row, just before it."""

    beside: Line | Again

    @property
    def name(self) -> str:
        """By which it is told apart."""
        return f"summary of {self.beside.name}"


@dataclass(frozen=True, slots=True)
class Overdue:
    """The compact form of a row that the broker took without it."""

    row: OutboxRow

    @property
    def name(self) -> str:
        """By which it is told apart."""
        return f"overdue summary {self.row.seq}"


@dataclass(frozen=True, slots=True)
class Extra:
    """An answer to a request, a picture, a word at the end."""

    name: str = "extra"


Item = Line | Again | Notice | Companion | Overdue | Extra
