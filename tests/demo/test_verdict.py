from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from edge.delivery.messages import timestamp
from edge.demo.story import expected
from edge.demo.verdict import Verdict, found, in_order, same

EVENING = date(2026, 5, 4)


def _rows() -> list[dict[str, Any]]:
    return [
        {
            "registration_id": str(number),
            "deployment": truth.deployment,
            "label": truth.label,
            "count": truth.count,
            "start": timestamp(truth.start, -360),
            "end": timestamp(truth.end, -360),
            "media_count": truth.media_count,
        }
        for number, truth in enumerate(expected(EVENING))
    ]


GOOD = Verdict(
    delivered=21,
    files={"processed": 19, "duplicate": 1, "incomplete": 1},
    registrations=_rows(),
    given_out=18,
    missing=0,
    equal=True,
    staged=6,
    found=6,
    broker="mosquitto",
    evening=EVENING,
    seconds=20.04,
)


def test_order_does_not_matter_but_content_does() -> None:
    """Two tables are the same if they hold the same rows; one field is enough to tell them apart."""
    rows = _rows()
    assert same(rows, rows[::-1])
    assert not same(rows, [{**rows[0], "count": 7}, *rows[1:]])
    assert not same(rows, rows[1:])
    assert not same(rows[1:], rows)


def test_the_truth_is_found() -> None:
    """Registrations that are just as the story has them are counted; a wrong count or end is not one."""
    rows = _rows()
    assert found(EVENING, rows) == (6, 6)
    assert found(EVENING, [{**rows[0], "count": 3}, *rows[1:]]) == (6, 5)
    assert found(EVENING, [{**rows[0], "end": rows[1]["end"]}, *rows[2:]]) == (6, 4)


def test_rows_in_order() -> None:
    """Rows are ordered by deployment and start, as moments and not as text."""
    early = {"deployment": "a", "start": "2026-05-04T03:00:00.000+07:00"}
    late = {"deployment": "a", "start": "2026-05-04T02:00:00.000-06:00"}
    assert in_order([late, early]) == [early, late]


@pytest.mark.parametrize("change", [{"equal": False}, {"missing": 1}, {"registrations": []}])
def test_any_broken_promise_fails(change: dict[str, Any]) -> None:
    """A table that differs, a lost message or no registration at all is a failure."""
    assert GOOD.ok
    assert not replace(GOOD, **change).ok


def test_models_that_err_are_told_and_are_no_failure() -> None:
    """A registration that isn't as in the story is a matter of the models, not of lost data."""
    verdict = replace(GOOD, found=5)
    assert verdict.ok
    assert "5 of 6 registrations" in verdict.sentence()


def test_sentence_tells_all_numbers() -> None:
    """The last line has files by fate, registrations, messages and losses."""
    assert "21 files (19 processed, 1 duplicate, 1 incomplete), 6 registrations, 18" in GOOD.sentence()
    assert "0 lost" in GOOD.sentence()


def test_summary_is_for_scripts() -> None:
    """The summary holds plain values only, with the same numbers."""
    summary = GOOD.summary()
    assert summary["ok"] is True
    assert summary["files"] == {"delivered": 21, "processed": 19, "duplicate": 1, "incomplete": 1}
    assert summary["messages"] == {"given_out": 18, "missing": 0}
    assert summary["seconds"] == 20.0
    assert datetime.fromisoformat(summary["registrations"][0]["start"]).astimezone(UTC).day == 4
