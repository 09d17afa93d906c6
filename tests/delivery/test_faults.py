"""The publisher and brokers that refuse, hang, crash and forget."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from edge.delivery.broker import LocalBroker, free_port
from edge.delivery.connection import Answered, Connection
from edge.subscriber import Subscriber
from tests.children import minded
from tests.contract.outboxes import FakeCounts, FakeRow, MemoryOutbox, SqliteOutbox
from tests.delivery.helpers import (
    DEVICE,
    PATIENCE,
    change,
    eventually,
    filled,
    needs_mosquitto,
    payload,
    publishing,
)

pytestmark = needs_mosquitto
BASE = f"edge/v1/{DEVICE}"


@pytest.mark.fault(9, "1,000 messages over 1 connection")
def test_flow_control_of_the_broker_is_kept() -> None:
    """With a Receive Maximum of 5 and 1,000 messages waiting there is one connection and no complaint."""
    outbox = filled(1000)
    with LocalBroker("mosquitto", config=["max_inflight_messages 5"]) as broker:  # noqa: SIM117 - order matters
        with publishing(outbox, broker.port) as publisher:
            assert publisher.drained(PATIENCE)
            assert publisher.state().connections == 1
            assert "exceeded" not in broker.log()
            assert broker.log().count(f"edge-{DEVICE}") == 1


@pytest.mark.fault(7, "noticed within two keepalives, 0 of 120 lost")
def test_a_frozen_broker_is_noticed_and_nothing_is_lost() -> None:
    """A broker that hangs is noticed within two keepalives; when it's back everything is sent."""
    outbox = filled(20)
    with LocalBroker("mosquitto") as broker, publishing(outbox, broker.port, keepalive=4) as publisher:
        assert publisher.drained(PATIENCE)
        broker.freeze()
        frozen = time.monotonic()
        for revision in range(21, 121):
            outbox.append("cam-1", payload(change(revision=revision)))
        publisher.wake()
        assert eventually(lambda: not publisher.state().connected)
        assert time.monotonic() - frozen < 3 * 4  # two, and one more for a machine that is busy
        assert publisher.state().reason in {"keepalive", "no_answers"}
        assert eventually(lambda: time.monotonic() - publisher.heartbeat < 1.5)
        broker.thaw()
        assert publisher.drained(PATIENCE)
    assert outbox.counts() == (0, 0, 120)


def test_an_idle_connection_to_a_frozen_broker_is_noticed_too() -> None:
    """Without a message in flight the missing answer to a ping tells."""
    with (
        LocalBroker("mosquitto") as broker,
        publishing(MemoryOutbox(), broker.port, keepalive=1) as publisher,
    ):
        assert publisher.drained(PATIENCE)
        broker.freeze()
        assert eventually(lambda: publisher.state().reason == "keepalive")


