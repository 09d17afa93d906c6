"""Labels that a person corrects, and what follows."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge.errors import StoreBusyError, StoreError, UsageError
from edge.registration import Observation
from edge.service.clockshift import Shift, shift_clock
from edge.service.looker import settled
from edge.service.relabel import relabel, the_image, unlabel
from edge.store.corrections import Corrections, Span
from edge.store.database import open_beside, open_database
from edge.store.outbox import Outbox
from edge.store.queries import files, registrations
from tests.service.corrected import SETTINGS, Corrigible
from tests.service.outcomes import MINUTE, examined, seen

A = "sha256:cam-a"


@pytest.fixture
def desk(tmp_path: Path) -> Corrigible:
    """An empty one."""
    return Corrigible.at(tmp_path)


def test_relabelled_image_changes_its_closed_registration(desk: Corrigible) -> None:
    """A person's label takes the place of the models', with full confidence, and a message says so."""
    desk.record(seen(examined("a", 0)), close=True)
    result = relabel(desk.database, A, "Badger", 2)
    assert (str(result.before), str(result.after)) == ("Red_Fox x1", "Badger x2")
    assert result.done.messages == {"corrected": 1}
    assert desk.observations() == [
        Observation("cam", A, desk.observations()[0].t, "Badger", 2, confidence=1_000_000)
    ]
    last = desk.messages()[-1]
    assert (last.change, last.label, last.count, last.confidence) == ("corrected", "Badger", 2, 1.0)
    assert last.scientific_name == "Meles meles"
    desk.check()


def test_open_registration_is_updated(desk: Corrigible) -> None:
    """While a registration is open, a correction is one of its updates."""
    desk.record(seen(examined("a", 0)))
    relabel(desk.database, A, "Badger", None)
    assert desk.changes() == [("opened", "Red_Fox"), ("updated", "Badger")]
    desk.check()


def test_one_label_outvotes_no_majority(desk: Corrigible) -> None:
    """A person's word is one vote in the window, as every image's; the rules stay what they are."""
    desk.record(*[seen(examined(n, i)) for i, n in enumerate("abc")])
    relabel(desk.database, A, "Badger", None)
    (only,) = registrations(desk.database)
    assert (only.label, dict(only.votes)) == ("Red_Fox", {"Red_Fox": 2, "Badger": 1})
    desk.check()


def test_image_without_animals_leaves_its_registration(desk: Corrigible) -> None:
    """A false detection is retracted; the image is blank from then on."""
    desk.record(seen(examined("a", 0)), close=True)
    relabel(desk.database, A, None, 0)
    assert desk.changes()[-1] == ("retracted", "Red_Fox")
    assert [(f.kind, f.count) for f in files(desk.database)] == [("blank", 0)]
    desk.check()


def test_blank_image_gets_an_animal(desk: Corrigible) -> None:
    """What the models overlooked makes a registration, closed where nothing else was open."""
    desk.record(seen(examined("a", 0), count=0), close=True)
    relabel(desk.database, A, "Badger", None)
    assert desk.changes() == [("opened", "Badger"), ("closed", "Badger")]
    assert [(f.kind, f.label, f.count) for f in files(desk.database)] == [("animal", "Badger", 1)]
    desk.check()


def test_machines_word_is_kept_and_comes_back(desk: Corrigible) -> None:
    """Also after a second opinion it is the models' own, confidence and all."""
    desk.record(seen(examined("a", 0), count=2), close=True)
    (before,) = desk.observations()
    relabel(desk.database, A, "Badger", 3)
    relabel(desk.database, A, None, 0)
    review = Corrections(desk.database).review(A)
    assert review is not None
    assert (review.machine_label, review.machine_count, review.machine_confidence) == ("Red_Fox", 2, 800_000)
    unlabel(desk.database, A)
    assert desk.observations() == [before]
    assert Corrections(desk.database).review(A) is None
    desk.check()
    with pytest.raises(UsageError, match="nobody has relabelled"):
        unlabel(desk.database, A)


