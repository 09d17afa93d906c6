"""Searching and identifying in a browser: by words and pictures, with filters, without scripts."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from edge.settings import Settings
from edge.store.database import open_readonly
from edge.testing import torn
from tests.vision import toy
from tests.web.html import Page, faults
from tests.web.record import HERE

HTML = {"Accept": "text/html", "Origin": HERE}
RED = (255, 0, 0)


def cards(html: str) -> list[tuple[str, str]]:
    """Camera and picture of each answer, best first."""
    shown = Page.read(html)
    assert faults(html) == []
    found = shown.all("li", class_="card")
    cameras = [[b.text for b in shown.all("bdi") if card in b.within][-1] for card in found]
    pictures = [next(a.attributes["href"] for a in shown.all("a") if card in a.within) for card in found]
    return list(zip(cameras, pictures, strict=True))


@pytest.fixture(scope="module")
def red(looked: Settings) -> str:
    """The id of a picture of a red animal, as addresses have it."""
    database = open_readonly(looked.state)
    media_id = str(database.execute("SELECT media_id FROM media WHERE deployment = 'cam' LIMIT 1")[0][0])
    database.close()
    return media_id.removeprefix("sha256:")


def test_words_find_pictures(searching: TestClient) -> None:
    """One of each registration, unless every picture is wanted."""
    found = cards(searching.get("/search?q=red", headers=HTML).text)
    every = cards(searching.get("/search?q=red&all=yes", headers=HTML).text)
    assert sorted({camera for camera, _ in found}) == ["cam", "ridge"]
    assert len(every) == 6 > len(found)
    assert len(set(every)) == 6


def test_filters_hold(searching: TestClient) -> None:
    """By camera and by day; and the form shows them again."""
    html = searching.get("/search?q=red&deployment=ridge&all=yes", headers=HTML).text
    assert [camera for camera, _ in cards(html)] == ["ridge"] * 3
    assert "ridge" in [o.text for o in Page.read(html).all("option") if "selected" in o.attributes]
    nothing = searching.get("/search?q=red&from=2027-01-01", headers=HTML)
    assert (nothing.status_code, cards(nothing.text)) == (200, [])
    assert "Nothing fits" in nothing.text


def test_a_picture_of_ones_own_finds_its_likes(searching: TestClient) -> None:
    """It is sent in a form, and is nowhere afterwards."""
    data = toy.jpeg(toy.scene((16, 24, RED)))
    sent = {"picture": ("a.jpg", data, "image/jpeg")}
    answer = searching.post("/search", files=sent, data={"q": "passed over", "top": "12"}, headers=HTML)
    assert answer.status_code == 200
    assert cards(answer.text)[0][0] == "cam"
    assert "Like your picture" in answer.text


def test_a_form_without_a_picture_asks_by_its_words(searching: TestClient) -> None:
    """Without either it is the empty form."""
    answer = searching.post("/search", data={"q": "red"}, headers=HTML)
    assert cards(answer.text)
    assert "Words or a picture" in searching.post("/search", data={"q": " "}, headers=HTML).text


def test_more_like_this(searching: TestClient, red: str) -> None:
    """From any picture; the link on each answer goes on from there, with the same filters."""
    html = searching.get(f"/search?like={red}&all=yes", headers=HTML).text
    assert cards(html)[0] == ("cam", f"/pictures/{red}")
    links = [a.attributes["href"] for a in Page.read(html).all("a") if a.text == "More like this"]
    assert all("all=yes" in link for link in links)
    assert cards(searching.get(links[-1], headers=HTML).text)


@pytest.mark.parametrize("address", ["/search?like=zzz", f"/search?like={'0' * 64}", "/classify?media=..%2f"])
def test_a_picture_that_is_not_there(searching: TestClient, address: str) -> None:
    """Is said in words."""
    answer = searching.get(address, headers=HTML)
    assert answer.status_code == 404
    assert faults(answer.text) == []


def test_identify_says_three_or_unknown(searching: TestClient, red: str) -> None:
    """Of a picture that is sent, and of one on record."""
    sent = {"picture": ("a.jpg", toy.jpeg(toy.scene((16, 24, RED))), "image/jpeg")}
    for answer in (
        searching.post("/classify", files=sent, headers=HTML),
        searching.get(f"/classify?media={red}", headers=HTML),
    ):
        assert answer.status_code == 200
        assert faults(answer.text) == []
        table = Page.read(answer.text).all("table", class_="guesses")[0]
        rows = [e for e in Page.read(answer.text).all("tr") if table in e.within]
        assert len(rows) == 1 + 3
        assert "%" in rows[1].text


def test_identify_among_names_of_ones_own(searching: TestClient) -> None:
    """Given in the form; hostile ones are only shown."""
    hostile = "<svg onload=alert(1)>"
    sent = {"picture": ("a.jpg", toy.jpeg(toy.scene((16, 24, RED))), "image/jpeg")}
    answer = searching.post("/classify", files=sent, data={"labels": f"red, blue\n{hostile}"}, headers=HTML)
    assert faults(answer.text) == []
    names = Page.read(answer.text).text("th", scope="row")
    assert sorted(names) == sorted(["red", "blue", hostile])
    many = {"labels": "\n".join(f"name {number}" for number in range(201))}
    assert searching.post("/classify", files=sent, data=many, headers=HTML).status_code == 422


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 not a picture", torn(toy.jpeg(toy.scene((16, 24, RED))))])
def test_what_is_no_picture_is_said(searching: TestClient, data: bytes) -> None:
    """An empty field, a PDF, a torn JPEG: in words, with the form's page."""
    for address in ("/classify", "/search"):
        files = {"picture": ("a.jpg", data, "image/jpeg")}
        answer = searching.post(address, files=files, headers=HTML)
        assert answer.status_code == (422 if data or address == "/classify" else 200)
        assert faults(answer.text) == []


def test_the_reviewer_gets_names_to_choose_from(searching: TestClient, red: str) -> None:
    """The likeliest, as buttons, without the one that it has; no visual model runs for it."""
    answer = searching.get(f"/review/guesses?media={red}", headers=HTML)
    names = [b.attributes["value"] for b in Page.read(answer.text).all("button")]
    assert len(names) == 3
    less = searching.get(f"/review/guesses?media={red}&label={names[0]}", headers=HTML)
    assert [b.attributes["value"] for b in Page.read(less.text).all("button")] == names[1:]
