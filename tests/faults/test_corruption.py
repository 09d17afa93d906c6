"""A damaged database under a real daemon, with a real broker and a subscriber that was there all along."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from edge.delivery.broker import LocalBroker, mosquitto_path
from edge.demo.camera import shots
from edge.store.backup import FOLDER, backups
from edge.subscriber import Subscriber
from edge.testing import VirtualCamera
from tests.e2e.site import Site, facts, stop, verdicts, wait_for

EVENING = date(2025, 6, 11)
LABELS = str(Path(__file__).resolve().parents[2] / "edge" / "demo" / "labels.toml")
PAGE = 4096
EARLY = 9
"""Files of the story that are there before the backup."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    """A running mosquitto."""
    if mosquitto_path() is None:
        pytest.skip("needs mosquitto")
    with LocalBroker("mosquitto") as running:
        yield running


def _site(folder: Path, port: int | None = None) -> Site:
    return Site(folder, port, {"vision": {"labels": LABELS}}).prepare()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """What comes out where nothing goes wrong."""
    site = _site(tmp_path_factory.mktemp("undisturbed"))
    VirtualCamera(site.drop, pause=0.0).run(shots(EVENING, pace=0.0))
    site.run_until_idle()
    return site


def _overwrite(path: Path, first: int, pages: int) -> None:
    with path.open("r+b") as file:
        file.seek(first * PAGE)
        file.write(b"\xa5" * pages * PAGE)


def _three_pages(state: Path) -> None:
    _overwrite(state / "edge.db", 2, 3)


def _header(state: Path) -> None:
    _overwrite(state / "edge.db", 0, 1)


def _cut(state: Path) -> None:
    with (state / "edge.db").open("r+b") as file:
        file.truncate(6 * PAGE + 17)


def _gone(state: Path) -> None:
    (state / "edge.db").unlink()


def _newest_backup_too(state: Path) -> None:
    (_, path) = backups(state / FOLDER)[-1]
    _overwrite(path, 2, 3)
    _three_pages(state)


def _every_backup_too(state: Path) -> None:
    for _, path in backups(state / FOLDER):
        _overwrite(path, 2, 3)
    _header(state)


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "three pages": (_three_pages, "edge-000002"),
    "header": (_header, "edge-000002"),
    "cut": (_cut, "edge-000002"),
    "gone": (_gone, "edge-000002"),
    "newest backup too": (_newest_backup_too, "edge-000001"),
    "every backup too": (_every_backup_too, "a new one was begun"),
}


@pytest.mark.fault(19, "restored, new epoch, 0 doubled")
@pytest.mark.parametrize("what", SPOILED)
def test_subscriber_has_the_right_table_after_damage(
    tmp_path: Path, broker: LocalBroker, undisturbed: Site, what: str
) -> None:
    """Found at the start, moved aside, a backup restored, the folder read again; nothing doubled or lost."""
    spoil, restored = SPOILED[what]
    site = _site(tmp_path, broker.port)
    story = list(shots(EVENING, pace=0.0))
    with Subscriber(broker.host, broker.port) as subscriber:
        VirtualCamera(site.drop, pause=0.0).run(story[:3])
        site.run_until_idle()
        site.json("backup")
        VirtualCamera(site.drop, pause=0.0).run(story[3:EARLY])
        site.run_until_idle()
        site.json("backup")
        VirtualCamera(site.drop, pause=0.0).run(story[EARLY:])
        site.run_until_idle()
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations())
        epoch = site.json("status")["epoch"]
        spoil(site.state)
        daemon = site.start()
        wait_for(lambda: "everything is said again" in site.log())
        wait_for(lambda: verdicts(site.media()) == verdicts(undisturbed.media()))
        assert site.json("status")["epoch"] != epoch
        assert stop(daemon) == 0
        site.run_until_idle()
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations())
    assert facts(site.registrations()) == facts(undisturbed.registrations())
    assert restored in site.log()
    assert len(list(site.state.glob("corrupt-*.db"))) == (0 if what == "gone" else 1)


@pytest.mark.fault(19, "0 corrections lost")
def test_corrections_after_the_backup_outlive_the_database(tmp_path: Path, broker: LocalBroker) -> None:
    """Labels and a clock that were put right after it, of images in it and later, are put right again."""
    site = _site(tmp_path, broker.port)
    story = list(shots(EVENING, pace=0.0))
    with Subscriber(broker.host, broker.port) as subscriber:
        VirtualCamera(site.drop, pause=0.0).run(story[:EARLY])
        site.run_until_idle()
        site.json("backup")
        VirtualCamera(site.drop, pause=0.0).run(story[EARLY:])
        site.run_until_idle()
        files = sorted(file for file, row in site.media().items() if row["kind"] == "animal")
        for file in (files[0], files[-1]):
            site.text("relabel", file, "Moose", "--new", "--count", "3")
        deployment = site.media()[files[0]]["deployment"]
        site.text("clock", "shift", "--deployment", deployment, "--by", "-30d", "--yes")
        site.run_until_idle()
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations())
        corrected, seen = facts(site.registrations()), verdicts(site.media())
        assert sum("Moose" in row for row in seen.values()) >= 2
        _three_pages(site.state)
        site.run_until_idle()
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations())
    assert "everything is said again" in site.log()
    assert facts(site.registrations()) == corrected
    assert verdicts(site.media()) == seen


def test_log_with_garbage_after_a_kill(tmp_path: Path, broker: LocalBroker, undisturbed: Site) -> None:
    """Commits that SQLite would silently forget are missed: a new epoch, so that no number is used twice."""
    site = _site(tmp_path, broker.port)
    with Subscriber(broker.host, broker.port) as subscriber:
        VirtualCamera(site.drop, pause=0.0).run(shots(EVENING, pace=0.0))
        daemon = site.start()
        site.wait_for_files(len(undisturbed.media()))
        stop(daemon, signal.SIGKILL)
        wal = site.state / "edge.db-wal"
        assert wal.stat().st_size > 60 * (PAGE + 24)
        with wal.open("r+b") as file:
            file.seek(32 + 20 * (PAGE + 24) + 1000)
            file.write(b"\xa5" * 64)
        site.run_until_idle()
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations())
    assert "has lost commits" in site.log()
    assert verdicts(site.media()) == verdicts(undisturbed.media())
    assert facts(site.registrations()) == facts(undisturbed.registrations())
