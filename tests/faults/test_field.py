"""Uploads that stop, files that are bad, clocks that are wrong: as a device meets them, end to end."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from edge.testing import torn, zero_tailed
from tests.e2e.site import Site, facts, stop, verdicts, wait_for
from tests.faults.toy_site import deliver, image, images, toy_site

pytestmark = pytest.mark.timeout(300)

Figure = Callable[[str], None]
_CLOCKS = {"right": "+0", "ahead": "+2h", "behind": "-30d", "2000": "@2000-01-01 00:00:00"}


@pytest.mark.faults
@pytest.mark.fault(10)
def test_second_instance_ends_at_once_and_the_first_goes_on(tmp_path: Path, fault_figure: Figure) -> None:
    """It says which folder is in use; the first one isn't disturbed."""
    site = toy_site(tmp_path)
    first = site.start()
    site.wait_ready()
    began = time.monotonic()
    assert site.start().wait(30) == 1
    seconds = time.monotonic() - began
    assert f"another edge daemon uses this state folder: {site.state}" in site.log()
    deliver(site, images(3))
    site.wait_for_files(3)
    assert stop(first) == 0
    fault_figure(f"exit code 1 after {seconds:.1f} s, interpreter included")


@pytest.mark.fault(13)
@pytest.mark.parametrize("pause", [3, pytest.param(30, marks=pytest.mark.faults)])
def test_upload_that_pauses_becomes_one_observation(tmp_path: Path, pause: int, fault_figure: Figure) -> None:
    """60 %, seconds of nothing, the rest: one observation; one that never ends is ``incomplete``."""
    site = toy_site(tmp_path)
    daemon = site.start()
    site.wait_ready()
    data, other = image(1), image(2)
    folder = site.drop / "cam"
    folder.mkdir()
    cut = int(len(data) * 0.6)
    (folder / "paused.JPG").write_bytes(data[:cut])
    (folder / "abandoned.JPG").write_bytes(torn(other))
    time.sleep(pause)
    wait_for(lambda: [row["state"] for row in site.media().values()] == ["incomplete"] * 2)
    with (folder / "paused.JPG").open("ab") as file:
        file.write(data[cut:])
    wait_for(lambda: site.media()["cam/paused.JPG"]["state"] == "processed")
    assert stop(daemon) == 0
    media = site.media()
    assert {file: row["state"] for file, row in media.items()} == {
        "cam/paused.JPG": "processed",
        "cam/abandoned.JPG": "incomplete",
    }
    assert media["cam/abandoned.JPG"]["reason"]
    fault_figure(f"60 % + {pause} s + rest: 1 observation; abandoned: 1 incomplete, with its reason")


def _bad_files() -> dict[str, bytes]:
    """Nine ways in which a file isn't the image that its name promises."""
    good = image(0)
    picture = Image.open(io.BytesIO(good))

    def saved(kind: str, mode: str = "RGB") -> bytes:
        target = io.BytesIO()
        picture.convert(mode).save(target, kind)
        return target.getvalue()

    frame = good.index(b"\xff\xc0")
    bomb = good[: frame + 5] + (65_500).to_bytes(2, "big") * 2 + good[frame + 9 :]
    deep = good[: frame + 4] + b"\x10" + good[frame + 5 :]
    return {
        "cut.JPG": torn(good),
        "zero-tailed.JPG": zero_tailed(good),
        "empty.JPG": b"",
        "zeros.JPG": bytes(5000),
        "png.JPG": saved("PNG"),
        "bomb.JPG": bomb,
        "16-bit.JPG": deep,
        "text.JPG": b"Hello, this is the camera speaking.\n" * 50,
        "noise.JPG": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20,
    }


