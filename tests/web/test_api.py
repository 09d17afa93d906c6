"""The API: what is on record, a person's word, searching, classifying, health, and its document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings as hypothesis_settings, strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edge.settings import Settings
from edge.web.api.document import text
from tests.service.corrected import Corrigible
from tests.web.record import fill, media_id, page, settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Corrigible]:
    """The record that the page shows."""
    found = fill(tmp_path / "state")
    yield found
    found.database.close()


@pytest.fixture
def browser(desk: Corrigible) -> Iterator[TestClient]:
    """A page over it."""
    with page(settings(desk.database.path.parent)) as found:
        yield found


def _ids(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(r["deployment"], r["label"]) for r in answer["registrations"]]


def test_registrations_newest_first(browser: TestClient) -> None:
    """With times in the camera's zone, as messages have them."""
    answer = browser.get("/api/registrations").json()
    assert _ids(answer) == [("ridge", "Red_Fox"), ("cam", "Badger"), ("cam", "Red_Fox")]
    assert answer["next"] is None
    fox = answer["registrations"][-1]
    assert (fox["start"], fox["end"]) == ("2026-01-01T01:00:00.000+01:00", "2026-01-01T01:01:00.000+01:00")
    assert (fox["state"], fox["count"], fox["media_count"], fox["votes"]) == ("closed", 2, 2, {"Red_Fox": 2})
    assert (fox["scientific_name"], fox["confidence"], fox["reviewed"]) == ("Vulpes vulpes", 0.8, False)


@pytest.mark.parametrize("order", ["time", "changed"])
def test_pages_hold_everything_once(browser: TestClient, order: str) -> None:
    """However small they are."""
    whole = browser.get("/api/registrations", params={"order": order}).json()["registrations"]
    found = []
    cursor: str | None = ""
    while cursor is not None:
        answer = browser.get(f"/api/registrations?order={order}&limit=1&cursor={cursor}").json()
        found += answer["registrations"]
        cursor = answer["next"]
    assert found == whole


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("deployment=ridge", [("ridge", "Red_Fox")]),
        ("label=Badger", [("cam", "Badger")]),
        ("label=Red_Fox&deployment=cam", [("cam", "Red_Fox")]),
        ("from=2026-01-01T01:00", [("ridge", "Red_Fox"), ("cam", "Badger")]),
        ("to=2026-01-01T00:30", [("cam", "Red_Fox")]),
        ("from=2026-01-01T02:00%2B01:00&to=2026-01-01T03:00%2B01:00", [("cam", "Badger")]),
        ("state=open", []),
        ("deployment=nowhere", []),
        ("label=%27%3B%20DROP%20TABLE%20media%3B--", []),
    ],
)
def test_filters(browser: TestClient, query: str, expected: list[tuple[str, str]]) -> None:
    """All that is given has to be true."""
    assert _ids(browser.get(f"/api/registrations?{query}").json()) == expected


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1000", "limit=x", "order=size", "state=retracted", "cursor=nonsense", "from=yesterday",
     "unknown=1", "cursor=t99999999999999999999.ab", "deployment=" + "x" * 300],
)  # fmt: skip
def test_questions_that_make_no_sense_are_refused(browser: TestClient, query: str) -> None:
    """422 with what and why; never 500."""
    answer = browser.get(f"/api/registrations?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"]


