"""The thread that brings the outbox to the broker.

It lives from ``start`` to ``stop``, and through every fault of the broker or the network in between: dial,
serve, lose, wait, dial again. What it owes and what it may promise is told in ``docs/messages.md``.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from edge.delivery import homeassistant
from edge.delivery.arrears import Arrears
from edge.delivery.backlog import Backlog, Pace
from edge.delivery.backoff import Backoff
from edge.delivery.commands import Command, Commands, Handler
from edge.delivery.connection import Connection, Lost, Outgoing, Welcome, publish_properties
from edge.delivery.messages import Health, Pong
from edge.delivery.notices import Notices, status_message
from edge.delivery.outbox import Outbox
from edge.delivery.reasons import OK
from edge.delivery.session import Desk, Session
from edge.delivery.state import PublisherState, Tally
from edge.delivery.summaries import Companions
from edge.delivery.suspicion import Suspicion
from edge.delivery.topics import Topics, discovery_id
from edge.delivery.waker import Waker
from edge.errors import DeliveryError
from edge.settings import MqttSettings

SNAPSHOT_LIFETIME: Final = 86_400
_SNAPSHOTS: Final = 32
_BEAT: Final = 1.0


class Publisher:
    """Drains an outbox to a broker, tells how the device is, and answers requests.

    All methods may be called from any thread. With ``settings.enabled`` False nothing is started and
    messages stay in the outbox.

    Args:
        settings: the broker, and how to behave towards it.
        device: name of this machine.
        outbox: the store's; called from the publisher's thread only.
        health: makes the health message; called from the publisher's thread.
        deployments: those that Home Assistant is told of besides those in messages.
        commands: further commands by name; ``ping`` and ``replay`` are built in.
        version: of this software.
        pace: times and sizes, for tests.

    Attributes:
        heartbeat: monotonic time at which the thread was last seen alive; a broker's absence never stops it.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: str,
        outbox: Outbox,
        health: Callable[[], Health],
        *,
        deployments: Callable[[], Iterable[str]] = tuple,
        commands: Mapping[str, Handler] | None = None,
        version: str = "",
        pace: Pace | None = None,
    ) -> None:
        self._settings, self._device, self._outbox, self._version = settings, device, outbox, version
        self._pace = pace or Pace()
        self._topics = Topics(settings.prefix, device, settings.homeassistant_prefix)
        self._deployments = deployments
        self._desk = self._made_desk(health, commands or {})
        self._backoff = Backoff(self._pace.retry_first, self._pace.retry_longest)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._stop_by: float | None = None
        self._asked = self._told = 0
        self._drained_at_last_ask = False
        self._answer = threading.Condition()
        self._failure: Exception | None = None
        self.heartbeat = time.monotonic()

    def start(self) -> None:
        """Begin; at once, whether or not the broker is there."""
        if self._settings.enabled:
            self._desk.tally.note("connecting", "connecting", "", time.monotonic())
            self._thread.start()

    def wake(self) -> None:
        """There are new rows in the outbox."""
        self._desk.backlog.refresh()
        self._desk.waker.wake()

    def health_changed(self) -> None:
        """Something that the health message tells of has changed: it is sent now."""
        self._desk.notices.changed()
        self._desk.waker.wake()

    def offer_snapshot(self, deployment: str, registration_id: str, media_id: str, jpeg: bytes) -> None:
        """A picture to send when nothing else waits; of too many the oldest are dropped. Never stored."""
        properties = publish_properties(
            "image/jpeg",
            expiry=SNAPSHOT_LIFETIME,
            user=(("registration_id", registration_id), ("media_id", media_id)),
        )
        self._desk.snapshots.append(Outgoing(self._topics.snapshot(deployment), jpeg, properties=properties))
        self._desk.waker.wake()

    def drained(self, timeout: float) -> bool:
        """Wait until the outbox is empty of pending rows and all answers are written down.

        Args:
            timeout: seconds to wait at most.

        Returns:
            whether it came to that.

        Raises:
            DeliveryError: the thread has failed.
        """
        deadline = time.monotonic() + timeout
        while True:
            if self._is_drained_now(deadline):
                return True
            self.check()
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)

    def state(self) -> PublisherState:
        """How it is doing."""
        tally, backlog = self._desk.tally, self._desk.backlog
        return PublisherState(
            tally.phase,
            tally.reason,
            tally.detail,
            tally.since,
            tally.in_flight,
            backlog.acked,
            backlog.aside,
            tally.connections,
            tally.held,
            tally.commands,
            backlog.unwritten(),
        )

    @property
    def failure(self) -> Exception | None:
        """What ended the thread before it was told to stop: a fault of the store or of this program."""
        return self._failure

    def check(self) -> None:
        """Raise what ended the thread, if something did.

        Raises:
            DeliveryError: the thread has failed; its cause is the fault.
        """
        if self._failure is not None:
            raise DeliveryError(
                "the publisher's thread has failed", subject=str(self._failure)
            ) from self._failure

    def stop(self, timeout: float = 5.0) -> bool:
        """Let what is in flight be answered, publish ``stopped``, say goodbye, and end.

        Args:
            timeout: seconds for all of it.

        Returns:
            whether the thread has ended.
        """
        self._stop_by = time.monotonic() + timeout
        self._desk.waker.wake()
        if self._thread.is_alive():
            self._thread.join(timeout + _BEAT)
        if self._thread.is_alive():
            return False
        self._desk.waker.close()
        return True

    def _made_desk(self, health: Callable[[], Health], commands: Mapping[str, Handler]) -> Desk:
        settings, topics, outbox, pace = self._settings, self._topics, self._outbox, self._pace
        discovery = self._discovery if settings.homeassistant else None
        arrears = Arrears(outbox)
        return Desk(
            topics=topics,
            outbox=outbox,
            backlog=Backlog(outbox, pace, arrears.flush),
            commands=Commands(outbox, {"ping": self._ping, **commands}, topics.base),
            notices=Notices(
                topics, outbox, health, discovery, pace=pace, health_interval=settings.health_interval
            ),
            companions=Companions(topics, pace, wanted=settings.compact),
            arrears=arrears,
            suspicion=Suspicion(pace.tries),
            tally=Tally(),
            waker=Waker(),
            listens=[topics.commands, topics.birth] if settings.homeassistant else [topics.commands],
            deployments=set(),
            snapshots=deque(maxlen=_SNAPSHOTS),
            inflight=settings.inflight,
            stall=2.0 * settings.keepalive,
        )

    def _discovery(self) -> bytes:
        self._desk.deployments.update(self._deployments())
        return homeassistant.discovery(
            self._device,
            self._topics,
            self._desk.deployments,
            self._version,
            snapshots=self._settings.snapshots,
        )

    def _ping(self, _command: Command) -> Pong:
        return Pong(
            device=self._device, version=self._version, epoch=self._outbox.epoch, seq=self._outbox.head()
        )

    def _run(self) -> None:
        try:
            while self._stop_by is None:
                self._visit()
            self._desk.tally.note("stopped", "stopped", "", time.monotonic())
        except Exception as error:  # noqa: BLE001 - the service's supervisor reads it; a thread can't raise to anyone
            self._failure = error
            self._desk.tally.note("failed", "failed", str(error), time.monotonic())

    def _visit(self) -> None:
        """One connection, from dialling to its end, and the pause after it."""
        connection = Connection(self._settings, f"edge-{discovery_id(self._device)}", self._will())
        began = time.monotonic()
        acked = self._desk.backlog.acked
        try:
            met = self._meet(connection)
            lost = self._serve(connection, met) if isinstance(met, Welcome) else met
        finally:
            connection.close()
            self._desk.backlog.flush(time.monotonic(), force=True)
        now = time.monotonic()
        if lost is None or self._stop_by is not None:
            return
        if self._desk.backlog.acked > acked or now - began > self._pace.settled:
            self._backoff.reset()
        self._desk.tally.note("waiting", lost.reason, lost.detail, now)
        self._rest(self._backoff.next())

    def _will(self) -> Outgoing:
        return status_message(self._topics, "offline")

    def _meet(self, connection: Connection) -> Welcome | Lost | None:
        """Dial in a thread of its own (looking up a name can block), then wait for the broker's word."""
        waker, deadline = self._desk.waker, time.monotonic() + self._pace.handshake
        dialling = threading.Thread(target=_dial, args=(connection, waker), name="dial", daemon=True)
        dialling.start()
        while self._stop_by is None and time.monotonic() < deadline:
            self._beat()
            if dialling.is_alive():
                waker.wait(min(_BEAT, self._pace.idle))
                continue
            for event in connection.poll(min(_BEAT, self._pace.idle), waker):
                if isinstance(event, Welcome | Lost):
                    return event
        return Lost("no_answer", "the broker didn't answer to CONNECT") if self._stop_by is None else None

    def _serve(self, connection: Connection, welcome: Welcome) -> Lost | None:
        self._desk.tally.connections += 1
        self._desk.tally.note("connected", OK, "", time.monotonic())
        session = Session(connection, welcome, self._desk, time.monotonic())
        while True:
            now = self._beat()
            lost = session.turn(now)
            if lost is not None:
                return session.end(lost, now)
            if self._stop_by is not None:
                session.finish()
                if session.is_finished() or now > self._stop_by:
                    break
        if session.is_finished():
            connection.goodbye()
        session.end(Lost("stopped", ""), now)
        return None

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._stop_by is None and (now := self._beat()) < until:
            self._desk.waker.wait(min(until - now, _BEAT))

    def _beat(self) -> float:
        """Show a sign of life and answer who asks whether all is sent; returns the time."""
        self.heartbeat = time.monotonic()
        if self._asked != self._told:
            with self._answer:
                self._told, self._drained_at_last_ask = self._asked, self._desk.backlog.is_drained()
                self._answer.notify_all()
        return self.heartbeat

    def _is_drained_now(self, deadline: float) -> bool:
        with self._answer:
            self._asked += 1
            ask = self._asked
            self.wake()
            self._answer.wait_for(lambda: self._told >= ask, max(0.0, deadline - time.monotonic()))
            return self._told >= ask and self._drained_at_last_ask


def _dial(connection: Connection, waker: Waker) -> None:
    connection.dial()
    waker.wake()
