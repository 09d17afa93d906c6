"""What every test can use: figures for the table of faults, and an end for the processes it started."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests import children
from tests.faults.table import Table, figure_fixture


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fault-table`` shows the table of faults at the end, and fails if one isn't answered."""
    parser.addoption("--fault-table", action="store_true", help="show what came of the 24 faults")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the table, if it is wanted."""
    if config.getoption("--fault-table"):
        config.pluginmanager.register(Table(), "fault-table")


@pytest.fixture
def fault_figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Called with the figure that a test of a fault measured."""
    return figure_fixture(request)


@pytest.fixture(autouse=True)
def _children_end() -> Iterator[None]:
    """One failure stays one failure: no process of a test outlives it."""
    yield
    children.end_all()
