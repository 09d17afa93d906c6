"""What stands before every handler: names, origins, tokens, limits, headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from edge.web.app import make_app
from edge.web.headers import CONTENT_SECURITY_POLICY
from tests.web.record import HERE, TOKEN, bearer, fill, page, settings

HTML = {"Accept": "text/html"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a record."""
    fill(tmp_path / "state").database.close()
    return tmp_path / "state"


@pytest.fixture
def open_page(state: Path) -> Iterator[TestClient]:
    """A page without a token, asked from this machine."""
    with page(settings(state)) as browser:
        yield browser


@pytest.fixture
def guarded(state: Path) -> Iterator[TestClient]:
    """A page with a token, asked from elsewhere."""
    found = settings(state, token=TOKEN, host="0.0.0.0")  # noqa: S104 - nothing listens in this test
    with page(found, client="192.168.4.20", base="http://192.168.4.1:8640") as browser:
        yield browser


@pytest.mark.parametrize(
    "path", ["/api/health", "/api/registrations", "/metrics", "/api/nothing", "/nothing"]
)
def test_every_answer_has_the_headers(open_page: TestClient, path: str) -> None:
    """Also errors: only this server's scripts run, nobody frames it, nothing is kept or guessed."""
    headers = open_page.get(path).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8640", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b"],
)
def test_a_name_that_isnt_this_machines_is_refused(open_page: TestClient, host: str) -> None:
    """DNS rebinding: the browser believes that a foreign name is here, and sends that name."""
    answer = open_page.get("/api/registrations", headers={"Host": host})
    assert answer.status_code == 421
    assert "registrations" not in answer.json()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:8640", "[::1]:8640", "192.168.4.1:8640", "10.0.0.7"]
)
def test_addresses_and_this_machines_names_are_served(open_page: TestClient, host: str) -> None:
    """Nobody can have an address point elsewhere."""
    assert open_page.get("/api/health", headers={"Host": host}).status_code == 200


def test_names_can_be_added(state: Path) -> None:
    """web.allowed_hosts, whatever their case."""
    with page(settings(state, allowed_hosts=("Camera.Ridge.lan",))) as browser:
        assert browser.get("/api/health", headers={"Host": "camera.ridge.LAN:8640"}).status_code == 200
        assert browser.get("/api/health", headers={"Host": "ridge.lan"}).status_code == 421


@pytest.mark.parametrize("client", ["192.0.2.7", "10.0.0.1", "::ffff:192.0.2.7", "2001:db8::1"])
def test_without_a_token_other_machines_are_refused(state: Path, client: str) -> None:
    """Whatever the socket is bound to."""
    with page(settings(state), client=client) as browser:
        for path in ("/api/health", "/api/registrations", "/metrics", "/login", "/static/x.css"):
            assert browser.get(path).status_code == 403


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/api/registrations", "GET"), ("/api/health", "GET"), ("/metrics", "GET"),
        ("/api/search?q=fox", "GET"),
        ("/api/classify", "POST"), ("/api/openapi.json", "GET"), ("/nothing", "GET"), ("/", "GET"),
        ("/api/media/sha256:00/label", "POST"),
    ],
)  # fmt: skip
def test_without_the_token_nothing_is_answered(guarded: TestClient, path: str, method: str) -> None:
    """Not even whether a path exists; the answer says how to give it."""
    for headers in ({}, bearer("wrong-token-wrong"), {"Cookie": "edge_session=9999999999.abc.def"}):
        answer = guarded.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_token_opens_everything(guarded: TestClient) -> None:
    """As a header, in the way of programs."""
    assert guarded.get("/api/registrations", headers=bearer()).status_code == 200
    assert guarded.get("/metrics", headers=bearer()).text.startswith("# HELP edge_up")


def test_the_token_doesnt_count_in_an_address(guarded: TestClient) -> None:
    """Addresses end up in logs and histories."""
    assert guarded.get(f"/api/registrations?token={TOKEN}").status_code == 401


def test_a_browser_is_led_to_the_login_and_back(guarded: TestClient) -> None:
    """It gets a cookie that scripts can't read and other sites' pages don't send."""
    asked = guarded.get("/registrations?label=Red_Fox", headers=HTML)
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=/registrations%3Flabel%3DRed_Fox"
    done = guarded.post("/login", data={"token": TOKEN, "next": "/registrations?label=Red_Fox"})
    assert (done.status_code, done.headers["location"]) == (303, "/registrations?label=Red_Fox")
    cookie = done.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie.replace("session", "")
    assert guarded.get("/api/registrations").status_code == 200


