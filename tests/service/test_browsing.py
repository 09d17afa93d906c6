"""Read models: lists in order, each once; what wants review; cameras and activity in figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.registration.types import UNIDENTIFIED
from edge.service.browsing import (
    Order,
    Wish,
    activity,
    cameras,
    changes,
    choices,
    detail,
    judge,
    matches,
    one_picture,
    page,
    queue,
)
from edge.service.relabel import relabel, relabel_together
from edge.service.work import Outcome
from edge.settings import DeploymentSettings, IntakeSettings, Settings
from edge.store.browsing import Listed, head, newest_by_change, paths, waiting
from edge.store.queries import Filter
from tests.service.corrected import Corrigible
from tests.service.outcomes import MINUTE, START, examined, seen
from tests.web.record import media_id as media_id_of

CAMERAS = ("cam", "ridge", "water")
LABELS = ("Red_Fox", "Badger", None)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Corrigible]:
    """Thirty registrations at three cameras, an hour and more apart, recorded out of order."""
    found = Corrigible.at(tmp_path / "state")
    for number in (*range(0, 30, 2), *range(1, 30, 2)):
        label = LABELS[number // 3 % 3]
        found.record(known(f"i{number:02}", 100 * number, label, 1 + number % 2, CAMERAS[number % 3]))
    found.record(close=True)
    yield found
    found.database.close()


def known(
    name: str,
    minute: int,
    label: str | None = "Red_Fox",
    count: int = 1,
    camera: str = "cam",
    *,
    clock_ok: bool = True,
) -> Outcome:
    """An image that was looked at, with an id like a real one."""
    file = examined(name, minute, deployment=camera, clock_ok=clock_ok)
    return seen(file, label, count, media_id=media_id_of(name, camera))


def walked(desk: Corrigible, wish: Wish, size: int) -> list[Listed]:
    """All pages of a list."""
    found: list[Listed] = []
    after = None
    while True:
        part = page(desk.database, wish, after, size)
        assert len(part.rows) <= size
        found += part.rows
        after = part.after
        if after is None:
            return found


@pytest.mark.parametrize("order", ["changed", "time"])
@pytest.mark.parametrize("size", [1, 7, 30, 200])
def test_pages_hold_each_once_in_order(desk: Corrigible, order: Order, size: int) -> None:
    """Newest first, across cameras, however large pages are."""
    rows = walked(desk, Wish(order=order), size)
    assert len({row.registration.id for row in rows}) == len(rows) == 30
    keys = [row.place if order == "time" else (row.seq, "") for row in rows]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize("order", ["changed", "time"])
def test_lists_are_filtered(desk: Corrigible, order: Order) -> None:
    """The filter of a list is the one that single news are held against."""
    since, until = START + 500 * MINUTE, START + 2000 * MINUTE
    for wanted in (
        Filter(deployment="ridge"),
        Filter(label="Badger"),
        Filter(since=since, until=until),
        Filter("cam", "Red_Fox", since),
        Filter(label=UNIDENTIFIED),
        Filter("nowhere"),
    ):
        wish = Wish(wanted, order=order)
        rows = walked(desk, wish, 4)
        expected = {row.registration.id for row in walked(desk, Wish(), 200) if matches(row, wish)}
        assert {row.registration.id for row in rows} == expected
    assert walked(desk, Wish(state="open", order=order), 5) == []
    assert not matches(replace(walked(desk, Wish(), 1)[0], living=False), Wish())


@pytest.mark.parametrize(("order", "after"), [("time", "c3"), ("changed", "t3.x"), ("time", "t1")])
def test_a_place_that_is_none_is_refused(desk: Corrigible, order: Order, after: str) -> None:
    """Also one of the other order."""
    with pytest.raises(UsageError):
        page(desk.database, Wish(order=order), after)


def test_a_list_goes_on_while_news_come(desk: Corrigible) -> None:
    """What comes meanwhile stands before the place where it goes on."""
    first = page(desk.database, Wish(), None, 10)
    desk.record(known("new", 9000))
    rest = page(desk.database, Wish(), first.after, 200)
    ids = [row.registration.id for row in (*first.rows, *rest.rows)]
    assert len(set(ids)) == len(ids) == 30


def test_changes_since_a_number(desk: Corrigible) -> None:
    """Oldest first, retracted ones too, each as it is now, in portions."""
    before = head(desk.database)
    target = walked(desk, Wish(), 200)[-1].registration
    relabel(desk.database, target.first.media_id, None, 0)
    desk.record(known("new", 9000))
    found = changes(desk.database, before)
    assert [(row.living, row.change) for row in found.rows] == [(False, "retracted"), (True, "opened")]
    assert (found.head, found.more) == (before + 2, False)
    assert changes(desk.database, before, 1).more
    assert changes(desk.database, found.head).rows == ()


def test_the_cover_is_the_picture_with_most_animals(desk: Corrigible) -> None:
    """Among its own."""
    for number, count in enumerate((1, 4, 2)):
        desk.record(known(f"c{number}", 9000 + number, "Badger", count))
    row = newest_by_change(desk.database, Filter(), None, below=None, limit=1)[0]
    assert row.cover is not None
    assert (row.cover.file, row.registration.count) == ("cam/c1.JPG", 4)


def test_detail_has_messages_while_they_are_kept(desk: Corrigible) -> None:
    """Oldest first, each with what it changed; none once they are gone."""
    row = walked(desk, Wish(), 1)[0]
    found = detail(desk.database, row.registration.id)
    assert found is not None
    assert [one.message.change for one in found.past] == ["opened", "closed"]
    desk.database.execute("DELETE FROM outbox")
    found = detail(desk.database, row.registration.id)
    assert found is not None
    assert found.past == ()
    assert detail(desk.database, "nobody") is None


def test_the_queue_asks_least_certain_first_and_each_once(desk: Corrigible) -> None:
    """Those without a name come before all; what a person has spoken of isn't asked again."""
    desk.database.execute(
        "UPDATE registrations SET confidence = 500000 + (first_t / 60000) % 977 WHERE confidence"
    )
    asked: list[Listed] = []
    after = None
    while (found := queue(desk.database, Filter(), after)).row is not None:
        asked.append(found.row)
        after = found.after
    confidences = [row.registration.confidence for row in asked]
    assert len(asked) == found.waiting == 30
    assert confidences == sorted(confidences)
    assert asked[0].registration.label == UNIDENTIFIED
    relabel(desk.database, asked[3].registration.first.media_id, "Badger", None)
    assert waiting(desk.database, Filter()) == waiting(desk.database, Filter(since=0)) == 29
    desk.record(known("open", 9000))
    relabel(desk.database, media_id_of("open", "cam"), "Badger", 1)
    assert waiting(desk.database, Filter()) == waiting(desk.database, Filter(since=0)) == 29
    with pytest.raises(UsageError):
        queue(desk.database, Filter(), "x")


