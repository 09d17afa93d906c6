"""A full disk, and one that fails: no image is lost, and nothing is said that isn't true."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from edge.delivery.broker import LocalBroker, mosquitto_path
from edge.demo.camera import shots
from edge.service.report import last_health
from edge.store.database import DATABASE
from edge.testing import VirtualCamera, jpeg_bytes
from tests import children
from tests.delivery.helpers import Ear
from tests.e2e.site import Site, stop, wait_for
from tests.faults.disks import filled, small_disk

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
LABELS = str(Path(__file__).resolve().parents[2] / "edge" / "demo" / "labels.toml")
MB = 1 << 20
SMALL = {"low_water": 4 * MB, "ballast": MB, "snapshots_free": 0}
"""The shipped settings, made small as the disk is."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    with small_disk(tmp_path / "small", 12) as folder:
        yield folder
        children.end_all()  # before the disk goes, and so that the log is whole
    log = tmp_path / "daemon.log"
    if log.exists():
        sys.stdout.write(log.read_text(errors="replace"))  # shown where the test failed


def _site(folder: Path, disk: Path, port: int | None = None) -> Site:
    settings = {"mqtt": {"health_interval": 1.0}, "store": SMALL, "vision": {"labels": LABELS}}
    site = Site(folder, port, settings).prepare()
    (disk / "state").mkdir(exist_ok=True)
    site.state.symlink_to(disk / "state")
    return site


def _images(folder: Path, first: int, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + number):
        image = jpeg_bytes(320, 240, seed=i, taken=START + timedelta(minutes=i))
        (folder / f"IMG_{i:04}.JPG").write_bytes(image)


