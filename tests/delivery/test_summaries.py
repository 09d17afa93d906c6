"""The compact form over a broker."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, strategies as st

from edge.compact import decode_summary, short_id
from edge.delivery.arrears import Arrears
from edge.delivery.backlog import Backlog
from edge.delivery.broker import LocalBroker
from edge.delivery.messages import encode
from edge.delivery.summaries import compacted, summary_of
from edge.errors import DiskFullError
from edge.registration.types import ChangeKind
from tests.contract.outboxes import MemoryOutbox
from tests.delivery.helpers import (
    DEVICE,
    PATIENCE,
    QUICK,
    Ear,
    change,
    eventually,
    message,
    needs_mosquitto,
    publishing,
)

BASE = f"edge/v1/{DEVICE}"
DENYING = f"topic readwrite #\ntopic deny {BASE}/compact/cam-1\n"


def _with(*kinds: ChangeKind) -> MemoryOutbox:
    outbox = MemoryOutbox()
    for number, kind in enumerate(kinds, 1):
        what = change(f"reg-{number}", 1, kind)
        if kind not in ("opened", "updated"):
            what = replace(what, registration=replace(what.registration, state="closed"))
        outbox.append("cam-1", lambda seq, what=what: encode(message(seq, what)))  # type: ignore[misc]
    return outbox


def _closed(number: int) -> MemoryOutbox:
    kinds: list[ChangeKind] = ["closed"] * number
    return _with(*kinds)


def _seqs(payloads: Sequence[bytes]) -> list[int]:
    return [json.loads(payload)["seq"] for payload in payloads]


def test_only_what_is_closed_or_gone_has_a_compact_form() -> None:
    """An open registration may still change; of a retracted one the summary says so."""
    told = [compacted(row.payload) for row in _with("opened", "updated", "closed").rows.values()]
    assert [body is not None for body in told] == [False, False, True]
    retracted = compacted(_with("retracted").rows[1].payload)
    assert retracted is not None
    assert decode_summary(retracted).retracted
    assert compacted(b"{}") is None


def test_summary_says_what_the_message_says() -> None:
    """Who, how many, when, where."""
    what = change("reg-1", 3, "closed", count=4)
    what = replace(what, registration=replace(what.registration, state="closed"))
    found = message(1, what)
    summary = summary_of(found)
    assert summary is not None
    got = decode_summary(compacted(encode(found)) or b"")
    assert (got.label, got.count, got.deployment, got.device) == ("Red_Deer", 4, "cam-1", DEVICE)
    assert (got.revision, got.id) == (3, short_id("reg-1"))
    assert (got.start.timestamp(), got.end.timestamp()) == (1.0, 1.0)


@needs_mosquitto
def test_it_is_off_unless_asked_for() -> None:
    """Nothing is sent on its topic by default."""
    with LocalBroker("mosquitto") as broker, Ear(broker, f"{BASE}/#") as ear:
        with publishing(_with("closed"), broker.port) as publisher:
            assert publisher.drained(PATIENCE)
        assert eventually(lambda: len(ear.below(f"{BASE}/registration/")) == 1)
    assert ear.below(f"{BASE}/compact/") == []


@needs_mosquitto
def test_each_closed_registration_is_told_before_its_message() -> None:
    """On the deployment's compact topic, as CBOR by its content type, and again with a replay."""
    outbox = _with("opened", "closed", "updated", "corrected", "retracted")
    with LocalBroker("mosquitto") as broker, Ear(broker, f"{BASE}/#", "answer") as ear:  # noqa: SIM117
        with publishing(outbox, broker.port, compact=True) as publisher:
            assert publisher.drained(PATIENCE)
            assert eventually(lambda: len(ear.below(f"{BASE}/compact/cam-1")) == 3)
            assert eventually(lambda: publisher.state().commands)
            request = b'{"epoch":"epoch-1","from":1,"to":5}'
            ear.say(f"{BASE}/command/replay", request, reply_to="answer", correlation=b"1")
            assert eventually(lambda: len(ear.on("answer")) == 1)
            assert eventually(lambda: len(ear.below(f"{BASE}/compact/cam-1")) == 6)
    kinds = [h.topic.split("/")[3] for h in ear.heard if h.topic.endswith("/cam-1")]
    once = ["registration", "compact", "registration", "registration"]
    once += ["compact", "registration", "compact", "registration"]
    assert kinds == once * 2
    bodies = [heard for heard in ear.heard if heard.topic == f"{BASE}/compact/cam-1"]
    assert {heard.properties.ContentType for heard in bodies} == {"application/cbor"}
    assert [decode_summary(heard.payload).id for heard in bodies[:3]] == [
        short_id(f"reg-{n}") for n in (2, 4, 5)
    ]


@needs_mosquitto
def test_a_broker_that_denies_it_still_gets_every_message() -> None:
    """Access rules that were written before hold up nothing; the state says what is refused."""
    outbox = _closed(200)
    denying = LocalBroker("mosquitto", config=["acl_file {folder}/acl"], files={"acl": DENYING})
    pace = replace(QUICK, hold_first=60.0, hold_longest=60.0)
    with denying as broker, publishing(outbox, broker.port, pace=pace, compact=True) as publisher:
        assert publisher.drained(PATIENCE)
        assert eventually(lambda: publisher.state().connected)
        assert publisher.state().reason == "not_authorized"
        assert "compact" in publisher.state().detail
        assert publisher.state().connections < 12
    assert outbox.counts() == (0, 0, 200)


