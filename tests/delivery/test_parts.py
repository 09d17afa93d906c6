"""The small pure parts of delivery: window, backoff, suspicion, reasons, topics, waker."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, strategies as st

from edge.delivery.backoff import Backoff
from edge.delivery.reasons import explain, fate
from edge.delivery.suspicion import Suspicion
from edge.delivery.topics import Topics, discovery_id, level
from edge.delivery.waker import Waker
from edge.delivery.window import Window


def test_a_window_has_room_up_to_its_capacity() -> None:
    """Exactly as many as allowed are in flight; an answer makes room."""
    window: Window[str] = Window(2)
    window.add(1, "a")
    assert window.has_room()
    window.add(2, "b")
    assert not window.has_room()
    with pytest.raises(ValueError, match="2 of 2"):
        window.add(3, "c")
    assert window.take(1) == "a"
    assert window.take(1) is None
    assert window.has_room()


def test_a_window_keeps_the_order_of_sending() -> None:
    """The oldest is the one sent first, whatever its packet id."""
    window: Window[str] = Window(3)
    assert window.oldest() is None
    for mid, item in ((9, "a"), (1, "b"), (5, "c")):
        window.add(mid, item)
    window.take(9)
    assert window.oldest() == "b"
    assert window.items() == ["b", "c"]


def test_a_packet_id_stands_for_one_item() -> None:
    """Adding an id that is in flight is a fault."""
    window: Window[str] = Window(3)
    window.add(1, "a")
    with pytest.raises(ValueError, match="packet id 1"):
        window.add(1, "b")


@given(st.floats(0, 1), st.integers(1, 60))
def test_delays_double_up_to_the_longest(dice: float, tries: int) -> None:
    """Each delay lies between a half and the whole of its ceiling, and no ceiling is over the longest."""
    backoff = Backoff(0.5, 60.0, lambda: dice)
    delays = [backoff.next() for _ in range(tries)]
    for number, delay in enumerate(delays):
        ceiling = min(60.0, 0.5 * 2**number)
        assert ceiling / 2 <= delay <= ceiling
    backoff.reset()
    assert backoff.next() <= 0.5


def test_the_suspect_is_condemned_after_strikes_alone() -> None:
    """Losses in company only cast suspicion; as many alone as the limit condemn."""
    suspicion = Suspicion(2)
    assert not suspicion.blame("message 7", alone=False)
    assert suspicion.suspect == "message 7"
    assert not suspicion.blame("message 7", alone=False)
    assert not suspicion.blame("message 7", alone=True)
    assert suspicion.blame("message 7", alone=True)
    assert suspicion.suspect is None


def test_an_answer_clears_the_suspect() -> None:
    """Who gets through is innocent, and begins anew should it be suspected again."""
    suspicion = Suspicion(2)
    suspicion.blame("message 7", alone=True)
    suspicion.answered("message 8")
    assert suspicion.suspect == "message 7"
    suspicion.answered("message 7")
    assert not suspicion.blame("message 7", alone=True)


def test_a_new_suspect_has_no_strikes() -> None:
    """Strikes of one don't count for another."""
    suspicion = Suspicion(2)
    suspicion.blame("message 7", alone=True)
    assert not suspicion.blame("message 8", alone=True)
    assert suspicion.blame("message 8", alone=True)


def test_one_strike_alone_is_enough_when_the_broker_says_so() -> None:
    """With the reason "packet too large" there is no doubt who was meant, if it was alone."""
    suspicion = Suspicion(5)
    assert not suspicion.blame("message 7", alone=False, certain=True)
    assert suspicion.blame("message 7", alone=True, certain=True)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0x00, "taken"),
        (0x10, "taken"),
        (0x80, "again"),
        (0x83, "again"),
        (0xF0, "again"),
        (0x87, "hold"),
        (0x97, "hold"),
        (0x90, "aside"),
        (0x95, "aside"),
        (0x99, "aside"),
    ],
)
def test_what_an_answer_means_for_a_message(code: int, expected: str) -> None:
    """Successes are taken, rules and quotas hold, refused messages go aside, trouble is retried."""
    assert fate(code) == expected


def test_reasons_are_words_and_sentences() -> None:
    """Known codes have a word of their own; unknown ones show their number."""
    assert explain(0x8E)[0] == "taken_over"
    assert "same" in explain(0x8E)[1]
    assert explain(0x84)[0] == "unsupported_protocol"
    assert "0xFE" in explain(0xFE)[1]
    assert explain(0x00)[0] == "closed"


def test_topics_are_those_of_the_contract() -> None:
    """Every topic below the prefix and the device."""
    topics = Topics("edge/v1", "ridge-01")
    assert topics.status == "edge/v1/ridge-01/status"
    assert topics.cursor == "edge/v1/ridge-01/cursor"
    assert topics.health == "edge/v1/ridge-01/health"
    assert topics.registration("cam-07") == "edge/v1/ridge-01/registration/cam-07"
    assert topics.snapshot("cam-07") == "edge/v1/ridge-01/snapshot/cam-07"
    assert topics.discovery == "homeassistant/device/ridge-01/config"
    assert topics.command("replay") == "edge/v1/ridge-01/command/replay"
    assert topics.command_of("edge/v1/ridge-01/command/replay") == "replay"
    assert topics.command_of("homeassistant/status") is None


@given(st.text(min_size=1, max_size=30))
def test_any_name_is_one_level_of_a_topic(name: str) -> None:
    """Nothing that MQTT gives a meaning to is left, and different names stay different."""
    assert not set(level(name)) & set("+#/\0")
    assert level(name)
    assert level(name) != level(name + "#")


@given(st.text(max_size=20), st.text(max_size=20))
def test_discovery_ids_have_only_what_is_allowed(name: str, other: str) -> None:
    """Letters, digits, underscore and hyphen; a plain name stays as it is, and others don't collide."""
    assert all(char.isascii() and (char.isalnum() or char in "_-") for char in discovery_id(name))
    assert (discovery_id(name) == discovery_id(other)) == (name == other)
    assert discovery_id("cam-07_b") == "cam-07_b"


def test_a_waker_wakes_once_and_not_after_its_end() -> None:
    """A wake-up before the wait counts, one is enough for many, and after ``close`` nothing happens."""
    with Waker() as waker:
        waker.wake()
        waker.wake()
        before = time.monotonic()
        waker.wait(60.0)
        assert time.monotonic() - before < 30.0
        waiting = threading.Thread(target=waker.wait, args=(60.0,))
        waiting.start()
        waker.wake()
        waiting.join(30.0)
        assert not waiting.is_alive()
    waker.wake()
    waker.close()
