"""Messages, their builder, and the schemas that are made from them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from edge.delivery import BundleRef, MediaLine, Origin, choose_media, encode, registration_message
from edge.delivery.messages import (
    MEDIA_LIMIT,
    Cursor,
    Health,
    Pong,
    Refusal,
    RegistrationMessage,
    ReplayReply,
    ReplayRequest,
    SnapshotProperties,
    Span,
    milliseconds,
    timestamp,
)
from edge.delivery.requests import (
    ConfigReply,
    RegistrationReply,
    RegistrationRequest,
    ReprocessReply,
    ReprocessRequest,
)
from edge.delivery.schemas import files, main, schemas
from edge.errors import UsageError
from edge.registration.types import Change, Key, Registration
from tests.contract.outboxes import MemoryOutbox
from tests.delivery.helpers import change, health, message

ROOT = Path(__file__).parents[2]
START = milliseconds("2026-05-04T03:12:09.000+07:00")
LINE = MediaLine("sha256:91ab", "cam-07/IMG_0004.JPG", START, "Red_Deer", 2, [(0.61, 0.22, 0.18, 0.31)])


def _documented() -> dict[str, Any]:
    """The example in the documentation for users."""
    text = (ROOT / "docs" / "messages.md").read_text()
    example = text.split("```json", 1)[1].split("```", 1)[0]
    found: dict[str, Any] = json.loads(example)
    return found


def _documented_change() -> Change:
    end = milliseconds("2026-05-04T03:31:40.000+07:00")
    return Change(
        "updated",
        Registration(
            id="0b6e5a34-58a5-5e0c-9d0b-6f1f9a1c4f10",
            deployment="cam-07",
            label="Red_Deer",
            count=2,
            first=Key(START, "sha256:91ab"),
            last=Key(end, "sha256:91ab"),
            media_count=8,
            votes={"Roe_Deer": 1, "Red_Deer": 7},
            confidence=870_000,
            revision=3,
        ),
    )


def _documented_origin() -> Origin:
    bundle = BundleRef(name="clip-vit-b32-int8+yolo11n-int8", sha256="5f" * 32)
    return Origin("ridge-01", "b0c1d2e3", bundle, {"Red_Deer": "Cervus elaphus"}, offset_minutes=420)


def test_the_documented_example_is_what_is_sent() -> None:
    """The example in docs/messages.md is the builder's output, field for field and in this order."""
    observed = milliseconds("2026-05-04T03:32:02.114+07:00")
    built = registration_message(
        _documented_change(), [LINE], _documented_origin(), seq=1042, observed=observed
    )
    sent = json.loads(encode(built))
    assert sent == _documented()
    assert list(sent) == list(_documented())


def test_encoding_and_reading_are_inverse() -> None:
    """A message read back is the message that was sent."""
    sent = message(7, change())
    assert RegistrationMessage.model_validate_json(encode(sent)) == sent


def test_readers_ignore_what_they_do_not_know() -> None:
    """A field of a later version doesn't break a reader."""
    body = json.loads(encode(message(7, change()))) | {"news": 1}
    assert RegistrationMessage.model_validate(body) == message(7, change())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", "edge.registration/2"),
        ("seq", 0),
        ("confidence", 1.2),
        ("start", "2026-05-04"),
        ("change", "new"),
    ],
)
def test_wrong_values_are_refused(field: str, value: object) -> None:
    """A message with a value out of its range isn't one."""
    body = json.loads(encode(message(7, change()))) | {field: value}
    with pytest.raises(ValidationError):
        RegistrationMessage.model_validate(body)


def test_labels_without_a_scientific_name_have_none() -> None:
    """``unidentified`` and labels that the set has no name for carry null."""
    unnamed = Origin("d", "e", BundleRef(name="b", sha256="00"), {})
    assert registration_message(change(), [LINE], unnamed, seq=1, observed=0).scientific_name is None


@given(st.integers(-62_135_500_000_000, 253_402_200_000_000), st.integers(-840, 840))
def test_times_are_exact_whatever_the_zone(moment: int, offset: int) -> None:
    """Every millisecond survives the way into text and back, and the text is ISO 8601 with its offset."""
    text = timestamp(moment, offset)
    assert milliseconds(text) == moment
    assert datetime.fromisoformat(text).utcoffset() is not None
    assert len(text) == len("2026-05-04T03:12:09.000+07:00")


def test_times_are_shown_in_the_zone_of_the_deployment() -> None:
    """The same moment at three offsets."""
    assert timestamp(START, 0) == "2026-05-03T20:12:09.000+00:00"
    assert timestamp(START, 345) == "2026-05-04T01:57:09.000+05:45"
    assert timestamp(START, -570) == "2026-05-03T10:42:09.000-09:30"


def _lines(counts: list[int]) -> list[MediaLine]:
    return [MediaLine(f"sha256:{n:04}", f"{n}.jpg", n, None, count, []) for n, count in enumerate(counts)]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=60), st.data())
