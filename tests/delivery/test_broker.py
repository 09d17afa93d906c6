"""The broker of one's own."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edge.delivery.broker import Kind, LocalBroker, free_port, kinds
from edge.errors import DeliveryError
from tests.delivery.helpers import PATIENCE, Ear, eventually, needs_mosquitto, needs_rumqttd

_INSTALLED = kinds()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", _INSTALLED)
def test_it_lives_as_long_as_the_block(kind: Kind) -> None:
    """It listens inside the block; after it the process and the folder are gone."""
    with LocalBroker(kind) as broker:
        assert _listens(broker.port)
        pid, folder = broker.pid, broker.folder
        assert pid is not None
    assert not _listens(broker.port)
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("kind", _INSTALLED)
def test_it_listens_on_this_machine_only(kind: Kind) -> None:
    """The listening socket is bound to 127.0.0.1."""
    with LocalBroker(kind) as broker:
        wanted = f"{broker.port:04X}"
        tables = [Path("/proc/net") / name for name in ("tcp", "tcp6")]
        lines = [
            line.split() for table in tables if table.exists() for line in table.read_text().splitlines()
        ]
    listening = [line[1] for line in lines if line[1].endswith(f":{wanted}") and line[3] == "0A"]
    assert listening == [f"0100007F:{wanted}"]


@pytest.mark.parametrize("kind", _INSTALLED)
def test_it_comes_back_on_the_same_port(kind: Kind) -> None:
    """Stopped or killed, it can be started again."""
    with LocalBroker(kind) as broker:
        broker.stop()
        assert broker.pid is None
        assert not _listens(broker.port)
        broker.start()
        broker.kill()
        broker.start()
        assert _listens(broker.port)


@needs_mosquitto
def test_one_that_cannot_start_leaves_nothing_running() -> None:
    """Neither one that doesn't come to listen nor a second one beside the first."""
    with LocalBroker("mosquitto") as first:
        pid = first.pid
        with pytest.raises(DeliveryError, match="runs already"):
            first.start()
        assert first.pid == pid
        second = LocalBroker("mosquitto", config=["no_such_option 1"])
        with pytest.raises(DeliveryError, match="ended at once"):
            second.start()
        assert second._process is None
        second.__exit__()


@needs_mosquitto
def test_persistence_keeps_retained_messages() -> None:
    """With persistence a retained message survives a clean restart, and without it doesn't."""
    for persistence, expected in ((True, 1), (False, 0)):
        with LocalBroker("mosquitto", persistence=persistence) as broker:
            with Ear(broker, "kept") as ear:
                ear._client.publish("kept", b"x", qos=1, retain=True)
                assert eventually(lambda ear=ear: len(ear.heard) == 1)  # type: ignore[misc]
            broker.stop()
            broker.start()
            with Ear(broker, "kept") as late:
                patience = PATIENCE if expected else 0.5
                assert eventually(lambda late=late: len(late.heard) == 1, patience) == bool(expected)  # type: ignore[misc]


@needs_mosquitto
def test_a_broken_configuration_is_told_with_the_log() -> None:
    """If it can't start, the error has what it said."""
    with (
        pytest.raises(DeliveryError, match="no_such_option"),
        LocalBroker("mosquitto", config=["no_such_option 1"]),
    ):
        pass


@needs_rumqttd
def test_options_of_the_other_kind_are_refused() -> None:
    """Mosquitto's options don't pass silently where they have no effect."""
    with pytest.raises(DeliveryError, match="use mosquitto"):
        LocalBroker("rumqttd", persistence=True)


def test_signals_need_a_process() -> None:
    """Freezing what doesn't run is an error, ending it isn't."""
    broker = LocalBroker("mosquitto", port=free_port())
    broker.stop()
    with pytest.raises(DeliveryError, match="isn't running"):
        broker.freeze()
    broker.__exit__()


def test_no_broker_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is installed the error says what to install."""
    monkeypatch.setattr("edge.delivery.broker.kinds", list)
    with pytest.raises(DeliveryError, match="demo extra"):
        LocalBroker()
