from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from edge.errors import InterchangeError
from edge.interchange import Reject, Row, Sighting
from edge.registration import Change, Options, Registration
from edge.service.registering import Job, Tally, batch, stream

MINUTE = 60_000
BAD = Reject("line 9", "time", "noon", "a time")


def row(media: str, minute: float, label: str | None = "deer", animals: int = 1, ppm: int = 0) -> Sighting:
    """A row of camera ``r``."""
    return Sighting("line 2", "r", media, round(minute * MINUTE), label, animals, ppm)


def last_of(changes: Iterable[Change]) -> list[Registration]:
    """What a subscriber has who applies the change log in order."""
    table: dict[str, Registration] = {}
    for change in changes:
        assert change.registration.revision == (
            table[change.registration.id].revision + 1
            if change.registration.id in table
            else change.registration.revision
        )
        if change.kind == "retracted":
            del table[change.registration.id]
        else:
            table[change.registration.id] = change.registration
    return sorted(table.values(), key=lambda r: (r.deployment, r.first, r.label))


def bare(found: Iterable[Registration]) -> list[Registration]:
    """Without what depends on the order of rows, and on whether they came one at a time."""
    return [replace(r, id="", revision=0, opened=0, state="closed") for r in found]


def test_rows_of_one_image_are_one_observation() -> None:
    """All animals count; most of them name the image, with their largest confidence."""
    rows = [row("a", 0, "fox", 1, 900_000), row("a", 0, "deer", 1, 500_000), row("a", 0, "deer", 2, 700_000)]
    (found,) = batch(rows, Job(Options(method="simple")))
    assert (found.label, found.count, found.media_count, found.confidence) == ("deer", 4, 1, 700_000)


def test_rows_of_one_image_by_label() -> None:
    """Followed by label, each label of an image counts by itself."""
    rows = [row("a", 0, "fox"), row("a", 0, "deer", 2), row("b", 1, None)]
    found = batch(rows, Job(Options(method="simple"), per_label=True))
    assert [(r.deployment, r.label, r.count) for r in found] == [
        ("r", "deer", 2),
        ("r", "fox", 1),
        ("r", "unidentified", 1),
    ]
    assert len({r.id for r in found}) == 3


def test_repeated_rows() -> None:
    """Told twice is no second animal where rows have a count; a row per animal is."""
    rows = [row("a", 0), row("a", 0)]
    tally = Tally()
    (found,) = batch(rows, Job(repeats_add=False, tally=tally))
    assert (found.count, tally.repeated) == (1, 1)
    (found,) = batch(rows, Job(repeats_add=True))
    assert found.count == 2


def test_two_times_for_one_image() -> None:
    """An image has one time; the row that says otherwise is set aside."""
    refused: list[Reject] = []
    (found,) = batch([row("a", 0), row("a", 5)], Job(on_reject=refused.append))
    assert (found.start, found.end) == (0, 0)
    assert [reject.column for reject in refused] == ["time"]


def test_tally() -> None:
    """Every row is counted, and those that don't take part."""
    tally = Tally()
    batch([row("a", 0), row("b", 1, None, 0), BAD], Job(tally=tally))
    assert tally == Tally(rows=3, empty=1, repeated=0, rejects=1)


@pytest.mark.parametrize("read", [batch, stream])
def test_strict(read: object) -> None:
    """The first row that can't be used ends it."""
    with pytest.raises(InterchangeError, match="line 9"):
        list(batch([BAD], Job(strict=True)) if read is batch else stream([BAD], Job(strict=True)))


def test_lateness_closes_on_the_way() -> None:
    """The watermark closes what rows on time can't reach, before the last row is read."""
    rows = [row("a", 0), row("b", 200)]
    kinds = [change.kind for change in stream(rows, Job(lateness=0))]
    assert kinds == ["opened", "opened", "closed", "closed"]
    assert [change.kind for change in stream(rows, Job())][:2] == ["opened", "opened"]
    first = list(stream(rows, Job(lateness=0)))[2].registration
    assert first.first.media_id == "a"


def test_late_row_corrects() -> None:
    """A row for what was closed gives a correction."""
    rows = [row("a", 0), row("b", 200), row("c", 5)]
    assert "corrected" in [change.kind for change in stream(rows, Job(lateness=0))]


ROWS: st.SearchStrategy[list[Row]] = st.lists(
    st.builds(
        row,
        st.sampled_from("abcdefghij"),
        st.just(0),
        st.sampled_from(["deer", "fox", None]),
        st.integers(0, 3),
        st.integers(0, 9),
    ).map(
        lambda found: found._replace(
            t=(ord(found.media) - 97) ** 2 * MINUTE, deployment=str(found.confidence % 2)
        )
    ),
    max_size=25,
)
JOBS = st.builds(
    Job,
    st.builds(
        Options,
        method=st.sampled_from(["windowed", "simple"]),
        compared_to=st.sampled_from(["last_image", "registration_start"]),
        split_on=st.sampled_from([frozenset(), frozenset({"label"}), frozenset({"label", "count"})]),
    ),
    per_label=st.booleans(),
    repeats_add=st.booleans(),
    lateness=st.sampled_from([None, 0, 30 * MINUTE]),
)


@given(ROWS, JOBS)
def test_streaming_equals_batch(rows: list[Row], job: Job) -> None:
    """Whatever the order, and with several rows for an image, the change log ends at the batch's result."""
    found = last_of(stream(rows, job))
    assert all(r.state == "closed" for r in found)
    assert bare(found) == bare(batch(rows, job))


@given(st.data(), ROWS, JOBS)
def test_order_of_rows_doesn_t_matter(data: st.DataObject, rows: list[Row], job: Job) -> None:
    """Rows in any order give the same registrations."""
    mixed = data.draw(st.permutations(rows))
    assert bare(batch(mixed, job)) == bare(batch(rows, job))
