"""The change log on named situations: what a subscriber is told, and as whom."""

from __future__ import annotations

import pytest

from edge.registration import Engine, Key, MemoryRecord, Options, register
from edge.registration.ids import registration_id
from tests.registration.build import DEPLOYMENT, MINUTE, at, kinds, living, seen, text

DAY = 24 * 60 * MINUTE
SIMPLE = Options(method="simple")


def id_of(media: str, ordinal: int = 1) -> str:
    """The id that a media gives the registration it opens."""
    return registration_id(DEPLOYMENT, media, ordinal)


def test_ids_stay_what_they_were() -> None:
    """Ids are promised to whoever keeps them: UUIDv5 of the namespace, deployment and media by line."""
    assert registration_id("ridge", "a.jpg") == "f298dc83-b6ea-5b8b-a31f-1f1b56853725"
    assert registration_id("ridge", "a.jpg", 2) == "94f1dabd-de7d-5d52-b0e0-77c7509d2d33"


def test_opens_updates_closes() -> None:
    """A registration opens with its first image, is updated by the next, and closed by the watermark."""
    engine = Engine(Options(), MemoryRecord())
    (opened,) = engine.accept([at(0, media="a")])
    (updated,) = engine.accept([at(1, media="b", count=2)])
    (closed,) = engine.advance(DEPLOYMENT, DAY)
    assert kinds([opened, updated, closed]) == ["opened", "updated", "closed"]
    assert [c.registration.revision for c in (opened, updated, closed)] == [1, 2, 3]
    assert {c.registration.id for c in (opened, updated, closed)} == {id_of("a")}
    assert (closed.registration.count, closed.registration.last) == (2, Key(MINUTE, "b"))
    assert closed.registration.votes == {"deer": 2}


def test_a_batch_is_one_change() -> None:
    """A registration that a batch opens and extends is opened once, whole."""
    (change,) = Engine(Options(), MemoryRecord()).accept([at(0), at(1), at(2)])
    assert change.kind == "opened"
    assert change.registration.media_count == 3


def test_opened_and_retracted_in_one_batch_says_nothing() -> None:
    """A registration that comes and goes within one batch is never mentioned."""
    batch = [at(0, media="a"), at(40, media="c"), at(20, media="b")]
    (change,) = Engine(SIMPLE, MemoryRecord()).accept(batch)
    assert (change.kind, change.registration.id) == ("opened", id_of("a"))


def test_duplicates_change_nothing() -> None:
    """A media that is on record is ignored, also with other content or within one batch."""
    engine = Engine(Options(), MemoryRecord())
    assert len(engine.accept([at(0, media="a"), at(0, media="a")])) == 1
    assert engine.accept([at(0, media="a"), at(9, "fox", media="a")]) == []


def test_empty_images_change_nothing() -> None:
    """An image with nothing in it leaves the record alone."""
    assert Engine(Options(), MemoryRecord()).accept([at(0, count=0)]) == []


def test_late_image_corrects_a_closed_registration() -> None:
    """A late image that joins a closed registration leaves it closed, corrected."""
    record = MemoryRecord()
    Engine(Options(), record).accept([at(0), at(20)])
    Engine(Options(), record).advance(DEPLOYMENT, DAY)
    (change,) = Engine(Options(), record).accept([at(10, count=4)])
    assert (change.kind, change.registration.state) == ("corrected", "closed")
    assert (change.registration.revision, change.registration.count) == (3, 4)


def test_late_image_far_behind_opens_and_closes() -> None:
    """A registration wholly behind the watermark comes out opened, then closed."""
    engine = Engine(Options(), MemoryRecord())
    engine.advance(DEPLOYMENT, DAY)
    opened, closed = engine.accept([at(0)])
    assert kinds([opened, closed]) == ["opened", "closed"]
    assert (opened.registration.state, closed.registration.state) == ("open", "closed")
    assert (opened.registration.revision, closed.registration.revision) == (1, 2)


def test_extended_and_settled_in_one_batch_is_one_closed() -> None:
    """An open registration that a batch changes and settles is said once, closed with its new content."""
    record = MemoryRecord()
    engine = Engine(SIMPLE, record)
    engine.accept([at(0)])
    engine.advance(DEPLOYMENT, 20 * MINUTE)
    (closed, opened) = engine.accept([at(10), at(15, "fox")])
    assert (closed.kind, closed.registration.media_count) == ("closed", 2)
    assert opened.kind == "opened"


def test_late_image_joins_two_and_the_first_opened_survives() -> None:
    """Of two that become one the one that opened earlier lives on, even if it starts later."""
    record = MemoryRecord()
    engine = Engine(SIMPLE, record)
    engine.accept([at(40, media="second")])
    engine.accept([at(0, media="first")])
    kept, gone = engine.accept([at(20, media="bridge")])
    assert (kept.kind, kept.registration.id) == ("updated", id_of("second"))
    assert (kept.registration.first.media_id, kept.registration.media_count) == ("first", 3)
    assert (gone.kind, gone.registration.id) == ("retracted", id_of("first"))
    assert (gone.registration.superseded_by, gone.registration.revision) == (id_of("second"), 2)
    assert gone.registration.last.media_id == "first"
    assert not record.is_living(id_of("first"))


