from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.interchange.build import batch_of
from tests.shared import shared

HEAD = "deployment,media,time,label,count"
ROWS = [
    "ridge,a.jpg,2026-05-04 18:00:00,Red_Fox,1",
    "ridge,b.jpg,2026-05-04 18:05:00,Red_Fox,6",
    "ridge,c.jpg,2026-05-04 18:10:00,Red_Deer,1",
    "ridge,d.jpg,2026-05-04 20:00:00,Red_Deer,1",
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of four images: two visits, one image called wrongly."""
    path = tmp_path / "results.csv"
    path.write_text("\n".join([HEAD, *ROWS, ""]))
    return path


def rows_of(text: str) -> list[dict[str, str]]:
    """A table's rows."""
    return list(csv.DictReader(io.StringIO(text)))


def test_table_to_table(run: Run, table: Path) -> None:
    """By default labels are smoothed, and a table is printed, with nothing beside it."""
    result = run("register", table)
    assert (result.code, result.err) == (0, "")
    assert [(r["label"], r["count"], r["start"], r["media_count"]) for r in rows_of(result.out)] == [
        ("Red_Fox", "6", "2026-05-04 18:00:00", "3"),
        ("Red_Deer", "1", "2026-05-04 20:00:00", "1"),
    ]


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (["--method", "simple"], 3),
        (["--gap", "2h"], 2),
        (["--gap", "2h", "--split-on", "none"], 1),
        (["--window", "1s"], 3),
        (["--split-on", "label,count"], 3),
        (["--compared-to", "registration_start", "--gap", "00:05:00"], 3),
        (["--per-label"], 3),
        (["--dialect", "camtraptools"], 2),
        (["--dialect", "addax-connect", "--gap", "3h"], 2),
        (["--dialect", "addax-connect", "--gap", "60"], 4),
    ],
)
def test_options_of_the_rules(run: Run, table: Path, options: list[str], number: int) -> None:
    """Each option does what the rules say; a dialect's are changed by what is given beside it."""
    assert len(rows_of(run("register", table, *options).out)) == number