def test_media_are_the_first_the_last_and_the_largest(counts: list[int], data: st.DataObject) -> None:
    """At most 20, in time order, with both ends; nothing left out is larger than an inner one chosen."""
    lines = _lines(counts)
    chosen = choose_media(data.draw(st.permutations(lines)))
    assert chosen == sorted(chosen, key=lambda line: line.t)
    assert len(chosen) == min(len(lines), MEDIA_LIMIT)
    assert lines[0] in chosen
    assert lines[-1] in chosen
    left_out = [line.count for line in lines if line not in chosen]
    assert max(left_out, default=0) <= min([line.count for line in chosen[1:-1]], default=9)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=60))
def test_media_may_be_chosen_from_a_part(counts: list[int]) -> None:
    """The first, the last and the 20 of largest count (earliest first) are enough for the same choice."""
    lines = _lines(counts)
    largest = sorted(lines, key=lambda line: (-line.count, line.t))[:MEDIA_LIMIT]
    part = {line.media_id: line for line in [lines[0], lines[-1], *largest]}
    assert choose_media(part.values()) == choose_media(lines)


def test_twenty_media_are_all_sent_and_one_of_twenty_one_is_not() -> None:
    """The boundary of the limit."""
    assert len(choose_media(_lines([1] * MEDIA_LIMIT))) == MEDIA_LIMIT
    chosen = choose_media(_lines([1] * (MEDIA_LIMIT + 1)))
    assert len(chosen) == MEDIA_LIMIT
    assert [line.t for line in chosen] == [*range(MEDIA_LIMIT - 1), MEDIA_LIMIT]


def test_boxes_are_rounded_to_what_a_pixel_can_tell() -> None:
    """Four digits: a ten-thousandth of an image is less than a pixel of most."""
    line = MediaLine("m", "f", 0, None, 1, [(1 / 3, 0.25, 0.1, 1.0)])
    built = registration_message(change(), [line], _documented_origin(), seq=1, observed=0)
    assert built.media[0].boxes == ((0.3333, 0.25, 0.1, 1.0),)


SAMPLES = {
    "registration": message(7, change()),
    "cursor": Cursor(epoch="e", seq=0),
    "health": health(MemoryOutbox())(),
    "snapshot-properties": SnapshotProperties(registration_id="r", media_id="m"),
    "reply-replay": ReplayReply(
        epoch="e", first=1, last=9, sent=7, waiting=0, missing=(Span(first=2, last=3),)
    ),
    "reply-ping": Pong(device="d", version="1", epoch="e", seq=4),
    "reply-refusal": Refusal(command="x", what="unknown command"),
    "reply-registration": RegistrationReply(
        epoch="e",
        registration_id="r",
        revision=2,
        state="closed",
        deployment="cam-1",
        label="Red_Deer",
        media_count=9,
        offset=0,
        next=1,
        media=message(7, change()).media,
    ),
    "reply-config": ConfigReply(
        device="d", version="1", bundle=BundleRef(name="b", sha256="0"), labels="africa", settings={"a": {}}
    ),
    "reply-reprocess": ReprocessReply(images=3, waiting=7),
    "command-replay": ReplayRequest(epoch="e", first=1, last=2),
    "command-registration": RegistrationRequest(registration_id="r"),
    "command-reprocess": ReprocessRequest(deployment="cam-1", since="2026-05-04T00:00:00+07:00"),
}


@pytest.mark.parametrize("name", [name for name in schemas() if name != "status"])
def test_what_is_encoded_satisfies_its_schema(name: str) -> None:
    """Every kind of message, as it's encoded, is valid by the schema made from the same type."""
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(encode(SAMPLES[name])))


def test_schemas_tell_wrong_from_right() -> None:
    """A missing field and a wrong type are found."""
    validator = Draft202012Validator(schemas()["registration"])
    body = json.loads(encode(message(7, change())))
    assert validator.is_valid(body)
    assert not validator.is_valid({key: value for key, value in body.items() if key != "revision"})
    assert not validator.is_valid(body | {"count": "two"})
    assert not validator.is_valid(body | {"schema": "edge.registration/2"})


def test_schemas_have_not_drifted() -> None:
    """docs/schemas is what ``python -m edge.delivery.schemas docs/schemas`` writes, no more and no less."""
    folder = ROOT / "docs" / "schemas"
    assert {path.name: path.read_text() for path in folder.glob("*.json")} == files()


def test_schemas_are_written_into_a_folder(tmp_path: Path) -> None:
    """The command writes every schema, and needs to be told where."""
    main([str(tmp_path / "new")])
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(files())
    with pytest.raises(UsageError):
        main([])


def test_health_leaves_room_for_more() -> None:
    """What has no field of its own goes under ``extra``."""
    told = health(MemoryOutbox())().model_copy(update={"extra": {"temperature": 41.5}})
    body = json.loads(encode(told))
    assert body["extra"] == {"temperature": 41.5}
    assert Health.model_validate(body) == told
