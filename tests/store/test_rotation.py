"""Names of backups, and which are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from edge.store.rotation import Backup, following, parse, stamp, superfluous

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)

moments = st.datetimes(datetime(1970, 1, 2), datetime(2099, 1, 1)).map(lambda t: f"{t:%Y%m%dT%H%M%S}")  # noqa: DTZ001 - a range
histories = st.lists(st.tuples(moments, st.integers(1, 4)), max_size=30).map(
    lambda made: [Backup(number, when, version) for number, (when, version) in enumerate(made, start=1)]
)


def _nightly(nights: int) -> list[Backup]:
    return [Backup(n, stamp((NOON + timedelta(days=n)).timestamp()), 4) for n in range(1, nights + 1)]


def test_days_and_weeks_are_kept() -> None:
    """Of a month's nightly backups the last three stay, and the last of each of two weeks."""
    gone = superfluous(_nightly(30), days=3, weeks=2)
    assert sorted({b.number for b in _nightly(30)} - {b.number for b in gone}) == [27, 28, 29, 30]
    gone = superfluous(_nightly(30), days=1, weeks=4)
    assert sorted({b.number for b in _nightly(30)} - {b.number for b in gone}) == [13, 20, 27, 29, 30]


def test_several_of_one_day_count_once() -> None:
    """The newest of a day stands for it; only of the last two both stay."""
    day = stamp(NOON.timestamp())
    assert [b.number for b in superfluous([Backup(n, day, 4) for n in (1, 2, 3)], days=3, weeks=2)] == [1]


def test_way_back_from_an_upgrade_stays() -> None:
    """The newest one of the last earlier version is kept however old it is."""
    backups = [Backup(1, "20200101T000000", 2), Backup(2, "20200101T000001", 3)]
    backups += [b._replace(number=b.number + 2) for b in _nightly(10)]
    assert Backup(1, "20200101T000000", 2) in superfluous(backups, days=1, weeks=0)
    assert Backup(2, "20200101T000001", 3) not in superfluous(backups, days=1, weeks=0)


@given(histories, st.integers(1, 5), st.integers(0, 5))
def test_what_stays_is_bounded_and_has_the_newest(backups: list[Backup], days: int, weeks: int) -> None:
    """Whatever clocks said: the newest by number stays, and never more than was asked for and three."""
    gone = superfluous(backups, days=days, weeks=weeks)
    stay = [b for b in backups if b not in gone]
    assert set(gone) <= set(backups)
    assert len(stay) <= days + weeks + 3
    assert not backups or max(backups) in stay


@given(histories, st.integers(1, 5), st.integers(0, 5))
def test_removing_is_done_at_once(backups: list[Backup], days: int, weeks: int) -> None:
    """What stays once stays, until there is a new one."""
    gone = superfluous(backups, days=days, weeks=weeks)
    stay = [b for b in backups if b not in gone]
    assert superfluous(stay, days=days, weeks=weeks) == []


@given(histories, st.integers(1, 5), st.integers(0, 5))
def test_order_of_the_folder_does_not_matter(backups: list[Backup], days: int, weeks: int) -> None:
    """A folder lists its files in any order."""
    assert superfluous(backups, days=days, weeks=weeks) == superfluous(backups[::-1], days=days, weeks=weeks)


@given(histories, st.floats(0, 4e9), st.integers(1, 99))
def test_next_name_is_the_newest(backups: list[Backup], now: float, version: int) -> None:
    """Its number is above all others, whatever the clock says, and its name reads back."""
    backup = following(backups, now, version)
    assert all(backup.number > other.number for other in backups)
    assert parse(backup.name) == backup


def test_other_files_are_no_backups() -> None:
    """Temporary files, other databases, and dates that are none."""
    names = (
        ".making.tmp",
        "edge.db",
        "edge-000001-20261301T000000-v1.db",
        "edge-1-20260101T000000-v1.db",
        "x",
    )
    assert [parse(name) for name in names] == [None] * len(names)
