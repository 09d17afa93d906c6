from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, strategies as st

from edge.errors import InterchangeError, UsageError
from edge.interchange import Clock, Reading, Sighting, mapping_of
from edge.interchange.tables import read_csv, read_events, read_jsonl
from edge.interchange.times import Style
from tests.interchange.build import csv_rows, jsonl_rows, ms, only, refused

HEAD = "deployment,media,time,label,count,confidence\n"
T = ms("2026-05-04T18:00:00")


def test_a_plain_table() -> None:
    """One row is one image."""
    (row,) = csv_rows(HEAD + "ridge,a.jpg,2026-05-04 18:00:00,deer,2,0.75\n")
    assert row == Sighting("line 2", "ridge", "a.jpg", T, "deer", 2, 750_000)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(delimiter: str) -> None:
    """Comma, semicolon, tab and bar are told from the first line."""
    text = (HEAD + "ridge,a.jpg,2026-05-04 18:00:00,deer,2,0.5\n").replace(",", delimiter)
    assert only(csv_rows(text)).label == "deer"


@pytest.mark.parametrize(
    "head",
    [
        "name_folder,link,date_registration,class_predict,count",
        "Station,FileName,DateTimeOriginal,Species,number",
        "Deployment ID,File Path,DateTime,Prediction,n",
        "deploymentID,mediaID,timestamp,scientificName,count",
    ],
)
def test_common_names_of_columns(head: str) -> None:
    """What common tools call their columns is known."""
    row = only(csv_rows(f"{head}\nridge,a.jpg,2026-05-04 18:00:00,deer,2\n"))
    assert row[1:6] == ("ridge", "a.jpg", T, "deer", 2)


def test_named_columns_win() -> None:
    """A mapping decides where names are ambiguous."""
    reading = Reading(columns={"label": "guess 2", "time": "when"})
    text = "deployment,media,when,label,guess 2\nridge,a.jpg,2026-05-04 18:00:00,deer,fox\n"
    assert only(csv_rows(text, reading)).label == "fox"


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("", {}, "nothing is in it"),
        ("\n\n", {}, "nothing is in it"),
        ("a,b\n1,2\n", {}, "no column for media and time and label"),
        (HEAD, {"label": "species"}, "no column 'species'"),
        ("media,time,label,x,x\n", {"count": "x"}, "several columns 'x'"),
    ],
)
def test_tables_that_cant_be_read(text: str, columns: dict[str, str], said: str) -> None:
    """What is missing is named."""
    with pytest.raises(InterchangeError, match=said):
        read_csv(io.StringIO(text), "x", Reading(columns=columns))


@pytest.mark.parametrize(
    ("cells", "column", "expected"),
    [
        ("ridge,a.jpg,noon,deer,1,0.5", "time", "a date and time"),
        ("ridge,a.jpg,2026-05-04 18:00:00,deer,two,0.5", "count", "a whole number"),
        ("ridge,a.jpg,2026-05-04 18:00:00,deer,-1,0.5", "count", "a whole number"),
        ("ridge,a.jpg,2026-05-04 18:00:00,deer,1.5,0.5", "count", "a whole number"),
        ("ridge,a.jpg,2026-05-04 18:00:00,deer,1,75", "confidence", "0 to 1"),
        ("ridge,a.jpg,2026-05-04 18:00:00,deer,1,nan", "confidence", "0 to 1"),
        ("ridge,,2026-05-04 18:00:00,deer,1,0.5", "media", "a value"),
        (",a.jpg,2026-05-04 18:00:00,deer,1,0.5", "deployment", "--deployment"),
        ("ridge,a.jpg,2026-05-04 18:00:00,deer,1", "cells", "6 of them"),
        ("ridge,a.jpg,2026-05-04 18:00:00,deer,1,0.5,x", "cells", "6 of them"),
    ],
)
def test_bad_rows_say_where_and_what(cells: str, column: str, expected: str) -> None:
    """Line, column, what is there and what should be."""
    reject = refused(csv_rows(f"{HEAD}{cells}\n"))
    assert (reject.where, reject.column) == ("line 2", column)
    assert expected in reject.expected
    assert str(reject).startswith(f"line 2: {column}: expected ")


def test_lines_are_counted_as_editors_do() -> None:
    """Blank lines and cells over several lines count."""
    text = "\n" + HEAD + '\nridge,"a\nb.jpg",2026-05-04 18:00:00,deer,1,\nridge,c.jpg,noon,deer,1,\n'
    assert [row.where for row in csv_rows(text)] == ["line 4", "line 6"]


@pytest.mark.parametrize(
    ("label", "count", "expected"),
    [
        ("deer", "", ("deer", 1)),
        ("deer", "2.0", ("deer", 2)),
        ("deer", "0", ("deer", 0)),
        ("blank", "", (None, 0)),
        ("Empty", "1", (None, 0)),
        ("unidentified", "2", (None, 2)),
        ("none", "1", (None, 1)),
        ("none", "", (None, 0)),
        ("", "1", (None, 1)),
        ("", "", (None, 0)),
    ],
)
def test_labels_that_name_no_animal(label: str, count: str, expected: tuple[str | None, int]) -> None:
    """Nothing there, something without a name, and a name are three things."""
    row = only(csv_rows(f"{HEAD}ridge,a.jpg,2026-05-04 18:00:00,{label},{count},\n"))
    assert (row.label, row.animals) == expected


