"""What happens to the record when the rules' settings change."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings, strategies as st

from edge.registration import Observation, Options
from edge.registration.ids import registration_id
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


def _deer(*times: int) -> list[Observation]:
    return [Observation("north", f"m{t}", t, "deer", 1, 500_000) for t in times]


def test_registration_that_goes_on_keeps_its_id() -> None:
    """Cut in two by a smaller gap, the earlier part goes on and the later one opens; and back."""
    watched = fresh(Options(window=5, gap=10), DEPLOYMENTS)
    watched.accept(_deer(0, 8))
    (whole,) = watched.registrations()
    kept, cut = watched.switch(Options(window=5, gap=5))
    assert (kept.kind, kept.registration.id) == ("updated", whole.id)
    assert (cut.kind, cut.registration.id) == ("opened", registration_id("north", "m8"))
    assert cut.registration.opened > whole.opened
    kept, gone = watched.switch(Options(window=5, gap=10))
    assert (kept.kind, gone.kind) == ("updated", "retracted")
    assert gone.registration.superseded_by == whole.id


def test_cut_off_part_comes_back_as_itself() -> None:
    """The smaller gap again brings the retracted part back: same id, same opening, revision one higher."""
    watched = fresh(Options(window=5, gap=10), DEPLOYMENTS)
    watched.accept(_deer(0, 8))
    _, first = watched.switch(Options(window=5, gap=5))
    _, gone = watched.switch(Options(window=5, gap=10))
    _, again = watched.switch(Options(window=5, gap=5))
    assert again.kind == "opened"
    assert (again.registration.id, again.registration.opened) == (
        gone.registration.id,
        first.registration.opened,
    )
    assert (first.registration.revision, gone.registration.revision, again.registration.revision) == (1, 2, 3)


def test_part_whose_ids_are_taken_gets_an_ordinal() -> None:
    """A part whose only image has given a living registration its id gets an id with an ordinal."""
    watched = fresh(Options(window=5, gap=10), DEPLOYMENTS)
    first, second = _deer(0, 1)
    watched.accept([first, second])
    watched.amend([first], [])  # the registration lives on at 1 under the id of "m0"
    watched.accept([*_deer(100), replace(first, t=108)])
    _, cut = watched.switch(Options(window=5, gap=5))
    assert (cut.kind, cut.registration.id) == ("opened", registration_id("north", "m0", 2))


def test_closed_registration_stays_closed() -> None:
    """Other settings correct what was closed; they don't open it again."""
    watched = fresh(Options(window=5, gap=10), DEPLOYMENTS)
    watched.accept(_deer(0, 8))
    watched.close("north")
    kept, cut = watched.switch(Options(window=5, gap=5))
    assert (kept.kind, kept.registration.state) == ("corrected", "closed")
    assert (cut.kind, cut.registration.state) == ("opened", "open")
