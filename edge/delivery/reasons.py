"""What brokers answer, as stable words for health and sentences for people.

The numbers are MQTT 5's reason codes (OASIS MQTT 5.0, section 2.4).
"""

from __future__ import annotations

from typing import Final, Literal

OK: Final = "ok"
NOT_AUTHORIZED: Final = "not_authorized"
TOO_LARGE: Final = "packet_too_large"

FAILURE: Final = 0x80
"""Reason codes from here on mean that it wasn't done."""

CLOSED: Final = (
    "closed",
    "the broker hung up without saying why; another device of the same name makes it do that too",
)

NOT_WELCOME: Final = (
    "not_welcome",
    "the other side hung up on CONNECT, as a broker without MQTT 5 does (3.1.1 isn't enough), or a TLS port",
)
NOT_WELCOME_IN_TLS: Final = (
    "tls_refused",
    "the broker hung up on CONNECT: it wants another certificate (mqtt.cert_file), or doesn't speak MQTT 5",
)

_NORMAL: Final = 0x00
_WORDS: Final[dict[int, tuple[str, str]]] = {
    0x81: ("protocol_error", "the broker could not read what was sent"),
    0x82: ("protocol_error", "the broker or the client broke the protocol"),
    0x84: ("unsupported_protocol", "the broker doesn't speak MQTT 5; use one that does, such as mosquitto 2"),
    0x85: ("client_id_refused", "the broker refuses the client id"),
    0x86: ("bad_credentials", "the broker refuses the user name or password"),
    0x87: (NOT_AUTHORIZED, "the broker's access rules don't allow it"),
    0x88: ("server_unavailable", "the broker says that it is unavailable"),
    0x89: ("server_busy", "the broker says that it is busy"),
    0x8A: ("banned", "the broker has banned this client"),
    0x8B: ("server_shutting_down", "the broker is shutting down"),
    0x8D: ("keepalive", "nothing was heard for longer than the keepalive allows"),
    0x8E: ("taken_over", "another client connected with the same id; is another device called the same?"),
    0x90: ("topic_refused", "the broker refuses the topic"),
    0x93: ("receive_maximum_exceeded", "more messages were in flight than the broker allows"),
    0x95: (TOO_LARGE, "the message is larger than the broker allows"),
    0x97: ("quota_exceeded", "a quota of the broker is used up"),
    0x98: ("administrative", "the broker's administrator closed the connection"),
    0x99: ("payload_refused", "the broker refuses the payload"),
    0x9C: ("use_another_server", "the broker asks to use another one"),
    0x9D: ("server_moved", "the broker has moved"),
}

Fate = Literal["taken", "hold", "aside", "again"]

_HOLD: Final = frozenset({0x87, 0x97})
_ASIDE: Final = frozenset({0x90, 0x95, 0x99})


def explain(code: int) -> tuple[str, str]:
    """A reason code as a stable word and a sentence."""
    if code < FAILURE:
        return CLOSED if code == _NORMAL else (OK, "")
    return _WORDS.get(code, ("refused", f"the broker answered with reason code 0x{code:02X}"))


def fate(code: int) -> Fate:
    """What becomes of a message that was answered with this code.

    ``hold``: the broker's rules or quotas stand against it and everything like it; it stays in line until
    they change. ``aside``: this very message is refused for what it is. ``again``: the broker had trouble.
    """
    if code < FAILURE:
        return "taken"
    if code in _HOLD:
        return "hold"
    return "aside" if code in _ASIDE else "again"
