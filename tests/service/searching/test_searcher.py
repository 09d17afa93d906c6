"""Questions to a small database, asked through eyes that see three things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import ImageError, SearchError, UsageError
from edge.service.indexing import open_library
from edge.service.searching import Answer, Looked, Searcher, Space, Wanted
from edge.store.queries import Filter
from edge.vision.labels import LabelSet
from edge.vision.openset import OpenSet
from tests.search.build import BUNDLE, OTHER_BUNDLE, Site, media_id, names, two_cameras, unit

Float32 = npt.NDArray[np.float32]


class ThreeWords:
    """Eyes that know fox, badger and meadow; a picture is a file that holds one of the words."""

    def __init__(self, bundle: str = BUNDLE, languages: tuple[str, ...] = ("en",)) -> None:
        self.space = Space("meadow", bundle, 3)
        self.languages = languages

    def words(self, query: str) -> Float32:
        """The words' axes."""
        return unit(*(float(word in query) for word in ("fox", "badger", "meadow")))[None]

    def look(self, data: bytes) -> Looked:
        """The word in the file."""
        if data == b"nonsense":
            raise ImageError("not a JPEG image", hint="its first bytes are of another kind of file")
        return Looked(self.words(data.decode()), np.empty(0, np.float32))

    def open_set(self, labels: LabelSet) -> OpenSet:
        """Never needed."""
        raise NotImplementedError


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two cameras' images and registrations."""
    found = two_cameras(tmp_path)
    yield found
    found.db.close()


def searcher(site: Site, bundle: str = BUNDLE) -> Searcher:
    """A searcher with eyes of this bundle."""
    return Searcher(site.db, ThreeWords(bundle), open_library(site.state, site.db, bundle, 3))


def found(answer: Answer) -> list[str]:
    """The answer's images, by name."""
    return names([hit.place.file for hit in answer.hits])


def test_gives_the_best_image_of_each_registration(site: Site) -> None:
    """The fox's three images count once, by the best; images outside of registrations for themselves."""
    assert found(searcher(site).by_words("fox", Wanted())) == ["f1", "f4", "e1", "b1", "e2"]


def test_gives_every_image_on_demand(site: Site) -> None:
    """With ``every`` the members come one by one, best first."""
    answer = searcher(site).by_words("fox", Wanted(every=True))
    assert found(answer)[:4] == ["f1", "f4", "f2", "f3"]
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    assert len(answer.hits) == 7


def test_top_counts_registrations_not_images(site: Site) -> None:
    """Two answers are two registrations, although the second best image is of the first one's kind."""
    assert found(searcher(site).by_words("fox", Wanted(top=2))) == ["f1", "f4"]
    assert found(searcher(site).by_words("fox", Wanted(top=3, every=True))) == ["f1", "f4", "f2"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(deployment="cam-2"), ["f4", "e2"]),
        (Filter(label="Badger"), ["b1"]),
        (Filter(since=1), ["f4", "f2", "e1", "b1", "e2"]),
        (Filter(deployment="cam-9"), []),
    ],
)
def test_a_filter_applies_before_registrations_are_formed(
    site: Site, wanted: Filter, expected: list[str]
) -> None:
    """Without its first image a registration is represented by the best of those that are left."""
    assert found(searcher(site).by_words("fox", Wanted(wanted))) == expected


def test_night_is_a_filter(site: Site) -> None:
    """Pictures by infrared light, others, or all; where it isn't known, a picture is neither."""
    site.image("dark", unit(1, 0, 0), minute=500, animal="", night=True)
    site.image("light", unit(1, 0, 0.05), minute=501, animal="", night=False)
    site.db.execute("UPDATE media SET clock_ok = 0")  # so that the hour says nothing
    assert found(searcher(site).by_words("fox", Wanted(night=True))) == ["dark"]
    assert found(searcher(site).by_words("fox", Wanted(night=False))) == ["light"]
    assert found(searcher(site).by_words("fox", Wanted(top=3))) == ["dark", "light", "f1"]


def test_a_picture_is_searched_by_what_is_in_it(site: Site) -> None:
    """A picture is looked at, and answered as words are."""
    assert found(searcher(site).by_picture(b"badger", Wanted(top=1))) == ["b1"]


def test_several_pictures_find_what_is_like_any_of_them(site: Site) -> None:
    """Each picture's best comes before what is like none."""
    answer = searcher(site).by_pictures([b"badger", b"fox"], Wanted(top=3))
    assert set(found(answer)) == {"f1", "b1", "f4"}


