"""Were the promises kept: the subscriber's table against the store's, the store's against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from edge.demo.story import expected
from edge.registration import Registration

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the demo ended.

    Attributes:
        delivered: files that the cameras wrote.
        files: what became of them: state -> number.
        registrations: the store's, in the form of messages, by deployment and start.
        given_out: messages that the service gave a number.
        missing: of those, how many never reached the subscriber.
        equal: whether the subscriber's table is the store's, field by field.
        staged: registrations that the story's truth asks for.
        found: of those, how many are on record just so.
        broker: its kind.
        evening: the story's day.
        seconds: how long it took.
    """

    delivered: int
    files: Mapping[str, int]
    registrations: Sequence[Row]
    given_out: int
    missing: int
    equal: bool
    staged: int
    found: int
    broker: str
    evening: date
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing was lost and both tables are the same."""
        return self.equal and not self.missing and bool(self.registrations)

    def sentence(self) -> str:
        """The last line, as rich markup."""
        files = ", ".join(
            f"{n} {state}" for state, n in sorted(self.files.items(), key=lambda item: -item[1])
        )
        equal = "[bold green]equals[/]" if self.equal else "[bold red]differs from[/]"
        style = "red" if self.missing else "green"
        return (
            f"{self.delivered} files ({files}), {len(self.registrations)} registrations, {self.given_out} "
            f"messages, [{style}]{self.missing} lost[/]: the subscriber's table {equal} the store's. "
            f"{self.found} of {self.staged} registrations are as the story has them. {self.seconds:.0f} s."
        )

    def summary(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "ok": self.ok,
            "equal": self.equal,
            "files": {"delivered": self.delivered, **self.files},
            "registrations": list(self.registrations),
            "messages": {"given_out": self.given_out, "missing": self.missing},
            "story": {"registrations": self.staged, "found": self.found, "evening": str(self.evening)},
            "broker": self.broker,
            "seconds": round(self.seconds, 1),
        }


def same(one: Sequence[Row], other: Sequence[Row]) -> bool:
    """Whether two tables hold the same registrations with the same content, in any order."""
    return {row["registration_id"]: row for row in one} == {row["registration_id"]: row for row in other}


def in_order(rows: Sequence[Row]) -> list[Row]:
    """By deployment and start."""
    return sorted(rows, key=lambda row: (row["deployment"], _milliseconds(row["start"])))


def found(evening: date, rows: Sequence[Row]) -> tuple[int, int]:
    """How many registrations the story has, and how many of them are on record just so."""
    staged = {_of_truth(registration) for registration in expected(evening)}
    return len(staged), len(staged & {_of_row(row) for row in rows})


def _of_truth(truth: Registration) -> tuple[object, ...]:
    return truth.deployment, truth.label, truth.count, truth.start, truth.end, truth.media_count


def _of_row(row: Row) -> tuple[object, ...]:
    start, end = _milliseconds(row["start"]), _milliseconds(row["end"])
    return row["deployment"], row["label"], row["count"], start, end, row["media_count"]


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