def test_agreeing_with_the_machine_is_a_review_too(desk: Corrigible) -> None:
    """The same label from a person makes it certain; once more it changes nothing."""
    desk.record(seen(examined("a", 0)), close=True)
    assert relabel(desk.database, A, "Red_Fox", 1).done.messages == {"corrected": 1}
    head = Outbox(desk.database).head()
    assert relabel(desk.database, A, "Red_Fox", 1).done.images == 0
    assert Outbox(desk.database).head() == head
    assert len(Corrections(desk.database).made()) == 1
    desk.check()


def test_second_copy_does_not_undo_it(desk: Corrigible) -> None:
    """The same bytes again, looked at or not, leave a person's word alone."""
    file = examined("a", 0)
    desk.record(seen(file), close=True)
    relabel(desk.database, A, None, 0)
    head = Outbox(desk.database).head()
    desk.record(seen(file))
    desk.record(seen(examined("copy", 0), media_id=A))
    desk.record(settled(file, "duplicate", "copy", A))
    assert desk.observations() == []
    assert Outbox(desk.database).head() == head


def test_what_only_the_list_of_images_shows_is_told(desk: Corrigible) -> None:
    """A count below the largest changes no registration, but what messages say of its image."""
    desk.record(seen(examined("a", 0), count=1), seen(examined("b", 1), count=4), close=True)
    assert relabel(desk.database, A, "Red_Fox", 1).done.messages == {"corrected": 1}
    assert relabel(desk.database, A, "Red_Fox", 2).done.messages == {"corrected": 1}
    assert [entry.count for entry in desk.messages()[-1].media] == [2, 4]
    desk.check()


def test_correction_is_on_record(desk: Corrigible) -> None:
    """Who, when, what, and what it caused."""
    desk.record(seen(examined("a", 0)), close=True)
    relabel(desk.database, A, "Badger", None)
    (made,) = Corrections(desk.database).made()
    assert (made.kind, made.deployment, made.media_id) == ("label", "cam", A)
    assert (made.what, made.images, made.messages) == ("Red_Fox x1 is Badger x1", 1, 1)
    assert made.made_by
    assert made.made > 0


@pytest.mark.parametrize("name", [A, "cam/a.JPG", "cam/second.JPG", "cam-a"])
def test_image_by_id_path_or_copy(desk: Corrigible, name: str) -> None:
    """People name an image as they see it."""
    desk.record(seen(examined("a", 0)), settled(examined("second", 0), "duplicate", "copy", A))
    assert the_image(desk.database, name) == A


@pytest.mark.parametrize(("name", "words"), [("cam/x.JPG", "no such image"), ("sha256:c", "more than one")])
def test_image_that_is_none_or_several(desk: Corrigible, name: str, words: str) -> None:
    """Nothing is guessed."""
    desk.record(seen(examined("a", 0)), seen(examined("b", 0)))
    with pytest.raises(UsageError, match=words):
        the_image(desk.database, name)