def test_a_registration_with_its_images(browser: TestClient) -> None:
    """Images in order with their boxes, what was said, and the neighbours."""
    fox = browser.get("/api/registrations").json()["registrations"][-1]
    found = browser.get(f"/api/registrations/{fox['registration_id']}").json()
    assert {key: found[key] for key in fox} == fox
    assert [i["media_id"] for i in found["images"]] == [media_id("f0"), media_id("f1")]
    assert found["images"][1]["detections"][1]["box"] == {"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4}
    assert [r["change"] for r in found["revisions"]] == ["opened", "updated", "closed"]
    assert found["before"] is None
    assert found["after"] is not None
    second = browser.get(f"/api/registrations/{fox['registration_id']}?offset=1&limit=1").json()
    assert [i["media_id"] for i in second["images"]] == [media_id("f1")]


@pytest.mark.parametrize("path", ["/api/registrations/00000000-0000", f"/api/media/sha256:{'0' * 64}"])
def test_what_isnt_there(browser: TestClient, path: str) -> None:
    """404."""
    assert browser.get(path).status_code == 404


def test_an_image(browser: TestClient) -> None:
    """What is on record of it."""
    found = browser.get(f"/api/media/{media_id('f1')}").json()
    assert (found["file"], found["label"], found["count"]) == ("cam/f1.JPG", "Red_Fox", 2)
    assert found["machine"] is None


def test_cameras_and_labels(browser: TestClient) -> None:
    """By name."""
    cameras = browser.get("/api/deployments").json()["deployments"]
    assert [(c["deployment"], c["images"], c["registrations"]) for c in cameras] == [
        ("cam", 4, 2),
        ("ridge", 1, 1),
    ]
    labels = browser.get("/api/labels").json()
    assert [(n["label"], n["registrations"]) for n in labels["labels"]] == [("Badger", 1), ("Red_Fox", 2)]
    assert "europe" in labels["sets"]


def test_a_persons_word_on_a_registration(browser: TestClient, desk: Corrigible) -> None:
    """All its images are corrected at once, subscribers are told, and the models' word stays visible."""
    before = len(desk.messages())
    seen = browser.get("/api/registrations?label=Badger").json()["registrations"][0]
    path = f"/api/registrations/{seen['registration_id']}/label"
    done = browser.post(path, json={"label": "Red_Fox", "count": 2, "revision": seen["revision"]})
    assert done.status_code == 200
    assert done.json()["images"] == 1
    assert [m.change for m in desk.messages()[before:]] == ["corrected"]
    now = browser.get(f"/api/registrations/{seen['registration_id']}").json()
    assert (now["label"], now["count"], now["reviewed"]) == ("Red_Fox", 2, True)
    assert now["images"][0]["machine"] == {"label": "Badger", "count": 1}
    desk.check()


def test_a_registration_that_changed_meanwhile(browser: TestClient, desk: Corrigible) -> None:
    """Two people at once: the second is told to look again, and nothing of hers is done."""
    seen = browser.get("/api/registrations?label=Badger").json()["registrations"][0]
    path = f"/api/registrations/{seen['registration_id']}"
    word = {"label": "Red_Fox", "revision": seen["revision"]}
    assert browser.post(f"{path}/label", json=word).status_code == 200
    for answer in (
        browser.post(f"{path}/label", json={**word, "label": "Badger"}),
        browser.post(f"{path}/confirm", json={"revision": seen["revision"]}),
    ):
        assert answer.status_code == 409
        assert "look at it again" in answer.json()["hint"]
    assert browser.get(path).json()["label"] == "Red_Fox"
    desk.check()


def test_a_persons_yes(browser: TestClient, desk: Corrigible) -> None:
    """It is right as it is: reviewed from then on."""
    seen = browser.get("/api/registrations?label=Badger").json()["registrations"][0]
    path = f"/api/registrations/{seen['registration_id']}"
    assert browser.post(f"{path}/confirm", json={"revision": seen["revision"]}).status_code == 200
    now = browser.get(path).json()
    assert (now["label"], now["count"], now["reviewed"], now["confidence"]) == ("Badger", 1, True, 1.0)
    desk.check()


def test_a_persons_word_on_an_image_and_back(browser: TestClient, desk: Corrigible) -> None:
    """As `edge relabel`; taken back, the record is as the models had it."""
    before = desk.observations()
    path = f"/api/media/{media_id('f0')}/label"
    assert browser.post(path, json={"count": 0}).json()["images"] == 1
    assert browser.get(f"/api/media/{media_id('f0')}").json()["count"] == 0
    assert browser.delete(path).json()["images"] == 1
    assert desk.observations() == before
    assert browser.delete(path).status_code == 422
    desk.check()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ({"label": "Red_Fxo"}, 422),
        ({"label": "Red_Fxo", "new": True}, 200),
        ({"label": "\x00\x1b", "new": True}, 422),
        ({"label": "Red_Fox", "count": -1}, 422),
        ({"label": "Red_Fox", "count": 10**20}, 422),
        ({"label": "x" * 300, "new": True}, 422),
        ({"lable": "Red_Fox"}, 422),
        ([], 422),
    ],
)
def test_words_are_checked(browser: TestClient, word: object, status: int) -> None:
    """A slip of the finger makes no new species; nor does anything that can't be shown."""
    answer = browser.post(f"/api/media/{media_id('f0')}/label", json=word)
    assert answer.status_code == status


