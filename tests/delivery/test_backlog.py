"""The line of messages without a broker: what is handed out, held, retried and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.delivery.backlog import Backlog, Pace
from edge.delivery.messages import ReplayRequest
from edge.delivery.outbox import OutboxRow
from edge.delivery.replay import Replay
from edge.errors import DiskFullError, StoreBusyError, StoreError
from tests.contract.outboxes import MemoryOutbox

PACE = Pace(page=3, hold_first=10.0, hold_longest=10.0, ack_rows=4, ack_seconds=1.0, idle=5.0)


def _filled(*deployments: str) -> tuple[MemoryOutbox, Backlog]:
    outbox = MemoryOutbox()
    for deployment in deployments:
        outbox.append(deployment, b"x")
    return outbox, Backlog(outbox, PACE)


def _all(backlog: Backlog, now: float = 0.0) -> list[int]:
    found = []
    while row := backlog.next(now):
        found.append(row.seq)
    return found


def _next(backlog: Backlog, now: float = 0.0) -> OutboxRow:
    row = backlog.next(now)
    assert row is not None
    return row


def test_rows_come_in_order_over_pages() -> None:
    """Each row is handed out once, in the order of its number."""
    _, backlog = _filled(*"abcabca")
    assert _all(backlog) == [1, 2, 3, 4, 5, 6, 7]


def test_new_rows_are_seen_after_a_refresh() -> None:
    """Once the line was empty, it is looked at again when told so."""
    outbox, backlog = _filled("a")
    assert _all(backlog) == [1]
    outbox.append("a", b"x")
    assert _all(backlog) == []
    backlog.refresh()
    assert _all(backlog) == [2]


@pytest.mark.parametrize("in_hand", ["nothing", "a row in flight", "a held deployment"])
def test_rows_of_another_process_are_seen_without_a_refresh(in_hand: str) -> None:
    """A correction beside the daemon wakes nobody; whatever is in hand, its rows go out within ``idle``."""
    outbox, backlog = _filled("a")
    row = _next(backlog)
    if in_hand == "nothing":
        backlog.taken(row, 0.0)
        backlog.flush(0.0, force=True)
    if in_hand == "a held deployment":
        backlog.hold(row, "not_authorized", 0.0)
    assert _all(backlog, 0.0) == []
    outbox.append("a" if in_hand == "nothing" else "b", b"x")
    assert _all(backlog, 4.0) == []
    assert _all(backlog, 5.0) == [2]


def test_answers_are_written_when_enough_or_old_enough() -> None:
    """Four rows or a second: whichever comes first."""
    outbox, backlog = _filled(*"aaaaa")
    rows = [_next(backlog) for _ in range(5)]
    for row in rows[:3]:
        backlog.taken(row, 0.0)
        backlog.flush(0.5)
    assert outbox.acknowledgements == []
    backlog.taken(rows[3], 0.5)
    backlog.flush(0.5)
    assert outbox.acknowledgements == [[1, 2, 3, 4]]
    backlog.taken(rows[4], 0.6)
    backlog.flush(1.5)
    assert len(outbox.acknowledgements) == 1
    assert backlog.due_in(1.5) < 0.2
    backlog.flush(1.6)
    assert outbox.acknowledgements[1:] == [[5]]
    assert backlog.is_drained()


def test_lost_rows_come_again_first() -> None:
    """What was in flight at a loss is handed out again, in order; what was answered is not."""
    _, backlog = _filled(*"aaaa")
    rows = [_next(backlog) for _ in range(4)]
    backlog.taken(rows[1], 0.0)
    backlog.lost([1, 3, 4])
    assert _all(backlog) == [1, 3, 4]


def test_a_held_deployment_waits_and_others_go_on() -> None:
    """Rows of a refused deployment are passed over until its time is up; then one is tried, then the rest."""
    _, backlog = _filled(*"ababaa")
    backlog.hold(_next(backlog), "not_authorized", 0.0)
    assert _all(backlog) == [2, 4]
    assert backlog.held() == {"a": "not_authorized"}
    assert _all(backlog, 4.9) == []
    tried = _next(backlog, 10.0)
    assert (tried.seq, _all(backlog, 10.0)) == (1, [])
    backlog.taken(tried, 10.0)
    assert _all(backlog, 10.0) == [3, 5, 6]


def test_a_row_that_is_tried_in_vain_makes_place_for_the_next() -> None:
    """Set aside, lost with its connection, refused once more: the order stays, nothing is forgotten."""
    outbox, backlog = _filled(*"aaa")
    backlog.hold(_next(backlog), "not_authorized", 0.0)
    assert _next(backlog, 10.0).seq == 1
    backlog.lost([1])
    assert _next(backlog, 10.0).seq == 1
    backlog.set_aside(1, "too large")
    tried = _next(backlog, 10.0)
    assert tried.seq == 2
    backlog.hold(tried, "not_authorized", 10.0)
    assert _all(backlog, 11.0) == []
    assert _all(backlog, 30.0) == [2]
    assert outbox.rows[1].state == "set_aside"


def test_an_accepted_row_ends_the_hold() -> None:
    """The first row that the broker takes again frees its deployment."""
    _, backlog = _filled(*"aa")
    backlog.hold(_next(backlog), "quota_exceeded", 0.0)
    backlog.taken(_next(backlog, 10.0), 10.0)
    assert backlog.held() == {}
    assert _all(backlog, 10.0) == [2]


def test_a_hold_ends_when_a_person_takes_its_rows_out_of_line() -> None:
    """Nothing is held any longer, and nothing said to be, once there is nothing to try it on."""
    outbox, backlog = _filled("a")
    backlog.hold(_next(backlog), "not_authorized", 0.0)
    outbox.set_aside(1, "by hand")
    assert _all(backlog, 1.0) == []
    assert backlog.held() == {"a": "not_authorized"}
    assert _all(backlog, 11.0) == []
    assert backlog.held() == {}


def test_trouble_without_a_reason_puts_aside_after_three_tries() -> None:
    """A row that is answered with an unclear failure again and again doesn't stay for ever."""
    outbox, backlog = _filled("a")
    for attempt in range(3):
        backlog.again(_next(backlog, attempt * 20.0), "server_error", attempt * 20.0)
    assert outbox.rows[1].state == "set_aside"
    assert outbox.rows[1].reason == "server_error"
    assert backlog.aside == 1
    assert backlog.is_drained()


