"""The pages: what each shows, what hostile names can't do, and that all of it works without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from edge.web.pages import live
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen
from tests.web.html import Page, faults
from tests.web.record import HERE, TOKEN, fill, media_id, page, settings

HTML = {"Accept": "text/html"}
PAGES = ("/", "/search", "/classify", "/activity", "/review", "/deployments")
CAMERA = "<img src=x onerror=alert(1)>"
LABEL = "\"><svg onload='alert(1)'>&amp;_\u202eevil"
FILE = "'\"><b>\u202egpj.exe"
MOST = 40_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Corrigible]:
    """The record that the pages show."""
    found = fill(tmp_path / "state")
    yield found
    found.database.close()


@pytest.fixture
def browser(desk: Corrigible) -> Iterator[TestClient]:
    """A browser that shows them."""
    with page(settings(desk.database.path.parent)) as found:
        found.headers.update(HTML)
        yield found


def registration(desk: Corrigible, label: str, deployment: str = "cam") -> str:
    """Id of the living registration of a label."""
    rows = desk.database.execute(
        "SELECT id FROM registrations WHERE living AND label = ? AND deployment = ?", (label, deployment)
    )
    return str(rows[0][0])


def addresses(desk: Corrigible) -> list[str]:
    """Every page there is for a record."""
    ids = [row[0] for row in desk.database.execute("SELECT id FROM registrations")]
    media = [row[0].removeprefix("sha256:") for row in desk.database.execute("SELECT media_id FROM media")]
    return [*PAGES, *(f"/registrations/{id_}" for id_ in ids), *(f"/pictures/{m}" for m in media)]


def test_live_shows_the_latest_news_first(browser: TestClient) -> None:
    """Each with its camera, and its time in the camera's own zone."""
    shown = Page.read(browser.get("/").text)
    assert shown.labels() == ["Red Fox", "Badger", "Red Fox"]
    times = [t.attributes["datetime"] for t in shown.all("time")]
    assert times[-1] == "2026-01-01T01:00:00.000+01:00"
    assert "2026-01-01 01:00" in shown.text("time")[-1]
    assert shown.text("p", class_="meta")[0] == "ridge"