def test_late_image_cuts_one_in_two_and_the_earlier_part_keeps_the_id() -> None:
    """The part with the earliest start goes on; the arriving image opens the one that it is in."""
    engine = Engine(SIMPLE, MemoryRecord())
    engine.accept([at(0, media="a"), at(1, media="b"), at(3, media="d")])
    kept, cutting, rest = engine.accept([at(2, "fox", media="c")])
    assert (kept.kind, kept.registration.id, kept.registration.media_count) == ("updated", id_of("a"), 2)
    assert (cutting.kind, cutting.registration.id) == ("opened", id_of("c"))
    assert (rest.kind, rest.registration.id) == ("opened", id_of("d"))


@pytest.mark.parametrize(
    ("options", "foxes"),
    [(SIMPLE, [50.5]), (Options(window=2 * MINUTE), [50.1, 50.2, 50.3, 50.4, 50.5, 50.6])],
    ids=["simple", "windowed"],
)
def test_long_session_cut_in_the_middle(options: Options, foxes: list[float]) -> None:
    """Both ends of a long session keep what is theirs, out of sight of the images that cut it."""
    record = MemoryRecord()
    engine = Engine(options, record)
    engine.accept([at(n, count={10: 9, 90: 4}.get(n, 1)) for n in range(101)])
    engine.accept([at(minute, "fox") for minute in foxes])
    early, fox, late = living(record)
    assert [(r.label, r.count) for r in (early, fox, late)] == [("deer", 9), ("fox", 1), ("deer", 4)]
    assert early.media_count + fox.media_count + late.media_count == 101 + len(foxes)
    assert early.votes == {"deer": early.media_count}
    assert late.confidence_sums == {"deer": 900_000 * late.media_count}


def test_tail_with_the_largest_count_turns_into_another() -> None:
    """When the images with the largest count leave a long session, its count falls to what remains."""
    record = MemoryRecord()
    engine = Engine(Options(window=2 * MINUTE), record)
    engine.accept([at(n, count={10: 3, 99: 9, 100: 9}.get(n, 1)) for n in range(101)])
    assert [(r.count, r.media_count) for r in living(record)] == [(9, 101)]
    engine.accept([at(100.1 + n / 100, "fox") for n in range(9)])
    deer = living(record)[0]
    assert (deer.label, deer.count, deer.end) == ("deer", 3, 98 * MINUTE)


def test_tail_cut_off_leaves_the_count_from_before_the_start() -> None:
    """What was counted less than W before a long registration's start stays in its count."""
    options = Options(gap=5 * MINUTE)
    record, start = MemoryRecord(), 100 * MINUTE
    before = seen(start - options.window + 1, count=5)
    session = [seen(start + n * 4 * MINUTE, count=9 if n >= 49 else 1) for n in range(51)]
    foxes = [seen(session[-1].t + n, "fox") for n in range(1, 41)]
    engine = Engine(options, record)
    engine.accept([before, *session])
    assert [r.count for r in living(record)] == [5, 9]
    engine.accept(foxes)
    assert text(living(record)) == text(register([before, *session, *foxes], options))
    assert [(r.label, r.count) for r in living(record)][:2] == [("deer", 5), ("deer", 5)]


def test_end_cut_off_leaves_the_count_of_the_second_image() -> None:
    """Under ``simple`` a part out of sight keeps the largest count of all its images, wherever it is."""
    record = MemoryRecord()
    engine = Engine(SIMPLE, record)
    engine.accept([seen(t, count=count) for t, count in enumerate((1, 7, 1, 1, 1, 9))])
    engine.accept([seen(3, "fox", media="z")])
    assert [(r.label, r.count) for r in living(record)] == [("deer", 7), ("fox", 1), ("deer", 9)]


def test_chain_of_successors_is_resolved() -> None:
    """Swallowed by one that is itself swallowed in the same batch, it names the one that lives."""
    record = MemoryRecord()
    engine = Engine(SIMPLE, record)
    engine.accept([at(0, media="a")])
    engine.accept([at(60, media="c")])
    engine.accept([at(120, media="e")])
    changes = engine.accept([at(90, media="d"), at(30, media="b")])
    gone = {c.registration.id: c.registration.superseded_by for c in changes if c.kind == "retracted"}
    assert gone == {id_of("c"): id_of("a"), id_of("e"): id_of("a")}


def test_retracted_id_comes_back_with_a_higher_revision() -> None:
    """The same media opening a registration again brings its id back; its revision goes on growing."""
    record = MemoryRecord()
    engine = Engine(SIMPLE, record)
    engine.accept([at(0, media="a")])
    engine.accept([at(40, media="c")])
    bridge = at(20, media="b")
    assert kinds(engine.accept([bridge])) == ["updated", "retracted"]
    back = engine.amend([bridge], [])
    assert kinds(back) == ["updated", "opened"]
    assert (back[1].registration.id, back[1].registration.revision) == (id_of("c"), 3)
    assert back[1].registration.superseded_by is None