def test_rows_back_in_line_are_found_when_idle() -> None:
    """A row retried by a person has an old number; it's found at the next look."""
    outbox, backlog = _filled("a")
    outbox.set_aside(1, "refused")
    assert _all(backlog) == []
    outbox.retry([1])
    assert _all(backlog, 4.9) == []
    assert _all(backlog, 5.0) == [1]


class StubbornOutbox(MemoryOutbox):
    """One whose store can't be written for a while."""

    fault: type[StoreError] | None = None

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Unless there is something wrong."""
        self._refuse()
        super().acknowledge(seqs)

    def set_aside(self, seq: int, reason: str) -> None:
        """Unless there is something wrong."""
        self._refuse()
        super().set_aside(seq, reason)

    def _refuse(self) -> None:
        if self.fault is not None:
            raise self.fault("not now")


@pytest.mark.parametrize("fault", [DiskFullError, StoreBusyError])
def test_a_refusal_that_cannot_be_written_waits(fault: type[StoreError]) -> None:
    """It is sent to nobody again, the next row is, and it is set aside as soon as that can be written."""
    outbox = StubbornOutbox()
    outbox.append("a", b"x")
    outbox.append("a", b"x")
    backlog = Backlog(outbox, PACE)
    outbox.fault = fault
    backlog.set_aside(_next(backlog).seq, "too large")
    backlog.lost([])
    assert _all(backlog) == [2]
    backlog.flush(1.0)
    assert backlog.unwritten() == 1
    assert (backlog.aside, outbox.rows[1].state) == (0, "pending")
    outbox.fault = None
    backlog.flush(1.0 + PACE.full)
    assert (backlog.aside, outbox.rows[1].state, backlog.unwritten()) == (1, "set_aside", 0)


class BacklogMachine(RuleBasedStateMachine):
    """Any sequence of sending, answers, losses and appends, against what the outbox holds."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = StubbornOutbox()
        self.backlog = Backlog(self.outbox, replace(PACE, tries=2))
        self.flying: dict[int, OutboxRow] = {}
        self.first_sent: dict[str, list[int]] = {}
        self.sent: set[int] = set()
        self.now = 0.0

    @rule(deployment=st.sampled_from("abc"))
    def append(self, deployment: str) -> None:
        """A new message."""
        self.outbox.append(deployment, b"x")
        self.backlog.refresh()

    @rule()
    def send(self) -> None:
        """One more in flight, if there is one."""
        row = self.backlog.next(self.now)
        if row is None:
            return
        assert row.seq not in self.flying
        assert self.outbox.rows[row.seq].state == "pending"
        if row.seq not in self.sent:
            self.first_sent.setdefault(row.deployment, []).append(row.seq)
        self.sent.add(row.seq)
        self.flying[row.seq] = row

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), answer=st.sampled_from(["taken", "hold", "again", "aside"]))
    def answer(self, data: st.DataObject, answer: str) -> None:
        """An answer to one of those in flight."""
        row = self.flying.pop(data.draw(st.sampled_from(sorted(self.flying))))
        match answer:
            case "taken":
                self.backlog.taken(row, self.now)
            case "hold":
                self.backlog.hold(row, "not_authorized", self.now)
            case "again":
                self.backlog.again(row, "trouble", self.now)
            case _:
                self.backlog.set_aside(row.seq, "too large")

    @rule(fault=st.sampled_from([DiskFullError, StoreBusyError, None]))
    def trouble(self, fault: type[StoreError] | None) -> None:
        """The store can't be written from here on, or can again."""
        self.outbox.fault = fault

    @rule()
    def lose(self) -> None:
        """The connection ends."""
        self.backlog.lost(list(self.flying))
        self.flying.clear()

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 11.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.backlog.flush(self.now)

    @invariant()
    def first_in_order(self) -> None:
        """Within a deployment messages are first sent in the order of their numbers."""
        assert all(seqs == sorted(seqs) for seqs in self.first_sent.values())

    def teardown(self) -> None:
        """With a broker that takes everything, the line always comes to its end."""
        self.lose()
        self.outbox.fault = None
        for _ in range(200):
            self.now += 11.0
            while row := self.backlog.next(self.now):
                self.backlog.taken(row, self.now)
            self.backlog.flush(self.now, force=True)
            self.backlog.refresh()
            if self.backlog.is_drained():
                break
        assert self.outbox.counts().pending == 0
        acked = [seq for batch in self.outbox.acknowledgements for seq in batch]
        assert len(acked) == len(set(acked))


