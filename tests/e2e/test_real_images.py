"""The main job on real trap images, where there are any."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from edge.delivery.broker import LocalBroker, mosquitto_path
from edge.subscriber import Subscriber
from tests.e2e.site import Row, Site, facts, stop, verdicts, wait_for
from tests.shared import shared

KILLS = 20

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _site(folder: Path, port: int | None = None) -> Site:
    settings = {"vision": {"labels": "north-america"}, "intake": {"timezone": "America/Costa_Rica"}}
    return Site(folder, port, settings).prepare()


def _copy_in(site: Site) -> int:
    """All trap images and the burst, as a user copies them; returns the number of files."""
    shutil.copytree(shared("data", "trap-images"), site.drop, dirs_exist_ok=True)
    shutil.copytree(shared("data", "camtrap-dp", "example", "media"), site.drop / "burst")
    return sum(path.is_file() for path in site.drop.rglob("*"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Everything imported in one go."""
    site = _site(tmp_path_factory.mktemp("real"))
    _copy_in(site)
    site.run_until_idle()
    return site


def _of(site: Site, deployment: str) -> list[Row]:
    return [row for file, row in site.media().items() if file.startswith(f"{deployment}/")]


def test_every_file_has_an_outcome(undisturbed: Site) -> None:
    """Images are processed, lists and licences ignored with a reason; nothing is left over."""
    media = undisturbed.media()
    assert len(media) == sum(path.is_file() for path in undisturbed.drop.rglob("*"))
    for file, row in media.items():
        expected = "processed" if file.lower().endswith(".jpg") else "ignored"
        assert row["state"] in (expected, "duplicate"), file


def test_jaguars_are_found_and_named(undisturbed: Site) -> None:
    """With the American label set: an animal in 12 of 19, a jaguar in 9 or more."""
    rows = [row for row in _of(undisturbed, "Jaguar") if row["state"] == "processed"]
    assert len(rows) == 19
    assert sum(row["kind"] == "animal" for row in rows) >= 12
    assert sum(row["label"] == "Jaguar" for row in rows) >= 9


def test_owls_are_found(undisturbed: Site) -> None:
    """Burrowing owls: an animal in 15 of 20 or more."""
    rows = _of(undisturbed, "BUOW")
    assert len(rows) == 20
    assert sum(row["kind"] == "animal" for row in rows) >= 15


def test_burst_is_one_event(undisturbed: Site) -> None:
    """Ten frames within two seconds are one registration."""
    events = [row for row in undisturbed.registrations() if row["deployment"] == "burst"]
    assert len(events) == 1


def test_import_again_under_other_names_changes_nothing(undisturbed: Site, tmp_path: Path) -> None:
    """A second copy of all files with other names and times: the same registrations, all duplicates."""
    site = _site(tmp_path)
    _copy_in(site)
    site.run_until_idle()
    table = site.registrations()
    images = [path for path in undisturbed.drop.rglob("*") if path.suffix.lower() == ".jpg"]
    (site.drop / "again").mkdir()
    for number, path in enumerate(images):
        (site.drop / "again" / f"{number}.jpg").write_bytes(path.read_bytes())
    site.run_until_idle()
    assert site.registrations() == table
    assert {row["state"] for row in _of(site, "again")} == {"duplicate"}


@pytest.mark.faults
def test_twenty_kills_change_nothing(undisturbed: Site, tmp_path: Path) -> None:
    """Killed 20 times at random moments while files are copied in: the same record, the same table."""
    if mosquitto_path() is None:
        pytest.skip("needs mosquitto")
    moments = random.Random(20)
    with LocalBroker("mosquitto") as broker, Subscriber(broker.host, broker.port) as subscriber:
        site = _site(tmp_path, broker.port)
        files = sorted(path for path in undisturbed.drop.rglob("*") if path.is_file())
        share = len(files) // KILLS + 1
        for kill in range(KILLS):
            daemon = site.start()
            for path in files[kill * share : (kill + 1) * share]:
                target = site.drop / path.relative_to(undisturbed.drop)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
            time.sleep(moments.uniform(0.3, 3.0))
            stop(daemon, signal.SIGKILL)
        site.run_until_idle()
        last = site.start()
        wait_for(lambda: subscriber.statuses() == {"site-1": "online"} and subscriber.is_complete())
        rows = subscriber.rows()
        assert stop(last) == 0
    assert verdicts(site.media()) == verdicts(undisturbed.media())
    assert facts(site.registrations()) == facts(undisturbed.registrations())
    assert rows == site.registrations()
