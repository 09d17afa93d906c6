"""From files that stood still to tickets."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.intake.types import Candidate, Examined, FileStat
from edge.service.feeder import DATING, GROUP, PASSING, Feeder
from edge.service.pending import PendingTimes
from edge.service.pipeline import Pipeline
from edge.settings import IntakeSettings
from edge.store.database import open_database
from edge.store.ledger import Ledger, Stat
from edge.testing import jpeg_bytes

START = datetime(2026, 5, 4, 12, tzinfo=UTC)


@dataclass
class Bench:
    """A feeder with nothing behind it, and files to feed."""

    drop: Path
    ledger: Ledger
    pipeline: Pipeline = field(default_factory=Pipeline)
    pending: PendingTimes = field(default_factory=PendingTimes)
    ready: list[Candidate] = field(default_factory=list)
    killers: set[str] = field(default_factory=set)
    space: bool = True
    refusals: int = 0

    def take(self, timeout: float) -> list[Candidate]:
        """What the watcher would hand out."""
        del timeout
        ready, self.ready = self.ready, []
        return ready

    def file(self, name: str, minute: int, *, suffix: str = ".JPG") -> Candidate:
        """Write a small image that was taken some minutes after the start, and hand it out."""
        path = self.drop / "cam" / f"{name}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg_bytes(32, 32, taken=START + timedelta(minutes=minute), offset="+00:00"))
        candidate = Candidate(self.drop, f"cam/{path.name}", FileStat.of(path.stat()))
        self.ready.append(candidate)
        return candidate

    def survives(self, examined: Examined) -> bool:
        """Stands for a process of its own."""
        return examined.candidate.file not in self.killers

    def insist(self, write: Callable[[], None]) -> None:
        """Stands for a disk that is full for a while."""
        while self.refusals:
            self.refusals -= 1
        write()

    def feeder(self, clock: Callable[[], float] = time.monotonic) -> Feeder:
        """A feeder as a new process makes it."""
        return Feeder(
            self,
            self.pipeline,
            self.pending,
            self.ledger,
            IntakeSettings(),
            survives=self.survives,
            may_issue=lambda: self.space,
            insist=self.insist,
            clock=clock,
        )

    def issued(self) -> list[str]:
        """Names of the files whose tickets wait for a worker."""
        names = []
        while (ticket := self.pipeline.next_ticket(0.0)) is not None:
            names.append(ticket.examined.candidate.path.stem)
        return names


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty drop folder and ledger."""
    (tmp_path / "drop").mkdir()
    return Bench(tmp_path / "drop", Ledger(open_database(tmp_path / "state")))


def test_backlog_is_issued_in_order_of_event_time(bench: Bench) -> None:
    """Files of a card come out by the time they were taken, not by name or arrival."""
    for name, minute in (("a", 3), ("b", 1), ("c", 2)):
        bench.file(name, minute)
    bench.feeder().step()
    assert bench.issued() == ["b", "c", "a"]


def test_attempts_are_committed_before_tickets_are_issued(bench: Bench) -> None:
    """Whoever gets a ticket finds its attempt on record already."""
    bench.file("a", 0)
    bench.feeder().step()
    assert bench.ledger.suspects()["cam/a.JPG"].attempts == 1
    assert bench.issued() == ["a"]


def test_only_a_few_files_are_under_way_at_once(bench: Bench) -> None:
    """However long the backlog, a crash has few bystanders."""
    for number in range(3 * GROUP):
        bench.file(f"i{number:02}", number)
    feeder = bench.feeder()
    for _ in range(3):
        feeder.step()
    assert bench.pipeline.in_flight == GROUP
    assert feeder.backlog == 2 * GROUP


def test_files_that_are_no_images_pass_by_with_a_reason(bench: Bench) -> None:
    """A video is accounted for without a worker."""
    bench.file("clip", 0, suffix=".AVI")
    bench.feeder().step()
    outcomes = bench.pipeline.take(10, wait=0.1, linger=0.0)
    assert [(o.fate.state, o.fate.reason) for o in outcomes] == [("ignored", "videos aren't supported")]


def test_nothing_is_issued_while_there_is_no_space(bench: Bench) -> None:
    """On a full disk files wait in the backlog."""
    bench.file("a", 0)
    bench.space = False
    feeder = bench.feeder()
    feeder.step()
    assert (bench.issued(), feeder.backlog) == ([], 1)
    bench.space = True
    feeder.step()
    assert bench.issued() == ["a"]