TestBacklogMachine = BacklogMachine.TestCase
TestBacklogMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def _replay(outbox: MemoryOutbox, first: int, last: int) -> Replay:
    return Replay(ReplayRequest(epoch="epoch-1", first=first, last=last), outbox)


def test_a_replay_sends_what_was_acknowledged_and_counts_the_rest() -> None:
    """Rows in line are left to come by themselves; rows set aside, removed or never given out are missing."""
    outbox = MemoryOutbox()
    for _ in range(260):
        outbox.append("a", b"x")
    outbox.acknowledge(range(1, 251))
    outbox.set_aside(250, "too large")
    outbox.prune(5)
    replay = _replay(outbox, 3, 300)
    sent = []
    while row := replay.next():
        sent.append(row.seq)
        assert not replay.is_done()
        replay.answered(row.seq, taken=True)
    assert sent == list(range(6, 250))
    assert replay.is_done()
    reply = replay.reply()
    assert (reply.first, reply.last, reply.sent, reply.waiting) == (3, 300, 244, 10)
    assert [(span.first, span.last) for span in reply.missing] == [(3, 5), (250, 250), (261, 300)]


def test_a_row_that_is_refused_for_now_is_not_given_up() -> None:
    """Access rules and quotas change: who asks is told to ask again, not that it will never come."""
    outbox, _ = _filled(*"aaa")
    outbox.acknowledge([1, 2, 3])
    replay = _replay(outbox, 1, 3)
    while row := replay.next():
        replay.answered(row.seq, taken=row.seq == 1, for_now=row.seq == 2)
    reply = replay.reply()
    assert (reply.sent, reply.waiting) == (1, 1)
    assert [(span.first, span.last) for span in reply.missing] == [(3, 3)]


def test_a_replay_is_done_when_its_last_row_is_answered() -> None:
    """The answer is not given while a row is in flight; a refused row is missing."""
    outbox = MemoryOutbox()
    outbox.append("a", b"x")
    outbox.acknowledge([1])
    replay = _replay(outbox, 1, 1)
    assert replay.next() is not None
    assert replay.next() is None
    assert not replay.is_done()
    replay.answered(1, taken=False)
    assert replay.is_done()
    assert [(span.first, span.last) for span in replay.reply().missing] == [(1, 1)]


def test_answers_wait_for_space_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivery goes on while the disk is full; what the broker took is written down once there is space."""
    outbox, backlog = _filled("a", "b")
    write = outbox.acknowledge

    def refuse(_seqs: Sequence[int]) -> None:
        raise DiskFullError("disk is full")

    monkeypatch.setattr(outbox, "acknowledge", refuse)
    backlog.taken(_next(backlog), 0.0)
    backlog.flush(1.0)
    assert _next(backlog).seq == 2
    assert 0.0 < backlog.due_in(1.0) <= PACE.full + PACE.ack_seconds
    assert not backlog.is_drained()
    monkeypatch.setattr(outbox, "acknowledge", write)
    backlog.flush(1.0 + PACE.full + PACE.ack_seconds)
    assert outbox.acknowledgements == [[1]]
