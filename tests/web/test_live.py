"""News for browsers: they come after a commit, to those that want them, and none is missed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge.errors import TooBusyError
from edge.registration import Observation
from edge.service.relabel import relabel
from edge.store.browsing import head
from edge.store.database import DATABASE
from edge.web.app import make_app
from edge.web.live import WATCHERS, Live, News, Watcher
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen
from tests.web.html import Page
from tests.web.record import fill, media_id, settings

LONG = 20.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Corrigible]:
    """The record that is watched, by a connection of its own."""
    found = fill(tmp_path / "state")
    yield found
    with suppress(Exception):  # one test puts another in its place
        found.database.close()


@pytest.fixture
def live(desk: Corrigible) -> Iterator[Live]:
    """What looks."""
    found = Live(desk.database.path.parent, threading.Event())
    found.start()
    yield found
    found.stop()


def sighting(desk: Corrigible, name: str = "new", minute: int = 5000) -> None:
    """A daemon commits an image of a badger."""
    desk.record(seen(examined(name, minute), "Badger", media_id=media_id(name)))


async def next_of(watcher: Watcher, kind: str) -> News:
    """The next news of a kind."""
    while True:
        news = await watcher.next(LONG)
        assert news is not None, f"no {kind} came"
        if news.kind == kind:
            return news


async def ready(live: Live) -> None:
    """Wait until it looks: a watcher that knows nothing of the past has been given it."""
    with live.watching(0) as watcher:
        await next_of(watcher, "change")


def test_a_commit_is_told(desk: Corrigible, live: Live) -> None:
    """To all that watch, with the registration as it is."""

    async def watched() -> list[News]:
        await ready(live)
        with live.watching() as one, live.watching() as two:
            await ready(live)
            sighting(desk)
            return [await next_of(watcher, "change") for watcher in (one, two)]

    for news in asyncio.run(watched()):
        assert news.row is not None
        assert (news.row.registration.label, news.row.registration.state) == ("Badger", "open")
        assert news.seq == head(desk.database)


def test_what_was_missed_comes_first(desk: Corrigible, live: Live) -> None:
    """For a page that was made before the commit, or comes back."""
    before = head(desk.database)
    sighting(desk)

    async def watched() -> News:
        with live.watching(before) as watcher:
            return await next_of(watcher, "change")

    news = asyncio.run(watched())
    assert news.row is not None
    assert news.seq == before + 1


def test_a_retracted_one_is_told(desk: Corrigible, live: Live) -> None:
    """So that it goes from the page."""

    async def watched() -> News:
        await ready(live)
        with live.watching() as watcher:
            await ready(live)
            relabel(desk.database, media_id("b0"), None, 0)
            return await next_of(watcher, "change")

    news = asyncio.run(watched())
    assert news.row is not None
    assert not news.row.living


def test_another_database_means_reload(desk: Corrigible, live: Live) -> None:
    """One that took the place of this one has other numbers."""
    state = desk.database.path.parent

    async def watched() -> None:
        with live.watching() as watcher:
            await ready(live)
            desk.database.close()
            state.joinpath(DATABASE).rename(state / "old.db")
            for log in ("-wal", "-shm"):
                state.joinpath(DATABASE + log).unlink(missing_ok=True)
            Corrigible.at(state).database.close()
            await next_of(watcher, "reload")

    asyncio.run(watched())


def test_numbers_of_another_database_mean_reload(live: Live) -> None:
    """A page from before knows a larger number than there is."""

    async def watched() -> None:
        with live.watching(10**9) as watcher:
            await next_of(watcher, "reload")

    asyncio.run(watched())


def test_more_than_can_be_told_means_reload(desk: Corrigible, live: Live) -> None:
    """A page that was away for long is better made anew."""
    for number in range(40):
        sighting(desk, f"n{number}", 6000 + 60 * number)

    async def watched() -> None:
        with live.watching(1) as watcher:
            await next_of(watcher, "reload")

    asyncio.run(watched())


def test_a_browser_that_does_not_read_costs_nothing() -> None:
    """Its line is short, and ends in a reload."""

    async def stuffed() -> list[str]:
        watcher = Watcher(None)
        for number in range(500):
            watcher.tell(News("health", seq=number))
        await asyncio.sleep(0)
        told: list[str] = []
        while (news := await watcher.next(0.01)) is not None:
            told.append(news.kind)
        return told

    told = asyncio.run(stuffed())
    assert "reload" in told
    assert len(told) <= 65


def test_health_is_told(desk: Corrigible, live: Live) -> None:
    """When the daemon says how it is."""

    async def watched() -> None:
        with live.watching() as watcher:
            await ready(live)
            (desk.database.path.parent / "health.json").write_text("{}")
            await next_of(watcher, "health")

    asyncio.run(watched())


def test_it_waits_for_a_database(tmp_path: Path) -> None:
    """A page may be open before the daemon's first start."""
    live = Live(tmp_path / "state", threading.Event())
    live.start()

    async def watched() -> News:
        with live.watching(0) as watcher:
            await asyncio.sleep(0.3)
            fill(tmp_path / "state").database.close()
            return await next_of(watcher, "change")

    assert asyncio.run(watched()).row is not None
    live.stop()


