"""The subscriber's table against a model: any order, any repetition, any loss made good by replays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from edge.delivery import RegistrationMessage
from edge.delivery.messages import Cursor
from edge.delivery.table import Asker, Gap, Numbers, Table
from edge.registration.types import ChangeKind
from tests.delivery.helpers import DEVICE, change, message

_KINDS: list[ChangeKind] = ["updated", "closed", "corrected", "retracted"]


@st.composite
def _logs(draw: st.DrawFn) -> list[RegistrationMessage]:
    """A device's change log: revisions of a few registrations, that may be retracted and come back."""
    steps = draw(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(_KINDS)), min_size=1, max_size=25))
    revisions: dict[int, int] = {}
    log = []
    for seq, (which, kind) in enumerate(steps, start=1):
        revisions[which] = revisions.get(which, 0) + 1
        log.append(message(seq, change(f"reg-{which}", revisions[which], kind, count=seq)))
    return log


def _truth(log: list[RegistrationMessage]) -> dict[str, int]:
    """What a reader of the whole log in order has in the end: id -> revision of the living."""
    living: dict[str, int] = {}
    for entry in log:
        if entry.change == "retracted":
            living.pop(entry.registration_id, None)
        else:
            living[entry.registration_id] = entry.revision
    return living


def _found(table: Table) -> dict[str, int]:
    return {row["registration_id"]: row["revision"] for row in table.rows()}


@given(log=_logs(), data=st.data())
def test_any_order_and_repetition_gives_the_same_table(
    log: list[RegistrationMessage], data: st.DataObject
) -> None:
    """Every message at least once, in any order, as often as one likes: the table is the truth."""
    extra = data.draw(st.lists(st.sampled_from(log), max_size=20))
    table = Table()
    for entry in data.draw(st.permutations([*log, *extra])):
        table.apply(entry)
    assert _found(table) == _truth(log)
    assert table.missing() == []


@given(log=_logs(), data=st.data())
def test_replaying_what_is_missing_gives_the_truth(
    log: list[RegistrationMessage], data: st.DataObject
) -> None:
    """Any messages lost: the cursor and the gaps tell which, and replaying those gives the truth."""
    table = Table()
    for entry in data.draw(st.lists(st.sampled_from(log), max_size=30)):
        table.apply(entry)
    table.see_cursor(DEVICE, Cursor(epoch="epoch-1", seq=len(log)))
    asked = [seq for gap in table.missing() for seq in range(gap.first, gap.last + 1)]
    assert len(asked) == len(set(asked))
    for seq in data.draw(st.permutations(asked)):
        table.apply(log[seq - 1])
    assert table.missing() == []
    assert _found(table) == _truth(log)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=20),
    st.integers(1, 20),
    st.integers(0, 40),
)
def test_numbers_are_a_set(runs: list[tuple[int, int]], first: int, last: int) -> None:
    """Runs added in any order hold what a set of integers would, and miss what it would."""
    numbers, model = Numbers(), set[int]()
    for start, length in runs:
        numbers.add(start, start + length)
        model |= set(range(start, start + length + 1))
    missing = [seq for a, b in numbers.missing(first, last) for seq in range(a, b + 1)]
    assert missing == [seq for seq in range(first, last + 1) if seq not in model]
    assert numbers.last() == max(model, default=0)


def test_an_older_message_cannot_bring_a_retracted_one_back() -> None:
    """A tombstone outlives the row; only a greater revision is stronger."""
    table = Table()
    assert table.apply(message(2, change(revision=2, kind="retracted")))
    assert not table.apply(message(1, change(revision=1, kind="opened")))
    assert table.rows() == []
    assert table.apply(message(3, change(revision=3, kind="opened")))
    assert len(table) == 1


def test_rows_have_the_form_of_messages() -> None:
    """A row is the last message, field for field."""
    table, sent = Table(), message(1, change())
    table.apply(sent)
    assert table.rows() == [sent.model_dump(mode="json", by_alias=True)]


def test_a_cursor_ahead_is_a_gap() -> None:
    """What the cursor tells of and never came is missing, from the first number on."""
    table = Table()
    table.see_cursor(DEVICE, Cursor(epoch="e", seq=3))
    assert table.missing() == [Gap(DEVICE, "e", 1, 3)]