def test_taken_id_gets_an_ordinal() -> None:
    """Where living registrations have the ids of all members, an ordinal makes the id new."""
    engine = Engine(SIMPLE, MemoryRecord())
    a = at(0, media="a")
    engine.accept([a, at(1, media="b")])
    engine.amend([a], [])  # the registration lives on at minute 1 under the id of "a"
    (change,) = engine.accept([at(500, media="a")])
    assert (change.kind, change.registration.id) == ("opened", id_of("a", 2))


def test_taken_id_of_a_split_part_goes_to_its_next_member() -> None:
    """A part that is cut off takes the id of its first member whose id no living registration has."""
    record = MemoryRecord()
    engine = Engine(SIMPLE, record)
    a = at(0, media="a")
    engine.accept([a, at(1, media="b")])
    engine.amend([a], [])  # the registration lives on at minute 1 under the id of "a"
    engine.accept([at(100, media="w"), at(102, media="a"), at(103, media="x")])
    changes = engine.accept([at(101, "fox", media="v")])
    assert [c.registration.id for c in changes] == [id_of("w"), id_of("v"), id_of("x")]


def test_batches_of_several_deployments() -> None:
    """One batch may hold images of several deployments; each keeps its own log and watermark."""
    engine = Engine(Options(), MemoryRecord())
    engine.advance("a", DAY)
    changes = engine.accept([seen(0, deployment="b"), seen(0, deployment="a")])
    assert [(c.registration.deployment, c.kind) for c in changes] == [
        ("a", "opened"),
        ("a", "closed"),
        ("b", "opened"),
    ]


def test_amend_moves_a_shifted_clock() -> None:
    """Images moved to their true time are one correction: same ids where the images are the same."""
    record = MemoryRecord()
    engine = Engine(Options(), record)
    wrong = [at(0, media="a"), at(1, media="b")]
    engine.accept(wrong)
    (change,) = engine.amend(wrong, [at(600, media="a"), at(601, media="b")])
    assert (change.kind, change.registration.id) == ("updated", id_of("a"))
    assert text(living(record)) == ["deerx1 600-601"]


def test_retractions_come_last() -> None:
    """In the log of one deployment the living come first, by time, and then the retracted, by time."""
    engine = Engine(SIMPLE, MemoryRecord())
    gone = [at(0, media="a"), at(100, media="b")]
    engine.accept([*gone[::-1], at(500, media="c")])
    changes = engine.amend(gone, [at(600, media="e"), at(300, media="d")])
    assert [(c.kind, c.registration.id) for c in changes] == [
        ("opened", id_of("d")),
        ("opened", id_of("e")),
        ("retracted", id_of("a")),
        ("retracted", id_of("b")),
    ]


def test_amend_tells_of_an_exchanged_member() -> None:
    """A member that another takes the place of is told, though no sum shows it."""
    engine = Engine(Options(), MemoryRecord())
    engine.accept([at(0), at(1, media="x"), at(2)])
    (change,) = engine.amend([at(1, media="x")], [at(1, media="y")])
    assert (change.kind, change.registration.revision) == ("updated", 2)


def test_amend_of_nothing_says_nothing() -> None:
    """An image taken off and put back as it was changes nothing."""
    record = MemoryRecord()
    engine = Engine(Options(), record)
    images = [at(0, media="a"), at(1, media="b")]
    engine.accept(images)
    engine.close(DEPLOYMENT)
    before = living(record)
    assert engine.amend(images, images) == []
    assert living(record) == before


def test_amend_refuses_what_is_not_on_record() -> None:
    """An image that isn't on record as given is refused before anything is changed."""
    record = MemoryRecord()
    engine = Engine(Options(), record)
    engine.accept([at(0, media="a"), at(1, media="b")])
    with pytest.raises(LookupError, match="not on record"):
        engine.amend([at(0, media="a"), at(2, media="b")], [])
    assert text(living(record)) == ["deerx1 0-1"]


def test_amend_to_empty_retracts() -> None:
    """A person says that there was nothing: the registration is retracted, superseded by none."""
    engine = Engine(Options(), MemoryRecord())
    engine.accept([at(0, media="a")])
    (change,) = engine.amend([at(0, media="a")], [at(0, media="a", count=0)])
    assert (change.kind, change.registration.superseded_by) == ("retracted", None)


def test_watermark_never_falls() -> None:
    """A lower watermark changes nothing."""
    record = MemoryRecord()
    engine = Engine(Options(), record)
    engine.advance(DEPLOYMENT, 5)
    assert engine.advance(DEPLOYMENT, 4) == []
    assert record.watermark(DEPLOYMENT) == 5


def test_idle_close_and_what_comes_after() -> None:
    """Closed for quiet, a registration that goes on after all is corrected, not opened again."""
    engine = Engine(Options(), MemoryRecord())
    engine.accept([at(0)])
    assert kinds(engine.close(DEPLOYMENT)) == ["closed"]
    assert engine.close(DEPLOYMENT) == []
    assert kinds(engine.accept([at(1)])) == ["corrected"]
    assert kinds(engine.accept([at(90)])) == ["opened"]