def test_a_slip_is_answered_with_the_label_that_was_meant(browser: TestClient) -> None:
    """As on the command line."""
    answer = browser.post(f"/api/media/{media_id('f0')}/label", json={"label": "Red_Fxo"})
    assert answer.json()["hint"] == "did you mean Red_Fox?"


def test_before_the_daemon_ever_ran(tmp_path: Path) -> None:
    """Health answers; everything else says that it waits, and when to ask again."""
    with page(settings(tmp_path / "state")) as browser:
        health = browser.get("/api/health").json()
        assert (health["daemon"], health["health"]) == ("not running", None)
        assert browser.get("/metrics").text == (
            "# HELP edge_up Whether the daemon runs.\n# TYPE edge_up gauge\nedge_up 0\n"
        )
        for path in ("/api/registrations", "/api/deployments", "/api/search?q=fox"):
            answer = browser.get(path)
            assert answer.status_code == 503
            assert answer.json()["title"] == "the daemon has not started here yet"
            assert answer.headers["retry-after"] == "5"
        assert not (tmp_path / "state").exists()
        fill(tmp_path / "state").database.close()
        assert browser.get("/api/registrations").status_code == 200


@pytest.mark.parametrize("version", [1, 1000])
def test_a_database_of_another_version(browser: TestClient, desk: Corrigible, version: int) -> None:
    """Between an upgrade and the daemon's restart: it is waited for, and said why."""
    desk.database.execute(f"PRAGMA user_version = {version}")
    answer = browser.get("/api/registrations")
    assert answer.status_code == 503
    assert "start the daemon of this version" in answer.json()["hint"]
    assert answer.headers["retry-after"] == "30"


def test_health_and_metrics(searching: TestClient) -> None:
    """The daemon's last word, and its figures as Prometheus reads them."""
    health = searching.get("/api/health").json()
    assert health["daemon"] == "not running"
    assert health["health"]["device"] == "d"
    assert health["web"]["waiting"] == 0
    families = {f.name for f in text_string_to_metric_families(searching.get("/metrics").text)}
    assert families == {"edge_up"}


def test_search_by_words(searching: TestClient, looked: Settings) -> None:
    """Best first, one of each registration, or all; filtered."""
    found = searching.get("/api/search", params={"q": "red"})
    assert found.status_code == 200
    hits = found.json()["hits"]
    assert len(hits) == len({hit["registration_id"] or hit["media_id"] for hit in hits})
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert set(hits[0]) == {"file", "score", "media_id", "deployment", "taken", "label", "registration_id"}
    everything = searching.get("/api/search", params={"q": "red", "all": True, "top": 50}).json()["hits"]
    assert len(everything) == 6
    ridge = searching.get("/api/search", params={"q": "red", "deployment": "ridge", "all": True}).json()[
        "hits"
    ]
    assert {hit["deployment"] for hit in ridge} == {"ridge"}
    assert looked.state.is_dir()


def test_search_by_an_image_on_record(searching: TestClient) -> None:
    """Itself comes first."""
    one = searching.get("/api/search", params={"q": "red", "all": True, "top": 1}).json()["hits"][0]
    found = searching.get("/api/search", params={"media": one["media_id"], "all": True}).json()["hits"]
    assert found[0]["score"] == pytest.approx(1.0, abs=2e-3)
    missing = searching.get("/api/search", params={"media": "sha256:" + "0" * 64})
    assert missing.status_code == 404


