"""TLS and passwords towards a real broker, with certificates made for the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from edge.configuration import load
from edge.delivery.broker import LocalBroker, free_port, kinds
from edge.service.checks.broker import try_broker
from edge.settings import MqttSettings
from tests.delivery.certificates import Authority, needs_openssl
from tests.delivery.helpers import (
    DEVICE,
    PATIENCE,
    eventually,
    filled,
    needs_mosquitto,
    needs_rumqttd,
    publishing,
    settings,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # paho's unclosed socket
]
_SLOW_START = PATIENCE


@pytest.fixture(name="ca")
def _ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path).found()


def _broker(ca: Authority, certificate: tuple[Path, Path], *lines: str) -> LocalBroker:
    own = [f"certfile {certificate[0]}", f"keyfile {certificate[1]}", f"cafile {ca.ca}"]
    return LocalBroker("mosquitto", config=[*own, *lines])


def _reason(port: int, **changes: Any) -> tuple[str, str]:
    """What the state settles on while nothing can be delivered."""
    outbox = filled(1)
    with publishing(outbox, port, tls=True, **changes) as publisher:
        assert eventually(lambda: publisher.state().phase == "waiting")
        state = publisher.state()
    assert outbox.counts().pending == 1
    return state.reason, state.detail


@needs_mosquitto
@needs_openssl
def test_broker_of_a_trusted_ca_gets_everything(ca: Authority) -> None:
    """Its certificate is checked against ``ca_file``, its address included."""
    outbox = filled(300)
    with _broker(ca, ca.issue("broker")) as broker:
        with publishing(outbox, broker.port, tls=True, ca_file=ca.ca) as publisher:
            assert publisher.drained(PATIENCE)
        finding = try_broker(settings(broker.port, tls=True, ca_file=ca.ca), DEVICE)
    assert outbox.counts() == (0, 0, 300)
    assert finding.level == "ok"


@needs_mosquitto
@needs_openssl
@pytest.mark.parametrize("fault", ["untrusted", "unknown to the system", "expired", "wrong name"])
def test_certificate_that_cannot_be_believed_is_told(ca: Authority, tmp_path: Path, fault: str) -> None:
    """No message leaves, and health has a word for what is wrong and a sentence on what to do."""
    expected = {
        "untrusted": ("tls_untrusted", "ca_file"),
        "unknown to the system": ("tls_untrusted", "ca_file"),
        "expired": ("tls_expired", "clock"),
        "wrong name": ("tls_wrong_name", "mqtt.host"),
    }[fault]
    other = Authority(tmp_path, "other").found()
    trusted = {"untrusted": other.ca, "unknown to the system": None}.get(fault, ca.ca)
    address = "DNS:broker.example" if fault == "wrong name" else "IP:127.0.0.1"
    certificate = ca.issue("broker", address=address, days=-1 if fault == "expired" else 2)
    with _broker(ca, certificate) as broker:
        word, sentence = _reason(broker.port, ca_file=trusted)
    assert word == expected[0]
    assert expected[1] in sentence


@needs_mosquitto
@needs_openssl
def test_both_sides_show_certificates(ca: Authority, tmp_path: Path) -> None:
    """With its own the device is let in; without one, or with a stranger's, health says so."""
    stranger = Authority(tmp_path, "stranger").found().issue("imposter")
    certificate, key = ca.issue("device")
    broker = _broker(ca, ca.issue("broker"), "require_certificate true")
    with broker:
        outbox = filled(50)
        with publishing(
            outbox, broker.port, tls=True, ca_file=ca.ca, cert_file=certificate, key_file=key
        ) as publisher:
            assert publisher.drained(PATIENCE)
        assert outbox.counts() == (0, 0, 50)
        assert _reason(broker.port, ca_file=ca.ca)[0] == "tls_refused"
        assert (
            _reason(broker.port, ca_file=ca.ca, cert_file=stranger[0], key_file=stranger[1])[0]
            == "tls_refused"
        )


