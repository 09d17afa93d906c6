"""``edge demo``: cameras, service, broker and subscriber, with the mishaps that the field has.

Everything is the real thing but the cameras: the service is ``edge run`` in a process of its own, the broker
is a broker, and the table comes from what it delivered. While the evening goes on, the broker crashes and
forgets everything, and the service is killed as by a power cut. At the end the subscriber's table is
compared with the store's.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from json import dumps
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from edge.delivery.broker import LocalBroker
from edge.demo.camera import shots
from edge.demo.screen import Board, registration_table, save_svg, shown
from edge.demo.stage import DEVICE, Service, Stage
from edge.demo.story import COPY_FILE, FILES, STORY, default_evening
from edge.demo.verdict import Verdict, found, in_order, same
from edge.errors import EdgeError
from edge.subscriber import Subscriber
from edge.testing import Shot, VirtualCamera

PACE: Final = 0.6
_LONGEST: Final = 58.0
_START_TIMEOUT: Final = 25.0
_STOP_TIMEOUT: Final = 10.0
_LAST_TIMEOUT: Final = 30.0
_QUIET: Final = 2.0
_QUIET_TIMEOUT: Final = 12.0
_EQUAL_TIMEOUT: Final = 10.0
_BROKER_AWAY: Final = 0.5

# After which file which mishap happens.
_BROKER_CRASHES: Final = "thicket-02/IMG_0002.JPG"
_BROKER_RETURNS: Final = "thicket-02/IMG_0003.JPG"
_POWER_CUT: Final = "trail-03/IMG_0002.JPG"

_REMARKS: Final = {
    "growing": "growing in place",
    "late": "[yellow]arrives late, out of order[/]",
    "torn": "[yellow]torn: its end never comes[/]",
}
_MOMENTS: Final = {moment.file: moment for moment in STORY}


def run_demo(*, keep: Path | None, json: bool, svg: Path | None, console: Console, pace: float = PACE) -> int:
    """Run the demo; returns the exit code: 0 only if nothing was lost and both tables are equal.

    Args:
        keep: where everything stays; a folder that goes away at the end if not given.
        json: print a summary for scripts and nothing else.
        svg: also draw the last screen into this file.
        console: where it is shown: live on a terminal, line by line elsewhere.
        pace: seconds between two images.

    Raises:
        EdgeError: there is no broker, the folder can't be used, or a part failed.
    """
    board = Board("edge demo: one evening, three cameras")
    with _terminable(), _folder(keep) as root, shown(board, console, quiet=json), ExitStack() as stack:
        show = _opened(stack, root, board)
        evening = default_evening(datetime.now(UTC).date())
        _play(show, evening, pace)
        verdict = _judged(show, evening)
    if json:
        summary = {**verdict.summary(), "folder": str(root) if keep else None}
        sys.stdout.write(dumps(summary, indent=2) + "\n")
    else:
        console.print("", registration_table(verdict.registrations), "")
        console.print(verdict.sentence(), highlight=False, soft_wrap=not console.is_terminal)
    if keep and not json:
        console.print(f"Kept: edge media --config {root / 'edge.toml'}", highlight=False, soft_wrap=True)
    if svg is not None:
        save_svg(svg, "edge demo", board.account(), "", Text.from_markup(verdict.sentence()))
    return 0 if verdict.ok else 1


@dataclass(frozen=True, slots=True)
class _Show:
    stage: Stage
    broker: LocalBroker
    service: Service
    subscriber: Subscriber
    board: Board
    began: float

    def within(self, seconds: float) -> float:
        """A time to wait that doesn't go beyond the end of the whole, but for a second."""
        return max(1.0, min(seconds, self.began + _LONGEST - time.monotonic()))


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: with its processes and its folder gone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="edge-demo-") as folder:
        yield Path(folder)