def test_pictures_and_images_on_record_can_be_mixed(site: Site) -> None:
    """What is like a file or like an image on record, which is among the answers itself."""
    answer = searcher(site).by_mixture([media_id("f4")], [b"badger"], Wanted(top=3))
    assert found(answer)[0] == "f4"
    assert "b1" in found(answer)


def test_refuses_to_search_for_no_picture(site: Site) -> None:
    """No picture is no query."""
    with pytest.raises(UsageError, match="no picture"):
        searcher(site).by_pictures([], Wanted())


def test_sees_what_was_stored_meanwhile(site: Site) -> None:
    """A searcher that stays finds an image that came after its first answer, and drops one that went."""
    asked = searcher(site)
    asked.by_words("fox", Wanted())
    site.image("new", unit(1, 0, 0), minute=500, animal="")
    assert found(asked.by_words("fox", Wanted(top=1))) == ["new"]
    site.db.execute("DELETE FROM embeddings WHERE media_id = ?", (media_id("new"),))
    assert found(asked.by_words("fox", Wanted(top=1))) == ["f1"]


def test_says_that_a_query_is_not_english(site: Site) -> None:
    """The note names the bundle; a text model that knows more languages needs none."""
    asked = searcher(site)
    assert "understands English only" in asked.by_words("лиса fox", Wanted()).notes[0]
    assert asked.by_words("red fox", Wanted()).notes == ()
    library = open_library(site.state, site.db, BUNDLE, 3)
    many = Searcher(site.db, ThreeWords(languages=("en", "ru")), library)
    assert many.by_words("лиса fox", Wanted()).notes == ()


def test_an_image_on_record_finds_itself_first(site: Site) -> None:
    """By media id the image's own vectors are the query: itself comes first, then what is like it."""
    answer = searcher(site).by_media(media_id("f4"), Wanted(every=True))
    assert found(answer)[0] == "f4"
    assert answer.hits[0].score == pytest.approx(1, abs=1e-3)


def test_equal_images_come_in_the_order_of_their_ids(site: Site) -> None:
    """The same vectors under several ids: the order is that of the ids, every time."""
    twins = sorted(site.image(f"twin-{n}", unit(0, 0, 1), minute=400 + n, animal="") for n in range(20))
    answer = searcher(site).by_words("meadow", Wanted(top=20, every=True))
    assert [hit.place.media_id for hit in answer.hits] == twins


def test_images_of_another_bundle_are_not_compared(site: Site) -> None:
    """Vectors of another space are never compared, whatever their numbers."""
    site.image("x", unit(1, 0, 0), minute=999, bundle=OTHER_BUNDLE)
    assert "x" not in found(searcher(site).by_words("fox", Wanted(every=True)))


def test_says_that_nothing_was_embedded_yet(tmp_path: Path) -> None:
    """An empty database is not an empty answer."""
    empty = Site(tmp_path)
    with pytest.raises(SearchError, match="nothing to search yet"):
        searcher(empty).by_words("fox", Wanted())
    empty.db.close()


def test_says_which_bundle_embedded_what_is_there(site: Site) -> None:
    """With another bundle than that on record, the error names the one that would do."""
    with pytest.raises(SearchError) as caught:
        searcher(site, "d" * 64).by_words("fox", Wanted())
    assert "7 by meadow bbbbbbbbbbbb" in caught.value.hint
    assert "--bundle" in caught.value.hint


def test_says_that_an_image_is_not_on_record(site: Site) -> None:
    """An unknown media id is named."""
    with pytest.raises(SearchError, match="no image with this content on record"):
        searcher(site).by_media(media_id("nothing"), Wanted())


def test_says_that_an_image_was_embedded_by_another_bundle(site: Site) -> None:
    """An image on record without vectors in this space can't be compared, and the error says why."""
    identity = site.image("x", unit(1, 0, 0), minute=999, bundle=OTHER_BUNDLE)
    with pytest.raises(SearchError, match="has not embedded this image") as caught:
        searcher(site).by_media(identity, Wanted())
    assert "1 by ridge" in caught.value.hint


def test_refuses_to_search_for_nothing(site: Site) -> None:
    """Blanks are no query."""
    with pytest.raises(UsageError, match="nothing to search for"):
        searcher(site).by_words(" \n", Wanted())
