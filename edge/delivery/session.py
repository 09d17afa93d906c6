"""What is said while a connection lasts: messages out, answers and requests in.

The order of precedence: answers to requests, retained messages, then in turns rows of the outbox and replays,
then snapshots. Nothing is sent while the window is full.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from edge.delivery import reasons
from edge.delivery.arrears import Arrears
from edge.delivery.backlog import Backlog
from edge.delivery.commands import Asked, Commands
from edge.delivery.connection import (
    Answered,
    Connection,
    Event,
    Incoming,
    Lost,
    Outgoing,
    Subscribed,
    Welcome,
    publish_properties,
)
from edge.delivery.items import Again, Companion, Extra, Item, Line, Notice, Overdue
from edge.delivery.messages import Refusal, encode
from edge.delivery.notices import Notices
from edge.delivery.outbox import Outbox, OutboxRow
from edge.delivery.replay import Replay
from edge.delivery.state import Tally
from edge.delivery.summaries import Companions
from edge.delivery.suspicion import Suspicion
from edge.delivery.topics import Topics
from edge.delivery.waker import Waker
from edge.delivery.window import Window

REPLAYS_WAITING: Final = 32
_LOOKS: Final = 200
_JSON: Final = publish_properties("application/json")


@dataclass(slots=True)
class Desk:
    """What outlives a connection.

    Attributes:
        listens: topics to subscribe to, that of commands first.
        deployments: those that were sent of, or that discovery told of.
        snapshots: pictures to send when there is nothing else to do; the oldest is dropped when it's full.
        stall: seconds without an answer after which a connection is given up.
    """

    topics: Topics
    outbox: Outbox
    backlog: Backlog
    commands: Commands
    notices: Notices
    companions: Companions
    arrears: Arrears
    suspicion: Suspicion
    tally: Tally
    waker: Waker
    listens: list[str]
    deployments: set[str]
    snapshots: deque[Outgoing]
    inflight: int
    stall: float


class Session:
    """One accepted connection.

    Args:
        connection: that the broker has just welcomed.
        welcome: what the broker allows.
        desk: what outlives it.
        now: monotonic time.
    """

    def __init__(self, connection: Connection, welcome: Welcome, desk: Desk, now: float) -> None:
        self._connection, self._desk = connection, desk
        self._room = max(1, min(desk.inflight, welcome.receive_maximum))
        self._limit = welcome.maximum_packet_size
        self._window: Window[Item] = Window(self._room)
        self._replays: deque[tuple[Replay, Asked]] = deque()
        self._replies: deque[Outgoing] = deque()
        self._farewell: deque[Outgoing] | None = None
        self._replay_turn = False
        self._paired: tuple[Line | Again, Outgoing] | None = None
        self._heard = now
        self._denial: tuple[str, str] | None = None
        desk.notices.connected()
        connection.subscribe(desk.listens)

    def turn(self, now: float) -> Lost | None:
        """Send what may be sent, wait for something to happen, and deal with it.

        Returns:
            why the connection is over, None while it lasts.
        """
        self._fill(now)
        for event in self._connection.poll(self._patience(now), self._desk.waker):
            if isinstance(event, Lost):
                return event
            self._handle(event, now)
        self._desk.backlog.flush(now)
        self._note(now)
        return self._stalled(now)

    def finish(self) -> None:
        """Send no more from the line; say goodbye once everything in flight is answered."""
        if self._farewell is None:
            self._farewell = deque(self._desk.notices.last())
            self._window.capacity = self._room

    def is_finished(self) -> bool:
        """Whether the farewell was said and answered."""
        return self._farewell == deque() and self._paired is None and not len(self._window)

    def end(self, lost: Lost, now: float) -> Lost:
        """The connection is over: what was in flight goes back in line, and the guilty is looked for.

        Returns:
            why, in the light of what was said before: mosquitto 2.0.11 hangs up after it denied a publish.
        """
        desk, items = self._desk, self._window.items()
        if lost.blames_message and self._denial is not None:
            lost = Lost(*self._denial)
        guilty = self._guilty(lost)
        waiting = [self._paired[0]] if self._paired else []
        desk.arrears.lost()
        desk.backlog.lost([item.row.seq for item in [*items, *waiting] if isinstance(item, Line)])
        if isinstance(guilty, Line):
            desk.backlog.set_aside(guilty.row.seq, f"the broker hangs up on it: {lost.reason}, {lost.detail}")
        elif isinstance(guilty, Notice):
            desk.notices.refused(guilty.notice, reasons.TOO_LARGE, now)
        elif isinstance(guilty, Companion | Overdue):
            desk.companions.refused(lost.reason, now)
        desk.tally.in_flight = 0
        desk.tally.held = tuple(sorted(desk.backlog.held()))
        objection = self._objection()
        explains = objection is not None and lost.reason in (reasons.CLOSED[0], objection[0])
        return Lost(*objection) if objection and explains else lost

    def _guilty(self, lost: Lost) -> Item | None:
        oldest = self._window.oldest()
        if oldest is None or not lost.blames_message:
            return None
        certain = lost.reason == reasons.TOO_LARGE
        condemned = self._desk.suspicion.blame(oldest.name, alone=len(self._window) == 1, certain=certain)
        return oldest if condemned else None

    def _fill(self, now: float) -> None:
        if self._farewell is None:
            self._window.capacity = 1 if self._desk.suspicion.suspect else self._room
        while self._window.has_room():
            found = self._next(now)
            if found is None:
                if not len(self._window):
                    self._desk.suspicion.clear()  # the suspect isn't sent any more
                return
            item, message = found
            if self._limit is not None and message.size() > self._limit:
                self._refuse_size(item, message.size())
                continue
            if not len(self._window):
                self._heard = now
            mid = self._connection.publish(message)
            if mid is None:
                if isinstance(item, Line):
                    self._desk.backlog.lost([item.row.seq])  # why is among the events already
                return
            self._window.add(mid, item)

    def _next(self, now: float) -> tuple[Item, Outgoing] | None:
        if self._paired is not None:
            paired, self._paired = self._paired, None
            return paired
        if self._farewell is not None or self._replies:
            first = self._replies if self._farewell is None else self._farewell
            return (Extra(), first.popleft()) if first else None
        quiet = self._desk.backlog.is_idle() and not self._replays
        if notice := self._desk.notices.next(now, quiet=quiet):
            return Notice(notice[0]), notice[1]
        self._replay_turn = not self._replay_turn
        item = self._again() or self._line(now) if self._replay_turn else self._line(now) or self._again()
        if item is not None:
            return self._accompanied(item, now)
        return self._overdue(now) or self._leisurely(now)

    def _leisurely(self, now: float) -> tuple[Item, Outgoing] | None:
        """What can wait until there is nothing else."""
        if notice := self._desk.notices.next_muted(now):
            return Notice(notice[0]), notice[1]
        return (Extra(), self._desk.snapshots.popleft()) if self._desk.snapshots else None

    def _accompanied(self, item: Line | Again, now: float) -> tuple[Item, Outgoing]:
        """A row, or its companion first."""
        message = Outgoing(self._topic(item.row), item.row.payload, properties=_JSON)
        companion = self._desk.companions.of(item.row, now)
        if companion is None:
            if self._desk.companions.withheld(item.row, now):
                self._owe(item)
            return item, message
        self._paired = (item, message)
        return Companion(item), companion

    def _owe(self, item: Line | Again) -> None:
        if isinstance(item, Line):  # who asked for a replay asks again
            self._desk.arrears.owe(item.row.seq)

    def _overdue(self, now: float) -> tuple[Item, Outgoing] | None:
        """A summary that is owed; of many rows that have none only some are looked at in one turn."""
        companions, arrears = self._desk.companions, self._desk.arrears
        for _ in range(0 if companions.are_muted(now) else _LOOKS):
            if (row := arrears.next()) is None:
                return None
            if companion := companions.of(row, now):
                return Overdue(row), companion
            arrears.answered(taken=True)
        return None

    def _line(self, now: float) -> Line | None:
        row = self._desk.backlog.next(now)
        if row is None:
            return None
        if row.deployment not in self._desk.deployments:
            self._desk.deployments.add(row.deployment)
            self._desk.notices.rediscover()
        return Line(row)

    def _again(self) -> Again | None:
        while self._replays:
            replay, asked = self._replays[0]
            row = replay.next()
            if row is not None:
                return Again(row, replay)
            if not replay.is_done():
                return None
            self._replays.popleft()
            self._reply(self._desk.commands.answer(asked.origin, replay.reply()))
        return None

    def _topic(self, row: OutboxRow) -> str:
        return self._desk.topics.registration(row.deployment)

    def _handle(self, event: Event, now: float) -> None:
        match event:
            case Answered(mid, code):
                self._heard = now
                self._denial = reasons.explain(code) if code >= reasons.FAILURE else None
                item = self._window.take(mid)
                if item is not None:
                    self._desk.suspicion.answered(item.name)
                    self._answered(item, code, now)
            case Subscribed(codes):
                self._desk.tally.commands = codes[0] < reasons.FAILURE
            case Incoming():
                self._receive(event, now)

    def _answered(self, item: Item, code: int, now: float) -> None:
        match item:
            case Line(row):
                self._line_answered(row, code, now)
            case Again(row, replay):
                verdict = reasons.fate(code)
                replay.answered(row.seq, taken=verdict == "taken", for_now=verdict != "aside")
            case Notice(notice) if code >= reasons.FAILURE:
                self._desk.notices.refused(notice, reasons.explain(code)[0], now)
            case Notice(notice):
                self._desk.notices.accepted(notice)
            case Companion(beside) if code >= reasons.FAILURE:
                self._owe(beside)
                self._desk.companions.refused(reasons.explain(code)[0], now)
            case Overdue():
                self._overdue_answered(code, now)
            case Companion():
                self._desk.companions.accepted()
            case Extra():
                return

    def _overdue_answered(self, code: int, now: float) -> None:
        taken = code < reasons.FAILURE
        self._desk.arrears.answered(taken=taken)
        if taken:
            self._desk.companions.accepted()
        else:
            self._desk.companions.refused(reasons.explain(code)[0], now)

    def _line_answered(self, row: OutboxRow, code: int, now: float) -> None:
        backlog = self._desk.backlog
        word, sentence = reasons.explain(code)
        match reasons.fate(code):
            case "taken":
                backlog.taken(row, now)
            case "hold":
                backlog.hold(row, word, now)
            case "aside":
                backlog.set_aside(row.seq, f"{word}: {sentence}")
            case "again":
                backlog.again(row, f"{word}: {sentence}", now)

    def _refuse_size(self, item: Item, size: int) -> None:
        """The broker has said how much it takes; sending more would only make it hang up."""
        match item:
            case Line(row):
                reason = f"{reasons.TOO_LARGE}: {size} bytes, the broker takes {self._limit}"
                self._desk.backlog.set_aside(row.seq, reason)
            case Again(row, replay):
                replay.answered(row.seq, taken=False)
            case Overdue():
                self._desk.arrears.answered(taken=True)
            case Notice() | Companion() | Extra():
                return

    def _receive(self, message: Incoming, now: float) -> None:
        desk = self._desk
        if message.topic == desk.topics.birth:
            if message.payload == b"online":
                desk.notices.rediscover()
            return
        name = desk.topics.command_of(message.topic)
        if name is None:
            return
        result = desk.commands.receive(name, message, now)
        if isinstance(result, Asked):
            self._enqueue(result)
        else:
            self._reply(result)

    def _enqueue(self, asked: Asked) -> None:
        if len(self._replays) < REPLAYS_WAITING:
            self._replays.append((Replay(asked.request, self._desk.outbox), asked))
            return
        busy = Refusal(command="replay", what="too many replays are waiting", hint="ask again later")
        self._reply(self._desk.commands.answer(asked.origin, busy))

    def _reply(self, answer: Outgoing | None) -> None:
        if answer is not None and len(self._replies) < REPLAYS_WAITING * 2:
            if self._limit is not None and answer.size() > self._limit:
                answer = replace(answer, payload=encode(self._too_large(answer.size())))
            self._replies.append(answer)

    def _too_large(self, size: int) -> Refusal:
        what = f"{reasons.TOO_LARGE}: the answer has {size} bytes, the broker takes {self._limit}"
        return Refusal(command="", what=what, hint="ask for less at once")

    def _patience(self, now: float) -> float:
        """Seconds to wait for an event."""
        return min(self._desk.backlog.due_in(now), self._desk.notices.due_in(now))

    def _note(self, now: float) -> None:
        """Tell the state what this turn changed."""
        desk = self._desk
        desk.tally.in_flight = len(self._window)
        desk.tally.held = tuple(sorted(desk.backlog.held()))
        reason, detail = self._objection() or (reasons.OK, "")
        if desk.tally.note("connected", reason, detail, now):
            desk.notices.changed()

    def _objection(self) -> tuple[str, str] | None:
        """What the broker refuses at present, as a word and a sentence."""
        held = self._desk.backlog.held()
        muted = [*self._desk.notices.muted().items(), *self._desk.companions.muted().items()]
        if not held and not muted:
            return None
        word = next(iter([*held.values(), *(word for _, word in muted)]))
        names = [*sorted(held), *sorted(name for name, _ in muted)]
        return word, f"the broker refuses: {', '.join(names)}"

    def _stalled(self, now: float) -> Lost | None:
        if len(self._window) and now - self._heard > self._desk.stall:
            return Lost("no_answers", f"{len(self._window)} messages unanswered for {self._desk.stall:.0f} s")
        return None
