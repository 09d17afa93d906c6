"""The power is cut: ext4 in a file, shut down in the middle of writing, without flushing its journal."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from edge.store.backup import FOLDER, backups, check
from edge.store.database import open_database
from edge.store.wal import has_lost_commits
from tests.children import minded
from tests.faults.disks import PowerlessDisk, powerless_disk

MOMENTS = random.Random(11)

pytestmark = pytest.mark.timeout(900)


def _until_the_power_goes(disk: PowerlessDisk, state: Path, first: int) -> int:
    """The last number that a writer said was committed before the cut.

    What it says while the disk is being shut down doesn't count: Linux (6.18) lets some fsync that is under
    way just then return without an error, and without the data being there, also to a program that does
    nothing but write and fsync. When the power goes, nobody hears such an answer.
    """
    command = [sys.executable, "-m", "tests.faults.writer", str(state), str(first)]
    writer = minded(
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, cwd=Path(__file__).parents[2]
        )
    )
    assert writer.stdout is not None
    line = writer.stdout.readline()  # it has begun
    assert line, writer.stderr.read() if writer.stderr else b""
    time.sleep(MOMENTS.uniform(0.02, 0.5))
    os.set_blocking(writer.stdout.fileno(), False)
    said = [line, *_lines(writer.stdout.fileno())]
    disk.cut()
    os.set_blocking(writer.stdout.fileno(), True)
    writer.stdout.read()
    assert writer.wait(60) != 0
    return int(said[-1])


def _lines(descriptor: int) -> list[bytes]:
    """Whole lines that can be read at once."""
    data = b""
    with suppress(BlockingIOError):
        while more := os.read(descriptor, 65536):
            data += more
    return data.split(b"\n")[:-1]


@pytest.mark.fault(1)
@pytest.mark.parametrize("cuts", [3, pytest.param(30, marks=pytest.mark.faults)])
def test_nothing_committed_is_lost_when_the_power_is_cut(
    tmp_path: Path, cuts: int, fault_figure: Callable[[str], None]
) -> None:
    """Every commit that was said is there, every snapshot and backup is whole, no log seems damaged."""
    with powerless_disk(tmp_path) as disk:
        state, recorded = disk.folder / "state", 0
        for _ in range(cuts):
            committed = _until_the_power_goes(disk, state, recorded + 1)
            disk.unmount()
            disk.mount()
            wal = state / "edge.db-wal"
            assert not has_lost_commits(wal.read_bytes() if wal.exists() else b"", 4096)
            database = open_database(state)
            found = [row[0] for row in database.execute("SELECT received FROM media ORDER BY received")]
            assert found == list(range(1, len(found) + 1))
            assert len(found) >= committed
            recorded = len(found)
            assert database.execute("PRAGMA integrity_check") == [("ok",)]
            paths = [row[0] for row in database.execute("SELECT snapshot FROM media")]
            database.close()
            assert {(state / path).stat().st_size for path in paths} == {3000}
            for _, backup in backups(state / FOLDER):
                check(backup)
        assert recorded > cuts
    fault_figure(f"0 acknowledged commits lost in {cuts} cuts")
