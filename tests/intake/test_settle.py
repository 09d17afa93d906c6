"""Settling: when a file is handed out, and when it isn't again."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.intake import FileStat
from edge.intake.settle import Settling

ONE = FileStat(1, 1, 100, 1)
TWO = FileStat(1, 1, 200, 2)


def _looks(stat: FileStat | None) -> Callable[[str], FileStat | None]:
    return lambda _: stat


def _due(settling: Settling, now: float, stat: FileStat | None) -> list[tuple[str, FileStat]]:
    return [(name, seen) for name, seen in settling.take_due(now, _looks(stat), lambda _: 2.0, 100)]


def test_hands_out_at_exactly_the_settling_time() -> None:
    """Not a moment before."""
    settling = Settling()
    settling.saw("a.jpg", ONE, 10.0, 2.0)
    assert settling.next_due() == 12.0
    assert _due(settling, 11.999, ONE) == []
    assert _due(settling, 12.0, ONE) == [("a.jpg", ONE)]
    assert (settling.waiting, settling.out) == (0, 1)


def test_a_file_that_changed_waits_again() -> None:
    """Seen by a sighting, or only by the last look."""
    settling = Settling()
    settling.saw("a.jpg", ONE, 10.0, 2.0)
    settling.saw("a.jpg", TWO, 11.0, 2.0)
    assert _due(settling, 12.0, TWO) == []
    assert _due(settling, 13.0, ONE) == []
    assert _due(settling, 14.9, ONE) == []
    assert _due(settling, 15.0, ONE) == [("a.jpg", ONE)]


def test_a_file_that_vanished_is_forgotten() -> None:
    """Renamed or deleted while it waited."""
    settling = Settling()
    settling.saw("a.jpg", ONE, 10.0, 2.0)
    assert _due(settling, 12.0, None) == []
    assert (settling.waiting, settling.next_due()) == (0, None)


def test_sightings_of_what_is_out_mean_nothing_until_it_changes() -> None:
    """The same version once, another version once more."""
    settling = Settling()
    settling.saw("cam/a.jpg", ONE, 10.0, 2.0)
    assert _due(settling, 12.0, ONE)
    settling.saw("cam/a.jpg", ONE._replace(inode=9, device=9), 13.0, 2.0)
    assert settling.waiting == 0, "neither inode nor device make a version"
    settling.saw("cam/a.jpg", TWO, 13.0, 2.0)
    assert _due(settling, 15.0, TWO) == [("cam/a.jpg", TWO)]
    assert settling.out == 1


def test_what_was_put_back_comes_again_when_due() -> None:
    """At the same version."""
    settling = Settling()
    settling.saw("a.jpg", ONE, 10.0, 2.0)
    assert _due(settling, 12.0, ONE)
    settling.retry("a.jpg", ONE, 72.0)
    settling.saw("a.jpg", ONE, 30.0, 2.0)
    assert _due(settling, 71.9, ONE) == []
    assert _due(settling, 72.0, ONE) == [("a.jpg", ONE)]


def test_what_was_put_back_comes_sooner_if_it_changes() -> None:
    """The rest of an upload arrives; the later appointment is void then."""
    settling = Settling()
    settling.saw("a.jpg", ONE, 10.0, 2.0)
    assert _due(settling, 12.0, ONE)
    settling.retry("a.jpg", ONE, 1000.0)
    settling.saw("a.jpg", TWO, 40.0, 2.0)
    assert _due(settling, 42.0, TWO) == [("a.jpg", TWO)]
    assert _due(settling, 1000.0, TWO) == []


def test_what_has_its_fate_or_is_gone_is_forgotten() -> None:
    """By folder; others stay."""
    settling = Settling()
    for name in ("cam/a.jpg", "cam/b.jpg", "old/c.jpg"):
        settling.saw(name, ONE, 0.0, 2.0)
    assert len(_due(settling, 2.0, ONE)) == 3
    settling.reconcile("cam", ["b.jpg", "never-seen.jpg"])
    assert settling.out == 2
    settling.keep_folders({"cam"})
    assert settling.out == 1
    settling.saw("cam/b.jpg", ONE, 3.0, 2.0)
    assert settling.waiting == 0


def test_the_limit_bounds_one_call() -> None:
    """The rest is due at once."""
    settling = Settling()
    for number in range(10):
        settling.saw(f"{number}.jpg", ONE, 0.0, 2.0)
    assert len(settling.take_due(2.0, _looks(ONE), lambda _: 2.0, 4)) == 4
    assert len(settling.take_due(2.0, _looks(ONE), lambda _: 2.0, 100)) == 6


NAMES = st.sampled_from(["a.jpg", "cam/a.jpg", "cam/b.jpg"])


class SettlingModel(RuleBasedStateMachine):
    """Any course of events: nothing is handed out twice at a version, and nothing is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.settling = Settling()
        self.now = 0.0
        self.disk: dict[str, FileStat] = {}
        self.out: dict[str, FileStat] = {}
        self.changed: dict[str, float] = {}

    @rule(name=NAMES, size=st.integers(1, 5))
    def write(self, name: str, size: int) -> None:
        """A file appears or changes, and is seen."""
        stat = FileStat(1, 1, size, size)
        if self.disk.get(name) != stat:
            self.changed[name] = self.now
        self.disk[name] = stat
        self.settling.saw(name, stat, self.now, 2.0)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        """A file goes, and its folder is scanned."""
        self.disk.pop(name, None)
        self.scan()

    @rule()
    def scan(self) -> None:
        """All folders are listed."""
        for folder in ("", "cam"):
            present = {n.rpartition("/")[2]: n for n in self.disk if n.rpartition("/")[0] == folder}
            for name in present.values():
                self.settling.saw(name, self.disk[name], self.now, 2.0)
            self.settling.reconcile(folder, present)
        self.out = {name: stat for name, stat in self.out.items() if name in self.disk}

    @rule(name=NAMES, after=st.integers(0, 9))
    def put_back(self, name: str, after: int) -> None:
        """A file that was handed out wasn't whole."""
        if name in self.out:
            self.settling.retry(name, self.out.pop(name), self.now + after)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 10.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        for name, stat in self.settling.take_due(self.now, self.disk.get, lambda _: 2.0, 100):
            assert self.disk[name] == stat
            assert self.out.get(name) != stat, "handed out twice at one version"
            self.out[name] = stat

    @invariant()
    def counts_agree(self) -> None:
        """What is out is counted."""
        assert self.settling.out == len(self.out)

    def teardown(self) -> None:
        """In the end, everything on the disk has been handed out as it is."""
        self.scan()
        self.wait(20.0)
        self.wait(20.0)
        assert self.out == self.disk


TestSettlingModel = SettlingModel.TestCase
TestSettlingModel.settings = settings(max_examples=60, stateful_step_count=30)
