"""The one thread for heavy work."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edge.errors import SearchError, TooBusyError
from edge.web.work import Worker


class Hold:
    """A job that goes on until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()

    def __call__(self, _tools: object) -> str:
        """Wait."""
        self.began.set()
        assert self.go.wait(30)
        return "done"


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Let go at the end in any case."""
    found = Hold()
    yield found
    found.go.set()


def _worker(*, places: int = 1, patience: float = 30.0) -> Worker[int]:
    worker = Worker(threading.get_ident, places=places, patience=patience)
    worker.start()
    return worker


def test_jobs_are_done_in_one_thread_with_what_it_made() -> None:
    """What belongs to one thread, such as a SQLite connection, can be used by all jobs."""
    worker = _worker()
    found = {worker.ask(lambda made: (made, threading.get_ident())) for _ in range(5)}
    ((made, thread),) = found
    assert made == thread != threading.get_ident()
    worker.stop()
    assert worker.ended(30)


def test_errors_go_to_whoever_asked() -> None:
    """And the next job is done."""
    worker = _worker()

    def fail(_tools: int) -> None:
        raise SearchError("nothing there")

    with pytest.raises(SearchError, match="nothing there"):
        worker.ask(fail)
    assert worker.ask(lambda _: 7) == 7
    worker.stop()


def test_making_the_tools_can_fail_and_be_tried_again() -> None:
    """No database yet, then there is one."""
    tries: list[int] = []

    def make() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise SearchError("not yet")
        return "made"

    worker = Worker(make, places=1, patience=30.0)
    worker.start()
    with pytest.raises(SearchError):
        worker.ask(len)
    assert [worker.ask(lambda made: made) for _ in range(2)] == ["made", "made"]
    assert len(tries) == 2
    worker.stop()


def test_a_full_queue_refuses_at_once(hold: Hold) -> None:
    """One in hand, one waiting; the third is told to come back."""
    worker = _worker()
    asking = [threading.Thread(target=worker.ask, args=(job,)) for job in (hold, lambda _: None)]
    asking[0].start()
    assert hold.began.wait(30)
    asking[1].start()
    while worker.waiting < 1:
        pass
    with pytest.raises(TooBusyError, match="too many"):
        worker.ask(lambda _: None)
    assert worker.busy_for > 0
    hold.go.set()
    for thread in asking:
        thread.join(30)
    assert worker.ask(lambda _: 1) == 1
    worker.stop()


def test_patience_ends(hold: Hold) -> None:
    """Whoever waited too long is told so; a job that hasn't begun then never is."""
    worker = _worker(places=2, patience=0.3)
    with pytest.raises(TooBusyError, match="busy"):
        worker.ask(hold)
    ran: list[int] = []
    with pytest.raises(TooBusyError, match="busy"):
        worker.ask(lambda _: ran.append(1))
    hold.go.set()
    assert worker.ask(lambda _: ran.copy()) == []
    worker.stop()


def test_stopping_lets_everybody_go(hold: Hold) -> None:
    """Nobody waits for a job in hand when the process is to end."""
    worker = _worker()
    refused: list[TooBusyError] = []

    def ask() -> None:
        try:
            worker.ask(hold)
        except TooBusyError as error:
            refused.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert hold.began.wait(30)
    worker.stop()
    asking.join(30)
    assert [error.what for error in refused] == ["the page is being stopped"]
    assert not worker.ended(0)
    hold.go.set()
    assert worker.ended(30)
