"""Readers of what people write or bring: settings, label sets, tables of results, words to search for."""

from __future__ import annotations

import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tomli_w
from hypothesis import strategies as st

from edge.configuration import load
from edge.errors import ConfigError, InterchangeError, UsageError
from edge.interchange import Clock, Reading, duration, events_from, mapping_of, reading_from, write
from edge.registration import Options
from edge.search import phrases
from edge.service.cards.card import ABOUT, deployment_of
from edge.service.registering import Job, batch
from edge.vision import clean
from edge.vision.labels import load_label_set
from tests.fuzz.damage import damaged
from tests.fuzz.target import Target

_FOLDER = Path(tempfile.mkdtemp(prefix="edge-fuzz-"))

JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=12),
        st.integers(-(10**40), 10**40),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
"""Any JSON, and what is only nearly JSON: NaN, lone surrogates, numbers of 40 digits."""

DEEP = st.integers(500, 60_000)
"""How deep a nest is."""


def deep_json(depth: int) -> bytes:
    """A list in a list in a list."""
    return b"[" * depth + b"]" * depth


def long_number(digits: int) -> bytes:
    """More digits than Python turns into a number without being asked twice (4,300)."""
    return b"9" * digits


def _config(text: bytes) -> None:
    path = _FOLDER / "edge.toml"
    path.write_bytes(text)
    found = load(path)
    list(found.values())


def _environment(variables: dict[str, str]) -> None:
    names = {f"EDGE_{name}": value for name, value in variables.items()}
    with patch.dict(os.environ, names, clear=True):
        list(load(None).values())


def _labels(content: tuple[str, bytes]) -> None:
    suffix, text = content
    path = _FOLDER / f"mine{suffix}"
    path.write_bytes(text)
    labels = load_label_set(path)
    labels.sha256()
    assert len(labels.names) == len(set(labels.names)) >= 2
    labels.priors()
    labels.scientific_names()


def _results(content: tuple[str, bytes]) -> None:
    """Read somebody's results, make registrations of them, write them in every form."""
    name, text = content
    path = _FOLDER / name
    path.write_bytes(text)
    with reading_from(str(path), Reading()) as found:
        made = batch(found.rows, Job(Options(), repeats_add=found.repeats_add))
    for form in ("csv", "jsonl", "camtrap-dp"):
        write(form, made, io.StringIO(), Clock(), dict(found.scientific_names))


def _package(files: tuple[bytes, bytes, bytes]) -> None:
    folder = _FOLDER / "package"
    folder.mkdir(exist_ok=True)
    for name, content in zip(("datapackage.json", "media.csv", "observations.csv"), files, strict=True):
        (folder / name).write_bytes(content)
    with reading_from(str(folder), Reading()) as found:
        batch(found.rows, Job(Options(), repeats_add=found.repeats_add))


def _card(text: bytes) -> None:
    (_FOLDER / ABOUT).write_bytes(text)
    name = deployment_of(_FOLDER, None)
    assert "/" not in name
    assert name not in ("", ".", "..")


def _truth(text: bytes) -> None:
    path = _FOLDER / "truth.csv"
    path.write_bytes(text)
    events_from(path, Clock())


def _words(text: str) -> None:
    for phrase in phrases(text) if text.strip() else ():
        clean.open_clip(phrase)
    for read in (duration, mapping_of):
        try:
            read(text)
        except UsageError as error:
            assert str(error)  # noqa: PT017 - any of the two may refuse, each with a word


