"""Every implementation of ``Record``: one factory each, for the suite in ``test_record.py``.

A factory takes an empty folder and gives an empty record. To hold another implementation to the contract,
add it to ``FACTORIES``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.registration import MemoryRecord, Record
from edge.store.database import open_database
from edge.store.record import SqliteRecord

Factory = Callable[[Path], Record]


def memory(_folder: Path) -> Record:
    """Sorted lists."""
    return MemoryRecord()


def sqlite(folder: Path) -> Record:
    """The store's database."""
    return SqliteRecord(open_database(folder))


FACTORIES: dict[str, Factory] = {"memory": memory, "sqlite": sqlite}
