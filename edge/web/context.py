"""What every handler has at hand: settings, the store, and the thread for heavy work.

Handlers are plain functions, which FastAPI runs in threads; there they open the store, read and close it::

    @router.get("/somewhere")
    def somewhere(here: Here) -> Response:
        with here.reading() as database:
            ...
        answer = here.ask(lambda desk: desk.by_words("fox", wanted))
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from edge.errors import NotYetError
from edge.settings import Settings
from edge.store.database import DATABASE, Database, open_beside, open_readonly
from edge.web.desk import Desk
from edge.web.hosts import client_key
from edge.web.limits import Rate
from edge.web.live import Live
from edge.web.pictures import Pictures
from edge.web.problems import Problem, RefusedError
from edge.web.work import Worker

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """What the handlers share, as one of them sees it.

    Attributes:
        settings: all of them.
        work: the thread for whatever takes more than a few milliseconds of processor time.
        asked: how often each client asks it.
        live: tells browsers what changes.
        pictures: makes small ones.
        stopping: set when the process is to end; whatever sends without end looks at it.
        client: who asks, as limits count.
    """

    settings: Settings
    work: Worker[Desk]
    asked: Rate
    live: Live
    pictures: Pictures
    stopping: threading.Event = field(default_factory=threading.Event)
    client: str = ""

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """The database as it is at one moment. To be opened and used in one thread, and not for long.

        Raises:
            NotYetError: there is none yet.
            StoreError: it can't be read.
        """
        self.check()
        database = open_readonly(self.settings.state)
        try:
            database.execute("BEGIN")
            yield database
        finally:
            database.close()

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """The database for a small change beside the daemon: `relabel` and what is like it.

        Raises:
            NotYetError: there is none yet.
            StoreError: it can't be written; nothing was changed.
        """
        self.check()
        database = open_beside(self.settings.state)
        try:
            yield database
        finally:
            database.close()

    def ask(self, job: Callable[[Desk], T]) -> T:
        """Have a job done by the worker, and wait for what comes of it; whatever it raises is raised here.

        Raises:
            NotYetError: there is no database yet.
            RefusedError: this client asks too often.
            TooBusyError: too many wait already, or it took too long.
        """
        self.check()
        wait = self.asked.take(self.client)
        if wait:
            raise RefusedError(Problem(429, "too many searches", hint="wait a little", retry_after=wait))
        return self.work.ask(job)

    def check(self) -> None:
        """Make sure that there is something to look at.

        Raises:
            NotYetError: there is no database yet.
        """
        state = self.settings.state
        if not _is_there(state / DATABASE):
            hint = "it makes the database when it first runs; this page looks again by itself"
            raise NotYetError("the daemon has not started here yet", subject=str(state), hint=hint)


def _is_there(path: Path) -> bool:
    """Whether there is a file; also where this user may not know, so that opening it says so."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def context_of(request: Request) -> Context:
    """The context of the application that a request is for, for the client that sent it."""
    shared: Context = request.app.state.context
    return replace(shared, client=client_key(request.client.host if request.client else ""))


Here = Annotated[Context, Depends(context_of)]
"""A handler's parameter: ``here: Here``."""
