from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st

from edge.interchange import FORMATS, Clock, Format, write, write_changes
from edge.interchange.tables import read_events
from edge.interchange.write import CAMTRAP_DP_COLUMNS
from edge.registration import Change, Key, Observation, Options, Registration, register
from tests.interchange.build import ms
from tests.shared import shared

T = ms("2026-05-04T18:00:00")


def one(**more: Any) -> Registration:
    """A registration of seven foxes."""
    facts: dict[str, Any] = {
        "id": "8f0a",
        "deployment": "ridge",
        "label": "fox",
        "count": 7,
        "first": Key(T, "a.jpg"),
        "last": Key(T + 61_000, "b.jpg"),
        "media_count": 2,
        "votes": {"fox": 2},
        "confidence": 750_000,
    }
    return Registration(**{**facts, **more})


def text_of(
    form: Format, *found: Registration, clock: Clock | None = None, names: Mapping[str, str] | None = None
) -> str:
    """What is written."""
    out = io.StringIO(newline="")
    write(form, found, out, clock or Clock(), names or {})
    return out.getvalue()


def read_clock(text: str) -> Clock:
    """A clock that has read a time in some style."""
    clock = Clock()
    clock.read(text)
    return clock


def test_csv() -> None:
    """Column for column."""
    assert text_of("csv", one(), clock=read_clock("2026-05-04 18:00:00")).splitlines() == [
        "deployment,label,start,end,count,media_count,confidence,registration_id",
        "ridge,fox,2026-05-04 18:00:00,2026-05-04 18:01:01,7,2,0.750000,8f0a",
    ]


def test_submission() -> None:
    """The task's columns; five means five or more; times as they came."""
    assert text_of("submission", one(), clock=read_clock("2026:05:04 18:00:00")).splitlines() == [
        "name_folder,class,date_registration_start,date_registration_end,count",
        "ridge,fox,2026:05:04 18:00:00,2026:05:04 18:01:01,5",
    ]


def test_json_lines() -> None:
    """All that there is to say, each on its line."""
    content = json.loads(text_of("jsonl", one()))
    assert content["start"] == "2026-05-04T18:00:00+00:00"
    assert (content["first_media"], content["last_media"], content["votes"]) == ("a.jpg", "b.jpg", {"fox": 2})


def test_change_log() -> None:
    """A change has the registration whole, its state and revision."""
    out = io.StringIO()
    write_changes([Change("retracted", one(revision=3, superseded_by="77"))], out, Clock())
    content = json.loads(out.getvalue())
    assert (content["change"], content["revision"], content["superseded_by"]) == ("retracted", 3, "77")
    assert (content["state"], content["count"], content["label"]) == ("open", 7, "fox")


def test_camtrap_dp_names() -> None:
    """A scientific name where it is known; the label as a tag where it isn't; else neither."""
    given_ = (one(), one(label="yeti"), one(label="unidentified"))
    found = text_of("camtrap-dp", *given_, names={"fox": "Vulpes vulpes"})
    named = [(row["scientificName"], row["observationTags"]) for row in csv.DictReader(io.StringIO(found))]
    assert named == [("Vulpes vulpes", ""), ("", "label:yeti"), ("", "")]


def test_camtrap_dp_is_valid_field_by_field() -> None:
    """The standard's own table schema: names and order, types, formats, limits, words, required, unique."""
    schema = json.loads(shared("data", "camtrap-dp", "observations-table-schema.json").read_text())
    observations = [
        Observation("ridge", f"m{n:03}", T + n * 700_123, ("fox", None, "deer")[n % 3], 1 + n % 4, n * 9_000)
        for n in range(100)
    ]
    found = register(observations, Options(method="simple"))
    text = text_of(
        "camtrap-dp", *found, clock=Clock(ZoneInfo("Asia/Kolkata")), names={"fox": "Vulpes vulpes"}
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(found) > 50
    assert [field["name"] for field in schema["fields"]] == list(rows[0]) == list(CAMTRAP_DP_COLUMNS)
    for field in schema["fields"]:
        column = [row[field["name"]] for row in rows]
        for value in column:
            check(field, value)
        if field.get("constraints", {}).get("unique"):
            assert len(set(column)) == len(column)


def check(field: Mapping[str, Any], value: str) -> None:
    """One cell against one field of a table schema."""
    limits = field.get("constraints", {})
    if value == "":
        assert not limits.get("required"), field["name"]
        return
    if field["type"] == "datetime":
        datetime.strptime(value, field["format"]).astimezone(UTC)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", value)
    number = {"integer": int, "number": float}.get(field["type"])
    if number is not None:
        assert limits.get("minimum", number(value)) <= number(value) <= limits.get("maximum", number(value))
    assert value in limits.get("enum", [value])


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=10)
FOUND = st.builds(
    one,
    deployment=TEXT.map(lambda text: f"x{text}".strip()),
    label=TEXT.map(lambda text: f"x{text}".strip()),
    count=st.integers(1, 9),
    first=st.builds(Key, st.integers(ms("2000-01-01T00:00:00"), T), TEXT),
    last=st.builds(Key, st.integers(T, ms("2090-01-01T00:00:00")), TEXT),
)


@given(
    st.lists(FOUND, max_size=5),
    st.sampled_from(
        ["2026-05-04 18:00", "2026:05:04 18:00:00", "2026-05-04T18:00:00.5Z", "2026/05/04 18:00:00"]
    ),
)
def test_csv_round_trip(found: list[Registration], style: str) -> None:
    """A table of registrations reads back as what was written, whatever the names and the style of times."""
    text = text_of("csv", *found, clock=read_clock(style))
    read = read_events(io.StringIO(text, newline=""), "x", Clock())
    assert [(e.deployment, e.label, e.start, e.end, e.count) for e in read] == [
        (r.deployment, r.label, r.start, r.end, r.count) for r in found
    ]


@given(st.lists(FOUND, min_size=1, max_size=5), st.sampled_from(FORMATS))
def test_one_line_for_each(found: list[Registration], form: Format) -> None:
    """Every form has each registration once."""
    text = text_of(form, *found)
    header = 0 if form == "jsonl" else 1
    lines = io.StringIO(text, newline="")
    rows = list(lines) if form == "jsonl" else list(csv.reader(lines))
    assert len(rows) == len(found) + header