def test_standard_input(run: Run, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` is standard input."""
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(table.read_bytes())))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run("register", "-").out == run("register", table).out


def test_bad_rows_are_set_aside(run: Run, table: Path, tmp_path: Path) -> None:
    """They are counted and listed, the rest is done, and the exit code says it."""
    bad = [f"ridge,x{n}.jpg,noon,Red_Fox,1" for n in range(7)]
    table.write_text("\n".join([HEAD, *ROWS[:2], *bad, *ROWS[2:], ""]))
    result = run("register", table, "--rejects", tmp_path / "rejects.csv")
    assert result.code == 1
    assert len(rows_of(result.out)) == 2
    assert "7 of 11 rows" in result.err
    assert "line 4: time: expected a date and time" in result.err
    assert "line 9" not in result.err
    rejects = rows_of((tmp_path / "rejects.csv").read_text())
    assert [r["where"] for r in rejects] == [f"line {n}" for n in range(4, 11)]
    assert rejects[0]["value"] == "noon"


def test_strict_stops(run: Run, table: Path, tmp_path: Path) -> None:
    """``--strict`` ends at the first, and leaves no half file."""
    table.write_text("\n".join([HEAD, ROWS[0], "ridge,x.jpg,noon,Red_Fox,1", ""]))
    result = run("register", table, "--strict", "--out", tmp_path / "out.csv")
    assert (result.code, result.out) == (1, "")
    assert "line 3: time" in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv"]


def test_change_log(run: Run, table: Path) -> None:
    """``--stream`` tells each change in the order of the rows, the closing ones last."""
    changes = [json.loads(line) for line in run("register", table, "--stream").out.splitlines()]
    assert [change["change"] for change in changes] == [
        "opened",
        "updated",
        "updated",
        "opened",
        "closed",
        "closed",
    ]
    assert [change["revision"] for change in changes] == [1, 2, 3, 1, 4, 2]
    assert changes[2]["count"] == 6
    early = run("register", table, "--stream", "--lateness", "0").out.splitlines()
    assert [json.loads(line)["change"] for line in early][-2:] == ["closed", "closed"]
    assert [json.loads(line)["change"] for line in early].index("closed") < len(early) - 1


def test_changes_come_while_rows_do(table: Path) -> None:
    """A reader of a growing input sees each change before the input ends."""
    command = [sys.executable, "-m", "edge", "register", "-", "--stream"]
    head, first, *_ = table.read_text().splitlines(keepends=True)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(head + first)
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["change"] == "opened"
        running.stdin.close()
        assert json.loads(running.stdout.readline())["change"] == "closed"
    assert running.returncode == 0


def test_mapped_columns_and_own_times(run: Run, tmp_path: Path) -> None:
    """Columns and times of one's own making; the deployment from two folders of the path."""
    path = tmp_path / "own.csv"
    path.write_text(
        "bild;wann;tier\nnord/k1/a.jpg;04.05.2026 18:00;Reh\nnord/k2/b.jpg;04.05.2026 18:05;Reh\n"
    )
    options = ["--map", "media=bild,time=wann,label=tier", "--time-format", "%d.%m.%Y %H:%M"]
    found = rows_of(run("register", path, *options, "--deployment-depth", "2").out)
    assert [(r["deployment"], r["start"]) for r in found] == [
        ("nord/k1", "04.05.2026 18:00"),
        ("nord/k2", "04.05.2026 18:05"),
    ]
    assert {r["deployment"] for r in rows_of(run("register", path, *options, "-d", "nord").out)} == {"nord"}


def test_submission(run: Run, table: Path, tmp_path: Path) -> None:
    """The task's table: its columns, counts up to 5, times as they came; an existing file is replaced."""
    (tmp_path / "out.csv").write_text("old")
    assert run("register", table, "--format", "submission", "--out", tmp_path / "out.csv").code == 0
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "name_folder,class,date_registration_start,date_registration_end,count",
        "ridge,Red_Fox,2026-05-04 18:00:00,2026-05-04 18:10:00,5",
        "ridge,Red_Deer,2026-05-04 20:00:00,2026-05-04 20:00:00,1",
    ]


def test_label_set_gives_scientific_names(run: Run, table: Path, tmp_path: Path) -> None:
    """Camtrap DP goes into a folder, with the label set's names, in the zone that was stated."""
    labels = tmp_path / "mine.toml"
    labels.write_text(
        "".join(
            f'[[label]]\nlabel = "{label}"\nscientific_name = "{name}"\nprompts = ["x"]\n'
            for label, name in (("Red_Fox", "Vulpes vulpes"), ("Red_Deer", "Cervus elaphus"))
        )
    )
    options = ["--timezone", "Europe/Prague", "--labels", labels, "--format", "camtrap-dp"]
    result = run("register", table, *options, "--out", tmp_path / "package")
    assert (result.code, result.out, result.err) == (0, "", "")
    found = rows_of((tmp_path / "package" / "observations.csv").read_text())
    assert [(r["scientificName"], r["eventStart"]) for r in found] == [
        ("Vulpes vulpes", "2026-05-04T18:00:00+02:00"),
        ("Cervus elaphus", "2026-05-04T20:00:00+02:00"),
    ]


def test_unknown_zone_is_said(run: Run, table: Path) -> None:
    """Where a result needs a zone and none was stated, UTC is taken, and that is said."""
    assert "--timezone" in run("register", table, "--format", "camtrap-dp").err


def test_priors_break_ties(run: Run, table: Path, tmp_path: Path) -> None:
    """A label set's priors decide where votes and confidence are even."""
    table.write_text("\n".join([HEAD, ROWS[0], ROWS[2], ""]))
    labels = tmp_path / "mine.toml"
    entries = [('Red_Fox"\nprior = 0.9', "x"), ('Red_Deer"', "x")]
    labels.write_text("".join(f'[[label]]\nlabel = "{head}\nprompts = ["{p}"]\n' for head, p in entries))
    assert [r["label"] for r in rows_of(run("register", table).out)] == ["Red_Deer"]
    assert [r["label"] for r in rows_of(run("register", table, "--labels", labels).out)] == ["Red_Fox"]


def test_megadetector(run: Run, tmp_path: Path) -> None:
    """MegaDetector's JSON is recognised; animals without a name are unidentified."""
    image = {"file": "ridge/a.jpg", "datetime": "2026:05:04 18:00:00"}
    box = {"category": "1", "conf": 0.9, "bbox": [0, 0, 1, 1]}
    (tmp_path / "md.json").write_text(json.dumps(batch_of({**image, "detections": [box, box]})))
    (found,) = rows_of(run("register", tmp_path / "md.json").out)
    assert (found["deployment"], found["label"], found["count"]) == ("ridge", "unidentified", "2")


def test_camtrap_dp_round_trip(run: Run) -> None:
    """The standard's example goes in and comes out, with its scientific names."""
    result = run("register", shared("data", "camtrap-dp", "example"), "--format", "camtrap-dp")
    assert result.code == 0
    found = rows_of(result.out)
    assert "Rattus norvegicus" in {row["scientificName"] for row in found}


def test_score(run: Run, table: Path, tmp_path: Path) -> None:
    """A truth table scores the result: for people on standard error, for scripts as JSON."""
    (tmp_path / "truth.csv").write_text(
        "deployment,label,start,end,count\n"
        "ridge,Red_Fox,2026-05-04 18:00:00,2026-05-04 18:10:00,6\n"
        "ridge,Red_Deer,2026-05-04 20:00:00,2026-05-04 20:00:00,1\n"
    )
    result = run("register", table, "--score", tmp_path / "truth.csv")
    assert (result.code, result.out) == (0, "")
    assert "1.0000" in result.err
    found = json.loads(run("register", table, "--score", tmp_path / "truth.csv", "--json").out)
    assert (found["score"], found["true"], found["extras"]) == (1.0, 2, 0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--method", "simple", "--split-on", "label,count"], (-0.6067, 3_381)),
        (["--method", "simple"], (-0.1981, 2_814)),
        (["--split-on", "label,count"], (0.5998, 1_222)),
        ([], (0.8987, 1_072)),
    ],
)
def test_known_scores(run: Run, options: list[str], expected: tuple[float, int]) -> None:
    """The command gives the known scores on real cameras."""
    data = shared("data", "registrations")
    result = run("register", data / "observations.csv", *options, "--score", data / "truth.csv", "--json")
    found = json.loads(result.out)
    assert (round(found["score"], 4), found["predicted"]) == expected


@pytest.mark.parametrize(
    "options",
    [
        ["--gap", "soon"],
        ["--method", "clever"],
        ["--split-on", "colour"],
        ["--compared-to", "noon"],
        ["--dialect", "klingon"],
        ["--format", "pdf"],
        ["--input-format", "pdf"],
        ["--timezone", "Europe/Nowhere"],
        ["--timezone", "../etc"],
        ["--map", "label"],
        ["--lateness", "1h"],
        ["--stream", "--format", "csv", "--score", "x"],
        ["--json"],
    ],
    ids=" ".join,
)
def test_calls_that_cant_work(run: Run, table: Path, options: list[str]) -> None:
    """Said before anything is read, with exit code 2."""
    result = run("register", table, *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("edge: ")


@pytest.mark.parametrize("out", ["results.csv/out.csv", "."])
def test_result_that_cant_be_written(run: Run, table: Path, out: str) -> None:
    """A place that can't be written to is one line."""
    result = run("register", table, "--out", table.parent / out)
    assert (result.code, result.out) == (1, "")
    assert "can't be written" in result.err


def test_what_is_read_is_never_replaced(run: Run, table: Path, tmp_path: Path) -> None:
    """Neither the input, nor the observations of a package that events are written beside."""
    assert run("register", table, "--out", table).code == 2
    assert run("register", table, "--rejects", table).code == 2
    package = tmp_path / "package"
    package.mkdir()
    (package / "datapackage.json").write_text("{}")
    options = ["--format", "camtrap-dp", "--timezone", "UTC", "--out", package]
    assert run("register", table, *options).code == 0
    assert run("register", table, *options).code == 2
    assert run("register", table, "--out", package / "registrations.csv").code == 0
    assert run("register", table, "--out", package / "registrations.csv").code == 0
    assert table.read_text().startswith(HEAD)


def test_missing_file(run: Run) -> None:
    """So is a file that isn't there, or a label set."""
    assert run("register", "absent.csv").code == 1
    assert run("register", "absent.csv", "--labels", "absent").code == 78