def test_nothing_is_changed_when_the_message_cannot_be_written(
    desk: Corrigible, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction and its messages are one transaction."""
    desk.record(seen(examined("a", 0)), close=True)
    before = desk.observations()

    def refuse(*_: object, **__: object) -> int:
        raise StoreError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "append", refuse)
        with pytest.raises(StoreError, match="disk is full"):
            relabel(desk.database, A, "Badger", None)
    assert desk.observations() == before
    assert Corrections(desk.database).made() == []
    assert Corrections(desk.database).review(A) is None


def test_daemon_and_correction_take_turns(desk: Corrigible, tmp_path: Path) -> None:
    """Two processes' connections: what one commits is the other's ground, and numbers have no gaps."""
    beside = open_beside(tmp_path)
    desk.record(seen(examined("a", 0)))
    relabel(beside, A, "Badger", None)
    desk.record(seen(examined("b", 5), "Badger"))
    relabel(beside, "sha256:cam-b", "Red_Fox", 3)
    desk.record(seen(examined("c", 6), "Badger"))
    assert [message.seq for message in desk.messages()] == list(range(1, len(desk.messages()) + 1))
    desk.check()
    beside.close()


def test_busy_database_is_told_as_such(desk: Corrigible, tmp_path: Path) -> None:
    """A writer that holds the database for too long gives a clear word, and nothing is changed."""
    desk.record(seen(examined("a", 0)))
    beside = open_beside(tmp_path)
    beside.patience = 0.05
    with desk.database.transaction(), pytest.raises(StoreBusyError, match="database is busy"):
        relabel(beside, A, "Badger", None)
    beside.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("relabel"), st.integers(0, 11), st.sampled_from(["Red_Fox", "Badger", None]),
                  st.integers(0, 3)),
        st.tuples(st.just("shift"), st.integers(0, 200), st.integers(0, 200), st.integers(-90, 90)),
        st.tuples(st.just("undo"), st.integers(0, 11), st.none(), st.none()),
        st.tuples(st.just("image"), st.integers(0, 200), st.sampled_from(["Red_Fox", None]),
                  st.integers(1, 3)),
    ),
    max_size=8,
)  # fmt: skip


@given(st.integers(0, 999), STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_record_is_what_the_rules_give_whatever_is_corrected(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: list[tuple[str, int, object, object]]
) -> None:
    """Labels, clocks and new images in any order: batch rules and a subscriber's table agree each time."""
    desk = Corrigible.at(tmp_path_factory.mktemp("desk"))
    rng = random.Random(seed)
    names = ["Red_Fox", "Badger", None]
    desk.record(
        *[
            seen(examined(f"{n:04}", rng.randrange(200)), rng.choice(names), rng.randint(0, 3))
            for n in range(12)
        ],
        close=rng.random() < 0.5,
    )
    start = examined("x", 0).taken_ms
    for number, (kind, *values) in enumerate(steps):
        match kind, *values:
            case "relabel", int(n), (str() | None) as label, int(count):
                relabel(desk.database, f"sha256:cam-{n:04}", label, count)
            case "shift", int(since), int(until), int(by) if by:
                span = Span("cam", start + since * MINUTE, start + until * MINUTE)
                shift_clock(desk.database, Shift(span, by * MINUTE), SETTINGS)
            case "undo", int(n), _, _ if Corrections(desk.database).review(f"sha256:cam-{n:04}"):
                unlabel(desk.database, f"sha256:cam-{n:04}")
            case "image", int(minute), (str() | None) as label, int(count):
                desk.record(seen(examined(f"new{number}", minute), label, count))
        desk.check()
    desk.database.close()


def test_version_1_is_brought_up_to_date_with_a_backup(tmp_path: Path) -> None:
    """Everything on record stays, corrections work, and the old database is kept beside the new one."""
    desk = Corrigible.at(tmp_path)
    desk.record(seen(examined("a", 0)), seen(examined("b", 61)))
    _make_version_1(desk)
    before = desk.database.execute("SELECT media_id, file, taken FROM media ORDER BY 1")
    desk.database.close()
    newer = replace(desk, database=open_database(tmp_path))
    (backup,) = (tmp_path / "backups").glob("*.db")
    assert newer.database.execute("SELECT media_id, file, taken FROM media ORDER BY 1") == before
    relabel(newer.database, A, "Badger", None)
    newer.check()
    kept = tmp_path / "kept"
    kept.mkdir()
    backup.rename(kept / "edge.db")
    old = open_database(kept)
    assert old.execute("SELECT media_id, file, taken FROM media ORDER BY 1") == before
    assert old.epoch == newer.database.epoch
    assert [path.suffix for path in tmp_path.glob(".*")] == []


def _make_version_1(desk: Corrigible) -> None:
    for statement in (
        "DROP TABLE corrections",
        "DROP TABLE reviews",
        "DROP TABLE commands",
        "DROP TABLE reprocess",
        "DROP TABLE IF EXISTS strays",
        "DROP TABLE IF EXISTS removals",
        "DROP INDEX IF EXISTS media_with_snapshot",
        "DROP TABLE IF EXISTS reembed_attempts",
        "DROP INDEX IF EXISTS registrations_by_seq",
        "DROP INDEX IF EXISTS registrations_by_label",
        "ALTER TABLE media DROP COLUMN night",
        "ALTER TABLE media DROP COLUMN clock_shift",
        "ALTER TABLE media DROP COLUMN shifted_by",
        "PRAGMA user_version = 1",
    ):
        desk.database.execute(statement)
