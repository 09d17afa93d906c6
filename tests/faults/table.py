"""The 24 faults that are injected, and a table of what came of each at the end of ``make faults``.

A test says which fault it answers with ``@pytest.mark.fault(number)`` and gives its figure either there, as a
second argument, or with the fixture ``fault_figure`` once it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final

import pytest

DEMANDS: Final = {
    1: "survives a power cut",
    2: "kill anywhere",
    3: "broker away for days",
    4: "broker amnesia",
    5: "denied publish",
    6: "poison message",
    7: "frozen broker",
    8: "dead network thread",
    9: "flow control",
    10: "two instances",
    11: "burst into new folders",
    12: "watch queue overflow",
    13: "partial upload",
    14: "bad files",
    15: "duplicates",
    16: "full disk",
    17: "fsync fails",
    18: "clock",
    19: "corrupt database",
    20: "image that kills the process",
    21: "honest watchdog",
    22: "hardening",
    23: "contract",
    24: "commands twice",
}
_FIGURE: Final = "fault_figure"


@dataclass
class Row:
    """What came of one fault's tests."""

    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """One word."""
        if self.failed:
            return "FAILED"
        if self.passed:
            return "passed"
        return "skipped" if self.skipped else "MISSING"

    def take(self, report: pytest.TestReport, figure: str) -> None:
        """Count a test's report."""
        self.seconds += report.duration
        if report.failed:
            self.failed += 1
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.skipped.append(reason.removeprefix("Skipped: "))
        elif report.when == "call":
            self.passed += 1
            if figure and figure not in self.figures:
                self.figures.append(figure)


class Table:
    """The plugin that fills and shows the table."""

    def __init__(self) -> None:
        self.rows = {number: Row() for number in DEMANDS}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take down what came of a test that answers a fault."""
        report = yield
        for mark in item.iter_markers("fault"):
            said = dict(item.user_properties).get(_FIGURE)
            self.rows[mark.args[0]].take(report, str(said or (mark.args[1] if len(mark.args) > 1 else "")))
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show it."""
        terminalreporter.section("faults")
        for number, row in self.rows.items():
            told = "; ".join(row.figures or row.skipped[:1])
            line = f"{number:>2}  {DEMANDS[number]:<29} {row.verdict:<8} {row.seconds:>6.1f} s  {told}"
            terminalreporter.write_line(line, red=row.verdict.isupper())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A fault that no test answers fails the run."""
        if any(row.verdict == "MISSING" for row in self.rows.values()) and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def figure_fixture(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """For :func:`fault_figure` in ``tests/conftest.py``."""
    return lambda text: request.node.user_properties.append((_FIGURE, text))