@contextmanager
def _disk_failing(process: int) -> Iterator[None]:
    """Every fsync of a running process fails while the block runs, or until it ends."""
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", "/dev/null"]
    command += ["-e", "inject=fsync,fdatasync:error=EIO", "-p", str(process)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        try:
            assert strace.stderr is not None
            first = strace.stderr.readline()
            if "attached" not in first:
                pytest.skip(f"strace may not trace here: {first}")
            yield
        finally:
            strace.terminate()


def _codes(site: Site) -> set[str]:
    health = last_health(site.state) or {}
    return {problem["code"] for problem in health.get("problems", [])}


def _pending(site: Site) -> int:
    """Files that were seen and wait, as health last said."""
    pending: int = (last_health(site.state) or {})["intake"]["pending"]
    return pending


def _processed(site: Site) -> int:
    return sum(row["state"] == "processed" for row in site.media().values())


@pytest.mark.fault(16, "paused below low water, delivery went on")
def test_below_low_water_intake_pauses_and_delivery_goes_on(tmp_path: Path, disk: Path) -> None:
    """Messages that wait are delivered, health says what is wrong; with space the images follow."""
    if mosquitto_path() is None:
        pytest.skip("needs mosquitto")
    story = list(shots(date(2025, 6, 11), pace=0.0))
    camera = VirtualCamera(tmp_path / "drop", pause=0.0)
    with LocalBroker("mosquitto") as broker:
        broker.stop()
        site = _site(tmp_path, disk, broker.port)
        camera.run(story[:4])
        daemon = site.start()
        site.wait_ready()
        wait_for(lambda: _processed(site) == 4)
        assert site.json("status")["outbox"]["waiting"] > 0
        with filled(disk, leave=MB):
            wait_for(lambda: "disk_full" in _codes(site))
            camera.run(story[4:8])
            wait_for(lambda: _pending(site) == 4)
            broker.start()
            wait_for(lambda: site.json("status")["outbox"]["waiting"] == 0)
            time.sleep(3.0)  # for intake to do what it mustn't
            assert (_processed(site), _pending(site)) == (4, 4)
            assert "disk_full: over" not in site.log()
        wait_for(lambda: _processed(site) == 8)
        assert stop(daemon) == 0


@pytest.mark.faults
@pytest.mark.fault(16, "ballast given up and held again, 0 lost")
def test_full_to_the_last_byte_gives_up_the_ballast_and_gets_it_back(tmp_path: Path, disk: Path) -> None:
    """What was in hand is recorded with it; with space again it is held again; nothing is lost."""
    site = _site(tmp_path, disk)
    site.config.write_text(site.config.read_text().replace(f"low_water = {4 * MB}", "low_water = 0"))
    daemon = site.start()
    ballast = site.state / "ballast"
    wait_for(lambda: ballast.exists() and site.state.joinpath("health.json").exists())
    with filled(disk):
        _images(site.drop / "cam", 0, 10)
        wait_for(lambda: "the ballast was given up" in site.log())
        assert daemon.poll() is None
    wait_for(lambda: _processed(site) == 10)
    wait_for(ballast.exists)
    assert stop(daemon) == 0
    with closing(sqlite3.connect(site.state / DATABASE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.faults
def test_start_on_a_full_disk_gives_up_the_ballast_or_waits(tmp_path: Path, disk: Path) -> None:
    """It neither ends nor loses anything, and says so; with space it goes on by itself."""
    site = _site(tmp_path, disk)
    _images(site.drop / "cam", 0, 3)
    site.run_until_idle()
    (site.state / "ballast").unlink(missing_ok=True)
    with filled(disk):
        _images(site.drop / "cam", 3, 3)
        daemon = site.start()
        wait_for(lambda: "waiting for space" in site.log() or "disk_full" in site.log())
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.wait(8)
    wait_for(lambda: _processed(site) == 6)
    assert stop(daemon) == 0
    (site.state / "ballast").write_bytes(b"x" * MB)
    with filled(disk):
        daemon = site.start()
        wait_for(lambda: "ready:" in site.log().rpartition("ended;")[2])
        assert stop(daemon) == 0
    site.run_until_idle()
    assert _processed(site) == 6


@pytest.mark.faults
def test_first_start_on_a_full_disk_waits(tmp_path: Path, disk: Path) -> None:
    """With space it makes what it needs and goes on by itself."""
    site = _site(tmp_path, disk)
    _images(site.drop / "cam", 0, 3)
    with filled(disk):
        daemon = site.start()
        wait_for(lambda: "waiting for space" in site.log())
        assert daemon.poll() is None
    wait_for(lambda: "ready:" in site.log())
    wait_for(lambda: _processed(site) == 3)
    assert stop(daemon) == 0


@pytest.mark.faults
@pytest.mark.fault(17, "non-zero exit, 0 false acknowledgements")
def test_fsync_that_fails_ends_the_process_and_acknowledges_nothing(tmp_path: Path) -> None:
    """A non-zero code, and only what is on record was said to be."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    state, trace = tmp_path / "state", tmp_path / "trace"
    command = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=fsync,fdatasync"]
    command += ["-e", "inject=fsync,fdatasync:error=EIO:when=40+"]
    writer = [sys.executable, "-m", "tests.faults.writer", str(state), "1"]
    done = subprocess.run(
        [*command, *writer], capture_output=True, text=True, check=False, timeout=100,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode != 0
    said = [int(line) for line in done.stdout.split()]
    with closing(sqlite3.connect(state / DATABASE)) as database:
        found = {row[0] for row in database.execute("SELECT received FROM media")}
    assert said
    assert set(said) <= found


@pytest.mark.faults
def test_fsync_that_fails_in_a_running_daemon_ends_it(tmp_path: Path) -> None:
    """In the middle of its work: a non-zero code, and no message went out that isn't on record."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if mosquitto_path() is None:
        pytest.skip("needs mosquitto")
    with LocalBroker("mosquitto") as broker, Ear(broker, "edge/v1/+/registration/#") as ear:
        site = Site(tmp_path, broker.port, {"vision": {"labels": LABELS}}).prepare()
        story = list(shots(date(2025, 6, 11), pace=0.0))
        camera = VirtualCamera(site.drop, pause=0.0)
        camera.run(story[:4])
        daemon = site.start()
        site.wait_ready()
        wait_for(lambda: _processed(site) == 4)
        with _disk_failing(daemon.pid):
            camera.run(story[4:8])
            assert daemon.wait(60) == 1
        with closing(sqlite3.connect(site.state / DATABASE)) as database:
            kept = dict(database.execute("SELECT seq, payload FROM outbox"))
        said = ear.below("edge/v1/site-1/registration/")
        assert said
        assert all(kept.get(json.loads(payload)["seq"]) == payload for payload in said)
        site.run_until_idle()
        assert _processed(site) == 8
        assert {row["state"] for row in site.media().values()} == {"processed"}


@pytest.mark.faults
def test_daemon_ends_when_an_fsync_fails(tmp_path: Path) -> None:
    """Started again, as systemd does: then everything is processed, each image once."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    site = Site(tmp_path).prepare()
    _images(site.drop / "cam", 0, 6)
    command = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=fsync,fdatasync"]
    command += ["-e", "inject=fsync,fdatasync:error=EIO:when=8+"]
    daemon = [sys.executable, "-m", "edge", "run", "--config", str(site.config)]
    done = subprocess.run([*command, *daemon], capture_output=True, text=True, check=False, timeout=90)
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 1
    site.run_until_idle()
    assert {row["state"] for row in site.media().values()} == {"processed"}
    assert len(site.media()) == 6