def test_watchers_are_limited_and_end(live: Live) -> None:
    """One more is refused; when the page is stopped, all are told."""

    async def watched() -> list[str]:
        with ExitStack() as stack:
            all_ = [stack.enter_context(live.watching()) for _ in range(WATCHERS)]
            with pytest.raises(TooBusyError), live.watching():
                pass
            threading.Thread(target=live.stop).start()
            return [(await next_of(watcher, "end")).kind for watcher in all_]

    assert asyncio.run(watched()) == ["end"] * WATCHERS


@asynccontextmanager
async def streamed(app: Any, query: str = "", headers: dict[str, str] | None = None) -> AsyncIterator[Any]:
    """The stream, asked as a server asks: what it sends comes through a queue."""
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    given = {"host": "127.0.0.1:8640", **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/live",
        "raw_path": b"/live",
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8640),
        "app": app,
    }
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if gone.is_set():
            return {"type": "http.disconnect"}
        await gone.wait()
        return {"type": "http.disconnect"}

    task = asyncio.create_task(app(scope, receive, sent.put))
    try:
        yield sent
    finally:
        gone.set()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def text_with(sent: asyncio.Queue[dict[str, Any]], word: str) -> str:
    """What was sent until a word came."""
    text = ""
    async with asyncio.timeout(LONG):
        while word not in text:
            message = await sent.get()
            text += message.get("body", b"").decode()
    return text


def events(text: str) -> list[tuple[str, str]]:
    """Kinds and data of server-sent events."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ")[::2] for line in block.split("\n") if ": " in line]
        kinds = [value for name, value in lines if name == "event"]
        if kinds:
            found.append((kinds[0], "\n".join(value for name, value in lines if name == "data")))
    return found


def stream_of(desk: Corrigible, query: str, word: str, headers: dict[str, str] | None = None) -> str:
    """What the stream of a page sends until a word comes; a badger is committed meanwhile."""

    async def asked() -> str:
        app = make_app(settings(desk.database.path.parent))
        async with app.router.lifespan_context(app), streamed(app, query, headers) as sent:
            begun = await sent.get()
            assert begun["status"] == 200
            assert dict(begun["headers"])[b"content-type"].startswith(b"text/event-stream")
            sighting(desk)
            return await text_with(sent, word)

    return asyncio.run(asked())


def test_a_commit_reaches_the_page_as_a_card(desk: Corrigible) -> None:
    """HTML with the registration's id, and the number to come back with."""
    text = stream_of(desk, f"since={head(desk.database)}", "</li>")
    [(kind, html)] = events(text)
    assert kind == "change"
    card = Page.read(html)
    assert card.labels() == ["Badger"]
    assert card.all("li")[0].attributes["id"].startswith("r-")
    assert f"id: {head(desk.database)}\n" in text
    assert text.startswith("retry: ")


def test_what_the_page_does_not_show_goes(desk: Corrigible) -> None:
    """A change that its filter doesn't let through takes the card away, if it has one."""
    text = stream_of(desk, f"since={head(desk.database)}&deployment=ridge", "event: gone")
    assert events(text + "\n\n")[0][0] == "gone"
    assert "<li" not in text


def test_a_browser_that_comes_back_misses_nothing(desk: Corrigible) -> None:
    """It says the last number that it has had."""
    text = stream_of(desk, "since=1", "Badger", {"last-event-id": str(head(desk.database))})
    assert [kind for kind, _ in events(text)] == ["change"]


def test_an_observation_of_nothing_is_silent(desk: Corrigible, live: Live) -> None:
    """A commit that changes no registration is no news."""

    async def watched() -> News | None:
        with live.watching() as watcher:
            await ready(live)
            desk.record(seen(examined("blank", 1), None, 0, media_id=media_id("blank")))
            return await watcher.next(0.6)

    assert asyncio.run(watched()) is None
    assert isinstance(desk.observations()[0], Observation)