def test_a_person_speaks_for_all_pictures_at_once(desk: Corrigible) -> None:
    """One message; every picture has the word, the models' beside it."""
    for number, label in enumerate(("Red_Fox", "Red_Fox", None, "Badger", "Red_Fox")):
        desk.record(known(f"b{number}", 9000 + number, label, 1 + number % 2), close=number == 4)
    row = newest_by_change(desk.database, Filter(), None, below=None, limit=1)[0]
    id_, before = row.registration.id, len(desk.messages())
    done = judge(desk.database, id_, "Badger", None, revision=row.registration.revision)
    last = desk.messages()[before:]
    assert [(m.change, m.label, m.votes, m.confidence) for m in last] == [
        ("corrected", "Badger", {"Badger": 5}, 1)
    ]
    assert (done.done.images, dict(done.done.messages), done.row.reviewed) == (5, {"corrected": 1}, True)
    found = detail(desk.database, id_)
    assert found is not None
    assert [p.count for p in found.pictures] == [1, 2, 1, 2, 1]
    words = [(p.review.machine_label, p.review.label) for p in found.pictures if p.review]
    assert words == [(label, "Badger") for label in ("Red_Fox", "Red_Fox", None, "Badger", "Red_Fox")]
    lines = desk.database.execute("SELECT SUM(images), SUM(messages) FROM corrections")
    assert lines == [(5, 1)]
    again = relabel_together(desk.database, [p.picture.media_id for p in found.pictures], "Badger", None)
    assert again.images in (0, 5)
    assert len(desk.messages()) == before + 1