def test_deployment_from_the_path() -> None:
    """Without a column the first folders of the image's path are its deployment."""
    text = "media,time,label\n./site/cam/a.jpg,2026-05-04 18:00:00,deer\n"
    assert only(csv_rows(text)).deployment == "site"
    assert only(csv_rows(text, Reading(depth=2))).deployment == "site/cam"
    assert only(csv_rows(text, Reading(deployment="ridge"))).deployment == "ridge"
    assert refused(csv_rows(text, Reading(depth=3))).column == "deployment"


def test_json_lines() -> None:
    """Objects have the same fields as a table has columns, and each may order them as it likes."""
    first = {"deployment": "ridge", "media": "a.jpg", "time": "2026-05-04 18:00:00", "label": "deer"}
    second = {
        "label": None,
        "count": 2,
        "conf": 0.5,
        "file": "b.jpg",
        "station": 7,
        "t": "2026-05-04 18:00:01",
    }
    assert [row[1:] for row in jsonl_rows(first, second)] == [
        ("ridge", "a.jpg", T, "deer", 1, 0),
        ("7", "b.jpg", T + 1000, None, 2, 500_000),
    ]


@pytest.mark.parametrize(
    "line",
    ["{", "[1]", "7", '{"media": "a"}', '{"media": ["a"], "time": "x"}', '{"media": "\\ud800", "t": 1}'],
)
def test_bad_json_lines(line: str) -> None:
    """A line that is no object with an image and a time is refused, with its number."""
    assert refused(list(read_jsonl(io.StringIO(line), "x", Reading()).rows)).where == "line 1"


def test_deep_json_is_refused() -> None:
    """Nesting beyond what the parser takes is a bad row."""
    text = "[" * 200_000
    assert refused(list(read_jsonl(io.StringIO(text), "x", Reading()).rows)).column == "line"


TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), min_size=1, max_size=12
).map(lambda text: f"x{text}".strip())
ROWS = st.lists(
    st.tuples(
        TEXT,
        TEXT,
        st.integers(ms("2000-01-01T00:00:00"), ms("2099-01-01T00:00:00")),
        TEXT,
        st.integers(0, 1000),
        st.integers(0, 1_000_000),
    ),
    min_size=1,
    max_size=8,
)
FIELDS = ("deployment", "media", "time", "label", "count", "confidence")


@given(ROWS, st.sampled_from(list(",;\t|")))
def test_csv_round_trip(rows: list[tuple[str, str, int, str, int, int]], delimiter: str) -> None:
    """Whatever stands in the cells, it is read as it was written."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(FIELDS)
    for deployment, media, t, label, count, ppm in rows:
        writer.writerow((deployment, media, Style().write(t, Clock().zone), label, count, f"{ppm / 1e6:.6f}"))
    assert [tuple(row[1:]) for row in csv_rows(out.getvalue())] == rows


@given(ROWS)
def test_json_lines_round_trip(rows: list[tuple[str, str, int, str, int, int]]) -> None:
    """The same for JSON Lines."""
    contents = [
        dict(zip(FIELDS, (d, m, Style().write(t, Clock().zone), label, n, ppm / 1e6), strict=True))
        for d, m, t, label, n, ppm in rows
    ]
    assert [tuple(row[1:]) for row in jsonl_rows(*contents)] == rows


@pytest.mark.parametrize("text", ["label", "label=", "colour=x", "=x"])
def test_what_is_no_mapping(text: str) -> None:
    """A mapping is FIELD=COLUMN of known fields."""
    with pytest.raises(UsageError):
        mapping_of(text)


def test_mapping() -> None:
    """Several, with blanks around them."""
    assert mapping_of("time=date taken, label = class") == {"time": "date taken", "label": "class"}


def test_true_registrations() -> None:
    """A truth table may have our names or the task's."""
    head = "name_folder,class,date_registration_start,date_registration_end,count\n"
    text = head + "1,deer,2026-05-04 18:00:00,2026-05-04 18:00:05,2\n"
    (event,) = read_events(io.StringIO(text), "x", Clock())
    assert (event.deployment, event.label, event.start, event.end, event.count) == (
        "1",
        "deer",
        T,
        T + 5000,
        2,
    )


@pytest.mark.parametrize(
    "row",
    [
        "1,deer,2026-05-04 18:00:05,2026-05-04 18:00:00,2",
        "1,deer,x,2026-05-04 18:00:00,2",
        "1,deer,2026-05-04 18:00:05,2026-05-04 18:00:09,0",
        "1,deer",
    ],
)
def test_bad_truth(row: str) -> None:
    """A truth with a bad row measures nothing, so it is refused whole."""
    with pytest.raises(InterchangeError, match="line 2"):
        read_events(io.StringIO(f"deployment,label,start,end,count\n{row}\n"), "x", Clock())