def test_live_goes_on_page_by_page(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """By plain links, each registration once, in both orders."""
    monkeypatch.setattr(live, "SIZE", 1)
    for order in ("", "?order=time"):
        address, cards = f"/{order}", []
        while address:
            shown = Page.read(browser.get(address).text)
            cards += [card.attributes["id"] for card in shown.all("li", class_="card")]
            links = [a.attributes["href"] for a in shown.all("a") if a.text == "Show more"]
            address = links[0] if links else ""
        assert len(cards) == len(set(cards)) == 3


def test_live_is_filtered(browser: TestClient) -> None:
    """By camera, animal, time and state; the form shows what it was asked for."""
    shown = Page.read(browser.get("/?deployment=cam&label=Badger&from=2026-01-01&to=2026-01-01").text)
    assert shown.labels() == ["Badger"]
    assert [o.text for o in shown.all("option") if "selected" in o.attributes] == ["cam", "Badger"]
    assert shown.all("ul", id="cards")[0].attributes["data-live"].count("deployment=cam") == 1
    assert Page.read(browser.get("/?to=2025-12-31").text).labels() == []
    assert "fits the filter" in browser.get("/?state=open").text


@pytest.mark.parametrize(
    "query", ["from=yesterday", "from=2026-02-02&to=2026-02-01", "to=99999999", "after=x"]
)
def test_nonsense_is_refused_in_words(browser: TestClient, query: str) -> None:
    """With a page that says what is wrong."""
    answer = browser.get(f"/?{query}")
    assert answer.status_code == 422
    assert Page.read(answer.text).all("section", class_="problem")


@pytest.mark.parametrize("address", PAGES)
def test_a_new_device_says_what_to_do(tmp_path: Path, address: str) -> None:
    """Before the daemon's first start, and before its first animal."""
    with page(settings(tmp_path / "state")) as browser:
        early = browser.get(address, headers=HTML)
        assert early.status_code in (200, 503)
        assert "daemon" in early.text
        assert faults(early.text) == []
        Corrigible.at(tmp_path / "state").database.close()
        empty = browser.get(address, headers=HTML)
        assert empty.status_code == 200
        assert faults(empty.text) == []
        assert Page.read(empty.text).all("section", class_="empty")


def test_every_page_is_sound(desk: Corrigible, browser: TestClient) -> None:
    """One heading, labelled fields, described pictures, nothing inline, nothing from elsewhere, not large."""
    for address in addresses(desk):
        answer = browser.get(address)
        assert (address, answer.status_code, faults(answer.text)) == (address, 200, [])
        assert len(answer.content) < MOST


def test_every_file_that_a_page_names_is_there(browser: TestClient) -> None:
    """And is kept by browsers for good."""
    shown = Page.read(browser.get("/").text)
    names = {e.attributes[n] for e in shown.elements for n in ("src", "href") if n in e.attributes}
    static = sorted(name.partition("#")[0] for name in names if name.startswith("/static/"))
    assert len(static) > 4
    for name in static:
        answer = browser.get(name)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_hostile_names_are_only_shown(tmp_path: Path) -> None:
    """Names of cameras, files and labels come from outside; on no page do they become markup."""
    desk = Corrigible.at(tmp_path / "state")
    desk.record(seen(examined(FILE, 0, deployment=CAMERA), LABEL, 2, media_id=media_id("x")), close=True)
    with page(settings(tmp_path / "state")) as browser:
        extra = [f"/?deployment={CAMERA}&label={LABEL}", f"/activity?label={LABEL}", f"/search?q={LABEL}"]
        for address in [*addresses(desk), *extra[:2], f"/registrations/{LABEL}"]:
            html = browser.get(address, headers=HTML).text
            assert (address, faults(html)) == (address, [])
            assert "<svg onload" not in html
            assert "<img src=x" not in html
        html = browser.get("/", headers=HTML).text
        assert CAMERA in Page.read(html).text("bdi")
        row = next(iter(desk.database.execute("SELECT id FROM registrations")))[0]
        told = browser.get(f"/registrations/{row}", headers=HTML).text
        assert [b for b in Page.read(told).all("bdi") if "\u202e" in b.text]
        assert not re.search(r"\u202e[^<]*</(?!bdi|option|title)", told)
    desk.database.close()


def test_registration_shows_pictures_boxes_and_votes(desk: Corrigible, browser: TestClient) -> None:
    """And how it came to be, from the messages that are kept."""
    shown = Page.read(browser.get(f"/registrations/{registration(desk, 'Red_Fox')}").text)
    assert shown.text("h1") == ["Red Fox \u00d72"]
    assert "Vulpes vulpes" in shown.text("p", class_="latin")
    assert len(shown.all("ul", id="pictures")) == 1
    assert len(shown.all("rect", class_="animal")) == 2 + 1 + 2  # cover, then each picture
    assert shown.text("table", class_="votes")[0].endswith("Red Fox2")
    assert [text.split()[0] for text in shown.text("strong")] == ["closed", "updated", "opened"]
    box = shown.all("rect", class_="animal")[0].attributes
    assert (box["x"], box["y"], box["width"], box["height"]) == ("0.0", "96.0", "192.0", "192.0")


def test_registration_has_its_pictures_page_by_page(tmp_path: Path) -> None:
    """A burst of 70 isn't one page."""
    desk = Corrigible.at(tmp_path / "state")
    for number in range(70):
        desk.record(seen(examined(f"f{number:02}", number / 10), media_id=media_id(f"f{number:02}")))
    with page(settings(tmp_path / "state")) as browser:
        address = f"/registrations/{registration(desk, 'Red_Fox')}"
        first, rest = (browser.get(address + query, headers=HTML) for query in ("", "?offset=60"))
    pictures = []
    for answer in (first, rest):
        shown = Page.read(answer.text)
        [strip] = shown.all("ul", id="pictures")
        pictures.append(sum(strip in item.within for item in shown.all("li")))
    assert pictures == [60, 10]
    assert "1\u201360" in first.text
    assert "61\u201370" in rest.text
    desk.database.close()


@pytest.mark.parametrize("address", ["/registrations/no", "/pictures/abc", f"/pictures/{'0' * 64}", "/no"])
def test_what_is_not_there_is_said(browser: TestClient, address: str) -> None:
    """With 404, and a way back."""
    answer = browser.get(address)
    assert answer.status_code == 404
    assert faults(answer.text) == []


def test_neighbours_lead_along_a_camera(desk: Corrigible, browser: TestClient) -> None:
    """From the fox to the badger and back, not to the other camera."""
    fox, badger = registration(desk, "Red_Fox"), registration(desk, "Badger")
    shown = Page.read(browser.get(f"/registrations/{fox}").text)
    assert [a.attributes["href"] for a in shown.all("a", rel="next")] == [f"/registrations/{badger}"]
    shown = Page.read(browser.get(f"/registrations/{badger}").text)
    assert [a.attributes["href"] for a in shown.all("a", rel="prev")] == [f"/registrations/{fox}"]
    assert not shown.all("a", rel="next")


def test_activity_counts_by_the_cameras_hours(browser: TestClient) -> None:
    """Registrations, not images; the table says what the chart shows."""
    shown = Page.read(browser.get("/activity").text)
    bars = sorted(text for text in shown.text("title") if ":00" in text)
    assert bars == ["Badger, 02:00: 1", "Red Fox, 01:00: 1", "Red Fox, 04:00: 1"]
    rows = [text for text in shown.text("tr") if ":00" in text]
    assert rows == ["01:001", "02:001", "04:001"]
    assert Page.read(browser.get("/activity?label=Badger").text).text("p", class_="sub") == ["1 registration"]


def test_cameras_say_how_they_are(browser: TestClient) -> None:
    """Pictures, registrations, the last one, and that the daemon isn't running."""
    shown = Page.read(browser.get("/deployments").text)
    assert shown.text("h2")[:2] == ["cam", "ridge"]
    facts = shown.text("dl", class_="tight")
    assert facts[0].startswith("Pictures4 Registrations2 Last picture2026-01-01 02:30")
    assert "isn't running" in shown.text("section", id="health-report")[0]


def test_theme_is_kept_in_a_cookie(browser: TestClient) -> None:
    """Without scripts; anything else than the three is passed over."""
    answer = browser.post("/theme", data={"theme": "dark", "next": "/activity"}, headers={"Origin": HERE})
    assert (answer.status_code, answer.headers["location"]) == (303, "/activity")
    assert Page.read(browser.get("/activity").text).all("html")[0].attributes["data-theme"] == "dark"
    browser.cookies.clear()
    shown = browser.get("/activity", headers={"Cookie": "theme=<script>"}).text
    assert Page.read(shown).all("html")[0].attributes["data-theme"] == "auto"
    answer = browser.post("/theme", data={"theme": "light", "next": "//evil"}, headers={"Origin": HERE})
    assert answer.headers["location"] == "/"


def test_files_are_sent_packed_and_once(browser: TestClient) -> None:
    """By gzip where the browser takes it; with their tag only if they changed."""
    plain = browser.get("/static/app.css", headers={"Accept-Encoding": "identity"})
    packed = browser.get("/static/app.css", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content
    again = browser.get("/static/app.css", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert plain.headers["cache-control"] == "public, no-cache"


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "vendor/../../app.py", "/etc/hosts", "x.py"])
def test_no_other_file_is_sent(browser: TestClient, name: str) -> None:
    """Whatever the address says."""
    assert browser.get(f"/static/{name}").status_code == 404


def test_vendored_code_comes_with_its_licence(browser: TestClient) -> None:
    """As whoever gave it away asks."""
    assert "Zero-Clause BSD" in browser.get("/static/vendor/htmx-LICENSE.txt").text


def test_login_page_tells_nothing(tmp_path: Path) -> None:
    """Neither the device's name nor how it is; a wrong token is said."""
    with page(settings(tmp_path / "state", token=TOKEN)) as browser:
        asked = browser.get("/login?next=/review", headers=HTML)
        wrong = browser.post("/login", data={"token": "x"}, headers={**HTML, "Origin": HERE})
    shown = Page.read(asked.text)
    assert faults(asked.text) == faults(wrong.text) == []
    assert not shown.all("a", class_="health")
    assert "· d" not in shown.text("title")[0]
    sent_on = [e.attributes["value"] for e in shown.all("input", name="next")]
    assert sent_on[-1] == "/review"
    assert Page.read(wrong.text).all("p", role="alert")


def test_times_in_doubt_are_marked(desk: Corrigible, browser: TestClient) -> None:
    """Those that can't be right, and those that are only the file's; a moment lasts no time."""
    assert not Page.read(browser.get("/").text).all("span", class_="warn")
    desk.database.execute("UPDATE media SET time_source = 'mtime' WHERE deployment = 'ridge'")
    desk.database.execute("UPDATE media SET clock_ok = 0 WHERE media_id = ?", (media_id("f1"),))
    desk.database.execute("UPDATE registrations SET last_t = first_t + 500 WHERE deployment = 'ridge'")
    shown = Page.read(browser.get("/").text)
    cards = shown.text("div", class_="words")
    assert shown.text("span", class_="warn") == ["file's time", "clock?"]
    assert "file's time" in cards[0]
    assert " for" not in cards[0]
    assert "for 1 min" in cards[2]
