from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge.errors import EdgeError, InterchangeError
from edge.interchange import KINDS, Clock, Kind, Reading, events_from, reading_from
from edge.service.registering import Job, batch, stream
from tests.interchange.build import batch_of

CSV = "deployment,media,time,label\nridge,a.jpg,2026-05-04 18:00:00,deer\n"
LINE = '{"deployment": "ridge", "media": "a.jpg", "time": "2026-05-04 18:00:00", "label": "deer"}\n'
BATCH = batch_of({"file": "ridge/a.jpg", "datetime": "2026-05-04 18:00:00", "detections": []})


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("x.csv", CSV, "csv"),
        ("x.tsv", CSV.replace(",", "\t"), "csv"),
        ("x", CSV, "csv"),
        ("x", f"\ufeff{CSV}", "csv"),
        ("x.jsonl", LINE, "jsonl"),
        ("x.json", LINE * 2, "jsonl"),
        ("x", LINE, "jsonl"),
        ("x.json", json.dumps(BATCH), "megadetector"),
        ("x", f"\ufeff\n{json.dumps(BATCH, indent=1)}", "megadetector"),
    ],
)
def test_kind_by_name_and_content(tmp_path: Path, name: str, text: str, kind: Kind) -> None:
    """The suffix decides, else the first characters; a byte order mark is passed over."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with reading_from(str(tmp_path / name), Reading()) as found:
        assert found.kind == kind
        assert all(row[1] == "ridge" for row in found.rows)


def test_stated_kind_wins(tmp_path: Path) -> None:
    """``--input-format`` overrides the suffix."""
    (tmp_path / "x.csv").write_text(LINE)
    with reading_from(str(tmp_path / "x.csv"), Reading(), "jsonl") as found:
        assert len(list(found.rows)) == 1


@pytest.mark.parametrize(
    ("text", "kind"), [(CSV, "csv"), (LINE, "jsonl"), (json.dumps(BATCH), "megadetector")]
)
def test_standard_input(monkeypatch: pytest.MonkeyPatch, text: str, kind: Kind) -> None:
    """``-`` reads standard input, is recognised in the same way, and stays open."""
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode())))
    monkeypatch.setattr(sys, "stdin", stdin)
    with reading_from("-", Reading()) as found:
        assert found.kind == kind
        assert len(list(found.rows)) == 1
    assert not stdin.buffer.closed


@pytest.mark.parametrize("source", ["absent.csv", "absent/", "a\0b"])
def test_what_isn_t_there(source: str) -> None:
    """A file that can't be opened is one line."""
    with pytest.raises(InterchangeError, match="read"), reading_from(source, Reading()):
        pass


def test_folder_that_is_no_package(tmp_path: Path) -> None:
    """A folder without a description is no package."""
    with pytest.raises(InterchangeError, match=r"datapackage\.json"), reading_from(str(tmp_path), Reading()):
        pass


def test_package_from_standard_input() -> None:
    """A folder can't come through a pipe."""
    with pytest.raises(InterchangeError, match="folder"), reading_from("-", Reading(), "camtrap-dp"):
        pass


def test_a_list_says_what_is_wanted(tmp_path: Path) -> None:
    """Other tools' JSON lists are refused by name."""
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(InterchangeError, match="list"), reading_from(str(tmp_path / "x.json"), Reading()):
        pass


def test_other_encodings_are_said(tmp_path: Path) -> None:
    """Text that isn't UTF-8 is refused with how to help it, not guessed at."""
    (tmp_path / "x.csv").write_bytes(CSV.replace("deer", "élan").encode("latin-1"))
    with (
        pytest.raises(InterchangeError, match="UTF-8"),
        reading_from(str(tmp_path / "x.csv"), Reading()) as found,
    ):
        list(found.rows)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "file",
        "detections",
        "datetime",
        "failure",
        "location",
        "exif_metadata",
        "media",
        "time",
        "label",
        "count",
    ]
)
VALUES = JSON | st.sampled_from(
    ["ridge/a.jpg", "2026-05-04 18:00:00", "\ud800", [{"category": "1", "conf": 1}]]
)
IMAGES = st.lists(st.dictionaries(KEYS, VALUES), max_size=4)
SLOW = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


def survives(path: Path, kind: Kind | None) -> None:
    """Reading ends with rows, refused rows or an error of ours, in a batch and as a stream."""
    for read in (batch, stream):
        try:
            with reading_from(str(path), Reading(), kind) as found:
                list(read(found.rows, Job(repeats_add=found.repeats_add)))
        except EdgeError as error:
            str(error).encode()


@SLOW
@given(data=st.binary(max_size=200), kind=st.sampled_from([None, *KINDS]))
def test_garbage(tmp_path: Path, data: bytes, kind: Kind | None) -> None:
    """Whatever the bytes and whatever they are said to be, nothing but our own errors."""
    (tmp_path / "x").write_bytes(data)
    survives(tmp_path / "x", kind)
    with suppress(EdgeError):
        events_from(tmp_path / "x", Clock())


@SLOW
@given(lines=st.lists(st.text(max_size=40), max_size=6))
def test_garbage_below_a_header(tmp_path: Path, lines: list[str]) -> None:
    """The same below the columns of a good table."""
    text = "\n".join(["deployment,media,time,label,count,confidence", *lines])
    (tmp_path / "x.csv").write_bytes(text.encode(errors="surrogatepass"))
    survives(tmp_path / "x.csv", None)


@SLOW
@given(images=IMAGES, more=st.dictionaries(st.sampled_from(["info", "detection_categories"]), JSON))
def test_garbage_within_json(tmp_path: Path, images: list[Any], more: dict[str, Any]) -> None:
    """The same within JSON of the right outer shape."""
    (tmp_path / "x.json").write_text(json.dumps(batch_of(*images, **more)))
    survives(tmp_path / "x.json", "megadetector")
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, images)))
    survives(tmp_path / "x.jsonl", None)
    for name in ("media.csv", "observations.csv"):
        (tmp_path / name).write_text("\n".join(map(json.dumps, images)))
    (tmp_path / "datapackage.json").write_text(
        json.dumps(
            {"resources": [{"name": n, "path": f"{n}.csv"} for n in ("media", "observations")], **more}
        )
    )
    survives(tmp_path, None)
