"""What systemd hears of a real daemon: that it is ready, alive only while every part is, and stopping."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.children import minded
from tests.e2e.site import Site, stop, wait_for
from tests.faults.toy_site import deliver, images, toy_site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

_PATCH = """
import pathlib
import time
import edge.service.heartbeat as heartbeat
heartbeat.Worker.__init__.__kwdefaults__["busy_limit"] = 2.0
import edge.vision.pipeline as pipeline
see = pipeline.Vision.see
def stuck(self, data, max_pixels):
    if b"number 3" in data:
        pathlib.Path(__file__).with_name("stuck").touch()
        time.sleep(600)
    return see(self, data, max_pixels)
pipeline.Vision.see = stuck
"""
_SLOW_START = """
import time
import edge.service.opening as opening
opening._TELL = 0.2
import edge.vision.pipeline as pipeline
original = pipeline.Vision.open.__func__
def slow(cls, *arguments, **options):
    time.sleep(1.5)
    return original(cls, *arguments, **options)
pipeline.Vision.open = classmethod(slow)
"""


class Manager:
    """systemd's end of the socket.

    Args:
        path: of the socket.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def listen(self, seconds: float, until: str | None = None) -> list[str]:
        """What comes within so many seconds, or up to a message that holds a text."""
        deadline = time.monotonic() + seconds
        came: list[str] = []
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                came.append(self._socket.recv(4096).decode())
            except TimeoutError:
                break
            if until is not None and until in came[-1]:
                break
        return came

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Where systemd listens."""
    found = Manager(tmp_path / "notify")
    yield found
    found.close()


def _start(site: Site, manager: Manager, code: str) -> subprocess.Popen[bytes]:
    (site.folder / "sitecustomize.py").write_text(code)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_")}
    environment |= {
        "NOTIFY_SOCKET": str(manager.path),
        "WATCHDOG_USEC": "4000000",
        "PYTHONPATH": str(site.folder),
    }
    command = [sys.executable, "-m", "edge", "run", "--config", str(site.config)]
    with (site.folder / "daemon.log").open("ab") as log:
        return minded(subprocess.Popen(command, stderr=log, env=environment))


def _listen_until_there(manager: Manager, path: Path) -> None:
    """Wait for a file, and hear meanwhile: a full socket would hold up what comes later."""

    def there() -> bool:
        manager.listen(0.1)
        return path.exists()

    wait_for(there)


@pytest.mark.fault(21)
def test_watchdog_is_quiet_once_inference_is_stuck(
    tmp_path: Path, manager: Manager, fault_figure: Callable[[str], None]
) -> None:
    """Signs of life come while images are processed, and end when one hangs in the models."""
    site = toy_site(tmp_path / "site", vision={"workers": 1, "bundle": str(tmp_path / "site" / "toy")})
    daemon = _start(site, manager, _PATCH)
    try:
        assert manager.listen(60, "READY=1")[-1] == "READY=1"
        assert "WATCHDOG=1" in manager.listen(30, "WATCHDOG=1")
        deliver(site, images(3))
        site.wait_for_files(3)
        assert "WATCHDOG=1" in manager.listen(30, "WATCHDOG=1")
        deliver(site, images(8))
        _listen_until_there(manager, site.folder / "stuck")
        hung = time.monotonic()
        last = hung
        while time.monotonic() - hung < 10:
            if "WATCHDOG=1" in manager.listen(1.0):
                last = time.monotonic()
        assert last - hung < 6
        assert daemon.poll() is None
        fault_figure(f"last WATCHDOG=1 {last - hung:.0f} s after the hang (limit here 2 s)")
    finally:
        daemon.kill()
        daemon.wait()


def test_systemd_hears_of_a_long_start_and_of_the_end(tmp_path: Path, manager: Manager) -> None:
    """EXTEND_TIMEOUT_USEC while models are opened, then READY, and STOPPING at SIGTERM; in that order."""
    site = toy_site(tmp_path / "site")
    daemon = _start(site, manager, _SLOW_START)
    before = manager.listen(60, "READY=1")
    assert sum("EXTEND_TIMEOUT_USEC=" in said for said in before[:-1]) >= 3
    assert not any("WATCHDOG=1" in said for said in before)
    assert stop(daemon) == 0
    assert any("STOPPING=1" in said for said in manager.listen(1))


def test_broker_that_is_away_is_no_fault(tmp_path: Path, manager: Manager) -> None:
    """Signs of life go on without a broker."""
    site = toy_site(tmp_path / "site", port=1, mqtt={"enabled": True, "host": "127.0.0.1"})
    daemon = _start(site, manager, "")
    assert manager.listen(60, "READY=1")[-1] == "READY=1"
    wait_for(lambda: "unreachable" in site.log())
    for _ in range(6):
        assert "WATCHDOG=1" in manager.listen(30, "WATCHDOG=1")
    assert stop(daemon) == 0
