"""What goes when room is to be made."""

from __future__ import annotations

from hypothesis import given, strategies as st

from edge.service.choices import Facts, Sized, choose_snapshots, why_kept

folders = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 100)), max_size=30).map(
    lambda pairs: [Sized(f"s{n}", size, t) for n, (t, size) in enumerate(sorted(pairs))]
)


@given(folders, st.none() | st.integers(0, 1000), st.integers(-50, 3000))
def test_oldest_go_and_no_more_than_needed(candidates: list[Sized], before: int | None, lacking: int) -> None:
    """A run from the oldest: the too old ones, and as many as make room; the last one was needed."""
    chosen = choose_snapshots(candidates, before=before, lacking=lacking)
    assert chosen == candidates[: len(chosen)]
    old = [s for s in candidates if before is not None and s.received < before]
    assert len(chosen) >= len(old)
    freed = sum(s.size for s in chosen)
    assert freed >= lacking or chosen == candidates
    if len(chosen) > len(old):
        assert freed - chosen[-1].size < lacking


@given(folders)
def test_nothing_goes_without_a_reason(candidates: list[Sized]) -> None:
    """Enough space and no age given: all stay."""
    assert choose_snapshots(candidates, before=None, lacking=0) == []


@given(st.builds(Facts, st.integers(0, 9), *[st.booleans()] * 4), st.integers(0, 9))
def test_an_original_goes_only_if_everything_holds(facts: Facts, before: int) -> None:
    """Old enough, told, backed up, there, and the file that was read."""
    everything = all((facts.received < before, facts.told, facts.backed_up, facts.there, facts.unchanged))
    assert (why_kept(facts, before=before) is None) == everything
