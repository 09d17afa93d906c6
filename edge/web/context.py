"""What every handler has at hand: settings, the store, and the thread for heavy work.

Handlers are plain functions, which FastAPI runs in threads; there they open the store, read and close it::

    @router.get("/somewhere")
    def somewhere(here: Here) -> Response:
        with here.reading() as database:
            ...
        answer = here.work.ask(lambda desk: desk.searcher.by_words("fox", wanted))
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from edge.errors import NotYetError
from edge.settings import Settings
from edge.store.database import DATABASE, Database, open_beside, open_readonly
from edge.web.desk import Desk
from edge.web.work import Worker


@dataclass(frozen=True)
class Context:
    """What the handlers share.

    Attributes:
        settings: all of them.
        work: for whatever takes more than a few milliseconds of processor time.
        stopping: set when the process is to end; whatever sends without end looks at it.
    """

    settings: Settings
    work: Worker[Desk]
    stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """The database as it is at one moment. To be opened and used in one thread, and not for long.

        Raises:
            NotYetError: there is none yet.
            StoreError: it can't be read.
        """
        self._check()
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
        self._check()
        database = open_beside(self.settings.state)
        try:
            yield database
        finally:
            database.close()

    def _check(self) -> None:
        state = self.settings.state
        if not (state / DATABASE).exists():
            hint = "it makes the database when it first runs; this page looks again by itself"
            raise NotYetError("the daemon has not started here yet", subject=str(state), hint=hint)


def context_of(request: Request) -> Context:
    """The context of the application that a request is for."""
    found: Context = request.app.state.context
    return found


Here = Annotated[Context, Depends(context_of)]
"""A handler's parameter: ``here: Here``."""