def test_without_from_start_the_past_is_not_missed() -> None:
    """A subscriber that wants only what comes misses nothing of what was before its first contact."""
    by_cursor, by_message = Table(from_start=False), Table(from_start=False)
    by_cursor.see_cursor(DEVICE, Cursor(epoch="epoch-1", seq=40))
    by_message.apply(message(40, change()))
    assert by_cursor.missing() == by_message.missing() == []
    by_cursor.apply(message(43, change(revision=2)))
    assert by_cursor.missing() == [Gap(DEVICE, "epoch-1", 41, 42)]


def test_what_is_given_up_is_not_missed() -> None:
    """Numbers that the device can't send any more leave no gap."""
    table = Table()
    table.see_cursor(DEVICE, Cursor(epoch="e", seq=10))
    table.give_up(Gap(DEVICE, "e", 1, 4))
    assert table.missing() == [Gap(DEVICE, "e", 5, 10)]
    table.give_up(Gap(DEVICE, "another epoch", 5, 10))
    assert table.missing() == [Gap(DEVICE, "e", 5, 10)]


def test_a_new_epoch_begins_its_own_numbers() -> None:
    """After a new epoch nothing of the old one is missed, also after a late message of it."""
    table = Table()
    table.apply(message(5, change("old", 1)))
    table.see_cursor(DEVICE, Cursor(epoch="epoch-2", seq=2))
    assert table.missing() == [Gap(DEVICE, "epoch-2", 1, 2)]
    assert table.apply(message(3, change("late", 1)))
    assert table.missing() == [Gap(DEVICE, "epoch-2", 1, 2)]


def test_devices_do_not_mix() -> None:
    """Two devices with the same numbers and ids are told apart."""
    table = Table()
    first = message(1, change())
    table.apply(first)
    table.apply(first.model_copy(update={"device": "valley-02", "seq": 3}))
    assert table.devices() == [DEVICE, "valley-02"]
    assert len(table) == 2
    assert table.missing() == [Gap("valley-02", "epoch-1", 1, 2)]


_GAP = Gap(DEVICE, "e", 1, 9)


def test_a_gap_is_asked_for_once_its_device_is_quiet() -> None:
    """What is on its way is waited for."""
    asker = Asker(patience=1.0, retry=10.0)
    asker.news(DEVICE, 100.0)
    assert asker.due([_GAP], 100.5) == []
    asker.news(DEVICE, 101.4)
    assert asker.due([_GAP], 102.3) == []
    assert [gap for gap, _ in asker.due([_GAP], 102.4)] == [_GAP]


def test_an_old_gap_is_asked_for_although_messages_flow() -> None:
    """A device that is never quiet is asked after five times the patience."""
    asker = Asker(patience=1.0, retry=10.0)
    asked = []
    for tenth in range(100):
        asker.news(DEVICE, tenth / 10)
        if asker.due([_GAP], tenth / 10):
            asked.append(tenth / 10)
    assert asked[0] == pytest.approx(5.0)


def test_an_unanswered_request_is_repeated_with_growing_pauses() -> None:
    """Without an answer the same gap is asked for again, each time after twice as long, at most a minute."""
    asker = Asker(patience=0.0, retry=10.0)
    asked = [second for second in range(1, 400) if asker.due([_GAP], float(second))]
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses == [10, 20, 40, 60, 60, 60, 60, 60]


def test_an_answer_lets_the_next_request_go_at_once() -> None:
    """After an answer the next part is asked for at once, or a little later if some comes by itself."""
    asker = Asker(patience=1.0, retry=10.0)
    assert asker.due([_GAP], 1.0) == []
    ((_, first),) = asker.due([_GAP], 2.0)
    assert asker.answered(b"unknown", 2.1, ok=True) is None
    assert asker.answered(first, 2.1, ok=True) == _GAP
    ((_, second),) = asker.due([_GAP], 2.2)
    assert asker.answered(second, 2.3, ok=True, waiting=True) == _GAP
    assert asker.due([_GAP], 3.2) == []
    assert len(asker.due([_GAP], 3.4)) == 1


def test_a_refusal_waits_like_no_answer() -> None:
    """A device that refuses is not asked again at once."""
    asker = Asker(patience=0.0, retry=10.0)
    ((_, correlation),) = asker.due([_GAP], 1.0)
    asker.answered(correlation, 1.1, ok=False)
    assert asker.due([_GAP], 10.9) == []
    assert len(asker.due([_GAP], 11.0)) == 1
