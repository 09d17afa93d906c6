from __future__ import annotations

from random import Random

from hypothesis import given, strategies as st

from export.selection import (
    HOUR_MS,
    LONGEST,
    Entry,
    halves,
    in_turns,
    neighbourhood,
    rank,
    spread,
    spread_bursts,
)

names = st.builds("{}/IMG_{:04}.JPG".format, st.sampled_from("abc"), st.integers(0, 400))
entries = st.lists(
    names.map(lambda name: Entry(name, name[0], None)), unique_by=lambda entry: entry.name, max_size=60
)


def _timed(camera: str, hour: int, number: int) -> Entry:
    return Entry(f"{camera}/{number:05}.jpg", camera, hour * HOUR_MS + number)


@given(entries, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_files_are_listed(some: list[Entry], random: Random) -> None:
    """File systems list in any order; the choice is the same."""
    shuffled = list(some)
    random.shuffle(shuffled)
    assert spread(shuffled) == spread(some)
    assert sorted(spread(some), key=lambda entry: entry.name) == sorted(some, key=lambda entry: entry.name)


@given(entries, names.map(lambda name: Entry(name, name[0], None)), st.integers(1, 40))
def test_one_more_file_changes_few(some: list[Entry], more: Entry, count: int) -> None:
    """Of the chosen, one more file of a known camera replaces three at most."""
    cameras = {entry.deployment for entry in some}
    others = [entry for entry in some if entry.name != more.name]
    before, after = set(spread(others)[:count]), set(spread([*others, more])[:count])
    if more.deployment in cameras and any(entry.deployment == more.deployment for entry in others):
        assert len(before - after) <= 3
    assert len(before - after) == len(after - before) or len(others) < count


def test_cameras_take_turns() -> None:
    """A camera with a thousand images gets no more of the choice than one with ten."""
    busy = [_timed("busy", hour, number) for number in range(1000) for hour in [number // 20]]
    quiet = [_timed("quiet", number, number) for number in range(10)]
    chosen = spread([*busy, *quiet])[:20]
    assert sum(entry.deployment == "quiet" for entry in chosen) == 10


def test_a_burst_does_not_dominate_its_camera() -> None:
    """Of a camera with a burst of 500 and nine other hours, ten images are from ten hours."""
    burst = [_timed("a", 0, number) for number in range(500)]
    others = [_timed("a", hour, 1000 + hour) for hour in range(1, 10)]
    chosen = spread([*burst, *others])[:10]
    assert len({entry.burst for entry in chosen}) == 10


def test_whole_bursts_come_in_the_order_of_time() -> None:
    """For visits a burst stays together."""
    some = [_timed("a", hour, hour * 10 + number) for hour in range(3) for number in range(3)]
    bursts = spread_bursts(some)
    assert len(bursts) == 3
    assert all(burst == sorted(burst, key=lambda entry: entry.t or 0) for burst in bursts)
    assert sorted(entry.name for burst in bursts for entry in burst) == [entry.name for entry in some]


def test_a_burst_without_end_is_taken_in_pieces() -> None:
    """Grass in the wind makes a thousand images an hour; the other hours come before most of them."""
    windy = [_timed("a", 0, number) for number in range(1000)]
    others = [_timed("a", hour, 2000 + 10 * hour + number) for hour in range(1, 10) for number in range(3)]
    bursts = spread_bursts([*windy, *others])
    first = [entry for burst in bursts[:10] for entry in burst]
    assert len(first) == LONGEST + 27
    assert sum(map(len, bursts)) == 1027


@given(entries)
def test_halves_are_disjoint_whole_and_part_no_burst(some: list[Entry]) -> None:
    """Each file is on one side; files of a burst are on the same, unless there is no other."""
    ours, theirs = halves(some)
    assert sorted(entry.name for entry in (*ours, *theirs)) == sorted(entry.name for entry in some)
    if len({entry.burst for entry in some}) > 1:
        assert not {entry.burst for entry in ours} & {entry.burst for entry in theirs}
        assert ours
        assert theirs or len(some) < 2


def test_a_single_burst_is_split_by_files() -> None:
    """Calibration and evaluation on one burst is poor, but better than nothing on one side."""
    ours, theirs = halves([_timed("a", 0, number) for number in range(10)])
    assert (len(ours), len(theirs)) == (5, 5)


def test_neighbours_share_all_but_the_last_digit() -> None:
    """Running numbers tell what was taken together; other names stand for themselves."""
    assert neighbourhood("a/IMG_0041.JPG") == neighbourhood("a/IMG_0049.JPG")
    assert neighbourhood("a/IMG_0041.JPG") != neighbourhood("a/IMG_0051.JPG")
    assert neighbourhood("a/IMG_0041.JPG") != neighbourhood("b/IMG_0041.JPG")
    assert neighbourhood("fox.jpg") == "fox.jpg"


def test_the_shuffle_is_the_same_for_all_file_systems() -> None:
    """Composed and decomposed forms of a name are one name; the order is pinned, as choices depend on it."""
    assert rank("K\u00f6nig.jpg") == rank("Ko\u0308nig.jpg")
    assert in_turns({"a": [1, 2, 3], "b": [4], "c": [5, 6]}) == in_turns(
        {"c": [5, 6], "b": [4], "a": [1, 2, 3]}
    )
    assert "".join(entry.name[0] for entry in spread([Entry(f"{n}.jpg", "c", None) for n in "abcdef"])) == (
        "abcefd"
    )
