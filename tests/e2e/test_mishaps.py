"""What happens to a device in the field, with real processes and the real starter bundle."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.store.database import DATABASE
from edge.testing import jpeg_bytes
from tests.e2e.site import Site, stop, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

START = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A device without a broker."""
    return Site(tmp_path).prepare()


def _write_images(folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(number):
        image = jpeg_bytes(320, 240, seed=i, taken=START + timedelta(minutes=i))
        (folder / f"IMG_{i:04}.JPG").write_bytes(image)


def _states(site: Site) -> list[str]:
    return sorted({str(row["state"]) for row in site.media().values()})


def _python(site: Site, code: str) -> Path:
    """Have the daemon run this before anything else."""
    (site.folder / "sitecustomize.py").write_text(code)
    return site.folder


def test_card_that_is_pulled_and_put_in_again_loses_nothing(site: Site, tmp_path: Path) -> None:
    """Images that waited in line when their card was pulled are processed once it is back."""
    _write_images(site.drop / "cam", 40)
    daemon = site.start_with_path(_python(site, _SLOW), "")
    site.wait_ready()
    wait_for(lambda: "processed" in _states(site))
    (site.drop / "cam").rename(tmp_path / "pulled")
    wait_for(lambda: "gone" in _states(site) and len(site.media()) == 40)
    (tmp_path / "pulled").rename(site.drop / "cam")
    wait_for(lambda: _states(site) == ["processed"])
    assert len(site.media()) == 40
    assert stop(daemon) == 0


def test_import_fails_if_a_folder_cannot_be_read(site: Site) -> None:
    """Everything else is processed, and the exit code says that images may be missing."""
    _write_images(site.drop / "good", 2)
    _write_images(site.drop / "locked", 1)
    daemon = site.start_with_path(_python(site, _LOCKED), str(site.drop / "locked"), "--until-idle")
    assert daemon.wait(60) == 1
    assert list(site.media()) == ["good/IMG_0000.JPG", "good/IMG_0001.JPG"]
    assert f"images may be missing, for this can't be read: {site.drop / 'locked'}" in site.log()
    assert "unreadable: 1 folders can't be read" in site.log()


def test_import_fails_if_its_card_is_pulled(site: Site, tmp_path: Path) -> None:
    """Files that were found and are gone when their turn comes are no success; the next import has them."""
    _write_images(site.drop / "cam", 20)
    importing = site.start_with_path(_python(site, _SLOW), "", "--until-idle")
    site.wait_ready()
    wait_for(lambda: "processed" in _states(site))
    (site.drop / "cam").rename(tmp_path / "pulled")
    assert importing.wait(60) == 1
    assert "images may be missing" in site.log()
    (tmp_path / "pulled").rename(site.drop / "cam")
    site.run_until_idle()
    assert (_states(site), len(site.media())) == (["processed"], 20)


def test_interrupted_import_is_no_success(site: Site) -> None:
    """Whoever wipes a card after an import must not take a stopped one for a finished one."""
    _write_images(site.drop / "cam", 20)
    importing = site.start_with_path(_python(site, _SLOW), "", "--until-idle")
    site.wait_ready()
    wait_for(lambda: "processed" in _states(site))
    assert stop(importing, signal.SIGINT) == 1
    assert "stopped before everything was processed" in site.log()
    site.run_until_idle()
    assert (_states(site), len(site.media())) == (["processed"], 20)


def test_stop_while_starting_is_orderly(site: Site) -> None:
    """SIGTERM before the daemon is ready ends it without a fault."""
    daemon = site.start()
    wait_for((site.state / "edge.lock").exists)
    assert stop(daemon) == 0
    assert "Traceback" not in site.log()


def _catches(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal."""
    caught = Path(f"/proc/{process}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) & 1 << (number - 1))


def test_second_interrupt_ends_at_once(site: Site) -> None:
    """Who presses Ctrl-C twice doesn't wait for the image in hand; it is processed at the next start."""
    _write_images(site.drop / "cam", 1)
    daemon = site.start_with_path(_python(site, _SLOW.replace("0.3", "30")), "")
    site.wait_ready()
    wait_for(lambda: "attempted" in _states(site))
    daemon.send_signal(signal.SIGINT)
    wait_for(lambda: not _catches(daemon.pid, signal.SIGINT))  # two that come at once are one
    assert stop(daemon, signal.SIGINT) == -signal.SIGINT
    site.run_until_idle()
    assert _states(site) == ["processed"]


def test_thread_that_fails_leaves_its_traceback(site: Site) -> None:
    """A fault of the program ends it with what a developer needs to see, in the log."""
    _write_images(site.drop / "cam", 1)
    assert site.start_with_path(_python(site, _FAULTY), "").wait(60) == 1
    assert "ZeroDivisionError" in site.log()
    assert "in faulty" in site.log()
    assert "thread has failed: no such luck" in site.log()


def test_database_begun_beside_a_damaged_one_has_larger_revisions(site: Site) -> None:
    """Also when the power failed between the new database and the note that it replaces another."""
    site.state.mkdir()
    (site.state / "corrupt-20260101T000000-abcdef.db").write_bytes(b"")
    site.run_until_idle()
    with closing(sqlite3.connect(site.state / DATABASE)) as database:
        ((base,),) = database.execute("SELECT value FROM meta WHERE key = 'revision_base'").fetchall()
    assert int(base) >= 1_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.fault(16)
def test_full_disk_is_waited_out(tmp_path: Path, small_disk: Path) -> None:
    """While there is no space the daemon lives and waits; once there is some, every image is processed."""
    site = Site(tmp_path, settings={"mqtt": {"health_interval": 1.0}}).prepare()
    state = small_disk / "state"
    site.config.write_text(site.config.read_text().replace(str(site.state), str(state)))
    daemon = site.start()
    wait_for((state / "health.json").exists)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    _write_images(site.drop / "cam", 30)
    wait_for(lambda: "disk_full" in site.log())
    time.sleep(2.0)
    assert daemon.poll() is None
    ballast.unlink()
    wait_for(lambda: len(site.media()) == 30 and _states(site) == ["processed"])
    assert stop(daemon) == 0
    assert shutil.disk_usage(small_disk).free > 0


_SLOW = """
import time
import edge.vision.pipeline as pipeline
see = pipeline.Vision.see
def slow(self, data, max_pixels):
    time.sleep(0.3)
    return see(self, data, max_pixels)
pipeline.Vision.see = slow
"""

_LOCKED = """
import os
scandir, locked = os.scandir, os.environ["POISON"]
def refuse(path="."):
    if str(path) == locked:
        raise PermissionError(13, "Permission denied", locked)
    return scandir(path)
os.scandir = refuse
"""

_FAULTY = """
import edge.vision.pipeline as pipeline
def faulty(self, data, max_pixels):
    raise ZeroDivisionError("no such luck")
pipeline.Vision.see = faulty
"""
