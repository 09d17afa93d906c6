"""What nobody sends by accident, and what goes wrong at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from edge.errors import StoreBusyError, TooBusyError
from edge.service.browsing import Changes, changes
from edge.service.browsing.reviewing import MOST
from edge.store.database import Database
from edge.web.app import make_app
from edge.web.bodies import Bodies
from edge.web.live import WATCHERS
from edge.web.pages.words import plain
from tests.service.corrected import Corrigible
from tests.web.record import TOKEN, fill, page, settings

HTML = {"Accept": "text/html"}
LONG = 20.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Corrigible]:
    """The record that is shown."""
    found = fill(tmp_path / "state")
    yield found
    found.database.close()


@pytest.fixture
def browser(desk: Corrigible) -> Iterator[TestClient]:
    """A page without a token."""
    with page(settings(desk.database.path.parent)) as found:
        yield found


@pytest.fixture
def guarded(desk: Corrigible) -> Iterator[TestClient]:
    """A page with a token."""
    with page(settings(desk.database.path.parent, token=TOKEN)) as found:
        yield found


@pytest.mark.parametrize("origin", ["http://[", "http://a]", "[", "", "http://", "null"])
def test_an_origin_that_is_none_is_another_site(guarded: TestClient, origin: str) -> None:
    """And no mistake of ours, for which anybody could fill the log."""
    assert guarded.post("/login", data={"token": TOKEN}, headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1%?x", "127.0.0.1%#x", "127.0.0.1%25", "127.0.0.1\\x", "::1%x"])
def test_an_address_with_something_behind_it_is_none(browser: TestClient, host: str) -> None:
    """It would be taken for the path by whatever puts host and path together."""
    assert browser.get("/api/labels", headers={"Host": host}).status_code == 421


def test_without_the_token_nobody_sends_pictures(guarded: TestClient, no_files: Path) -> None:
    """Not to the login either, which needs no more than a line."""
    files = {"picture": ("a.jpg", bytes(200_000))}
    answer = guarded.post("/login", data={"token": TOKEN}, files=files)
    assert answer.status_code == 413
    assert not list(no_files.iterdir())


@pytest.mark.parametrize("charset", ["undefined", "punycode", "unicode_escape", "utf-7", "none-such"])
def test_forms_are_in_utf_8(browser: TestClient, charset: str) -> None:
    """A sender can't choose a codec that fails in its own way or makes half characters."""
    body = b'--B\r\nContent-Disposition: form-data; name="theme"\r\n\r\n\\ud800\r\n--B--\r\n'
    kind = {"Content-Type": f"multipart/form-data; boundary=B; charset={charset}"}
    assert browser.post("/theme", content=body, headers=kind).status_code == 400
    utf_8 = {"Content-Type": "multipart/form-data; boundary=B; charset=UTF-8"}
    assert browser.post("/theme", content=body, headers=utf_8).status_code == 303