def _opened(stack: ExitStack, root: Path, board: Board) -> _Show:
    began = time.monotonic()
    broker = stack.enter_context(LocalBroker())
    stage = Stage(root, broker.port)
    stage.prepare()
    subscriber = Subscriber(
        broker.host,
        broker.port,
        device=DEVICE,
        on_change=board.hear,
        on_message=board.count,
        patience=0.5,
        keepalive=5,
    )
    stack.enter_context(subscriber)
    service = Service(stage)
    stack.callback(service.kill)
    board.say(f"[bold]{broker.kind}[/] listens on {broker.host}:{broker.port}")
    show = _Show(stage, broker, service, subscriber, board, began)
    _start(show)
    return show


def _start(show: _Show) -> None:
    """Start the service and wait until a subscriber can see that it is there."""
    show.service.start()
    began = time.monotonic()

    def online() -> bool:
        show.service.check()
        return show.subscriber.statuses().get(DEVICE) == "online"

    if not show.subscriber.wait_until(online, show.within(_START_TIMEOUT)):
        raise EdgeError("the service does not come online", subject=str(show.stage.log))
    show.board.say(f"[bold]edge run[/] is online after {time.monotonic() - began:.1f} s")


def _play(show: _Show, evening: date, pace: float) -> None:
    def told(shot: Shot) -> None:
        _announce(show.board, shot)
        _mishap(show, shot.file)
        show.subscriber.check()

    VirtualCamera(show.stage.drop).run(shots(evening, pace=pace), told)
    _quiet(show)
    show.service.stop(show.within(_STOP_TIMEOUT))
    show.board.say("[bold]edge run[/] stopped in order; [bold]edge run --until-idle[/] closes the evening")
    show.service.start("--until-idle")
    show.service.finish(show.within(_LAST_TIMEOUT))


def _announce(board: Board, shot: Shot) -> None:
    moment = _MOMENTS.get(shot.file)
    if moment is None:
        board.deliver("", COPY_FILE, "[yellow]the same bytes again[/]")
    else:
        board.deliver(moment.clock[:8], shot.file, _REMARKS.get(moment.arrival, ""))


def _mishap(show: _Show, file: str) -> None:
    if file == _BROKER_CRASHES:
        show.broker.kill()
        show.board.say("[red]the broker crashes and forgets everything[/]")
    elif file == _BROKER_RETURNS:
        time.sleep(_BROKER_AWAY)
        show.broker.start()
        show.board.say("[green]the broker is back, empty[/]")
    elif file == _POWER_CUT:
        show.service.kill()
        show.board.say("[red]power cut: the service is killed in the middle of a burst[/]")
        show.service.start()
        show.board.say("[green]the service starts again[/]")


def _quiet(show: _Show) -> None:
    """Wait until the messages stop coming and none is missing, but not for ever."""
    deadline = time.monotonic() + show.within(_QUIET_TIMEOUT)
    heard, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        show.service.check()
        show.subscriber.check()
        if show.board.messages != heard or not show.subscriber.is_complete():
            heard, since = show.board.messages, time.monotonic()
        if time.monotonic() - since >= _QUIET:
            return
        time.sleep(0.1)


def _judged(show: _Show, evening: date) -> Verdict:
    store: list[dict[str, Any]] = show.stage.ask("registrations")
    status: dict[str, Any] = show.stage.ask("status")

    def equal() -> bool:
        return same(show.subscriber.rows(), store)

    show.subscriber.wait_until(lambda: equal() and show.subscriber.is_complete(), show.within(_EQUAL_TIMEOUT))
    staged, as_staged = found(evening, store)
    return Verdict(
        delivered=FILES,
        files={state: count for state, count in status["files"].items() if count},
        registrations=in_order(store),
        given_out=sum(status["outbox"].values()),
        missing=sum(gap.last - gap.first + 1 for gap in show.subscriber.missing()),
        equal=equal(),
        staged=staged,
        found=as_staged,
        broker=show.broker.kind,
        evening=evening,
        seconds=time.monotonic() - show.began,
    )
