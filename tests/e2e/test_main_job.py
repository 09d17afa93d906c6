"""The main job, end to end: real processes, a real broker, the real starter bundle, composed images."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from edge.delivery.broker import LocalBroker, mosquitto_path as mosquitto
from edge.demo.camera import picture, shots
from edge.demo.story import FILES, STORY, expected
from edge.store.files import StateLock
from edge.subscriber import Subscriber
from edge.testing import VirtualCamera, torn, zero_tailed
from tests.e2e.site import Site, facts, stop, verdicts, wait_for

EVENING = date(2025, 6, 11)
LABELS = str(Path(__file__).resolve().parents[2] / "edge" / "demo" / "labels.toml")
KILLS = 6

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    """A running mosquitto."""
    if mosquitto() is None:
        pytest.skip("needs mosquitto")
    with LocalBroker("mosquitto") as running:
        yield running


def _site(folder: Path, port: int | None = None) -> Site:
    return Site(folder, port, {"vision": {"labels": LABELS}}).prepare()


def _deliver(site: Site, pace: float = 0.0) -> None:
    VirtualCamera(site.drop, pause=0.02).run(shots(EVENING, pace=pace))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A card with the story's files, imported in one go."""
    site = _site(tmp_path_factory.mktemp("undisturbed"))
    _deliver(site)
    site.run_until_idle()
    return site


def test_registrations_of_the_story_are_those_that_its_truth_gives(undisturbed: Site) -> None:
    """Composed scenes come out as the registrations that the rules make of what was composed."""
    found = [(r["deployment"], r["label"], r["count"], r["media_count"]) for r in undisturbed.registrations()]
    truth = [(r.deployment, r.label, r.count, r.media_count) for r in expected(EVENING)]
    assert sorted(found) == sorted(truth)


def test_every_file_is_accounted_for(undisturbed: Site) -> None:
    """Each file of the card has an outcome: processed, a duplicate, or incomplete with a reason."""
    media = undisturbed.media()
    assert len(media) == FILES
    states = sorted(row["state"] for row in media.values())
    assert states == sorted(["processed"] * (FILES - 2) + ["duplicate", "incomplete"])
    assert all(row["reason"] for row in media.values() if row["state"] != "processed")


def test_people_are_stored_but_never_a_registration(undisturbed: Site) -> None:
    """An image with a person and no animal is a media-level observation and no registration's member."""
    person = next(m for m in STORY if m.figures and m.label is None)
    row = undisturbed.media()[person.file]
    assert (row["kind"], row["count"]) == ("person", 1)
    members = {entry["file"] for r in undisturbed.registrations() for entry in r["media"]}
    assert person.file not in members


def test_second_copy_of_everything_changes_nothing(undisturbed: Site, tmp_path: Path) -> None:
    """The same bytes under other names and times are duplicates; registrations and messages stay."""
    site = _site(tmp_path)
    shutil.copytree(undisturbed.drop, site.drop, dirs_exist_ok=True)
    site.run_until_idle()
    before, table = site.media(), site.registrations()
    for path in sorted(undisturbed.drop.rglob("*.JPG")):
        copy = site.drop / "second-card" / f"X{path.parent.name}-{path.name}"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    site.run_until_idle()
    after = site.media()
    assert site.registrations() == table
    assert {f: row for f, row in verdicts(after).items() if f in before} == verdicts(before)
    copies = [row["state"] for file, row in after.items() if file not in before]
    assert sorted(copies) == ["duplicate"] * (FILES - 1) + ["incomplete"]


@pytest.mark.fault(14)
def test_broken_files_are_set_aside_with_a_reason_and_never_labelled(tmp_path: Path) -> None:
    """A cut, a zero-tailed, an empty file and a PNG named .JPG get reasons, and no observation."""
    site = _site(tmp_path)
    good = picture(STORY[0], EVENING)
    png = BytesIO()
    Image.new("RGB", (64, 64), "green").save(png, "PNG")
    files = {
        "cut.JPG": torn(good),
        "zero.JPG": zero_tailed(good),
        "empty.JPG": b"",
        "png.JPG": png.getvalue(),
        "good.JPG": good,
    }
    (site.drop / "cam").mkdir()
    for name, data in files.items():
        (site.drop / "cam" / name).write_bytes(data)
    site.run_until_idle()
    media = site.media()
    assert media["cam/good.JPG"]["label"] == "American_Bison"
    for name in ("cut.JPG", "zero.JPG", "empty.JPG", "png.JPG"):
        row = media[f"cam/{name}"]
        assert row["state"] in ("incomplete", "set_aside")
        assert row["reason"]
        assert row["kind"] is None
    assert media["cam/png.JPG"]["state"] == "set_aside"
    assert "PNG" in media["cam/png.JPG"]["reason"]
    assert len(site.registrations()) == 1


