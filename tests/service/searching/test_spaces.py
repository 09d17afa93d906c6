"""Which bundle answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tomli_w

from edge.configuration import load
from edge.service.searching.spaces import choose
from edge.settings import Settings
from edge.vision.manifest import bundle_sha256
from tests.cli.test_search import manifest
from tests.search.build import Site, unit

Make = Callable[[str, int], str]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty database."""
    found = Site(tmp_path / "state")
    yield found
    found.db.close()


@pytest.fixture
def make(site: Site) -> Make:
    """Installs a bundle, whole enough to be chosen, with so many images that it has embedded."""

    def bundle(name: str, images: int) -> str:
        folder = site.state / "models" / name
        folder.mkdir(parents=True)
        (folder / "manifest.toml").write_text(tomli_w.dumps({**manifest(3), "name": name}))
        for file in ("detector.onnx", "visual.onnx", "text.onnx", "tokenizer.json", "golden.npz"):
            (folder / file).touch()
        sha256 = bundle_sha256(folder)
        site.db.execute("INSERT INTO bundles VALUES (?, ?)", (sha256, name))
        for number in range(images):
            site.image(f"{name}-{number}", unit(1, 0, 0), bundle=sha256, animal="")
        return sha256

    return bundle


def settings(site: Site, bundle: str) -> Settings:
    """That name a bundle."""
    return load(None, {"state": site.state, "vision": {"bundle": bundle}}).settings


def test_the_configured_bundle_answers_where_it_has_seen_as_much(site: Site, make: Make) -> None:
    """With as many images as any other, nothing is said about it."""
    old, new = make("old", 3), make("new", 3)
    assert choose(site.db, settings(site, "new"), only=False).sha256 == new
    assert choose(site.db, settings(site, "old"), only=False).sha256 == old
    assert choose(site.db, settings(site, "new"), only=False).note == ""


def test_the_one_before_answers_until_the_new_one_has_caught_up(site: Site, make: Make) -> None:
    """While images are embedded anew, the bundle that covers most answers, and that is said with figures."""
    old, _ = make("old", 5), make("new", 2)
    chosen = choose(site.db, settings(site, "new"), only=False)
    assert chosen.sha256 == old
    assert chosen.bundle == site.state / "models" / "old"
    assert "bundle old (5 images)" in chosen.note
    assert "new, which is configured, has embedded 2" in chosen.note


def test_images_that_can_t_be_compared_are_counted(site: Site, make: Make) -> None:
    """Those that only other bundles embedded, whichever is chosen."""
    make("old", 5), make("new", 2)
    assert choose(site.db, settings(site, "new"), only=False).not_compared == 2
    assert choose(site.db, settings(site, "new"), only=True).not_compared == 5
    assert choose(site.db, settings(site, "old"), only=True).not_compared == 2


def test_a_bundle_that_is_gone_can_t_answer(site: Site, make: Make) -> None:
    """Without its models a space can't be asked: the configured one answers from what it has."""
    make("old", 5)
    new = make("new", 2)
    for damage in ("visual.onnx", "manifest.toml"):
        (site.state / "models" / "old" / damage).unlink()
        assert choose(site.db, settings(site, "new"), only=False).sha256 == new


def test_a_bundle_that_was_asked_for_answers_in_any_case(site: Site, make: Make) -> None:
    """Who names a bundle gets that one."""
    make("old", 5)
    new = make("new", 2)
    assert choose(site.db, settings(site, "new"), only=True).sha256 == new


def test_nothing_on_record_leaves_the_configured_one(site: Site, make: Make) -> None:
    """An empty database is the next step's to complain about."""
    new = make("new", 0)
    assert choose(site.db, settings(site, "new"), only=False).sha256 == new
