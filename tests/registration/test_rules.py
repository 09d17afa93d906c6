"""The rules on named examples, as one batch and as a stream in three orders of arrival."""

from __future__ import annotations

import re

import pytest

from edge.registration import Key, Method, Options, SplitOn, register
from edge.registration.ids import registration_id
from tests.registration.build import MINUTE, at, every_way, seen, streamed, text
from tests.registration.literal import events

WORKED_EXAMPLE = [
    at(0, "deer", 1),
    at(1, "deer", 2),
    at(2, "boar", 1),
    at(10, "deer", 1),
    at(29, "deer", 1),
    at(45, "deer", 1),
    at(80, "fox", 1),
    at(81, "deer", 1),
    at(82, "fox", 2),
]
LITERAL: frozenset[SplitOn] = frozenset({"label", "count"})
NOTHING: frozenset[SplitOn] = frozenset()
COUNT: frozenset[SplitOn] = frozenset({"count"})


def labels(lines: list[str]) -> list[str]:
    """The labels alone."""
    return [line.rpartition("x")[0] for line in lines]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            Options(method="simple", split_on=LITERAL),
            [
                "deerx1 0-0",
                "deerx2 1-1",
                "boarx1 2-2",
                "deerx1 10-45",
                "foxx1 80-80",
                "deerx1 81-81",
                "foxx2 82-82",
            ],
        ),
        (
            Options(method="simple"),
            ["deerx2 0-1", "boarx1 2-2", "deerx1 10-45", "foxx1 80-80", "deerx1 81-81", "foxx2 82-82"],
        ),
        (
            Options(split_on=LITERAL),
            ["deerx1 0-0", "deerx2 1-29", "deerx1 45-45", "foxx1 80-81", "foxx2 82-82"],
        ),
        (Options(), ["deerx2 0-45", "foxx2 80-82"]),
    ],
    ids=["simple, label+count", "simple, label", "windowed, label+count", "windowed, label"],
)
def test_worked_example(options: Options, expected: list[str]) -> None:
    """The documented example comes out as documented, by both methods and both ways to split."""
    assert every_way(WORKED_EXAMPLE, options) == expected


@pytest.mark.parametrize("method", ["windowed", "simple"])
def test_extends_at_exact_gap(method: Method) -> None:
    """An image exactly the gap after the last one joins its registration."""
    options = Options(method=method)
    assert every_way([seen(0), seen(30 * MINUTE)], options) == ["deerx1 0-30"]


@pytest.mark.parametrize("method", ["windowed", "simple"])
def test_splits_one_past_gap(method: Method) -> None:
    """One millisecond more than the gap opens a new registration."""
    options = Options(method=method)
    assert len(every_way([seen(0), seen(30 * MINUTE + 1)], options)) == 2


def test_does_not_vote_at_exact_window() -> None:
    """An image exactly W away has no vote: the window is open on both sides."""
    fox_and_deer = [seen(0, "fox"), seen(1, "fox"), seen(30 * MINUTE + 1, "deer")]
    assert labels(every_way(fox_and_deer, Options())) == ["fox", "deer"]


def test_votes_one_within_window() -> None:
    """One millisecond less than W away it votes."""
    fox_and_deer = [seen(0, "fox"), seen(1, "fox"), seen(30 * MINUTE - 1, "deer")]
    assert labels(every_way(fox_and_deer, Options())) == ["fox"]


def test_counts_forget_at_exact_window() -> None:
    """count(i) looks back less than W: a count exactly W ago is forgotten, one millisecond less is not."""
    options = Options(split_on=LITERAL)
    assert len(every_way([seen(0, count=3), seen(30 * MINUTE, count=1)], options)) == 2
    assert len(every_way([seen(0, count=3), seen(30 * MINUTE - 1, count=1)], options)) == 1


def test_counts_never_look_ahead() -> None:
    """A larger count later doesn't change count(i) of the images before it."""
    assert every_way([at(0, count=1), at(1, count=2)], Options(split_on=COUNT)) == [
        "deerx1 0-0",
        "deerx2 1-1",
    ]


