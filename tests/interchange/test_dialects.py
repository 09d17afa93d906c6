"""Small tables, grouped by hand as each tool's published rule says."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, strategies as st

from edge.interchange import Dialect, Sighting, dialect
from edge.interchange.dialects import DIALECTS, Name
from edge.registration import UNIDENTIFIED, Registration
from edge.service.registering import Job, batch

MINUTE = 60_000

# Minute, label, count. Deer come each 20 minutes, then after exactly 30, then after more; a fox walks by.
VISITS = [
    (0, "deer", 1),
    (10, "fox", 1),
    (20, "deer", 2),
    (40, "deer", 1),
    (70, "deer", 3),
    (100.5, "deer", 1),
]


def grouped(
    tool: Name, gap: int | None = None, visits: list[tuple[float, str, int]] = VISITS
) -> list[Registration]:
    """The registrations of a table in a tool's way."""
    way = dialect(tool)
    rows = [
        Sighting(f"line {n}", "ridge", f"{n:02}.jpg", round(minute * MINUTE), label, count, 0)
        for n, (minute, label, count) in enumerate(visits)
    ]
    return batch(rows, Job(way.options(gap), per_label=way.per_label))


def spans(found: list[Registration]) -> list[tuple[str, float, float, int]]:
    """Label, first and last minute, images."""
    return [(r.label, r.start / MINUTE, r.end / MINUTE, r.media_count) for r in found]


def test_camtrapr_last_independent_record() -> None:
    """At least 30 min after the start of the event: 40 opens; 70, exactly 30 later, opens; 100.5 opens."""
    assert spans(grouped("camtrapr")) == [
        ("deer", 0, 20, 2),
        ("fox", 10, 10, 1),
        ("deer", 40, 40, 1),
        ("deer", 70, 70, 1),
        ("deer", 100.5, 100.5, 1),
    ]


def test_camtrapr_zero_keeps_every_instant() -> None:
    """``minDeltaTime = 0`` makes each record an event of its own."""
    assert len(grouped("camtrapr", 0)) == len(VISITS)


def test_camtrapr_last_record() -> None:
    """With ``lastRecord``, 20 min steps chain; exactly 30 min opens."""
    way = Dialect(method="simple", per_label=True, gap_splits=True)
    assert way.gap_for(None) == 30 * MINUTE - 1
    rows = [
        Sighting("", "ridge", str(n), round(m * MINUTE), "deer", 1, 0) for n, m in enumerate((0, 20, 40, 70))
    ]
    found = batch(rows, Job(way.options(), per_label=True))
    assert spans(found) == [("deer", 0, 40, 3), ("deer", 70, 70, 1)]


def test_addax_connect() -> None:
    """More than 30 min since the same animal's last image: exactly 30 still joins; the fox splits nothing."""
    found = grouped("addax-connect")
    assert spans(found) == [("deer", 0, 70, 4), ("fox", 10, 10, 1), ("deer", 100.5, 100.5, 1)]
    assert [r.count for r in found] == [3, 1, 1]


def test_camtraptools() -> None:
    """Whatever is seen keeps an event going; it has the label of most images and the largest count."""
    found = grouped("camtraptools")
    assert spans(found) == [("deer", 0, 70, 5), ("deer", 100.5, 100.5, 1)]
    assert [r.count for r in found] == [3, 1]


def test_mbaza() -> None:
    """An event lasts 30 min from its first image on, the end included."""
    visits = [
        (0.0, "deer", 1),
        (10, "fox", 1),
        (20, "deer", 1),
        (30, "deer", 1),
        (30.5, "deer", 1),
        (61, "deer", 1),
    ]
    assert spans(grouped("mbaza", visits=visits)) == [
        ("deer", 0, 30, 3),
        ("fox", 10, 10, 1),
        ("deer", 30.5, 30.5, 1),
        ("deer", 61, 61, 1),
    ]


@pytest.mark.parametrize("tool", DIALECTS)
def test_gap_is_the_callers(tool: Name) -> None:
    """A gap of an hour joins what 30 minutes split."""
    assert len(grouped(tool, 60 * MINUTE)) < len(grouped(tool))


@pytest.mark.parametrize("tool", DIALECTS)
def test_labels_are_never_smoothed(tool: Name) -> None:
    """None of them lets one image's label change another's."""
    found = Counter[str]()
    for registration in grouped(tool):
        found.update(registration.votes)
        assert registration.label in {*registration.votes, UNIDENTIFIED}
    assert found == {"deer": 5, "fox": 1}


# The published rules once more, each as a plain walk, to be compared on any table.


def starts(tool: Name, times: list[int], gap: int) -> list[int]:
    """When events start, of one animal's sorted, distinct times at one station."""
    found: list[int] = []
    for place, t in enumerate(times):
        if tool == "camtrapr":
            opens = not found or t - found[-1] >= gap
        elif tool == "mbaza":
            opens = not found or t > found[-1] + gap
        else:
            opens = not found or t - times[place - 1] > gap
        if opens:
            found.append(t)
    return found


TABLES = st.lists(
    st.tuples(st.sampled_from(["s1", "s2"]), st.integers(0, 30), st.sampled_from(["deer", "fox"])),
    unique_by=lambda visit: visit[:2],
    min_size=1,
    max_size=30,
)


@given(st.sampled_from(DIALECTS), TABLES, st.integers(1, 6))
def test_any_table(tool: Name, visits: list[tuple[str, int, str]], gap: int) -> None:
    """On any table events start where the tool's rule lets them start."""
    way = dialect(tool)
    rows = [
        Sighting("", station, f"{n}.jpg", minute * MINUTE, label, 1, 0)
        for n, (station, minute, label) in enumerate(visits)
    ]
    found = batch(rows, Job(way.options(gap * MINUTE), per_label=way.per_label))
    groups: dict[tuple[str, str], list[int]] = {}
    for station, minute, label in sorted(visits):
        groups.setdefault((station, label if way.per_label else ""), []).append(minute * MINUTE)
    expected = [
        (station, label, start)
        for (station, label), times in groups.items()
        for start in starts(tool, times, gap * MINUTE)
    ]
    seen = [(r.deployment, r.label if way.per_label else "", r.start) for r in found]
    assert sorted(seen) == sorted(expected)
