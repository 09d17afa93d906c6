"""The watcher with its thread, on real folders and in real time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edge.errors import NotWholeError, StoreError
from edge.intake import Candidate, FileStat, Watcher, load
from edge.settings import IntakeSettings
from tests.intake.build import jpeg
from tests.intake.fakes import MemoryLedger, take_until, wait_for

SETTINGS = IntakeSettings(settle=0.2, scan_interval=300.0)
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """An empty drop folder."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def ledger() -> MemoryLedger:
    """Knows nothing yet."""
    return MemoryLedger()


@pytest.fixture
def watcher(drop: Path, ledger: MemoryLedger) -> Iterator[Watcher]:
    """One that has done its first scan; only hints find anything for five minutes."""
    with Watcher(drop, SETTINGS, ledger) as one:
        assert wait_for(lambda: one.scanned)
        yield one


def _fill(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"IMG_{number:05}.JPG" for number in range(count)]
    for path in paths:
        path.touch()
    return paths


@pytest.mark.fault(11, "0 of 10,000 missed")
@pytest.mark.slow
def test_none_of_10_000_files_moved_into_100_new_nested_folders_is_missed(
    watcher: Watcher, drop: Path, tmp_path: Path
) -> None:
    """As fast as they come, each once; no regular scan helps."""
    sources = _fill(tmp_path / "card", 10_000)
    expected = set()
    for index, source in enumerate(sources):
        folder = drop / f"cam-{index // 1000}" / f"DCIM/{index // 100:03}EK113"
        if index % 100 == 0:
            folder.mkdir(parents=True)
        source.rename(folder / source.name)
        expected.add(f"{folder.relative_to(drop)}/{source.name}")
    taken = take_until(watcher, lambda so_far: len(so_far) >= 10_000)
    assert {candidate.name for candidate in taken} == expected
    assert len(taken) == 10_000
    assert watcher.take(0.5) == []
    assert (watcher.scans, watcher.overflows) == (1, 0)


