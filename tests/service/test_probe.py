"""A look at one image in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edge.service import probe
from edge.testing import jpeg_bytes, torn
from edge.vision.bundles import find_bundle

MAX_PIXELS = 10_000_000


@pytest.fixture
def bundle() -> Path:
    """The starter bundle."""
    return find_bundle("starter", ())


@pytest.mark.parametrize("data", [jpeg_bytes(64, 48), torn(jpeg_bytes(64, 48)), b""])
def test_process_survives_good_and_bad_images(bundle: Path, tmp_path: Path, data: bytes) -> None:
    """An image that can't be decoded kills nobody."""
    image = tmp_path / "a.JPG"
    image.write_bytes(data)
    assert probe.survives(bundle, image, MAX_PIXELS, cache=tmp_path)


def test_file_that_is_gone_kills_nobody(bundle: Path, tmp_path: Path) -> None:
    """A card that was pulled is no fault of its images."""
    assert probe.survives(bundle, tmp_path / "gone.JPG", MAX_PIXELS, cache=tmp_path)


def test_process_that_never_came_to_look_says_nothing(tmp_path: Path) -> None:
    """Models that can't be opened, or no memory for them, condemn no image."""
    assert probe.survives(tmp_path / "no-bundle", tmp_path / "a.JPG", MAX_PIXELS, cache=tmp_path)


def test_provider_that_fails_condemns_no_image(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that gives up while it looks says nothing about the image."""
    (tmp_path / "sitecustomize.py").write_text(_DEADLY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MANNER", "provider")
    image = tmp_path / "a.JPG"
    image.write_bytes(jpeg_bytes(64, 48))
    assert probe.survives(bundle, image, MAX_PIXELS, cache=tmp_path)


def test_picture_of_another_kind_is_looked_at(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collections hold PNG files as well; they come as far as the models, and die there like others."""
    (tmp_path / "sitecustomize.py").write_text(_DEADLY)
    image = tmp_path / "a.png"
    Image.new("RGB", (64, 48), "green").save(image)
    assert probe.survives(bundle, image, MAX_PIXELS, cache=tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MANNER", "kill")
    assert not probe.survives(bundle, image, MAX_PIXELS, cache=tmp_path)


def test_image_that_ends_the_process_is_told(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What dies after it said that it is ready died of the image; so did what doesn't come to an end."""
    (tmp_path / "sitecustomize.py").write_text(_DEADLY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(probe, "LOOKING", 1.0)
    image = tmp_path / "a.JPG"
    image.write_bytes(jpeg_bytes(64, 48))
    beats: list[None] = []
    for manner in ("kill", "raise", "hang"):
        monkeypatch.setenv("MANNER", manner)
        assert not probe.survives(bundle, image, MAX_PIXELS, lambda: beats.append(None), cache=tmp_path)
    assert beats


_DEADLY = """
import os, time
import edge.vision.pipeline as pipeline
from edge.errors import ProviderError
def deadly(self, data, max_pixels):
    if os.environ["MANNER"] == "kill":
        os.kill(os.getpid(), 9)
    if os.environ["MANNER"] == "hang":
        time.sleep(60)
    if os.environ["MANNER"] == "provider":
        raise ProviderError("model failed to run")
    raise ValueError
pipeline.Vision.see = deadly
"""