_TOML = [
    tomli_w.dumps(
        {
            "device": "ridge-01",
            "state": "/tmp/s",  # noqa: S108 - a name, nothing is written there
            "intake": {"timezone": "Asia/Yakutsk", "deployments": {"cam-07": {"clock_offset": -3600.0}}},
            "vision": {"floor": 0.3, "providers": ["cpu"], "workers": 2},
            "mqtt": {"host": "broker", "port": 8883, "tls": True, "password": "x"},
            "registration": {"split_on": ["label", "count"], "gap": 600},
        }
    ).encode()
]
_TOML_WORDS = [
    b"[", b"]", b"[[", b"]]", b"=", b'"', b'"""', b"'", b"\n", b"\0", b"\xff", b"1e400", b"nan", b"-inf",
    b"0x", b"1979-05-27", b'"\\u0000"', b"[intake.deployments.x]\n", b"{a={a={a=1}}}", b"x=1\n",
]  # fmt: skip
_LABELS_TOML = tomli_w.dumps(
    {"title": "T", "label": [{"label": n, "prior": 0.5, "prompts": [n, f"a {n}"]} for n in ("Fox", "Hare")]}
).encode()
_LABELS_JSON = json.dumps({"labels": ["Fox", "Hare"], "queries": [["fox"], ["hare", "a hare"]]}).encode()
_CSV = (
    b"deployment,file,datetime,label,count,confidence\n"
    b"cam,a.jpg,2026-05-04 18:00:00,Fox,2,0.9\ncam,b.jpg,2026-05-04 18:01:00,Hare,1,0.8\n"
)
_MEGADETECTOR = json.dumps(
    {
        "info": {"format_version": "1.4", "detector_metadata": {"typical_detection_threshold": 0.2}},
        "detection_categories": {"1": "animal", "2": "person"},
        "classification_categories": {"0": "fox"},
        "classification_category_descriptions": {"0": "1;mammalia;carnivora;canidae;vulpes;vulpes;red fox"},
        "images": [
            {
                "file": "cam/a.jpg",
                "datetime": "2026:05:04 18:00:00",
                "detections": [
                    {"category": "1", "conf": 0.9, "bbox": [0, 0, 1, 1], "classifications": [["0", 0.8]]}
                ],
            }
        ],
    }
).encode()
_JSONL = (
    b'{"deployment": "cam", "file": "a.jpg", "time": "2026-05-04T18:00:00Z", "label": "Fox", "count": 2}\n'
)
_TRUTH = b"deployment,label,start,end,count\ncam,Fox,2026-05-04 18:00,2026-05-04 18:09,1\n"
_PACKAGE = (
    json.dumps(
        {"resources": [{"name": name, "path": f"{name}.csv"} for name in ("media", "observations")]}
    ).encode(),
    b"mediaID,deploymentID,timestamp\nm1,cam,2026-05-04T18:00:00Z\n",
    (
        b"observationID,observationLevel,observationType,mediaID,scientificName,count\n"
        b"o1,media,animal,m1,Vulpes,2\n"
    ),
)
_CELLS = [
    b",", b";", b'"', b'""', b"\r\n", b"\n", b"\0", b"\xff\xfe", b"1e400", b"nan", b"-1",
    b"9999-12-31T23:59:59", b"0001-01-01", b"=1+1", b"[", b"]", b"{", b"}", b"null", b"NaN",
    b'"\\ud800"', b"1e999", b"\xc2\xa0",
]  # fmt: skip
_NAMES = (
    "DEVICE", "STATE", "DROP", "MQTT", "MQTT__PORT", "MQTT__HOST", "INTAKE__DEPLOYMENTS", "VISION__PROVIDERS",
    "REGISTRATION__SPLIT_ON", "INTAKE__TIMEZONE", "VISION__FLOOR", "INTAKE__TIME_PATTERN", "NONSENSE",
)  # fmt: skip
_VALUE = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
    JSON.map(json.dumps),
    DEEP.map(lambda n: deep_json(n).decode()),
)


def _nested(head: bytes, tail: bytes = b"") -> st.SearchStrategy[bytes]:
    return st.one_of(DEEP.map(deep_json), DEEP.map(long_number)).map(lambda middle: head + middle + tail)


TARGETS: list[Target[Any]] = [
    Target(
        "settings in TOML",
        st.one_of(damaged(_TOML, _TOML_WORDS), _nested(b"device = ")),
        _config,
        (ConfigError,),
    ),
    Target(
        "settings in the environment",
        st.dictionaries(st.sampled_from(_NAMES), _VALUE, max_size=4),
        _environment,
        (ConfigError,),
    ),
    Target(
        "label sets",
        st.one_of(
            st.tuples(
                st.just(".toml"), st.one_of(damaged([_LABELS_TOML], _TOML_WORDS), _nested(b"title = "))
            ),
            st.tuples(
                st.just(".json"), st.one_of(damaged([_LABELS_JSON], _CELLS), _nested(b'{"labels": ', b"}"))
            ),
            st.lists(st.one_of(st.text(max_size=5), JSON), min_size=2, max_size=4).map(
                lambda names: (
                    ".json",
                    json.dumps({"labels": names, "queries": [["x"]] * len(names)}).encode(),
                )
            ),
        ),
        _labels,
        (ConfigError,),
    ),
    Target(
        "results of others",
        st.one_of(
            st.tuples(st.just("r.csv"), damaged([_CSV, b"\xef\xbb\xbf" + _CSV], _CELLS)),
            st.tuples(st.sampled_from(["r.json", "r.x"]), damaged([_MEGADETECTOR, _CSV, _JSONL], _CELLS)),
            st.tuples(st.just("r.jsonl"), damaged([_JSONL], _CELLS)),
            st.tuples(st.just("r.jsonl"), JSON.map(lambda value: json.dumps(value).encode())),
            st.tuples(
                st.just("r.json"),
                st.lists(JSON, max_size=3).map(lambda images: json.dumps({"images": images}).encode()),
            ),
            st.tuples(
                st.just("r.jsonl"),
                st.dictionaries(st.sampled_from(["deployment", "file", "time", "label", "count"]), JSON).map(
                    lambda row: json.dumps({**json.loads(_JSONL), **row}).encode()
                ),
            ),
            st.tuples(st.sampled_from(["r.json", "r.jsonl", "r.csv"]), _nested(b'{"images": ', b"}")),
        ),
        _results,
        (InterchangeError,),
    ),
    Target(
        "Camtrap DP",
        st.tuples(
            st.one_of(damaged([_PACKAGE[0]], _CELLS, 2), _nested(b'{"resources": ', b"}")),
            damaged([_PACKAGE[1]], _CELLS, 2),
            damaged([_PACKAGE[2]], _CELLS, 2),
        ),
        _package,
        (InterchangeError,),
    ),
    Target("tables of truth", damaged([_TRUTH], _CELLS), _truth, (InterchangeError,)),
    Target(
        "whose a card is",
        st.one_of(
            damaged([b'deployment = "cam-07"\n'], [*_TOML_WORDS, b"../", b"/", b"$", b"#", b"\\u0000"]),
            _nested(b"deployment = "),
            st.text(max_size=20).map(
                lambda name: tomli_w.dumps({"deployment": name}).encode(errors="replace")
            ),
        ),
        _card,
        (UsageError,),
    ),
    Target("words", st.text(max_size=200), _words, ()),
]