def test_a_few_words_wait_for_no_pictures() -> None:
    """While pictures trickle in, a person's word is taken; one more picture isn't."""

    def sent(length: int) -> dict[str, object]:
        headers = [(b"content-type", b"multipart/form-data"), (b"content-length", b"%d" % length)]
        return {"type": "http", "headers": headers}

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def words() -> Message:
        return {"type": "http.request", "body": b"say=none", "more_body": False}

    async def tried() -> bytes:
        bodies = Bodies(1_000_000)
        slow = [asyncio.ensure_future(bodies.read(sent(900_000), never)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Exception, match="too many pictures"):
            await bodies.read(sent(900_000), never)
        found = await bodies.read(sent(8), words)
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return found

    assert asyncio.run(tried()) == b"say=none"


def test_one_undo_takes_back_one_word(desk: Corrigible, browser: TestClient) -> None:
    """Not all that anybody ever said."""
    row = desk.database.one("SELECT id, revision FROM registrations WHERE living AND label = 'Badger'")
    assert row is not None
    browser.post(f"/registrations/{row[0]}/verdict", data={"revision": row[1], "pick": "Red_Fox"})
    refused = browser.post("/review/undo", data={"undo": f"1-{MOST + 1}"}, headers=HTML)
    assert refused.status_code == 422
    assert browser.post("/review/undo", data={"undo": f"1-{MOST}"}).status_code == 303


def test_after_a_failed_look_pages_load_anew(desk: Corrigible, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said meanwhile is in no line of news."""
    left = [StoreBusyError("database is busy")]

    def once(database: Database, seq: int, limit: int) -> Changes:
        if left:
            raise left.pop()
        return changes(database, seq, limit)

    monkeypatch.setattr("edge.web.live.changes", once)
    app = make_app(settings(desk.database.path.parent))

    async def watched() -> str:
        with app.state.context.live.watching() as watcher:
            news = await watcher.next(LONG)
            return news.kind if news else "nothing"

    with TestClient(app):
        assert asyncio.run(watched()) == "reload"


def test_who_goes_before_the_first_news_leaves_no_place_taken(desk: Corrigible) -> None:
    """However many do so."""
    app = make_app(settings(desk.database.path.parent))

    async def nowhere(_: Message) -> None:
        return

    async def come_and_go() -> None:
        for _ in range(WATCHERS + 1):
            await app(_asked("/live"), _gone, nowhere)
        with ExitStack() as places:
            for _ in range(WATCHERS):
                places.enter_context(app.state.context.live.watching())
            with pytest.raises(TooBusyError):
                places.enter_context(app.state.context.live.watching())

    asyncio.run(come_and_go())


def test_a_folder_that_cannot_be_looked_into_is_said(tmp_path: Path) -> None:
    """In words, and what looks for news lives on."""
    with page(settings(tmp_path / ("x" * 300))) as browser:
        answer = browser.get("/api/registrations")
        assert (answer.status_code, answer.json()["title"]) == (500, "no database here")


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("POST", False)])
def test_what_was_sent_is_not_opened_again(tmp_path: Path, method: str, *, again: bool) -> None:
    """A form's address shows nothing by itself: nobody is led there, and no script loads it again."""
    with page(settings(tmp_path / "none")) as browser:
        form: Mapping[str, str] | None = None if again else {"revision": "1", "say": "none"}
        address = "/registrations/0-0" + ("" if again else "/verdict")
        answer = browser.request(method, address, headers=HTML, data=form)
        assert answer.status_code == 503
        assert ("Try again" in answer.text) is again
        assert ('data-status="503"' in answer.text) is again
        assert ("Nothing was saved" in answer.text) is not again


def test_who_is_logged_out_is_led_to_the_login(guarded: TestClient) -> None:
    """Also from a form that was open for too long; headers are for programs."""
    answer = guarded.post("/theme", data={"theme": "dark"}, headers=HTML)
    assert answer.status_code == 401
    assert 'href="/login"' in answer.text
    assert "Bearer" not in answer.text


def test_an_address_that_leads_nowhere_says_so_once(browser: TestClient) -> None:
    """Not twice the same words."""
    assert "detail" not in browser.get("/api/nothing").json()


def test_a_damaged_database_is_waited_for(desk: Corrigible, caplog: pytest.LogCaptureFixture) -> None:
    """The daemon puts a sound one in its place; until then a line of the log for each request will do."""
    state = desk.database.path.parent
    desk.database.close()
    desk.database.path.write_bytes(b"no database " * 1000)
    with page(settings(state)) as browser:
        answer = browser.get("/api/registrations")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.json()["title"] == "database is damaged"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("label", ["_", "__", " "])
def test_a_label_of_nothing_still_has_a_link(label: str) -> None:
    """Underscores are shown as spaces, but for those that have nothing between them."""
    assert plain(label) == label
    assert plain("Red_Fox") == "Red Fox"


@pytest.mark.parametrize("code", ["utf-8", "latin-1"])
def test_a_token_of_any_letters_opens(desk: Corrigible, code: str) -> None:
    """From programs that write it as UTF-8, and from those that write headers as Latin-1."""
    token = "drei-schöne-dächse"  # noqa: S105 - of a page that lives for a test
    app = make_app(settings(desk.database.path.parent, token=token))

    async def status_of(given: str) -> int:
        told: list[Message] = []
        key = (b"authorization", f"Bearer {given}".encode(code))
        scope = {**_asked("/api/labels"), "headers": [(b"host", b"127.0.0.1"), key]}

        async def tell(message: Message) -> None:
            told.append(message)

        await app(scope, _gone, tell)
        return int(told[0]["status"])

    assert asyncio.run(status_of(token)) == 200
    assert asyncio.run(status_of(token + "ß")) == 401


def _asked(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
    }


async def _gone() -> Message:
    return {"type": "http.disconnect"}
