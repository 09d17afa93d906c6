"""What the readers give: one row of somebody's results at a time, or why it can't be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias, get_args

Kind = Literal["csv", "jsonl", "megadetector", "camtrap-dp"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Sighting(NamedTuple):
    """What one row says of one image; an image may have several rows.

    Attributes:
        where: the row, for people: ``line 7``, ``images[6]``.
        deployment: one camera at one place over a period.
        media: identity of the image within its deployment.
        t: event time, ms UTC.
        label: the animal's label, or None where it has none.
        animals: how many, 0 for an image without any.
        confidence: of the label, parts per million.
    """

    where: str
    deployment: str
    media: str
    t: int
    label: str | None
    animals: int
    confidence: int


class Reject(NamedTuple):
    """A row that can't be used.

    Attributes:
        where: the row, for people.
        column: the column or field that is wrong.
        value: what is there.
        expected: what should be.
    """

    where: str
    column: str
    value: str
    expected: str

    def __str__(self) -> str:
        found = f"{self.value!r}" if self.value else "nothing"
        return f"{self.where}: {self.column}: expected {self.expected}, found {found}"


Row: TypeAlias = Sighting | Reject


class BadValue(ValueError):  # noqa: N818 - it never leaves the readers; a Reject does
    """A value that isn't what its column needs; the reader makes a ``Reject`` of it."""

    def __init__(self, column: str, value: object, expected: str) -> None:
        super().__init__(expected)
        self.column = column
        self.value = str(value)[:80].encode(errors="backslashreplace").decode()
        self.expected = expected

    def at(self, where: str) -> Reject:
        """The row that it stands in can't be used."""
        return Reject(where, self.column, self.value, self.expected)


@dataclass(frozen=True, slots=True)
class Input:
    """Somebody's results, opened.

    Attributes:
        kind: what they turned out to be.
        rows: in the file's order, read as they are asked for.
        repeats_add: whether equal rows of one image are more animals; otherwise it was told twice.
        scientific_names: by label, as far as the input knows them; complete once all rows were read.
    """

    kind: Kind
    rows: Iterator[Row]
    repeats_add: bool = True
    scientific_names: Mapping[str, str] = field(default_factory=dict)
