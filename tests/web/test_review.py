"""A person's word from a browser: put on record, told to subscribers, and refused where it can't be meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen
from tests.web.html import Page
from tests.web.record import HERE, fill, media_id, page, settings

HTML = {"Accept": "text/html", "Origin": HERE}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Corrigible]:
    """The record that the page shows: a badger that nobody is sure of comes first."""
    found = fill(tmp_path / "state")
    found.database.execute("UPDATE registrations SET confidence = 300000 WHERE label = 'Badger'")
    yield found
    found.database.close()


@pytest.fixture
def browser(desk: Corrigible) -> Iterator[TestClient]:
    """A browser that shows it."""
    with page(settings(desk.database.path.parent)) as found:
        found.headers.update(HTML)
        yield found


def asked(browser: TestClient, address: str = "/review") -> tuple[str, dict[str, str]]:
    """What is asked next, and what its form says besides the buttons."""
    shown = Page.read(browser.get(address).text)
    forms = [f for f in shown.all("form") if "data-judge" in f.attributes]
    fields = {
        e.attributes["name"]: e.attributes.get("value", "")
        for e in shown.all("input", type="hidden")
        if forms[0] in e.within
    }
    return forms[0].attributes["action"], fields


def say(browser: TestClient, action: str, fields: dict[str, str], **word: str) -> httpx.Response:
    """Press a button of the form, as a browser without scripts does."""
    return browser.post(action, data={**fields, **word})


def test_the_least_certain_comes_first(browser: TestClient) -> None:
    """With its picture, and how many wait."""
    shown = Page.read(browser.get("/review").text)
    assert shown.text("h2")[0] == "Badger?"
    assert shown.text("p", class_="sub") == ["3 registrations nobody has looked at, least certain first"]
    assert shown.all("img")


def test_confirming_sends_a_corrected_message(desk: Corrigible, browser: TestClient) -> None:
    """Whose label is the same and sure; the page tells its number, and goes on to the next."""
    action, fields = asked(browser)
    answer = say(browser, action, fields, pick="Badger")
    assert answer.status_code == 303
    last = desk.messages()[-1]
    assert (last.change, last.label, last.confidence) == ("corrected", "Badger", 1.0)
    shown = Page.read(browser.get(answer.headers["location"]).text)
    assert f"message {last.seq} (corrected) is on its way" in shown.text("div", class_="good")[0]
    assert shown.text("h2")[0] == "Red Fox?"
    assert shown.text("p", class_="sub")[0].startswith("2 registrations")


@pytest.mark.parametrize("name", ["Red_Fox", "red fox", "Vulpes vulpes"])
def test_another_name_is_understood(desk: Corrigible, browser: TestClient, name: str) -> None:
    """As people write it; the models' word is kept beside it."""
    action, fields = asked(browser)
    assert say(browser, action, fields, label=name, say="label", count="3").status_code == 303
    last = desk.messages()[-1]
    assert (last.change, last.label, last.count) == ("corrected", "Red_Fox", 3)
    reviews = desk.database.execute("SELECT machine_label, label, count FROM reviews")
    assert reviews == [("Badger", "Red_Fox", 3)]


def test_one_word_goes_for_all_its_pictures(desk: Corrigible, browser: TestClient) -> None:
    """In one message, each picture with its own count."""
    before = len(desk.messages())
    action, fields = asked(browser, "/review?label=Red_Fox&deployment=cam")
    say(browser, action, fields, label="Badger", say="label")
    [told] = [m for m in desk.messages()[before:] if m.registration_id in action]
    assert [(m.label, m.count) for m in told.media] == [("Badger", 1), ("Badger", 2)]


def test_no_animal_takes_it_back(desk: Corrigible, browser: TestClient) -> None:
    """The registration is retracted, and its page says so."""
    action, fields = asked(browser)
    answer = say(browser, action, fields, say="none")
    assert desk.messages()[-1].change == "retracted"
    told = Page.read(browser.get(answer.headers["location"]).text).text("div", class_="good")
    assert "(retracted)" in told[0]
    shown = Page.read(browser.get(action.removesuffix("/verdict")).text)
    assert "retracted" in shown.text("span", class_="warn")
    assert not shown.all("section", id="verdict")


def test_nobody_can_tell(desk: Corrigible, browser: TestClient) -> None:
    """Is a word too: it is unidentified, and isn't asked again."""
    action, fields = asked(browser)
    say(browser, action, fields, say="unidentified")
    assert desk.messages()[-1].label == "unidentified"
    assert asked(browser)[0] != action


def test_skipping_goes_on_and_ends(browser: TestClient) -> None:
    """Each is shown once, by plain links; then it says that they were skipped."""
    address, names = "/review", []
    for _ in range(3):
        shown = Page.read(browser.get(address).text)
        names.append(shown.text("h2")[0])
        [address] = [a.attributes["href"] for a in shown.all("a") if a.attributes.get("data-key") == "s"]
    assert sorted(names) == ["Badger?", "Red Fox?", "Red Fox?"]
    assert "3 registrations were skipped" in " ".join(Page.read(browser.get(address).text).text("section"))


def test_all_done_says_so(desk: Corrigible, browser: TestClient) -> None:
    """When a person has spoken of everything."""
    while desk.database.execute("SELECT COUNT(*) FROM reviews")[0][0] < 4:
        action, fields = asked(browser)
        say(browser, action, fields, label="Badger", say="label")
    assert "All done" in browser.get("/review").text


