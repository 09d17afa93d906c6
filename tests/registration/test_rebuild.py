"""What happens to the record when the rules' settings change."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from edge.registration import Observation, Options
from tests.registration.model import fresh
from tests.registration.strategies import DEPLOYMENTS, EXAMPLES, images, options


@settings(max_examples=150 * EXAMPLES, deadline=None)
@given(options, options, images(), images(), st.integers(0, 60))
def test_record_is_what_the_new_settings_give_and_goes_on_from_there(
    before: Options, after: Options, first: list[Observation], second: list[Observation], w: int
) -> None:
    """Record, log and subscriber agree after a change of settings, and after more images."""
    watched = fresh(before, DEPLOYMENTS)
    watched.accept(first)
    watched.advance(DEPLOYMENTS[0], w)
    watched.switch(after)
    watched.accept(second)
    watched.switch(before)


@settings(max_examples=60 * EXAMPLES, deadline=None)
@given(options, images())
def test_same_settings_change_nothing(chosen: Options, batch: list[Observation]) -> None:
    """Rebuilding under the settings in force emits nothing."""
    watched = fresh(chosen, DEPLOYMENTS)
    watched.accept(batch)
    assert watched.switch(chosen) == []


def test_registration_that_goes_on_keeps_its_id() -> None:
    """Cut in two by a smaller gap, the earlier part goes on and the later one opens; and back."""
    watched = fresh(Options(window=5, gap=10), DEPLOYMENTS)
    watched.accept([Observation("north", f"m{t}", t, "deer", 1, 500_000) for t in (0, 8)])
    (whole,) = watched.registrations()
    changes = watched.switch(Options(window=5, gap=5))
    assert [(c.kind, c.registration.id == whole.id) for c in changes] == [
        ("updated", True),
        ("opened", False),
    ]
    changes = watched.switch(Options(window=5, gap=10))
    assert [c.kind for c in changes] == ["updated", "retracted"]
    assert changes[1].registration.superseded_by == whole.id
