"""What the demo shows: the subscriber's table as it grows, what happens, and how many of each."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge.delivery.messages import RegistrationMessage

Row = Mapping[str, Any]

_SHOWN_EVENTS: Final = 7
_SVG_WIDTH: Final = 108
_STATE_STYLE: Final = {"open": "green", "closed": "bold"}
_STYLE: Final = {
    "opened": "green",
    "updated": "cyan",
    "closed": "bold",
    "corrected": "yellow",
    "retracted": "red",
}


@dataclass(slots=True)
class Board:
    """What has happened so far. ``count`` and ``hear`` are the subscriber's thread's, the rest one other's.

    Attributes:
        title: of the panel.
        console: where lines are printed as they happen; None while the whole board is drawn instead.
        files: that the cameras wrote.
        messages: that came.
    """

    title: str
    console: Console | None = None
    files: int = 0
    messages: int = 0
    _numbers: set[int] = field(default_factory=set)
    _changes: Counter[str] = field(default_factory=Counter)
    _rows: dict[str, RegistrationMessage] = field(default_factory=dict)
    _events: list[tuple[str, bool]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text: str, *, ordinary: bool = False) -> None:
        """Something happened; rich markup is allowed. What is ordinary is left out of a short account."""
        with self._lock:
            self._events.append((text, ordinary))
        if self.console is not None:
            self.console.print(text, highlight=False, soft_wrap=True)

    def deliver(self, clock: str, file: str, remark: str = "") -> None:
        """A camera wrote a file."""
        self.files += 1
        self.say(f"[dim]{clock:8}[/]  {file}  {remark}".rstrip(), ordinary=not remark)

    def count(self, message: RegistrationMessage) -> None:
        """A message came, perhaps an old one once more."""
        with self._lock:
            self.messages += 1
            self._numbers.add(message.seq)

    def hear(self, message: RegistrationMessage) -> None:
        """A message changed the subscriber's table."""
        with self._lock:
            self._changes[message.change] += 1
            if message.change == "retracted":
                self._rows.pop(message.registration_id, None)
            else:
                self._rows[message.registration_id] = message
        if self.console is not None:
            self.console.print(_spoken(message), highlight=False, soft_wrap=True)

    def render(self) -> RenderableType:
        """All of it, as it is now."""
        with self._lock:
            events = [text for text, _ in self._events[-_SHOWN_EVENTS:]]
        return self._panel(events)

    def account(self) -> RenderableType:
        """The whole story in short."""
        with self._lock:
            events = [text for text, ordinary in self._events if not ordinary]
        return self._panel(events)

    def _panel(self, events: Sequence[str]) -> RenderableType:
        with self._lock:
            rows = [row.model_dump(mode="json") for row in self._rows.values()]
            counters = self._counters()
        lines = [Text.from_markup(line) for line in ("  ·  ".join(counters), "", *events)]
        parts: list[RenderableType] = [registration_table(rows), "", *lines]
        return Panel(Group(*parts), title=self.title, border_style="blue")

    def _counters(self) -> list[str]:
        found = [
            _counted(self.files, "file"),
            _counted(len(self._rows), "registration"),
            _counted(self.messages, "message"),
        ]
        if again := self.messages - len(self._numbers):
            found.append(f"{again} of them again")
        if self._changes:
            found.append(", ".join(f"[{_STYLE[name]}]{n} {name}[/]" for name, n in self._changes.items()))
        return found


@contextmanager
def shown(board: Board, console: Console, *, quiet: bool) -> Iterator[None]:
    """Show a board while the block runs: drawn live on a terminal, line by line elsewhere."""
    if quiet:
        yield
    elif console.is_terminal:
        with Live(get_renderable=board.render, console=console, refresh_per_second=6, transient=True):
            yield
    else:
        board.console = console
        yield
        board.console = None


def registration_table(rows: Sequence[Row]) -> Table:
    """Registrations in the form of messages as a table, by deployment and start."""
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("deployment", "label", "count", "start", "end", "images", "confidence", "state"):
        table.add_column(name, justify="right" if name in ("count", "images", "confidence") else "left")
    for row in sorted(rows, key=lambda row: (row["deployment"], row["start"])):
        table.add_row(
            row["deployment"],
            row["label"],
            str(row["count"]),
            row["start"][11:19],
            row["end"][11:19],
            str(row["media_count"]),
            f"{row['confidence']:.2f}",
            Text(row["state"], style=_STATE_STYLE[row["state"]]),
        )
    return table


def save_svg(path: Path, title: str, *parts: RenderableType) -> None:
    """Write what a terminal would show as an SVG that needs nothing from the network."""
    console = Console(record=True, width=_SVG_WIDTH, file=StringIO(), force_terminal=True)
    console.print(Group(*parts))
    text = console.export_svg(title=title)
    # rich points to web fonts; a document that is read offline must not wait for them.
    path.write_text(re.sub(r"@font-face\s*\{[^}]*\}\s*", "", text), "utf-8")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _spoken(message: RegistrationMessage) -> str:
    style = _STYLE[message.change]
    return (
        f"  [{style}]{message.change:<9}[/] {message.deployment} {message.label} x{message.count} "
        f"{message.start[11:19]} to {message.end[11:19]}, images: {message.media_count}, "
        f"revision {message.revision}"
    )