@pytest.mark.fault(8, "2 connections, 0 of 200 lost")
def test_an_exception_in_a_callback_costs_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a callback raises, the client is rebuilt and everything is sent."""
    outbox = filled(200)
    original, raised = Connection._on_publish, threading.Event()

    def faulty(self: Connection, *arguments: Any) -> None:
        if len(self._events) and isinstance(self._events[-1], Answered) and not raised.is_set():
            raised.set()
            raise RuntimeError("a fault in a callback")
        original(self, *arguments)

    monkeypatch.setattr(Connection, "_on_publish", faulty)
    with LocalBroker("mosquitto") as broker, publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        assert raised.is_set()
        assert publisher.state().connections == 2
    assert outbox.counts() == (0, 0, 200)


def test_a_broker_that_comes_and_goes_loses_nothing() -> None:
    """Killed and started in the middle of a backlog, several times: every row is acknowledged in the end."""
    outbox = filled(3000, deployments=4)
    with LocalBroker("mosquitto") as broker, publishing(outbox, broker.port) as publisher:
        for _ in range(4):
            before = publisher.state().acked
            assert eventually(lambda before=before: publisher.state().acked > before)  # type: ignore[misc]
            broker.kill()
            assert eventually(lambda: not publisher.state().connected)
            broker.start()
        assert publisher.drained(PATIENCE)
    assert outbox.counts() == (0, 0, 3000)


def test_a_broker_started_later_is_found() -> None:
    """The publisher may start first."""
    outbox, port = filled(5), free_port()
    with publishing(outbox, port) as publisher:
        assert eventually(lambda: publisher.state().reason == "unreachable")
        with LocalBroker("mosquitto", port=port):
            assert publisher.drained(PATIENCE)


def test_refused_credentials_are_told() -> None:
    """A broker that wants a password says so in the state, and the messages stay."""
    outbox = filled(3)
    lines = ["allow_anonymous false"]
    with LocalBroker("mosquitto", config=lines) as broker, publishing(outbox, broker.port) as publisher:
        assert eventually(lambda: publisher.state().reason in {"not_authorized", "bad_credentials"})
        assert eventually(lambda: publisher.state().phase == "waiting")
    assert outbox.counts().pending == 3


def _certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1 that vouches for itself."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem")]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    subprocess.run([*command, *files, *name], check=True, capture_output=True)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves its socket unclosed
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_tls_with_a_password_works_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    """Over TLS, checked against the given CA, with user and password; a wrong password is refused."""
    _certificate(tmp_path)
    users = tmp_path / "users"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(users), "ridge", "right"], check=True)
    config = [f"certfile {tmp_path}/ca.pem", f"keyfile {tmp_path}/key.pem", "allow_anonymous false"]
    safe: dict[str, Any] = {"tls": True, "ca_file": tmp_path / "ca.pem", "username": "ridge"}
    outbox = filled(300)
    with LocalBroker("mosquitto", config=[*config, f"password_file {users}"]) as broker:
        with publishing(outbox, broker.port, **safe, password=SecretStr("wrong")) as publisher:
            assert eventually(lambda: publisher.state().reason in {"not_authorized", "bad_credentials"})
        with publishing(outbox, broker.port, **safe, password=SecretStr("right")) as publisher:
            assert publisher.drained(PATIENCE)
        with publishing(filled(1), broker.port, tls=True) as publisher:
            assert eventually(lambda: "certificate" in publisher.state().detail.lower())
    assert outbox.counts() == (0, 0, 300)


@contextmanager
def _answering(answer: bytes) -> Iterator[int]:
    """A server that answers whatever it is sent with the same bytes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    visitor, _ = server.accept()
                except OSError:
                    return
                with visitor:
                    visitor.recv(4096)
                    visitor.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_a_broker_of_mqtt_3_is_refused_clearly() -> None:
    """A CONNACK of MQTT 3.1.1 with "unacceptable protocol version" says what is needed instead."""
    with _answering(b"\x20\x02\x00\x01") as port, publishing(filled(1), port) as publisher:
        assert eventually(lambda: publisher.state().reason == "unsupported_protocol")
        assert "MQTT 5" in publisher.state().detail


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 64, b"\x20\x7f", b""])
def test_something_that_is_no_broker_does_no_harm(answer: bytes) -> None:
    """Garbage for an answer is a reason to try again later, nothing more."""
    with _answering(answer) as port, publishing(filled(1), port) as publisher:
        assert eventually(lambda: publisher.state().phase == "waiting")
        assert eventually(lambda: publisher.state().reason not in {"ok", "connecting"})
        assert publisher.failure is None


def test_tls_files_that_are_missing_are_told(tmp_path: Path) -> None:
    """A certificate that isn't there is a reason in the state, not the end of the thread."""
    missing = tmp_path / "ca.pem"
    with publishing(filled(1), free_port(), tls=True, ca_file=missing) as publisher:
        assert eventually(lambda: publisher.state().phase == "waiting")
        assert publisher.failure is None


def test_another_device_of_the_same_name_is_told() -> None:
    """Two publishers with one name push each other out; what they say of it points to that."""
    with LocalBroker("mosquitto") as broker, publishing(MemoryOutbox(), broker.port) as first:
        assert eventually(lambda: first.state().connected)
        with publishing(MemoryOutbox(), broker.port):
            assert eventually(lambda: first.state().phase == "waiting")
            assert "same name" in first.state().detail
            assert eventually(lambda: first.state().connected)


