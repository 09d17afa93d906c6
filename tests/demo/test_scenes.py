import hashlib
import re
from importlib import resources

import numpy as np
import pytest

from edge.demo.scenes import Figure, Place, Scene, compose
from edge.demo.story import PLACES, STORY

SMALL = (384, 240)
PICTURES = resources.files("edge.demo") / "pictures"


def test_same_scene_same_pixels() -> None:
    """A scene always gives the same pixels, in HWC uint8 RGB."""
    scene = Scene(Place("meadow"), (Figure("bison", 0.4, 0.5),), "dusk", seed=5)
    image = compose(scene, SMALL)
    assert image.shape == (240, 384, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(image, compose(scene, SMALL))


def test_seed_changes_the_noise_only() -> None:
    """Two seeds give different bytes of the same view."""
    one, two = (compose(Scene(Place("meadow"), seed=seed), SMALL).astype(int) for seed in (1, 2))
    difference = np.abs(one - two)
    assert difference.any()
    assert difference.mean() < 5


def test_night_is_grey_and_darker_at_the_edges() -> None:
    """An infrared image has three equal channels and its light in the middle."""
    image = compose(Scene(Place("woodland"), light="night"), SMALL)
    assert np.array_equal(image[..., 0], image[..., 2])
    assert image[100:160, 160:220].mean() > 1.5 * image[:20, :20].mean()


def test_figure_stands_where_it_is_put() -> None:
    """What differs from the empty scene lies around the figure's place."""
    empty = compose(Scene(Place("meadow")), SMALL).astype(int)
    image = compose(Scene(Place("meadow"), (Figure("bison", 0.25, 0.4, 0.9),)), SMALL).astype(int)
    rows, columns = np.nonzero(np.abs(image - empty).max(axis=-1) > 40)
    assert columns.max() < 0.5 * 384
    assert 0.45 * 240 < rows.min() < 0.6 * 240


@pytest.mark.parametrize("place", PLACES)
def test_mirroring_mirrors(place: str) -> None:
    """A mirrored place is the same place seen in a mirror."""
    at = PLACES[place]
    other = Place(at.picture, at.left, at.top, at.right, at.bottom, mirrored=not at.mirrored)
    one, two = (compose(Scene(p), SMALL).astype(int) for p in (at, other))
    assert np.abs(one - two[:, ::-1]).mean() < 3


def test_no_two_images_of_the_story_are_the_same() -> None:
    """Every image has its own content, so only the copy is a duplicate."""
    digests = {hashlib.sha256(compose(m.scene, SMALL).tobytes()).hexdigest() for m in STORY}
    assert len(digests) == len(STORY)


def test_sources_name_every_picture_with_its_digest() -> None:
    """The list of sources matches the pictures, byte for byte, and they stay small."""
    listed = dict(re.findall(r"^\| `(\S+\.webp)` \| `([0-9a-f]{64})`", _sources(), re.MULTILINE))
    pictures = {p.name: p.read_bytes() for p in PICTURES.iterdir() if p.name.endswith(".webp")}
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in pictures.items()}
    assert sum(map(len, pictures.values())) < 1_000_000


def _sources() -> str:
    return (PICTURES / "SOURCES.md").read_text("utf-8")