def test_over_https_the_cookie_is_for_https_alone(state: Path) -> None:
    """And for this very origin."""
    found = settings(state, token=TOKEN, cert_file=state / "c", key_file=state / "k")
    with page(found) as browser:
        cookie = browser.post("/login", data={"token": TOKEN}).headers["set-cookie"]
    assert cookie.startswith("__Host-edge_session=")
    assert "Secure" in cookie
    assert "Path=/" in cookie


def test_logging_out_ends_the_session(guarded: TestClient) -> None:
    """For the cookie's thief, too."""
    guarded.post("/login", data={"token": TOKEN})
    stolen = guarded.cookies["edge_session"]
    assert guarded.post("/logout").status_code == 303
    guarded.cookies.clear()
    answer = guarded.get("/api/registrations", headers={"Cookie": f"edge_session={stolen}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "javascript:alert(1)", "evil.example", "", "/\n/evil.example"],
)  # fmt: skip
def test_login_leads_nowhere_else(guarded: TestClient, target: str) -> None:
    """A link with `next` can't bring a person off this page with the feeling of having come from it."""
    done = guarded.post("/login", data={"token": TOKEN, "next": target})
    assert (done.status_code, done.headers["location"]) == (303, "/")


def test_wrong_tokens_are_slowed_down(guarded: TestClient) -> None:
    """After five the sixth isn't looked at, even if it is right; it is said how long to wait."""
    answers = [guarded.get("/api/health", headers=bearer(f"wrong-{n}")) for n in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 5
    sixth = guarded.get("/api/health", headers=bearer())
    assert sixth.status_code == 429
    assert int(sixth.headers["retry-after"]) >= 1
    assert guarded.post("/login", data={"token": TOKEN}).status_code == 429


def test_who_is_logged_in_isnt_locked_out(guarded: TestClient) -> None:
    """Somebody behind the same address guesses; a session goes on."""
    guarded.post("/login", data={"token": TOKEN})
    cookies = dict(guarded.cookies)
    guarded.cookies.clear()
    for number in range(8):
        guarded.get("/api/health", headers=bearer(f"wrong-{number}"))
    guarded.cookies.update(cookies)
    assert guarded.get("/api/health").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8641"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_another_sites_page_changes_nothing(
    open_page: TestClient, headers: dict[str, str], method: str
) -> None:
    """With or without a cookie; another port of this machine is another site."""
    answer = open_page.request(method, "/api/media/sha256:00/label", headers=headers, json={"count": 0})
    assert answer.status_code == 403


@pytest.mark.parametrize("dest", ["image", "script", "empty", "iframe", "object"])
def test_another_sites_page_gets_nothing(open_page: TestClient, dest: str) -> None:
    """Neither pictures nor scripts nor frames of here in a page of elsewhere."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": dest}
    assert open_page.get("/api/registrations", headers=headers).status_code == 403


def test_links_from_elsewhere_are_followed(open_page: TestClient) -> None:
    """A person who clicks a link is welcome."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert open_page.get("/api/health", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": HERE, "Sec-Fetch-Site": "same-origin"},
        {"Origin": HERE},
        {"Sec-Fetch-Site": "same-origin"},
        {},
    ],
)
def test_own_pages_and_programs_may(open_page: TestClient, headers: dict[str, str]) -> None:
    """They get as far as the handler."""
    path = "/api/media/sha256:" + "0" * 64 + "/label"
    assert open_page.post(path, headers=headers, json={"count": 0}).status_code == 404


def test_too_many_requests(state: Path) -> None:
    """One client's are refused for a moment; others are served."""
    with page(settings(state, requests=1.0)) as browser:
        codes = [browser.get("/api/health").status_code for _ in range(40)]
        assert codes[:20] == [200] * 20
        assert codes.count(429) >= 15
        assert int(browser.get("/api/health").headers["retry-after"]) >= 1


def test_a_mistake_of_ours_tells_nothing(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback and no words of it, in either form, and the headers all the same."""

    def fail(_state: Path) -> bool:
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr("edge.web.api.status.is_running", fail)
    with TestClient(
        make_app(settings(state)),
        base_url=HERE,
        client=("127.0.0.1", 50000),
        raise_server_exceptions=False,
    ) as browser:
        answer = browser.get("/api/health")
        assert answer.status_code == 500
        assert answer.json()["title"] == "Internal Server Error"
        assert "secret" not in answer.text
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_paths_dont_leave_the_static_folder(guarded: TestClient) -> None:
    """What is open to everybody is what was shipped for it."""
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fsettings.py",
        "/static//etc/passwd",
    ):
        answer = guarded.get(path)
        assert answer.status_code in (401, 404)
        assert "import" not in answer.text