@needs_mosquitto
@needs_openssl
def test_two_sides_that_disagree_about_tls_say_so(ca: Authority) -> None:
    """TLS towards a plain port, and plain MQTT towards a TLS port."""
    with LocalBroker("mosquitto") as plain:
        assert _reason(plain.port, ca_file=ca.ca)[0] == "no_tls"
    with _broker(ca, ca.issue("broker")) as broker, publishing(filled(1), broker.port) as publisher:
        assert eventually(lambda: publisher.state().reason == "not_welcome")
        assert "TLS" in publisher.state().detail


@needs_openssl
def test_files_that_cannot_be_used_are_told_by_name(ca: Authority, tmp_path: Path) -> None:
    """Missing, no certificate, a key of another certificate, an encrypted key."""
    certificate, key = ca.issue("device")
    _, other_key = ca.issue("other")
    encrypted = tmp_path / "encrypted.key"
    command = ["openssl", "ec", "-in", str(key), "-aes256", "-passout", "pass:secret", "-out", str(encrypted)]
    subprocess.run(command, check=True, capture_output=True)
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing")
    cases: list[tuple[dict[str, Path], str]] = [
        ({"ca_file": tmp_path / "missing.pem"}, "missing.pem"),
        ({"ca_file": garbage}, "garbage.pem"),
        ({"cert_file": certificate, "key_file": tmp_path / "no.key"}, "no.key"),
        ({"cert_file": certificate, "key_file": other_key}, "device.pem"),
        ({"cert_file": certificate, "key_file": encrypted}, "encrypted"),
    ]
    port = free_port()
    for changes, named in cases:
        word, sentence = _reason(port, **changes)
        assert word == "tls_files"
        assert named in sentence


def _changes(found: MqttSettings) -> dict[str, Any]:
    """What a test's settings take over from those that were read."""
    return {name: getattr(found, name) for name in found.model_fields_set - {"port"}}


@needs_mosquitto
@needs_openssl
def test_credentials_of_systemd_open_the_broker(
    ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is a credential; the device's key may lie beside it, and is given by its path."""
    users = tmp_path / "users"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(users), "ridge", "right"], check=True)
    certificate, key = ca.issue("device")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mqtt__password").write_text("right")
    (credentials / "client-key").write_bytes(key.read_bytes())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    lines = ["require_certificate true", "allow_anonymous false", f"password_file {users}"]
    with _broker(ca, ca.issue("broker"), *lines) as broker:
        mqtt = {
            "port": broker.port,
            "tls": True,
            "ca_file": str(ca.ca),
            "cert_file": str(certificate),
            "key_file": str(credentials / "client-key"),
            "username": "ridge",
        }
        file = tmp_path / "edge.toml"
        file.write_text(tomli_w.dumps({"mqtt": mqtt}))
        found = load(file)
        assert found.sources["mqtt.password"] == "credential"
        outbox = filled(20)
        with publishing(outbox, broker.port, **_changes(found.settings.mqtt)) as it:
            assert it.drained(PATIENCE)
        (credentials / "mqtt__password").write_text("wrong")
        with publishing(filled(1), broker.port, **_changes(load(file).settings.mqtt)) as it:
            assert eventually(lambda: it.state().reason in {"bad_credentials", "not_authorized"})


_MQTT_3 = """\
id = 0

[router]
id = 0
max_connections = 10
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10

[v4.1]
name = "v4"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 100
"""


@contextmanager
def _broker_of_mqtt_3(folder: Path) -> Iterator[int]:
    """A rumqttd with nothing but its listener for MQTT 3.1.1."""
    port = free_port()
    config = folder / "v4.toml"
    config.write_text(_MQTT_3.format(port=port))
    command = [sys.executable, "-P", "-m", "iotcore", "--log-level", "ERROR", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@needs_rumqttd
def test_real_broker_of_mqtt_3_is_refused_clearly(tmp_path: Path) -> None:
    """One that hangs up at a CONNECT of version 5 is told for what it may be, by health and by doctor."""
    assert "rumqttd" in kinds()
    outbox = filled(1)
    with _broker_of_mqtt_3(tmp_path) as port, publishing(outbox, port) as publisher:
        assert eventually(lambda: publisher.state().reason == "not_welcome", _SLOW_START)
        assert "MQTT 5" in publisher.state().detail
        finding = try_broker(MqttSettings(port=port), DEVICE)
    assert (finding.level, "MQTT 5" in finding.hint) == ("fail", True)
    assert outbox.counts().pending == 1