def test_live_daemon_and_subscriber_agree(tmp_path: Path, broker: LocalBroker) -> None:
    """Files that arrive while the daemon runs reach the subscriber; its table equals the store's."""
    site = _site(tmp_path, broker.port)
    with Subscriber(broker.host, broker.port) as subscriber:
        daemon = site.start()
        site.wait_ready()
        _deliver(site, pace=0.05)
        site.wait_for_files(FILES)
        wait_for(subscriber.is_complete)
        assert subscriber.rows() == site.registrations()
        assert any(row["state"] == "open" for row in subscriber.rows())
        assert stop(daemon) == 0
        wait_for(lambda: subscriber.statuses() == {"site-1": "stopped"})
        site.run_until_idle()
        wait_for(subscriber.is_complete)
        rows = subscriber.rows()
    assert rows == site.registrations()
    assert {row["state"] for row in rows} == {"closed"}


def test_broker_away_during_the_run_costs_nothing(
    tmp_path: Path, broker: LocalBroker, undisturbed: Site
) -> None:
    """Images are processed while the broker is down; when it is back, the subscriber gets everything."""
    broker.stop()
    site = _site(tmp_path, broker.port)
    daemon = site.start()
    _deliver(site)
    site.wait_for_files(FILES)
    broker.start()
    with Subscriber(broker.host, broker.port) as subscriber:
        wait_for(lambda: subscriber.is_complete() and len(subscriber.rows()) == len(site.registrations()))
        assert subscriber.rows() == site.registrations()
    assert stop(daemon) == 0
    site.run_until_idle()
    assert facts(site.registrations()) == facts(undisturbed.registrations())


@pytest.mark.fault(2)
def test_kills_at_random_moments_change_nothing(
    tmp_path: Path, broker: LocalBroker, undisturbed: Site
) -> None:
    """SIGKILL at random moments, restarted each time: the same record and the same subscriber's table."""
    site = _site(tmp_path, broker.port)
    moments = random.Random(7)
    with Subscriber(broker.host, broker.port) as subscriber:
        _deliver(site)
        for _ in range(KILLS):
            daemon = site.start()
            time.sleep(moments.uniform(0.6, 2.5))
            stop(daemon, signal.SIGKILL)
        site.run_until_idle()
        last = site.start()
        wait_for(lambda: subscriber.statuses() == {"site-1": "online"} and subscriber.is_complete())
        rows = subscriber.rows()
        assert stop(last) == 0
    assert verdicts(site.media()) == verdicts(undisturbed.media())
    assert facts(site.registrations()) == facts(undisturbed.registrations())
    assert rows == site.registrations()


def test_second_daemon_on_one_state_folder_exits_at_once_and_says_why(tmp_path: Path) -> None:
    """One instance for each state folder."""
    site = _site(tmp_path)
    with StateLock(site.state):
        assert site.start().wait(30) == 1
    assert "another edge daemon uses this state folder" in site.log()


@pytest.mark.fault(20, "quarantined after 3 attempts, 18 others processed")
def test_image_that_kills_the_process_is_quarantined_after_three_attempts(tmp_path: Path) -> None:
    """What ends the process each time can't make a crash loop; the other images are processed."""
    site = _site(tmp_path)
    (site.folder / "sitecustomize.py").write_text(_KILLER)
    _deliver(site)
    poison = site.drop / STORY[2].file
    for _ in range(2):
        assert site.start_with_path(site.folder, str(poison)).wait(60) == -signal.SIGKILL
    assert site.start_with_path(site.folder, str(poison), "--until-idle").wait(90) == 0
    row = site.media()[STORY[2].file]
    assert row["state"] == "quarantined"
    assert "3 times" in row["reason"]
    assert sum(r["state"] == "processed" for r in site.media().values()) == FILES - 3


_KILLER = """
import os, signal, pathlib
import edge.vision.pipeline as pipeline
poison = pathlib.Path(os.environ["POISON"]).read_bytes()
see = pipeline.Vision.see
def deadly(self, data, max_pixels):
    if data == poison:
        os.kill(os.getpid(), signal.SIGKILL)
    return see(self, data, max_pixels)
pipeline.Vision.see = deadly
"""


def test_damaged_database_is_replaced_and_the_subscriber_follows(
    tmp_path: Path, broker: LocalBroker, undisturbed: Site
) -> None:
    """Overwritten pages: moved aside, a new epoch, the folder scanned again; nothing doubles anywhere."""
    site = _site(tmp_path, broker.port)
    _deliver(site)
    with Subscriber(broker.host, broker.port) as subscriber:
        site.run_until_idle()
        wait_for(lambda: len(subscriber.rows()) == len(site.registrations()))
        with (site.state / "edge.db").open("r+b") as file:
            file.seek(2 * 4096)
            file.write(b"\xa5" * 3 * 4096)
        site.run_until_idle()
        wait_for(lambda: subscriber.rows() == site.registrations())
    assert facts(site.registrations()) == facts(undisturbed.registrations())
    assert len(list(site.state.glob("corrupt-*.db"))) == 1
    assert "moved aside" in site.log()
