"""The broker: a connection as the daemon makes it, and a test message that really has to be taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from edge.delivery import reasons
from edge.delivery.connection import Answered, Connection, Event, Lost, Outgoing, Welcome, publish_properties
from edge.delivery.topics import Topics, discovery_id
from edge.delivery.waker import Waker
from edge.service.checks.finding import Finding
from edge.service.report import is_running, last_message
from edge.settings import MqttSettings, Settings

TIMEOUT: Final = 10.0
PASSWORD_FILE: Final = Path("/etc/edge/mqtt-password")
_TURN: Final = 0.2
_AS_SERVICE: Final = (
    "to try it as the service does: "
    "sudo systemd-run --pipe --uid=edge --property=LoadCredential=mqtt__password:{file} edge doctor"
)
_WHO: Final = "check mqtt.username, and the password in /etc/edge/mqtt-password"
_HINTS: Final = {
    "unreachable": "check mqtt.host, mqtt.port, the network and the firewall; images are processed meanwhile",
    "bad_credentials": _WHO,
    "not_authorized": _WHO,
    "not_welcome": "edge needs MQTT 5: mosquitto 2, EMQX, HiveMQ, VerneMQ ...; or set mqtt.tls",
    "no_tls": "set mqtt.tls = false, or mqtt.port to the broker's TLS port",
    "tls_files": "check mqtt.ca_file, mqtt.cert_file, mqtt.key_file",
    "tls_refused": "ask who runs the broker for a certificate that it accepts",
    "unsupported_protocol": "edge needs MQTT 5: mosquitto 2, EMQX, HiveMQ, VerneMQ ...",
}


def check_broker(settings: Settings, password_file: Path = PASSWORD_FILE) -> Iterator[Finding]:
    """Connect, publish one message below the device's own topics, and tell the broker's answer.

    Under MQTT 5 the answer to a publish has a reason code; a broker whose rules forbid it says so there and
    nowhere else. Where the password is the service's alone, the daemon's word is all that can be told.

    Args:
        settings: all of them.
        password_file: what systemd hands to the service; never read here.
    """
    if not settings.mqtt.enabled:
        yield Finding("broker", "ok", "delivery is off (mqtt.enabled); messages are kept")
        return
    if settings.mqtt.username and settings.mqtt.password is None and password_file.exists():
        yield _as_the_daemon_says(settings, password_file)
    else:
        yield try_broker(settings.mqtt, settings.device)


def _as_the_daemon_says(settings: Settings, password_file: Path) -> Finding:
    where = f"{settings.mqtt.host}:{settings.mqtt.port}"
    why = f"not tried from here, for the password in {password_file} is the service's alone"
    last = last_message(settings.state) if is_running(settings.state) else None
    if last is None:
        return Finding("broker", "warn", f"{where}: {why}", _AS_SERVICE.format(file=password_file))
    if last.broker.connected:
        return Finding("broker", "ok", f"{where}: the daemon is connected; {why}")
    hint = _HINTS.get(last.broker.reason, "see the broker's log")
    return Finding(
        "broker", "fail", f"{where}: the daemon says {last.broker.reason}: {last.broker.detail}", hint
    )


def try_broker(settings: MqttSettings, device: str, timeout: float = TIMEOUT) -> Finding:
    """One test publish.

    Args:
        settings: where and as whom.
        device: the test goes to ``<prefix>/<device>/doctor``, which nobody needs to read.
        timeout: seconds for all of it.
    """
    where = f"{settings.host}:{settings.port}"
    topic = f"{Topics(settings.prefix, device).base}/doctor"
    test = Outgoing(topic, b"{}", properties=publish_properties("application/json", expiry=1))
    connection = Connection(settings, f"edge-doctor-{discovery_id(device)}", test)
    with Waker() as waker, closing(connection):
        answer = _answer(connection, test, waker, time.monotonic() + timeout)
        connection.goodbye()
        connection.poll(0.0, waker)
    if isinstance(answer, Lost):
        hint = _HINTS.get(answer.reason, "see the broker's log")
        return Finding("broker", "fail", f"{where}: {answer.reason}: {answer.detail}", hint)
    if answer is None:
        return Finding("broker", "fail", f"{where}: no answer within {timeout:.0f} s", _HINTS["unreachable"])
    word, sentence = reasons.explain(answer.code)
    if word != reasons.OK:
        hint = f"allow this user to write to {settings.prefix}/{device}/# (and Home Assistant's topic)"
        return Finding("broker", "fail", f"{where} refused a test message: {word}: {sentence}", hint)
    return Finding("broker", "ok", f"{where} took a test message (reason code 0x{answer.code:02X})")


def _answer(connection: Connection, test: Outgoing, waker: Waker, deadline: float) -> Answered | Lost | None:
    connection.dial()
    while time.monotonic() < deadline:
        for event in connection.poll(_TURN, waker):
            if isinstance(event, Welcome):
                connection.publish(test)
            elif (final := _final(event)) is not None:
                return final
    return None


def _final(event: Event) -> Answered | Lost | None:
    return event if isinstance(event, Answered | Lost) else None