@pytest.mark.parametrize(
    "query",
    ["", "q=", "q=a&media=sha256:" + "0" * 64, "q=a&top=0", "media=x", "q=a&night=dusk", "q=" + "x" * 600],
)
def test_search_for_nothing(searching: TestClient, query: str) -> None:
    """Words or an image, one of them."""
    assert searching.get(f"/api/search?{query}").status_code == 422


def test_classify(searching: TestClient, photo: bytes) -> None:
    """By the device's labels, by those of a set, by any that are given; at most three come back."""
    headers = {"Content-Type": "image/jpeg"}
    for query in ("", "?labels=red&labels=blue&labels=green&labels=black", "?label_set=europe"):
        answer = searching.post(f"/api/classify{query}", content=photo, headers=headers)
        assert answer.status_code == 200, answer.text
        top = answer.json()["top"]
        assert len(top) == 3
        assert [g["confidence"] for g in top] == sorted((g["confidence"] for g in top), reverse=True)
    one = searching.get("/api/search", params={"q": "red", "top": 1}).json()["hits"][0]
    by_id = searching.get("/api/classify", params={"media": one["media_id"], "labels": ["red", "blue"]})
    assert {guess["label"] for guess in by_id.json()["top"]} == {"red", "blue"}


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../configs/labels/europe.toml", "nowhere", "europe.toml"]
)
def test_label_sets_are_named_not_found_by_path(searching: TestClient, photo: bytes, name: str) -> None:
    """A request can't have files read."""
    answer = searching.post(
        "/api/classify", params={"label_set": name}, content=photo, headers={"Content-Type": "image/jpeg"}
    )
    assert answer.status_code == 422
    assert "europe" in answer.json()["hint"]


def test_too_many_searches(looked: Settings) -> None:
    """One client's are refused for a moment, with Retry-After; looking at registrations isn't."""
    slow = looked.model_copy(update={"web": looked.web.model_copy(update={"searches": 0.1})})
    with page(slow) as browser:
        codes = [browser.get("/api/search?q=red").status_code for _ in range(4)]
        assert codes == [200, 429, 429, 429]
        assert int(browser.get("/api/search?q=red").headers["retry-after"]) >= 1
        assert browser.get("/api/registrations").status_code == 200


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A page that many questions are put to."""
    state = tmp_path_factory.mktemp("asked") / "state"
    fill(state).database.close()
    with page(settings(state)) as found:
        yield found


_NAMES = (
    "deployment", "label", "from", "to", "cursor", "limit", "order", "state", "q", "media", "top", "all",
    "night", "labels", "label_set",
)  # fmt: skip
_VALUES = st.text(max_size=30) | st.integers().map(str) | st.sampled_from(["2026-01-01", "time", "true"])


@given(
    st.sampled_from(["/api/registrations", "/api/search", "/api/classify"]),
    st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=4),
)
@hypothesis_settings(deadline=None, max_examples=150)
def test_no_question_is_this_sides_fault(asked: TestClient, path: str, given_: dict[str, str]) -> None:
    """Whatever is asked: an answer, or what is wrong with the question."""
    assert asked.get(path, params=given_).status_code in (200, 404, 422)


@given(st.text(max_size=60))
@hypothesis_settings(deadline=None, max_examples=150)
def test_no_path_is_this_sides_fault(asked: TestClient, tail: str) -> None:
    """Also one that looks like an id."""
    for path in ("/api/registrations/", "/api/media/", "/"):
        answer = asked.get(path + quote(tail, safe="", errors="replace"), headers={"Accept": "text/html"})
        assert answer.status_code < 500


def test_the_document_is_current() -> None:
    """docs/openapi.json is what ``python -m edge.web.api.document docs/openapi.json`` writes."""
    assert (DOCS / "openapi.json").read_text("utf-8") == text()


def test_the_document_tells_what_is_answered(searching: TestClient) -> None:
    """Every operation has a summary and says how problems look; it is served as it is kept."""
    document = searching.get("/api/openapi.json").json()
    assert document == json.loads(text())
    for path, operations in document["paths"].items():
        for method, told in operations.items():
            assert told["description"], (path, method)
            assert "429" in told["responses"] or path == "/metrics", (path, method)
            assert told["security"] == [{"HTTPBearer": []}]