@pytest.mark.fault(12, "0 of 20,000 missed, overflow counted")
@pytest.mark.slow
def test_none_of_20_000_files_is_missed_when_the_kernel_s_queue_runs_over(
    watcher: Watcher, drop: Path, tmp_path: Path, ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watcher stalls while more comes than the queue holds; the overflow is counted."""
    count = 20_000
    if int(QUEUE.read_text()) >= count:
        pytest.skip("the system's inotify queue holds more than this test brings")
    sources = _fill(tmp_path / "card", count)
    entered, go_on = threading.Event(), threading.Event()
    known_in = ledger.known_in

    def stalled(folder: str, names: Sequence[str]) -> object:
        entered.set()
        assert go_on.wait(60)
        return known_in(folder, names)

    monkeypatch.setattr(ledger, "known_in", stalled)
    (tmp_path / "cam").mkdir()
    sources.pop().rename(tmp_path / "cam" / "first.jpg")
    (tmp_path / "cam").rename(drop / "cam")
    assert entered.wait(60)
    for source in sources:
        source.rename(drop / "cam" / source.name)
    go_on.set()
    taken = take_until(watcher, lambda so_far: len(so_far) >= count)
    assert len({candidate.name for candidate in taken}) == count
    assert len(taken) == count
    assert watcher.overflows >= 1
    assert watcher.scans >= 2


@pytest.mark.fault(13)
def test_a_partial_upload_comes_once_it_is_whole(watcher: Watcher, drop: Path) -> None:
    """What comes before isn't whole, and is put back."""
    data = jpeg(300, 200)
    path = drop / "cam/a.jpg"
    path.parent.mkdir()
    path.write_bytes(data[: len(data) * 6 // 10])
    (first,) = take_until(watcher, bool)
    with pytest.raises(NotWholeError, match="the file is cut"):
        load(first, SETTINGS)
    watcher.retry(first, after=60.0)
    assert watcher.take(0.5) == []
    assert watcher.pending() == 1
    with path.open("ab") as file:
        file.write(data[len(data) * 6 // 10 :])
    (second,) = take_until(watcher, bool)
    assert load(second, SETTINGS).data == data
    assert watcher.take(0.5) == []


def test_a_file_being_written_is_not_handed_out(watcher: Watcher, drop: Path) -> None:
    """Twice the settling time long it grows, seen by every close."""
    for _ in range(10):
        with (drop / "a.jpg").open("ab") as file:
            file.write(b"x" * 100)
        assert watcher.take(0.05) == []
    (taken,) = take_until(watcher, bool)
    assert taken.stat.size == 1000


def test_an_aborted_upload_comes_again_after_its_time(watcher: Watcher, drop: Path) -> None:
    """Unchanged."""
    (drop / "a.jpg").write_bytes(b"x")
    (first,) = take_until(watcher, bool)
    watcher.retry(first, after=0.5)
    assert watcher.take(0.2) == []
    assert take_until(watcher, bool) == [first]


def test_a_changed_mtime_makes_a_file_a_candidate_again(drop: Path, ledger: MemoryLedger) -> None:
    """The watcher can't know that the bytes are the same; their hash does."""
    (drop / "a.jpg").write_bytes(b"x")
    ledger.settle("a.jpg", FileStat.of((drop / "a.jpg").stat()))
    settings = IntakeSettings(settle=0.05, scan_interval=0.2)
    with Watcher(drop, settings, ledger) as watcher:
        assert wait_for(lambda: watcher.scans >= 2)
        assert watcher.take(0.1) == []
        os.utime(drop / "a.jpg", ns=(1, 1))
        (taken,) = take_until(watcher, bool)
        assert taken.stat.mtime_ns == 1


def test_recovers_when_the_drop_folder_comes_late_and_goes_for_a_while(
    drop: Path, ledger: MemoryLedger
) -> None:
    """And says that it is missing."""
    drop.rmdir()
    with Watcher(drop, SETTINGS, ledger) as watcher:
        assert watcher.take(0.2) == []
        assert not watcher.state().drop_present
        for name in ("first.jpg", "second.jpg"):
            (drop / "cam").mkdir(parents=True)
            (drop / "cam" / name).write_bytes(b"x")
            assert [c.name for c in take_until(watcher, bool)] == [f"cam/{name}"]
            shutil.rmtree(drop)
            assert wait_for(lambda: not watcher.state().drop_present)


def test_a_file_is_never_missing_from_what_is_pending(watcher: Watcher, drop: Path) -> None:
    """From its first sighting until it is taken, over and over; nobody takes it for done in between."""
    (drop / "a.jpg").write_bytes(b"x")
    assert wait_for(lambda: watcher.pending() == 1)
    for _ in range(20):
        end = time.monotonic() + 5
        candidates: list[Candidate] = []
        while not candidates and time.monotonic() < end:
            assert watcher.pending() == 1
            candidates = watcher.take(0.0)
        watcher.retry(candidates[0], after=0.01)


@pytest.mark.faults
def test_a_card_mounted_below_the_drop_folder_is_scanned_at_once(watcher: Watcher, drop: Path) -> None:
    """The kernel says that the mount table changed; no regular scan helps."""
    card = drop / "card"
    card.mkdir()
    assert wait_for(lambda: watcher.watched == 2)
    scans = watcher.scans
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "none", str(card)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"can't mount here: {mounted.stderr.strip()}")
    try:
        assert wait_for(lambda: watcher.scans > scans)
        (card / "a.jpg").write_bytes(b"x")
        assert [c.name for c in take_until(watcher, bool)] == ["card/a.jpg"]
        scans = watcher.scans
    finally:
        subprocess.run(["umount", str(card)], check=True)
    assert wait_for(lambda: watcher.scans > scans)


FEW_WATCHES = """
import pathlib, sys
from edge.intake import Watcher
from tests.intake.fakes import MemoryLedger, take_until, wait_for
from edge.settings import IntakeSettings
pathlib.Path("/proc/sys/user/max_inotify_watches").write_text("10")
drop = pathlib.Path(sys.argv[1])
with Watcher(drop, IntakeSettings(settle=0.05, scan_interval=0.3), MemoryLedger()) as watcher:
    assert wait_for(lambda: watcher.scanned)
    for number in range(30):
        (drop / f"cam-{number}/a.jpg").write_bytes(b"x")
    taken = take_until(watcher, lambda so_far: len(so_far) >= 30)
    state = watcher.state()
print(len({c.name for c in taken}), state.watched, state.unwatched, state.limit_reached)
"""


def test_the_system_s_limit_on_watches_leads_to_polling(drop: Path) -> None:
    """With the real limit, lowered in a user namespace of its own: nothing is missed, nothing crashes."""
    unshare = ["unshare", "--user", "--map-root-user"]
    probe = subprocess.run([*unshare, "test", "-w", "/proc/sys/user/max_inotify_watches"], check=False)
    if probe.returncode:
        pytest.skip("no user namespaces here")
    for number in range(30):
        (drop / f"cam-{number}").mkdir()
    done = subprocess.run(
        [*unshare, sys.executable, "-c", FEW_WATCHES, str(drop)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == ["30", "10", "21", "True"]


def test_a_failure_in_the_thread_comes_out_of_take(
    drop: Path, ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was raised, every time; and the interpreter's own hook sees it too."""
    hooked: list[object] = []
    monkeypatch.setattr(threading, "excepthook", hooked.append)

    (drop / "a.jpg").write_bytes(b"x")

    def broken(_: str, __: Sequence[str]) -> dict[str, FileStat]:
        raise StoreError("can't read the ledger")

    monkeypatch.setattr(ledger, "known_in", broken)
    with Watcher(drop, SETTINGS, ledger) as watcher:
        for _ in range(2):
            with pytest.raises(StoreError, match="can't read the ledger"):
                watcher.take(10.0)
    assert len(hooked) == 1


def test_the_heartbeat_goes_on_while_nothing_happens(watcher: Watcher) -> None:
    """The service can tell a quiet watcher from a hanging one."""
    before = watcher.heartbeat
    assert wait_for(lambda: watcher.heartbeat > before)


def test_stops_at_once_and_starts_again_where_it_was(drop: Path, ledger: MemoryLedger) -> None:
    """What was handed out and has no fate is handed out by the next one; what has one isn't."""
    for name in ("a.jpg", "b.jpg"):
        (drop / name).write_bytes(b"x")
    with Watcher(drop, SETTINGS, ledger) as watcher:
        taken = take_until(watcher, lambda so_far: len(so_far) >= 2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    ledger.settle("a.jpg", taken[0].stat if taken[0].name == "a.jpg" else taken[1].stat)
    with Watcher(drop, SETTINGS, ledger) as watcher:
        assert [c.name for c in take_until(watcher, bool)] == ["b.jpg"]


def test_a_watcher_that_was_never_started_can_be_stopped(drop: Path, ledger: MemoryLedger) -> None:
    """Twice, too; and a file put back then is no error."""
    (drop / "a.jpg").write_bytes(b"x")
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    watcher = Watcher(drop, SETTINGS, ledger)
    watcher.stop()
    watcher.stop()
    watcher.retry(Candidate(drop, "a.jpg", FileStat.of((drop / "a.jpg").stat())), after=1.0)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