class _Filling(Pipeline):
    """The disk fills while somebody waits for room."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench

    def wait_below(self, limit: int, timeout: float) -> bool:
        """Room there is, space no more."""
        found = super().wait_below(limit, timeout)
        self._bench.space = False
        return found


def test_disk_that_fills_during_the_wait_for_room_stops_the_next_files(bench: Bench) -> None:
    """It is asked when files are about to be issued, not only before that wait."""
    bench.file("a", 0)
    bench.space = False
    feeder = bench.feeder()
    feeder.step()
    feeder._pipeline, bench.space = _Filling(bench), True
    feeder.step()
    assert (feeder.backlog, bench.ledger.suspects()) == (1, {})


def test_suspects_are_tried_alone(bench: Bench) -> None:
    """What was under way when a process died is tried by itself; the next one waits for its outcome."""
    first, second = bench.file("a", 0), bench.file("b", 1)
    bench.ledger.attempt([(first.file, Stat(*first.stat))], now=1)
    feeder = bench.feeder()
    feeder.step()
    assert bench.issued() == ["a"]
    feeder.step()
    assert bench.issued() == []
    bench.pipeline.recorded(1)
    feeder.step()
    assert bench.issued() == ["b"]
    assert second.file in bench.ledger.suspects()


def test_suspect_that_kills_a_process_of_its_own_is_quarantined(bench: Bench) -> None:
    """The third death in a row, in a process of its own, condemns the image."""
    candidate = bench.file("a", 0)
    for _ in range(2):
        bench.ledger.attempt([(candidate.file, Stat(*candidate.stat))], now=1)
    bench.killers.add(candidate.file)
    feeder = bench.feeder()
    feeder.step()
    outcomes = bench.pipeline.take(10, wait=0.1, linger=0.0)
    assert [o.fate.state for o in outcomes] == ["quarantined"]
    assert "3 times in a row" in outcomes[0].fate.reason


def test_bystander_of_power_cuts_is_not_condemned(bench: Bench) -> None:
    """However often the power failed during an image, it is processed if it harms no process."""
    candidate = bench.file("a", 0)
    for _ in range(7):
        bench.ledger.attempt([(candidate.file, Stat(*candidate.stat))], now=1)
    feeder = bench.feeder()
    feeder.step()
    assert bench.issued() == ["a"]


def test_changed_file_is_no_suspect(bench: Bench) -> None:
    """New content under a suspect's name starts afresh."""
    candidate = bench.file("a", 0)
    old = Stat(candidate.stat.device, candidate.stat.inode, candidate.stat.size + 1, candidate.stat.mtime_ns)
    bench.ledger.attempt([(candidate.file, old)], now=1)
    bench.feeder().step()
    assert bench.ledger.suspects()["cam/a.JPG"].attempts == 1


def test_event_times_of_the_backlog_hold_the_watermark(bench: Bench) -> None:
    """Every file found counts as pending until it has an outcome."""
    bench.file("a", 5)
    bench.file("b", 2)
    bench.feeder().step()
    assert bench.pending.oldest("cam") == round((START + timedelta(minutes=2)).timestamp() * 1000)


def test_file_that_vanished_is_accounted_for(bench: Bench) -> None:
    """What is gone before its header was read has an outcome, and is looked for once more."""
    candidate = bench.file("a", 0)
    candidate.path.unlink()
    bench.feeder().step()
    outcomes = bench.pipeline.take(10, wait=0.1, linger=0.0)
    assert [(o.fate.state, o.retry) for o in outcomes] == [("gone", candidate)]
    assert bench.pending.oldest("cam") is None


def test_file_that_cannot_be_opened_is_tried_again(bench: Bench) -> None:
    """A file swapped for something that can't be read ends no thread; it is incomplete and put back."""
    candidate = bench.file("a", 0)
    candidate.path.unlink()
    candidate.path.mkdir()
    bench.feeder().step()
    outcomes = bench.pipeline.take(10, wait=0.1, linger=0.0)
    assert [(o.fate.state, o.retry, o.unreadable) for o in outcomes] == [("incomplete", candidate, True)]


def test_clock_is_judged_by_images_of_an_earlier_process(bench: Bench) -> None:
    """The first image after a restart is flagged if its number says that the clock jumped back."""
    for number, minute in ((7, 0), (8, 10)):
        bench.file(f"IMG_{number:04}", minute)
    first = bench.feeder()
    first.step()
    known = [ticket.examined for _ in range(2) if (ticket := bench.pipeline.next_ticket(0.0))]
    bench.file("IMG_0009", -600)
    source, pipeline = bench, Pipeline()
    second = Feeder(
        source,
        pipeline,
        PendingTimes(),
        bench.ledger,
        IntakeSettings(),
        survives=bench.survives,
        known=lambda: known,
    )
    second.step()
    ticket = pipeline.next_ticket(0.0)
    assert ticket is not None
    assert not ticket.examined.clock_ok


def test_step_is_short_however_slowly_a_card_is_read(bench: Bench) -> None:
    """Headers are read for a moment at a time; nothing is issued before all are read, and then in order."""
    for number in range(4):
        bench.file(f"i{number}", -number)
    ticks = itertools.count(step=DATING * 0.6)
    feeder = bench.feeder(clock=lambda: next(ticks))
    feeder.step()
    assert (bench.issued(), feeder.backlog, feeder.found) == ([], 4, 4)
    for _ in range(3):
        feeder.step()
    assert bench.issued() == ["i3", "i2", "i1", "i0"]


def test_files_that_are_no_images_wait_for_the_writer(bench: Bench) -> None:
    """A card full of other files doesn't fill the memory with their outcomes."""
    other = bench.file("clip", 0, suffix=".AVI")
    bench.ready = [other] * (3 * PASSING)
    feeder = bench.feeder()
    for _ in range(3):
        feeder.step()
    assert bench.pipeline.in_flight <= PASSING
    assert feeder.backlog + bench.pipeline.in_flight == 3 * PASSING


def test_attempts_wait_for_space(bench: Bench) -> None:
    """A disk that is full when an attempt is to be committed costs no file its place in line."""
    bench.file("a", 0)
    bench.refusals = 2
    bench.feeder().step()
    assert (bench.refusals, bench.issued()) == (0, ["a"])
