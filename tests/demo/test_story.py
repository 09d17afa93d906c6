from datetime import UTC, date, datetime

import pytest

from edge.demo.story import COPIED, COPY_FILE, FILES, PLACES, STORY, ZONE, default_evening, expected

EVENING = date(2026, 5, 4)


def _clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, ZONE):%H:%M:%S}"


def test_expected_registrations() -> None:
    """By the documented rules the story is these six registrations."""
    assert [
        (r.deployment, r.label, r.count, _clock(r.start), _clock(r.end), r.media_count)
        for r in expected(EVENING)
    ] == [
        ("meadow-01", "American_Bison", 2, "17:02:11", "17:44:50", 4),
        ("meadow-01", "Domestic_Dog", 1, "19:05:30", "19:05:31", 2),
        ("thicket-02", "Wild_Boar", 2, "18:51:07", "19:21:19", 3),
        ("thicket-02", "Wild_Boar", 1, "20:47:33", "20:47:33", 1),
        ("trail-03", "Jaguar", 1, "21:47:03", "22:05:41", 4),
        ("trail-03", "Jaguar", 1, "23:31:55", "23:31:55", 1),
    ]


def test_the_late_image_changes_a_registration() -> None:
    """Without the image that arrives late, the bison's registration would end earlier."""
    punctual = expected(EVENING, [m for m in STORY if m.arrival != "late"])
    assert _clock(punctual[0].end) == "17:26:32"


@pytest.mark.parametrize("deployment", PLACES)
def test_numbers_follow_the_clock(deployment: str) -> None:
    """Within a deployment the files' numbers rise with the camera's clock and have no gaps."""
    moments = sorted((m for m in STORY if m.deployment == deployment), key=lambda m: m.number)
    assert [m.number for m in moments] == list(range(1, len(moments) + 1))
    assert [m.clock for m in moments] == sorted(m.clock for m in moments)


def test_one_image_is_late() -> None:
    """Files arrive in the order of their times, but for the one that is declared late."""
    late = [m for m in STORY if m.arrival == "late"]
    punctual = [m.taken(EVENING) for m in STORY if m.arrival != "late"]
    assert len(late) == 1
    assert punctual == sorted(punctual)
    assert STORY.index(late[0]) > next(i for i, m in enumerate(STORY) if m.clock > late[0].clock)


def test_every_kind_of_arrival_happens() -> None:
    """The story has a growing, a torn and a late file, an empty image, a person, and a copy."""
    assert {m.arrival for m in STORY} == {"renamed", "growing", "torn", "late"}
    assert any(not m.figures for m in STORY)
    assert any(f.picture == "person" for m in STORY for f in m.figures)
    assert COPY_FILE not in {m.file for m in STORY}
    assert COPIED.arrival == "renamed"
    assert len(STORY) + 1 == FILES


def test_default_evening_is_over_everywhere() -> None:
    """The default evening ended before now, in every time zone."""
    now = datetime(2026, 5, 4, 0, 1, tzinfo=UTC)
    evening = default_evening(now.date())
    assert max(m.taken(evening) for m in STORY) < now
