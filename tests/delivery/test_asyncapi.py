"""The AsyncAPI document: valid, complete, and what the types say."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from edge.delivery import pages
from edge.delivery.asyncapi import document, main, text
from edge.delivery.messages import encode
from edge.delivery.schemas import schemas
from edge.delivery.topics import Topics
from edge.errors import UsageError
from tests.delivery.helpers import change, message
from tests.delivery.test_messages import SAMPLES

HERE = Path(__file__).resolve().parent
META = Draft7Validator(json.loads(gzip.decompress((HERE / "asyncapi/asyncapi-3.0.0.json.gz").read_bytes())))
DOCUMENT = document()


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from _refs(part)
    elif isinstance(value, list):
        for part in value:
            yield from _refs(part)


def _at(pointer: str) -> Any:
    found: Any = DOCUMENT
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_it_is_valid_by_asyncapi_s_own_schema() -> None:
    """Of version 3.0.0."""
    assert [error.message for error in META.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("info"),
        lambda d: d["info"].pop("version"),
        lambda d: d["operations"]["send-health"].update(action="publish"),
        lambda d: d["channels"]["health"].update(topic="x"),
        lambda d: d["operations"]["receive-ping"]["reply"].update(address="x"),
        lambda d: d["operations"]["send-health"]["bindings"]["mqtt"].update(qos="one"),
    ],
)
def test_asyncapi_s_schema_finds_what_is_wrong(spoil: Callable[[dict[str, Any]], object]) -> None:
    """The check above can fail."""
    spoiled = json.loads(json.dumps(DOCUMENT))
    spoil(spoiled)
    assert not META.is_valid(spoiled)


def test_it_has_not_drifted() -> None:
    """docs/asyncapi.json is what ``python -m edge.delivery.asyncapi docs/asyncapi.json`` writes."""
    assert (HERE.parents[1] / "docs" / "asyncapi.json").read_text() == text()


def test_every_reference_leads_somewhere() -> None:
    """Within the document."""
    found = set(_refs(DOCUMENT))
    assert len(found) > 40
    for pointer in found:
        assert _at(pointer) is not None


def test_topics_are_those_that_the_device_uses() -> None:
    """Each address with its parameters filled in is a topic of ours; none is left out."""
    topics = Topics("edge/v1", "ridge-01")
    given = {"prefix": "edge/v1", "device": "ridge-01", "deployment": "cam-07"}
    channels = DOCUMENT["channels"]
    addresses = {
        name: re.sub(r"{(\w+)}", lambda m: given[m[1]], channel["address"])
        for name, channel in channels.items()
        if channel["address"] is not None
    }
    assert addresses == {
        "registration": topics.registration("cam-07"),
        "snapshot": topics.snapshot("cam-07"),
        "compact": topics.compact("cam-07"),
        "status": topics.status,
        "cursor": topics.cursor,
        "health": topics.health,
        "discovery": topics.discovery,
        **{
            f"command-{name}": topics.command(name)
            for name in ("ping", "replay", "registration", "config", "reprocess")
        },
    }


@pytest.mark.parametrize(
    "name", ["RegistrationMessage", "Cursor", "Health", "Pong", "Refusal", "ReplayReply"]
)
def test_what_is_encoded_satisfies_the_document(name: str) -> None:
    """Also in the older JSON Schema that AsyncAPI speaks, boxes of four numbers included."""
    samples = {type(sample).__name__: sample for sample in SAMPLES.values()}
    schema = {**DOCUMENT, "$ref": f"#/components/schemas/{name}"}
    body = json.loads(encode(samples[name]))
    assert [error.message for error in Draft7Validator(schema).iter_errors(body)] == []


def test_the_document_tells_wrong_from_right() -> None:
    """A box of three numbers is none."""
    body = json.loads(encode(message(1, change())))
    schema = Draft7Validator({**DOCUMENT, "$ref": "#/components/schemas/RegistrationMessage"})
    assert schema.is_valid(body)
    body["media"][0]["boxes"][0].pop()
    assert not schema.is_valid(body)


def test_it_is_written_into_a_file(tmp_path: Path) -> None:
    """The command writes it, and needs to be told where."""
    main([str(tmp_path / "a.json")])
    assert (tmp_path / "a.json").read_text() == text()
    with pytest.raises(UsageError):
        main([])


def test_the_page_of_fields_has_not_drifted(tmp_path: Path) -> None:
    """docs/message-fields.md is what ``python -m edge.delivery.pages docs/message-fields.md`` writes."""
    assert (HERE.parents[1] / "docs" / "message-fields.md").read_text() == pages.text()
    pages.main([str(tmp_path / "a.md")])
    assert (tmp_path / "a.md").read_text() == pages.text()
    with pytest.raises(UsageError):
        pages.main(["a", "b"])


@pytest.mark.parametrize("name", schemas())
def test_the_page_names_every_field(name: str) -> None:
    """Of each kind of message."""
    section = pages.text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert {
        field for field in schemas()[name].get("properties", {}) if f"| `{field}` |" not in section
    } == set()
