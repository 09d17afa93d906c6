"""The bundle is exchanged under a site: every image gets vectors of the new one, whatever happens."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import tomli_w

from edge.service.report import last_message
from edge.store.database import DATABASE
from edge.vision.manifest import bundle_sha256
from tests.e2e.site import PATIENCE, Site, stop, wait_for
from tests.faults.toy_site import deliver, image, images, toy_site
from tests.vision import toy

FILES, KILLS = 120, 3
Vectors = dict[tuple[str, int], tuple[str, str, bytes]]


def _vectors(site: Site, bundle: str) -> Vectors:
    """By image and ordinal: kind, box and numbers of one bundle's vectors."""
    with closing(sqlite3.connect(site.state / DATABASE)) as database:
        rows = database.execute(
            "SELECT media_id, ordinal, kind, box, vector FROM embeddings WHERE bundle = ?", (bundle,)
        )
        return {(row[0], row[1]): row[2:] for row in rows}


def _bundles(site: Site) -> set[str]:
    with closing(sqlite3.connect(site.state / DATABASE)) as database:
        return {row[0] for row in database.execute("SELECT DISTINCT bundle FROM embeddings")}


def _images_of(site: Site, bundle: str) -> int:
    return len({media_id for media_id, _ in _vectors(site, bundle)})


def _wait_for_images(site: Site, bundle: str, number: int) -> None:
    """Look often: the toy models embed hundreds a second."""
    deadline = time.monotonic() + PATIENCE
    while _images_of(site, bundle) < min(number, FILES):
        assert time.monotonic() < deadline, site.log()
        time.sleep(0.002)


def _other_bundle(folder: Path) -> Path:
    """One that embeds otherwise: more of the surroundings belongs to an animal."""
    bundle = toy.save_bundle(folder)
    toy.save_manifest(bundle, visual={"crop_margin": 0.4})
    return bundle


def _use(site: Site, bundle: Path) -> None:
    settings = {"device": "site-1", "drop": str(site.drop), "state": str(site.state)}
    sections = {
        "mqtt": {"enabled": False},
        "intake": {"settle": 0.2},
        "store": {"low_water": 0},
        "vision": {"bundle": str(bundle)},
    }
    site.config.write_text(tomli_w.dumps({**settings, **sections}))


def test_killed_again_and_again_while_it_embeds(tmp_path: Path) -> None:
    """In the end the vectors are those of a site that had the new bundle from the start; new images too."""
    other = _other_bundle(tmp_path / "other")
    new = bundle_sha256(other)
    fresh = toy_site(tmp_path / "fresh")
    _use(fresh, other)
    deliver(fresh, images(FILES))
    site = toy_site(tmp_path / "site")
    deliver(site, images(FILES))
    fresh.run_until_idle()
    site.run_until_idle()
    (old,) = _bundles(site)
    assert old != new
    before, registrations = _vectors(site, old), site.registrations()
    _use(site, other)
    in_the_middle = 0
    for _ in range(KILLS):
        daemon = site.start()
        _wait_for_images(site, new, _images_of(site, new) + 10)
        stop(daemon, signal.SIGKILL)
        if _images_of(site, new) < FILES:
            in_the_middle += 1
            assert _vectors(site, old) == before  # all of them are there until the new ones are
    assert in_the_middle
    daemon = site.start()
    late = {f"cam-9/IMG_{n:04}.JPG": image(FILES + n) for n in range(8)}
    deliver(site, iter(late.items()))
    site.wait_for_files(FILES + len(late))
    wait_for(lambda: _bundles(site) == {new})
    assert stop(daemon) == 0
    deliver(fresh, iter(late.items()))
    fresh.run_until_idle()
    assert _vectors(site, new) == _vectors(fresh, new)
    assert _images_of(site, new) == FILES + len(late)
    assert all(row in site.registrations() for row in registrations)  # nothing was named anew
    health = last_message(site.state)
    assert health is not None
    assert health.search is not None
    assert (health.search.embedded, health.search.unreachable, health.search.running) == (
        health.search.images,
        0,
        False,
    )
    assert "100 % of" in site.text("status")
