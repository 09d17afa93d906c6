from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from edge.registration import Observation
from edge.vision.labels import load_label_set
from export.evaluation import MadeUp
from export.visits import Difference, Visits, compare, observe
from tests.export.helpers import BUNDLE

MINUTE_MS = 60_000
LABELS = ("fox", "bear", None)


def _seen(*visits: tuple[int, str, int], deployment: str = "d") -> list[Observation]:
    """Observations at minutes, with label and count."""
    return [
        Observation(deployment, f"m{minute:05}.jpg", minute * MINUTE_MS, label, count, 900_000)
        for minute, label, count in visits
    ]


def test_the_same_observations_make_the_same_visits() -> None:
    """Nothing is lost, added or different."""
    seen = _seen((0, "fox", 1), (100, "bear", 2))
    assert compare(seen, seen) == Visits(2, 0, 0, 0, 0)


def test_differences_are_told_apart() -> None:
    """A lost visit, a new one, another label and another count each have their own number."""
    want = _seen((0, "fox", 1), (100, "bear", 1), (200, "wolf", 1))
    have = _seen((0, "fox", 2), (100, "boar", 1), (300, "wolf", 1))
    assert compare(want, have) == Visits(3, 1, 1, 1, 1)


def test_images_without_animals_take_no_part() -> None:
    """A count of zero is no observation, but the image was looked at."""
    seen = compare(_seen((0, "fox", 1), (100, "fox", 0)), _seen((0, "fox", 1), (100, "fox", 0)))
    assert seen == Visits(1, 0, 0, 0, 0)
    assert seen.images == 2


def test_differences_say_where_and_in_which_files() -> None:
    """Each names deployment, time, what was said before and now, and the images with animals in that time."""
    want = _seen((0, "fox", 1), (5, "fox", 1), (100, "bear", 2), (300, "wolf", 0))
    have = _seen((0, "fox", 0), (5, "fox", 0), (100, "boar", 2), (300, "wolf", 1))
    assert compare(want, have).differences == (
        Difference("lost", "d", 0, 5 * MINUTE_MS, "fox x1", "", ("m00000.jpg", "m00005.jpg")),
        Difference("relabelled", "d", 6_000_000, 6_000_000, "bear x2", "boar x2", ("m00100.jpg",)),
        Difference("added", "d", 18_000_000, 18_000_000, "", "wolf x1", ("m00300.jpg",)),
    )


def test_deployments_are_compared_apart() -> None:
    """The same hour at another camera is no counterpart."""
    want = _seen((0, "fox", 1), deployment="north") + _seen((0, "fox", 0), deployment="south")
    have = _seen((0, "fox", 0), deployment="north") + _seen((0, "fox", 1), deployment="south")
    seen = compare(want, have)
    assert seen == Visits(1, 1, 1, 0, 0)
    assert seen.by_deployment == {"north": Visits(1, 1, 0, 0, 0), "south": Visits(0, 0, 1, 0, 0)}


def test_a_visit_is_paired_once_and_with_its_own_label() -> None:
    """One long visit that falls in two is one pair and one added; the half of the same name is the pair."""
    want = _seen((0, "fox", 1), (20, "fox", 1), (40, "fox", 1), (60, "fox", 1))
    have = _seen((0, "bear", 1), (60, "fox", 1))
    assert compare(want, have) == Visits(1, 0, 1, 0, 0)


observations = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]), st.integers(0, 300), st.sampled_from(LABELS), st.integers(0, 3)
    ).map(lambda v: Observation(v[0], f"{v[0]}-{v[1]}", v[1] * MINUTE_MS, v[2], v[3], 500_000)),
    max_size=12,
    unique_by=lambda seen: seen.media_id,
)


@given(observations)
def test_nothing_differs_from_itself(seen: list[Observation]) -> None:
    """Whatever was seen, compared with itself it has no difference."""
    found = compare(seen, list(reversed(seen)))
    assert (found.lost, found.added, found.relabelled, found.recounted) == (0, 0, 0, 0)
    assert found.differences == ()


@given(observations, observations)
def test_lost_and_added_change_places_with_the_arguments(
    want: list[Observation], have: list[Observation]
) -> None:
    """Pairs are as many either way round, so what one lost the other added; differing pairs stay as many."""
    one, other = compare(want, have), compare(have, want)
    assert (one.lost, one.added, one.relabelled) == (other.added, other.lost, other.relabelled)
    assert one.reference - one.lost == other.reference - other.lost


@given(observations, observations)
def test_totals_are_the_sums_of_the_deployments(want: list[Observation], have: list[Observation]) -> None:
    """Each number is the sum over deployments, and each difference is counted once."""
    found = compare(want, have)
    for name in ("reference", "lost", "added", "relabelled", "recounted", "images"):
        assert getattr(found, name) == sum(getattr(part, name) for part in found.by_deployment.values())
    for kind in ("lost", "added", "relabelled", "recounted"):
        assert getattr(found, kind) == sum(each.kind == kind for each in found.differences)


def test_an_image_at_the_edge_touches() -> None:
    """Two visits that share one moment overlap."""
    want = _seen((0, "fox", 1), (10, "fox", 1))
    assert compare(want, _seen((10, "fox", 1), (20, "fox", 1))) == Visits(1, 0, 0, 0, 0)
    assert compare(want, _seen((11, "fox", 1))) == Visits(1, 1, 1, 0, 0)


def test_a_count_that_differs_is_no_other_label() -> None:
    """Recounted and relabelled may both be true of one visit."""
    (one, two) = compare(_seen((0, "fox", 1)), _seen((0, "bear", 2))).differences
    assert {one.kind, two.kind} == {"relabelled", "recounted"}
    assert one.was == two.was == "fox x1"
    assert one.now == two.now == "bear x2"


@pytest.mark.skipif(not BUNDLE.is_dir(), reason="a source archive without models/onnx/starter")
def test_a_bundle_is_observed_as_the_service_runs_it() -> None:
    """One observation for each frame with its name, camera and time; progress to the end."""
    frames, told = MadeUp(6, 99).frames(), list[tuple[str, int, int]]()
    seen = observe(BUNDLE, frames, load_label_set("north-america"), lambda *step: told.append(step))
    assert [(each.media_id, each.deployment, each.t) for each in seen] == [
        (frame.name, frame.deployment, frame.t) for frame in frames
    ]
    assert any(each.count for each in seen)
    assert told[-1] == ("looking at images", 6, 6)
    assert compare(seen, seen).images == 6