def test_what_changed_meanwhile_is_not_judged(desk: Corrigible, browser: TestClient) -> None:
    """A word on what the person didn't see is refused; nothing is changed."""
    action, fields = asked(browser)
    desk.database.execute("UPDATE registrations SET revision = revision + 1")
    before = desk.changes()
    answer = say(browser, action, fields, pick="Badger")
    assert answer.status_code == 422
    assert "changed meanwhile" in answer.text
    assert desk.changes() == before


@pytest.mark.parametrize(
    "word",
    [
        {"label": "Unicorn", "say": "label"},
        {"say": "label"},
        {"pick": "Badger", "count": "0"},
        {"pick": "Badger", "count": "many"},
        {"pick": "Badger", "revision": ""},
        {"pick": "Badger", "revision": "-1"},
    ],
)
def test_a_word_that_says_nothing_is_refused(
    desk: Corrigible, browser: TestClient, word: dict[str, str]
) -> None:
    """In words; nothing is changed."""
    action, fields = asked(browser)
    before = desk.changes()
    assert browser.post(action, data={**fields, **word}).status_code == 422
    assert desk.changes() == before


def test_other_sites_cannot_speak(desk: Corrigible, browser: TestClient) -> None:
    """A form of another site is refused before anything is read."""
    action, fields = asked(browser)
    before = desk.changes()
    answer = browser.post(
        action, data={**fields, "pick": "Badger"}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert desk.changes() == before


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_it_leads_nowhere_else(browser: TestClient, target: str) -> None:
    """Whatever the form says of where to go on."""
    action, fields = asked(browser)
    answer = say(browser, action, {**fields, "next": target}, pick="Badger")
    assert answer.headers["location"].startswith("/")
    assert "evil" not in answer.headers["location"]


def test_a_single_picture_is_corrected_and_undone(desk: Corrigible, browser: TestClient) -> None:
    """Alone; the models' word comes back."""
    address = f"/pictures/{media_id('b0').removeprefix('sha256:')}"
    browser.post(f"{address}/verdict", data={"label": "Red Fox", "say": "label", "next": address})
    shown = Page.read(browser.get(address).text)
    assert shown.text("h1") == ["Red Fox"]
    assert "The models said: Badger \u00d71" in " ".join(shown.text("p"))
    answer = browser.post(f"{address}/verdict", data={"say": "machine", "next": address})
    assert answer.headers["location"] == address
    assert Page.read(browser.get(address).text).text("h1") == ["Badger"]
    assert browser.post(f"{address}/verdict", data={"say": "machine"}).status_code == 422
    assert [label for change, label in desk.changes()[-2:]] == ["Red_Fox", "Badger"]


def test_a_blank_picture_can_get_an_animal(desk: Corrigible, browser: TestClient) -> None:
    """That the models missed; it becomes a registration."""
    address = f"/pictures/{media_id('n0').removeprefix('sha256:')}"
    assert Page.read(browser.get(address).text).text("h1") == ["No animal"]
    browser.post(f"{address}/verdict", data={"label": "Badger", "say": "label", "count": "2"})
    assert "Badger" in Page.read(browser.get(address).text).text("h1")[0]
    assert desk.messages()[-1].label == "Badger"


def test_open_ones_are_not_asked_about(desk: Corrigible, browser: TestClient) -> None:
    """They may still change."""
    desk.record(seen(examined("late", 5000), "Badger", media_id=media_id("late")))
    assert Page.read(browser.get("/review").text).text("p", class_="sub")[0].startswith("3 registrations")
    assert Page.read(browser.get("/?state=open").text).labels() == ["Badger"]


@pytest.mark.parametrize("word", [{"pick": "Red_Fox"}, {"say": "none"}, {"say": "unidentified"}])
def test_the_last_word_can_be_undone(desk: Corrigible, browser: TestClient, word: dict[str, str]) -> None:
    """A key is pressed in error now and then: the models' word comes back, and it is asked again."""
    action, fields = asked(browser)
    told = Page.read(browser.get(say(browser, action, fields, **word).headers["location"]).text)
    undo = {e.attributes["name"]: e.attributes["value"] for e in told.all("input", type="hidden")[-20:]}
    numbers = {"undo": undo["undo"], "done": undo["done"], "next": "/review"}
    answer = browser.post("/review/undo", data=numbers)
    assert answer.status_code == 303
    assert asked(browser, "/review?label=Badger")[0] == action
    last = desk.messages()[-1]
    assert (last.label, last.state, last.change != "retracted") == ("Badger", "closed", True)
    assert desk.database.execute("SELECT COUNT(*) FROM reviews") == [(0,)]
    assert browser.post("/review/undo", data=numbers).status_code == 422


@pytest.mark.parametrize("numbers", ["", "1", "a-b", "1-99999999999999999999", "-1-3"])
def test_only_what_was_said_can_be_undone(desk: Corrigible, browser: TestClient, numbers: str) -> None:
    """Nothing is changed by a form that names nothing; nor are several cameras corrected at once."""
    for camera in ("cam", "ridge"):
        action, fields = asked(browser, f"/review?deployment={camera}")
        say(browser, action, fields, pick="Badger")
    before = desk.changes()
    for wrong in (numbers, "1-99"):
        assert browser.post("/review/undo", data={"undo": wrong}).status_code == 422
    assert desk.changes() == before