def test_count_reaches_over_the_gap() -> None:
    """With W above the gap, a registration's count includes the images just before it."""
    options = Options(window=30 * MINUTE, gap=5 * MINUTE)
    assert every_way([at(0, count=4), at(10, count=1)], options) == ["deerx4 0-0", "deerx4 10-10"]


def test_votes_reach_over_the_gap() -> None:
    """With W above the gap, labels are smoothed across registrations that the gap parts."""
    options = Options(window=30 * MINUTE, gap=5 * MINUTE)
    assert every_way([at(0), at(1), at(10, "fox")], options) == ["deerx1 0-1", "deerx1 10-10"]


def test_gap_longer_than_the_window() -> None:
    """With the gap above W, images join that have no vote in each other's window."""
    options = Options(window=5 * MINUTE, gap=60 * MINUTE)
    assert every_way([at(0, count=3), at(50), at(111)], options) == ["deerx3 0-50", "deerx1 111-111"]


def test_equal_times_are_ordered_by_media() -> None:
    """Images of one instant stand in the order of their media ids, whatever order they arrive in."""
    instant = [seen(0, "fox", media="b"), seen(0, "deer", media="a"), seen(0, "fox", media="c")]
    simple = Options(method="simple")
    assert every_way(instant, simple) == ["deerx1 0-0", "foxx1 0-0"]
    assert [r.first for r in register(instant, simple)] == [Key(0, "a"), Key(0, "b")]


def test_windowed_never_parts_equal_times() -> None:
    """Images of one instant share label(i) and count(i), so nothing parts them under ``windowed``."""
    instant = [seen(0, "fox", 1, media="b"), seen(0, "deer", 5, media="a"), seen(0, "fox", 2, media="c")]
    assert every_way(instant, Options(split_on=LITERAL, gap=0)) == ["foxx5 0-0"]


def test_gap_zero_joins_only_equal_times() -> None:
    """A gap of 0 keeps one instant together and parts everything else."""
    options = Options(method="simple", gap=0)
    assert len(every_way([seen(0), seen(0), seen(1)], options)) == 2


def test_one_observation() -> None:
    """One image is one registration that starts and ends with it."""
    assert every_way([at(7, "boar", 3)], Options()) == ["boarx3 7-7"]


def test_no_observations() -> None:
    """Nothing seen, nothing registered."""
    assert register([], Options()) == []


def test_thousands_in_one_session() -> None:
    """A session of thousands of images, none further from the next than the gap, is one registration."""
    session = [at(minute) for minute in range(0, 3000 * 30, 30)]
    (registration,) = register(session, Options())
    assert registration.media_count == 3000
    assert text(streamed(session, Options())) == text([registration])


def test_registration_start_measures_from_the_start() -> None:
    """Under ``registration_start`` a registration lasts at most the gap, and the next one starts anew."""
    options = Options(compared_to="registration_start")
    assert every_way([at(m) for m in (0, 20, 30, 31, 61, 62)], options) == [
        "deerx1 0-30",
        "deerx1 31-61",
        "deerx1 62-62",
    ]


def test_label_change_restarts_the_clock() -> None:
    """Under ``registration_start`` the gap counts from where the label changed."""
    options = Options(method="simple", compared_to="registration_start")
    images = [at(0), at(20, "fox"), at(45, "fox"), at(51, "fox")]
    assert every_way(images, options) == ["deerx1 0-0", "foxx1 20-45", "foxx1 51-51"]


def test_empty_images_take_no_part() -> None:
    """An image with nothing in it neither votes nor extends, and doesn't bridge a gap."""
    assert every_way([at(0), at(20, "fox", 0), at(40)], Options()) == ["deerx1 0-0", "deerx1 40-40"]


def test_images_without_a_label_count_but_do_not_vote() -> None:
    """Animals that couldn't be named add to the count and the duration, not to the vote."""
    assert every_way([at(0), at(1, None, 4), at(2, None)], Options()) == ["deerx4 0-2"]


