"""Names, addresses, limits and sessions by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from edge.web.hosts import client_key, is_loopback, is_own, own_names
from edge.web.limits import FREE_ATTEMPTS, LONGEST_WAIT, MOST_CLIENTS, Attempts, Rate
from edge.web.redirects import local
from edge.web.sessions import Sessions


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@given(st.text())
def test_whatever_a_host_header_holds_it_is_own_or_not(text: str) -> None:
    """No text breaks the check, and none with a foreign name passes."""
    if is_own(text, frozenset({"localhost"})):
        name = text.strip().lower().rsplit(":", 1)[0].rstrip(".")
        assert name == "localhost" or any(c in "0123456789[" for c in name)


def test_own_names_are_lower_case_and_never_empty() -> None:
    """Names from the settings count without their case and final dot."""
    names = own_names(("Ridge.LAN.", ""))
    assert {"localhost", "ridge.lan"} <= names
    assert "" not in names


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
    ],
)
def test_a_client_is_its_address_or_its_network(client: str, key: str) -> None:
    """One machine has all addresses of an IPv6 /64."""
    assert client_key(client) == key


def test_loopback() -> None:
    """Also IPv4 as IPv6 writes it; names and nothing are not."""
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")))
    assert not any(map(is_loopback, ("192.0.2.1", "::2", "localhost", "", "::ffff:192.0.2.1")))


def test_a_bucket_fills_again() -> None:
    """A burst is allowed, then the rate; the wait that is told is enough."""
    clock = Clock()
    rate = Rate(2.0, 3.0, clock=clock)
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 1]
    assert rate.take("b") == 0
    clock.now += 1
    assert [rate.take("a") for _ in range(3)] == [0, 0, 1]


def test_limits_remember_a_limited_number_of_clients() -> None:
    """A network full of addresses takes no more memory than that."""
    rate, attempts = Rate(1.0, 1.0, clock=Clock()), Attempts(clock=Clock())
    for number in range(MOST_CLIENTS + 100):
        rate.take(str(number))
        attempts.failed(str(number))
    assert len(rate._buckets) == len(attempts._failures) == MOST_CLIENTS


def test_waits_double_and_end() -> None:
    """Five wrong tokens are free; then 1, 2, 4 ... 300 s; a right one clears it."""
    clock = Clock()
    attempts = Attempts(clock=clock)
    waits = []
    for _ in range(20):
        attempts.failed("a")
        waits.append(attempts.wait("a"))
        clock.now += waits[-1]
        assert attempts.wait("a") == 0
    assert waits[: FREE_ATTEMPTS + 3] == [0, 0, 0, 0, 1, 2, 4, 8]
    assert waits[-1] == LONGEST_WAIT
    attempts.succeeded("a")
    attempts.failed("a")
    assert attempts.wait("a") == 0


def test_a_session_lasts_until_its_end() -> None:
    """And not a second longer."""
    clock = Clock()
    sessions = Sessions("t" * 12, 60.0, clock=clock)
    cookie = sessions.begin()
    assert sessions.holds(cookie)
    clock.now += 59
    assert sessions.holds(cookie)
    clock.now += 1
    assert not sessions.holds(cookie)


def test_a_session_outlives_a_restart_and_not_a_new_token() -> None:
    """It is in the cookie, signed with the token."""
    cookie = Sessions("t" * 12, 60.0).begin()
    assert Sessions("t" * 12, 60.0).holds(cookie)
    assert not Sessions("u" * 12, 60.0).holds(cookie)


@given(st.text(max_size=80))
def test_no_cookie_that_wasnt_made_here_counts(text: str) -> None:
    """Whatever it holds, also parts of a real one."""
    sessions = _SESSIONS
    until, name, signature = _COOKIE.split(".")
    for forged in (text, f"{until}.{name}.{text}", f"{text}.{name}.{signature}", f"{text}{_COOKIE}"):
        assert not sessions.holds(forged) or forged == _COOKIE


@given(st.text(max_size=50))
def test_only_the_token_is_the_token(text: str) -> None:
    """Any text can be asked about."""
    assert _SESSIONS.knows(text) == (text == "t" * 12)


def test_ended_sessions_stay_ended() -> None:
    """And are forgotten once they would have ended by themselves."""
    clock = Clock()
    sessions = Sessions("t" * 12, 60.0, clock=clock)
    cookie, other = sessions.begin(), sessions.begin()
    sessions.end(cookie)
    sessions.end("nonsense")
    assert (sessions.holds(cookie), sessions.holds(other)) == (False, True)


@given(st.text(max_size=40))
def test_no_target_leaves_this_page(text: str) -> None:
    """Whatever is asked for: one slash first, no second one, nothing that browsers read as one."""
    target = local(text)
    assert target.startswith("/")
    assert not target.startswith("//")
    assert not set(target) & set("\\\t\r\n")


_SESSIONS = Sessions("t" * 12, 3600.0)
_COOKIE = _SESSIONS.begin()
