"""What an export says of itself while it runs: bars on a terminal, plain lines of steps elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress as Bars,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

Item = TypeVar("Item")


class Progress(Protocol):
    """Who is told of steps and of what goes on inside them."""

    def step(self, what: str) -> None:
        """A new step begins; a few words, no full stop."""

    def tick(self, what: str, done: int, total: int) -> None:
        """So much of a loop inside the step is done."""

    def over(self, items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
        """The items, one after the other, counted; ``total`` where they have no length."""


class _Base:
    """Counts for ``over`` by way of ``tick``."""

    def step(self, what: str) -> None:
        """Nothing is shown here."""

    def tick(self, what: str, done: int, total: int) -> None:
        """Nothing is shown here."""

    def over(self, items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
        """The items, counted as they are asked for."""
        count = len(items) if isinstance(items, Sized) else total or 0
        for number, item in enumerate(items):
            self.tick(what, number, count)
            yield item
        self.tick(what, count, count)


SILENT: Progress = _Base()
"""Tells nobody."""


class Lines(_Base):
    """One line for each step, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, what: str) -> None:
        """Write the step's line."""
        self._console.print(what, markup=False, highlight=False, soft_wrap=True)


class Terminal(_Base):
    """The step with its time, and below it a bar for the loop inside it."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._step: TaskID | None = None
        self._loop: tuple[str, TaskID] | None = None

    def step(self, what: str) -> None:
        """The step before is done: its line stays, the new one gets its own."""
        self._forget_loop()
        if self._step is not None:
            self._bars.update(self._step, total=1, completed=1)
            self._bars.stop_task(self._step)
        self._step = self._bars.add_task(what, total=None)

    def tick(self, what: str, done: int, total: int) -> None:
        """Move the loop's bar; another loop gets another bar."""
        if self._loop is None or self._loop[0] != what:
            self._forget_loop()
            self._loop = (what, self._bars.add_task(f"  {what}", total=total))
        self._bars.update(self._loop[1], completed=done, total=total or None)
        if total and done >= total:
            self._forget_loop()

    def _forget_loop(self) -> None:
        if self._loop is not None:
            self._bars.remove_task(self._loop[1])
            self._loop = None


@contextmanager
def shown(console: Console | None = None) -> Iterator[Progress]:
    """Progress as it fits the console (standard error by default) while the block runs."""
    console = console or Console(stderr=True, width=None if sys.stderr.isatty() else 160)
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, refresh_per_second=4) as bars:
        yield Terminal(bars)