@pytest.mark.fault(14)
def test_bad_files_are_never_classified_and_never_stop_it(tmp_path: Path, fault_figure: Figure) -> None:
    """Each gets a reason and no observation; CMYK and garbage for EXIF are images all the same."""
    site = toy_site(tmp_path)
    folder = site.drop / "cam"
    folder.mkdir()
    for name, data in _bad_files().items():
        (folder / name).write_bytes(data)
    target = io.BytesIO()
    Image.open(io.BytesIO(image(4))).convert("CMYK").save(target, "JPEG")
    (folder / "cmyk.JPG").write_bytes(target.getvalue())
    good = image(5)
    exif = good.index(b"Exif\0\0") + 6
    (folder / "exif.JPG").write_bytes(good[:exif] + b"\xff" * 12 + good[exif + 12 :])
    deliver(site, images(4))
    site.run_until_idle()
    media = site.media()
    for name in _bad_files():
        row = media[f"cam/{name}"]
        assert row["state"] in ("incomplete", "set_aside"), name
        assert row["reason"], name
        assert (row["kind"], row["label"]) == (None, None), name
    assert media["cam/exif.JPG"]["state"] == "processed"
    assert media["cam/cmyk.JPG"]["state"] in ("processed", "set_aside")
    good_ones = sum(row["state"] == "processed" for file, row in media.items() if not file.startswith("cam/"))
    assert good_ones == 4
    before = verdicts(media)
    site.run_until_idle()
    assert verdicts(site.media()) == before
    fault_figure(
        f"{len(_bad_files())} kinds: 0 classified, each with a reason; CMYK and bad EXIF read; 1 start"
    )


@pytest.mark.faults
@pytest.mark.fault(15)
def test_same_bytes_are_one_observation_whatever_happens_to_their_file(
    tmp_path: Path, fault_figure: Figure
) -> None:
    """Two names, a card imported twice, another mtime: record and messages stay as they were."""
    site = toy_site(tmp_path)
    files = deliver(site, images(20))
    site.run_until_idle()
    before, table = site.media(), site.registrations()
    for file in files:
        path = site.drop / file
        shutil.copyfile(path, path.with_name(f"B{path.name}"))
        os.utime(path, (1, 1))
    shutil.copytree(site.drop, site.drop / "second-card", ignore=shutil.ignore_patterns("second-card"))
    site.run_until_idle()
    after = site.media()
    assert {f: r for f, r in verdicts(after).items() if f in before} == verdicts(before)
    assert [r["state"] for f, r in after.items() if f not in before] == ["duplicate"] * 60
    assert site.registrations() == table
    fault_figure("20 images under 80 names, 20 with another mtime: 20 observations, 0 new messages")


def _run_at(site: Site, fake: str) -> float:
    """Import what is there under a shifted clock; how long it took in real seconds."""
    edge = [sys.executable, "-m", "edge", "run", "--until-idle", "--config", str(site.config)]
    command = ["faketime", "--exclude-monotonic", "-f", fake, *edge]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--until-idle", "--config", str(site.config)],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return time.monotonic() - began


@pytest.mark.faults
@pytest.mark.fault(18)
def test_wrong_clock_changes_no_id_and_no_timeout(tmp_path: Path, fault_figure: Figure) -> None:
    """Two hours ahead, a month behind, and back in the year 2000, which no device can take for today.

    A device that is a month behind takes every image for one from the future; one in the year 2000 knows that
    it can't tell. The ids are the same all the time.
    """
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed (Debian: faketime)")
    start = datetime.now(UTC) - timedelta(hours=3)
    found = {}
    seconds = {}
    for name, fake in {
        "right": "+0",
        "ahead": "+2h",
        "behind": "-30d",
        "2000": "@2000-01-01 00:00:00",
    }.items():
        site = toy_site(tmp_path / name)
        deliver(site, ((f"cam/IMG_{n:04}.JPG", image(n, start=start)) for n in range(12)))
        seconds[name] = _run_at(site, fake)
        found[name] = site
    right = found["right"]
    for site in found.values():
        assert {f: r["media_id"] for f, r in site.media().items()} == {
            f: r["media_id"] for f, r in right.media().items()
        }
    ids = [sorted(r["registration_id"] for r in site.registrations()) for site in found.values()]
    assert ids[0] == ids[1] == ids[2] == ids[3]
    assert facts(found["ahead"].registrations()) == facts(right.registrations())
    trusted = {name: {r["clock_ok"] for r in site.media().values()} for name, site in found.items()}
    assert trusted == {"right": {True}, "ahead": {True}, "behind": {False}, "2000": {True}}
    assert not any(r["clock_ok"] for r in found["behind"].registrations())
    assert max(seconds.values()) < 60
    times = ", ".join(f"{name}: {value:.1f} s" for name, value in seconds.items())
    fault_figure(f"same ids of images and registrations; a month behind: clock_ok false; {times}")