class _Endless(MemoryOutbox):
    """A long line that is made up as it's read, so that only the publisher's own memory counts."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.acked = number, 0

    def head(self) -> int:
        """The last number."""
        return self.number

    def pending(self, after: int, limit: int) -> list[FakeRow]:
        """Rows of 2 KB."""
        first = max(after, self.acked) + 1
        return [FakeRow(seq, "cam-1", b"%2000d" % seq) for seq in range(first, self.number + 1)[:limit]]

    def acknowledge(self, seqs: Sequence[int]) -> None:
        """Answers come in order from a broker without faults."""
        assert list(seqs) == list(range(self.acked + 1, self.acked + len(seqs) + 1))
        self.acked += len(seqs)

    def counts(self) -> FakeCounts:
        """Rows by state."""
        return FakeCounts(self.number - self.acked, 0, self.acked)


@pytest.mark.fault(3, "100,000 waiting: peak < 3 MB traced")
@pytest.mark.parametrize(
    "number", [pytest.param(5_000, id="5k"), pytest.param(100_000, id="100k", marks=pytest.mark.faults)]
)
def test_memory_stays_flat_however_much_waits(number: int) -> None:
    """Draining holds a page of rows and the window in memory, not the backlog."""
    outbox = _Endless(number)
    with LocalBroker("mosquitto") as broker:
        tracemalloc.start()
        try:
            with publishing(outbox, broker.port) as publisher:
                assert publisher.drained(100)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outbox.acked == number
    assert peak < 3_000_000


_DRAIN = """
import sys
from pathlib import Path
from tests.contract.outboxes import SqliteOutbox
from tests.delivery.helpers import publishing
with publishing(SqliteOutbox(Path(sys.argv[1])), int(sys.argv[2])) as publisher:
    publisher.drained(300)
"""


def _drain(database: Path, broker: LocalBroker) -> subprocess.Popen[bytes]:
    return minded(subprocess.Popen([sys.executable, "-c", _DRAIN, str(database), str(broker.port)]))


def _acked(outbox: SqliteOutbox) -> int:
    return outbox.counts().acked


@pytest.mark.fault(3, "0 of 100,000 lost")
@pytest.mark.parametrize(
    "number", [pytest.param(5_000, id="5k"), pytest.param(100_000, id="100k", marks=pytest.mark.faults)]
)
def test_a_killed_publisher_and_broker_lose_nothing(number: int, tmp_path: Path) -> None:
    """Publisher and broker are killed amid a long backlog: a subscriber has every number in the end."""
    outbox = SqliteOutbox(tmp_path / "outbox.db")
    outbox.append_all([("cam-1", payload(change(revision=revision))) for revision in range(1, number + 1)])
    seen: set[int] = set()
    with LocalBroker("mosquitto") as broker:
        subscriber = Subscriber(
            port=broker.port, on_message=lambda m: seen.add(m.seq), patience=0.2, retry=2.0
        )
        with subscriber:
            for part in (1, 2):
                process = _drain(tmp_path / "outbox.db", broker)
                assert eventually(lambda part=part: _acked(outbox) > part * number // 4, timeout=60)  # type: ignore[misc]
                process.kill()
                process.wait()
                broker.kill()
                broker.start()
            process = _drain(tmp_path / "outbox.db", broker)
            assert process.wait(100) == 0
            with publishing(outbox, broker.port):
                assert subscriber.wait_until(lambda: len(seen) == number, timeout=100)
    assert outbox.counts() == (0, 0, number)
    assert seen == set(range(1, number + 1))
    outbox.close()


@pytest.mark.fault(4, "0 of 1,500 lost after the replay")
def test_a_broker_that_forgets_is_made_good_by_a_replay() -> None:
    """Messages that the broker acknowledged and lost with its memory reach a subscriber that was away."""
    outbox = filled(1500, deployments=3)
    with LocalBroker("mosquitto") as broker, publishing(outbox, broker.port) as publisher:
        assert publisher.drained(PATIENCE)
        broker.kill()
        broker.start()
        assert eventually(lambda: publisher.state().connected)
        with Subscriber(port=broker.port, patience=0.1, retry=2.0) as subscriber:
            assert subscriber.wait_until(subscriber.is_complete, PATIENCE)
            rows = subscriber.rows()
    # 1,500 messages go round three cameras, beginning with the second: the last is of the first.
    assert {row["deployment"]: row["revision"] for row in rows} == {
        "cam-1": 1500,
        "cam-2": 1498,
        "cam-3": 1499,
    }