def test_judging_what_is_gone_or_changed_changes_nothing(desk: Corrigible) -> None:
    """A stale revision, a retracted one, an id that never was."""
    row = walked(desk, Wish(), 1)[0]
    id_, revision = row.registration.id, row.registration.revision
    before = desk.changes()
    for wrong, seen_then in ((id_, revision - 1), ("nobody", 1)):
        with pytest.raises(UsageError):
            judge(desk.database, wrong, "Badger", None, revision=seen_then)
    assert desk.changes() == before
    judge(desk.database, id_, None, 0, revision=revision)
    with pytest.raises(UsageError):
        judge(desk.database, id_, "Badger", None, revision=revision + 1)


def test_cameras_in_figures(desk: Corrigible) -> None:
    """By name, with their zone and clock; the last picture says how quiet they are."""
    desk.record(known("odd", -10, "Badger", clock_ok=False))
    desk.record(known("late", 3000, "Badger"))
    intake = IntakeSettings(deployments={"cam": DeploymentSettings(timezone="Asia/Tokyo", clock_offset=-5)})
    found = cameras(desk.database, Settings(device="d", intake=intake), START + 5000 * MINUTE)
    assert [(c.row.deployment, c.row.images) for c in found] == [("cam", 12), ("ridge", 10), ("water", 10)]
    assert [(c.row.doubtful, c.zone, c.clock_offset) for c in found[:2]] == [
        (1, "Asia/Tokyo", -5),
        (0, "UTC", 0),
    ]
    assert found[0].quiet == (5000 - 3000) * MINUTE
    assert (found[0].row.open, found[1].row.registrations) == (1, 10)


def test_activity_counts_each_registration_once(desk: Corrigible) -> None:
    """At the local hour and day of its start; many labels become others, unidentified is last."""
    found = activity(desk.database, Filter())
    assert found.events == sum(found.hours) == 30
    assert [s.label for s in found.series] == ["Red_Fox", "Badger", UNIDENTIFIED]
    few = activity(desk.database, Filter(), shown=1)
    assert [(s.label, s.events) for s in few.series] == [("others", 21), (UNIDENTIFIED, 9)]
    # The first began at 00:00 UTC, in a zone an hour ahead.
    one = activity(desk.database, Filter(until=START + 1))
    assert (one.hours.index(1), one.first) == (1, 20454)
    assert activity(desk.database, Filter("nowhere")).hours == (0,) * 24


def test_labels_to_choose_from(desk: Corrigible) -> None:
    """Of every label set that was used, and what registrations have; not the lack of one."""
    found = choices(desk.database)
    assert [(n.label, n.scientific_name) for n in found] == [
        ("Badger", "Meles meles"),
        ("Red_Fox", "Vulpes vulpes"),
    ]
    assert sum(n.registrations for n in found) == 21


def test_one_picture_and_where_it_is_found(desk: Corrigible) -> None:
    """With the registration that it is in, and its paths."""
    media_id = media_id_of("i00", "cam")
    found = one_picture(desk.database, media_id)
    assert found is not None
    assert found[0].picture.file == "cam/i00.JPG"
    assert found[1] is not None
    assert paths(desk.database, media_id) == ["cam/i00.JPG"]
    assert one_picture(desk.database, "sha256:none") is None
