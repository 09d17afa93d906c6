"""The engine's promises under anything that may arrive, in any order, cut in any way."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings, strategies as st

from edge.registration import Engine, Key, MemoryRecord, Observation, Options, Registration
from tests.registration.build import living
from tests.registration.machine import Promises, SqlitePromises
from tests.registration.model import (
    Watched,
    can_still_change,
    check_identity,
    fresh,
    on_time_leaves_alone,
)
from tests.registration.strategies import DEPLOYMENTS, EXAMPLES, images, observations, options

ONE = DEPLOYMENTS[:1]
# For the tests that try much for each example.
few = settings(max_examples=40 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
calm = settings(max_examples=100 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


TestPromises = Promises.TestCase
TestPromises.settings = settings(
    max_examples=100 * EXAMPLES,
    stateful_step_count=52,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSqlitePromises = SqlitePromises.TestCase
TestSqlitePromises.settings = settings(TestPromises.settings, max_examples=10 * EXAMPLES)


@calm
@given(options, images())
def test_equals_the_rules_after_every_image(chosen: Options, arrivals: list[Observation]) -> None:
    """Whatever the order of arrival, the record is the rules' after every single image."""
    watched = fresh(chosen, DEPLOYMENTS)
    for observation in arrivals:
        watched.accept([observation])


@few
@given(
    options,
    st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 3, 9]), min_size=30, max_size=60),
    st.lists(observations(ONE), min_size=1, max_size=12),
    st.data(),
)
def test_long_sessions_are_cut_and_joined(
    chosen: Options, counts: list[int], disturbing: list[Observation], data: st.DataObject
) -> None:
    """Sessions far longer than the window, cut by late images and joined again when these go."""
    chosen = replace(chosen, window=data.draw(st.integers(1, 3)), gap=data.draw(st.integers(2, 60)))
    session = [Observation(ONE[0], f"s{n:02}", n, "deer", count, 1_000 * n) for n, count in enumerate(counts)]
    watched = fresh(chosen, ONE)
    watched.accept(session)
    for x in disturbing:
        watched.accept([replace(x, label="fox")])
    for x in data.draw(st.permutations(sorted(watched.accepted.values(), key=lambda o: o.key)))[:12]:
        watched.amend([x], [])


@calm
@given(options, images(ONE), st.data())
def test_identity(chosen: Options, arrivals: list[Observation], data: st.DataObject) -> None:
    """Survivors, heirs and new ids follow from members alone, when images come and when they go."""
    watched = fresh(chosen, ONE)
    for x in arrivals:
        before = _with_media(watched)
        watched.accept([x])
        check_identity(before, _with_media(watched), x)
    for x in data.draw(st.permutations(sorted(watched.accepted.values(), key=lambda o: o.key))):
        before = _with_media(watched)
        watched.amend([x], [])
        check_identity(before, _with_media(watched), x)
    assert watched.registrations() == []


@calm
@given(options, images(), st.data())
def test_ids_do_not_depend_on_batches(
    chosen: Options, arrivals: list[Observation], data: st.DataObject
) -> None:
    """The same arrivals in the same order give the same ids, however they are cut into batches."""
    records = MemoryRecord(), MemoryRecord()
    at = 0
    while at < len(arrivals):
        size = data.draw(st.integers(1, len(arrivals)))
        Engine(chosen, records[0]).accept(arrivals[at : at + size])
        at += size
    for observation in arrivals:
        Engine(chosen, records[1]).accept([observation])
    for deployment in DEPLOYMENTS:
        batched, single = (
            [replace(r, revision=0, opened=0) for r in living(record, deployment)] for record in records
        )
        assert batched == single
        orders = (sorted(living(record, deployment), key=lambda r: r.opened) for record in records)
        assert len({tuple(r.id for r in order) for order in orders}) == 1


@calm
@given(options, images(ONE), st.integers(0, 50), images(ONE, most=6), st.booleans())
def test_what_the_watermark_closed_stays(
    chosen: Options, arrivals: list[Observation], w: int, later: list[Observation], advance_first: bool
) -> None:
    """No image on time changes a registration that the watermark closed, whether it rose before or after."""
    watched = fresh(chosen, ONE)
    _arrive(watched, arrivals, len(arrivals), w=w, advance_first=advance_first)
    on_time = [replace(o, media_id=f"new-{o.media_id}", t=w + o.t // 3) for o in later]
    on_time_leaves_alone(watched, ONE[0], on_time)


@calm
@given(options, images(ONE, most=10), st.integers(0, 50), st.booleans())
def test_closed_is_settled(chosen: Options, arrivals: list[Observation], w: int, advance_first: bool) -> None:
    """No flood of images on time, however lopsided, changes a registration that the watermark closed."""
    watched = fresh(chosen, ONE)
    _arrive(watched, arrivals, len(arrivals), w=w, advance_first=advance_first)
    for registration in watched.registrations():
        assert registration.state == "open" or not can_still_change(watched, registration, w)


@few
@given(options, images(ONE, most=10), st.integers(0, 50), st.booleans(), st.integers(1, 10))
def test_settled_is_closed(
    chosen: Options, arrivals: list[Observation], w: int, advance_first: bool, size: int
) -> None:
    """A registration stays open only while some images on time could change it."""
    watched = fresh(chosen, ONE)
    _arrive(watched, arrivals, size, w=w, advance_first=advance_first)
    for registration in watched.record.open_registrations(ONE[0]):
        if not _follows_at_the_watermark(watched, registration.end, w):
            assert can_still_change(watched, registration, w)


def _arrive(watched: Watched, arrivals: list[Observation], size: int, *, w: int, advance_first: bool) -> None:
    """Images arrive in batches of a size, and the watermark rises before or after them."""
    if advance_first:
        watched.advance(ONE[0], w)
    for start in range(0, len(arrivals), size):
        watched.accept(arrivals[start : start + size])
    if not advance_first:
        watched.advance(ONE[0], w)


def _follows_at_the_watermark(watched: Watched, end: int, w: int) -> bool:
    """The one case that is left open for longer: count splits, and the next image is at ``w`` exactly."""
    counts = "count" in watched.options.split_on
    return counts and min((o.t for o in watched.accepted.values() if o.t > end), default=None) == w


def _with_media(watched: Watched) -> list[tuple[Registration, tuple[Key, ...]]]:
    return [(r, watched.members_on_record(r)) for r in watched.registrations()]