@needs_mosquitto
def test_refused_ones_come_by_themselves_once_the_broker_takes_them() -> None:
    """Each of those that its message went without, and no message again; then nothing is owed any more."""
    closed: list[ChangeKind] = ["closed"] * 150
    outbox = _with("opened", *closed, "updated")
    denying = LocalBroker("mosquitto", config=["acl_file {folder}/acl"], files={"acl": DENYING})
    with denying as broker, publishing(outbox, broker.port, compact=True) as publisher:
        assert publisher.drained(PATIENCE)
        assert outbox.owed() == 2
        with Ear(broker, f"{BASE}/#") as ear:
            (broker.folder / "acl").write_text("topic readwrite #\n")
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGHUP)
            assert eventually(lambda: len(ear.below(f"{BASE}/compact/")) == 150)
            assert eventually(lambda: outbox.owed() == 0 and publisher.state().reason == "ok")
        assert ear.below(f"{BASE}/registration/") == []
    told = [decode_summary(body).id for body in ear.below(f"{BASE}/compact/")]
    assert told == [short_id(f"reg-{number}") for number in range(2, 152)]


@needs_mosquitto
def test_what_is_owed_outlives_the_process() -> None:
    """Another one, with another broker: what was missing comes, for as long as its message is kept."""
    outbox = _closed(7)
    denying = LocalBroker("mosquitto", config=["acl_file {folder}/acl"], files={"acl": DENYING})
    with denying as broker, publishing(outbox, broker.port, compact=True) as publisher:
        assert publisher.drained(PATIENCE)
    outbox.prune(3)
    with LocalBroker("mosquitto") as broker, Ear(broker, f"{BASE}/#") as ear:  # noqa: SIM117 - the ear comes first
        with publishing(outbox, broker.port, compact=True):
            assert eventually(lambda: len(ear.below(f"{BASE}/compact/")) == 4)
            assert eventually(lambda: outbox.owed() == 0)
    assert [decode_summary(b).id for b in ear.below(f"{BASE}/compact/")] == [
        short_id(f"reg-{number}") for number in range(4, 8)
    ]


def test_nothing_is_acknowledged_before_it_is_on_record_that_its_summary_is_owed() -> None:
    """A full disk between the two: both wait, so that a crash sends both again."""
    outbox = _Full()
    outbox.append("cam-1", b"{}")
    arrears = Arrears(outbox)
    backlog = Backlog(outbox, QUICK, arrears.flush)
    row = backlog.next(0.0)
    assert row is not None
    arrears.owe(row.seq)
    backlog.taken(row, 0.0)
    backlog.flush(1.0)
    assert outbox.counts() == (1, 0, 0)
    outbox.full = False
    backlog.flush(1.0 + QUICK.full)
    assert (outbox.counts(), outbox.owed()) == ((0, 0, 1), 1)


class _Full(MemoryOutbox):
    full = True

    def owe(self, seq: int) -> None:
        """Unless the disk is full."""
        if self.full:
            raise DiskFullError("disk is full")
        super().owe(seq)


_MOVES = st.lists(st.sampled_from(["send", "send", "refuse", "work", "fail", "crash", "late"]), max_size=60)


@given(moves=_MOVES)
def test_every_summary_is_taken_in_the_end_whatever_happens(moves: list[str]) -> None:
    """Rows in any order with or without theirs, work that is refused or cut off, crashes; then some peace."""
    outbox, told, waiting = MemoryOutbox(), set[int](), list[int]()
    arrears = Arrears(outbox)
    for move in [*moves, "late", *["work"] * 3 * (len(moves) + 2)]:
        if move in ("send", "refuse"):
            _take(outbox, arrears, outbox.append("cam", b""), told, without=move == "refuse")
        elif move == "crash":
            arrears = Arrears(outbox)
            waiting.append(outbox.append("held", b""))
        elif move == "late":
            for seq in waiting:
                _take(outbox, arrears, seq, told, without=True)
            waiting.clear()
        elif (row := arrears.next()) is not None:
            arrears.lost() if move == "fail" else arrears.answered(taken=True)
            told |= set() if move == "fail" else {row.seq}
    assert told == set(range(1, outbox.head() + 1))
    assert arrears.next() is None
    assert outbox.owed() == 0


def _take(outbox: MemoryOutbox, arrears: Arrears, seq: int, told: set[int], *, without: bool) -> None:
    """The broker takes a message, with its summary or without."""
    if without:
        arrears.owe(seq)
    else:
        told.add(seq)
    arrears.flush()
    outbox.acknowledge([seq])


@needs_mosquitto
def test_what_was_cut_off_between_the_two_is_sent_again() -> None:
    """Brokers that die amid a backlog: of every acknowledged message the companion was heard as well."""
    outbox = _closed(2000)
    with LocalBroker("mosquitto") as broker, publishing(outbox, broker.port, compact=True) as publisher:
        heard: set[str] = set()
        told: set[int] = set()
        for _ in range(3):
            with Ear(broker, f"{BASE}/#") as ear:
                before = publisher.state().acked
                assert eventually(lambda before=before: publisher.state().acked > before)  # type: ignore[misc]
                broker.kill()
                assert eventually(lambda: not publisher.state().connected)
            heard |= {decode_summary(body).id for body in ear.below(f"{BASE}/compact/")}
            told |= set(_seqs(ear.below(f"{BASE}/registration/")))
            broker.start()
        assert publisher.drained(PATIENCE)
    assert {short_id(f"reg-{seq}") for seq in told} <= heard
    assert outbox.counts() == (0, 0, 2000)