def test_nobody_votes() -> None:
    """Without a vote in the window the label is ``unidentified`` and there is no confidence."""
    (registration,) = register([at(0, None), at(1, None)], Options())
    assert (registration.label, registration.confidence) == ("unidentified", 0)


def test_ties_go_to_confidence() -> None:
    """Of two labels with as many votes the one with the larger sum of confidence wins."""
    tied = [seen(0, "ape", confidence=500_000), seen(1, "zebra", confidence=500_001)]
    assert every_way(tied, Options()) == ["zebrax1 0-1.66667e-05"]


def test_ties_of_confidence_go_to_the_prior() -> None:
    """Of two labels with as many votes and equal confidence the one with the larger prior wins."""
    assert register([at(0, "ape"), at(1, "zebra")], Options(priors={"zebra": 0.1}))[0].label == "zebra"


def test_ties_of_everything_go_to_the_name() -> None:
    """With nothing else to tell them apart the label that sorts first wins."""
    assert register([at(0, "zebra"), at(1, "ape")], Options())[0].label == "ape"


def test_label_is_voted_by_members_where_it_does_not_split() -> None:
    """Without ``label`` in ``split_on`` a registration's members elect its label among themselves."""
    images = [at(0, "deer"), at(29, "fox"), at(58, "fox")]
    assert every_way(images, Options(split_on=NOTHING)) == ["foxx1 0-58"]


def test_confidence_is_the_mean_of_the_votes_for_the_label() -> None:
    """Confidence is the floor of the mean over members with the registration's label, no others."""
    images = [
        seen(0, "deer", confidence=900_000),
        seen(1, "deer", confidence=700_001),
        seen(2, "fox", confidence=1),
    ]
    assert register(images, Options())[0].confidence == 800_000


def test_deployments_never_mix() -> None:
    """The same times at two deployments give each its own registrations."""
    images = [seen(0, deployment="b"), seen(1, "fox", deployment="a"), seen(2, deployment="b")]
    found = [(r.deployment, r.label, r.media_count) for r in register(images, Options())]
    assert found == [("a", "fox", 1), ("b", "deer", 2)]


def test_the_first_of_a_media_counts() -> None:
    """Of several observations with one media id the first is taken."""
    (registration,) = register([at(0, "deer", media="x"), at(5, "fox", media="x")], Options())
    assert (registration.label, registration.media_count) == ("deer", 1)


def test_batch_ids_and_openings_follow_the_order() -> None:
    """A batch names each registration after its first image and numbers a deployment's from 1."""
    images = [
        seen(t, media=media, deployment=deployment)
        for t, media, deployment in [(0, "a", "x"), (1, "b", "x"), (10**9, "c", "x"), (5, "d", "y")]
    ]
    assert [(r.id, r.opened) for r in register(images, Options())] == [
        (registration_id("x", "a"), 1),
        (registration_id("x", "c"), 2),
        (registration_id("y", "d"), 1),
    ]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"window": 0}, "window is at least 1 ms and gap at least 0, not 0 and 1800000"),
        ({"gap": -1}, "window is at least 1 ms and gap at least 0, not 1800000 and -1"),
        ({"method": "other"}, "method is one of ('windowed', 'simple'), not 'other'"),
        ({"compared_to": "x"}, "compared_to is one of ('last_image', 'registration_start'), not 'x'"),
        ({"split_on": frozenset({"size"})}, "split_on holds some of ('label', 'count'), not ['size']"),
    ],
)
def test_options_refuse_what_cannot_be_meant(wrong: dict[str, object], reason: str) -> None:
    """Options that no rule covers are refused with a reason that names what would do."""
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        Options(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_literal_form_agrees_on_the_worked_example() -> None:
    """The slow form that the fast ones are held to gets the documented example right itself."""
    found = [(e.label, e.count, len(e.media)) for e in events(WORKED_EXAMPLE, Options())]
    assert found == [("deer", 2, 6), ("fox", 2, 3)]
