"""What a daemon answers when it is asked over MQTT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from edge.delivery.commands import Command
from edge.delivery.messages import BundleRef, encode
from edge.delivery.requests import LARGEST_PAGE, PAGE_BYTES
from edge.errors import UsageError
from edge.service import commands as module
from edge.service.commands import Office
from edge.settings import MqttSettings, Settings
from edge.store.database import open_database
from edge.store.queries import registrations
from edge.store.record import SqliteRecord
from edge.store.requests import Reprocessing
from tests.service.corrected import Corrigible
from tests.service.outcomes import MINUTE, START, examined, seen

SETTINGS = Settings(device="d", mqtt=MqttSettings(username="me", password=SecretStr("tell nobody")))


@pytest.fixture
def desk(tmp_path: Path) -> Corrigible:
    """An empty one."""
    return Corrigible.at(tmp_path)


def _office(desk: Corrigible) -> Office:
    return Office(desk.database, SETTINGS, BundleRef(name="starter", sha256="b" * 64), "africa")


def _asked(name: str, correlation: bytes | None = b"1", **values: Any) -> Command:
    return Command(name, json.dumps(values).encode(), "answer", correlation)


def _said(answer: BaseModel) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode(answer))
    return found


def test_registration_s_images_come_in_pages(desk: Corrigible) -> None:
    """All of them, once each and in order, with where the next page begins; null after the last."""
    desk.record(*[seen(examined(f"{n:03}", n)) for n in range(45)], close=True)
    (registration,) = registrations(desk.database)
    office, got = _office(desk), list[str]()
    offset: int | None = 0
    while offset is not None:
        request = _asked("registration", registration_id=registration.id, offset=offset, limit=20)
        page = _said(office.registration(request))
        assert (page["offset"], page["media_count"]) == (offset, 45)
        assert page["revision"] == registration.revision
        got += [entry["media_id"] for entry in page["media"]]
        offset = page["next"]
    assert got == [f"sha256:cam-{n:03}" for n in range(45)]


def test_page_beyond_the_end_is_empty_and_the_last(desk: Corrigible) -> None:
    """An offset that is too large isn't an error, and doesn't lead on."""
    desk.record(seen(examined("a", 0)), close=True)
    (registration,) = registrations(desk.database)
    request = _asked("registration", registration_id=registration.id, offset=9)
    page = _said(_office(desk).registration(request))
    assert (page["media"], page["next"]) == ([], None)


def test_page_ends_before_its_answer_gets_too_large(desk: Corrigible) -> None:
    """Images with very many boxes make shorter pages, of one image at least."""
    desk.record(*[seen(examined(f"{n}", n), count=2000) for n in range(3)], close=True)
    (registration,) = registrations(desk.database)
    request = _asked("registration", registration_id=registration.id)
    page = _office(desk).registration(request)
    assert (len(_said(page)["media"]), _said(page)["next"]) == (1, 1)
    desk.record(*[seen(examined(f"x{n}", 600 + n), count=20) for n in range(200)], close=True)
    (_, second) = registrations(desk.database)
    page = _office(desk).registration(_asked("registration", registration_id=second.id, limit=200))
    assert 20 < len(_said(page)["media"]) < 200
    assert len(encode(page)) < PAGE_BYTES + 1024


def test_registration_that_is_not_there_is_told(desk: Corrigible) -> None:
    """One that never was, and one that was retracted."""
    desk.record(seen(examined("a", 0)), close=True)
    with pytest.raises(UsageError, match="no such registration"):
        _office(desk).registration(_asked("registration", registration_id="nobody"))
    (registration,) = registrations(desk.database)
    SqliteRecord(desk.database).retract(registration)
    with pytest.raises(UsageError, match="was retracted"):
        _office(desk).registration(_asked("registration", registration_id=registration.id))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("registration", {}),
        ("registration", {"registration_id": "x", "limit": 0}),
        ("registration", {"registration_id": "x", "limit": LARGEST_PAGE + 1}),
        ("registration", {"registration_id": "x", "offset": -1}),
        ("registration", {"registration_id": "x", "wanted": "more"}),
        ("config", {"section": "mqtt"}),
        ("reprocess", {}),
        ("reprocess", {"media_id": "sha256:x", "deployment": "cam"}),
        ("reprocess", {"from": "yesterday"}),
        ("reprocess", {"from": "2026-05-04T03:00:00"}),
        ("reprocess", {"media_id": "sha256:nobody"}),
        ("reprocess", {"deployment": "nowhere"}),
    ],
)
def test_requests_that_make_no_sense_are_refused(desk: Corrigible, name: str, values: dict[str, Any]) -> None:
    """With what is wrong, and nothing else happens."""
    desk.record(seen(examined("a", 0)), close=True)
    with pytest.raises(UsageError):
        _office(desk).handlers()[name](_asked(name, **values))
    assert Reprocessing(desk.database).waiting() == 0


def test_configuration_is_told_without_secrets(desk: Corrigible) -> None:
    """All settings by section, and stars for the password."""
    answer = _office(desk).config(Command("config", b""))
    assert b"tell nobody" not in encode(answer)
    settings = _said(answer)["settings"]
    assert settings["mqtt"]["password"] == "*" * 10
    assert (settings["mqtt"]["username"], settings["registration"]["gap"]) == ("me", 1800.0)
    assert _said(answer)["labels"] == "africa"


def test_images_are_put_in_line(desk: Corrigible) -> None:
    """One by its id, those of a camera, those of a span of time: each once."""
    first, second = examined("a", 0), examined("b", 60, deployment="cam-2")
    desk.record(seen(first), seen(second), close=True)
    office, line = _office(desk), Reprocessing(desk.database)
    one = _said(office.reprocess(_asked("reprocess", media_id="sha256:cam-a")))
    assert (one["images"], one["waiting"]) == (1, 1)
    assert _said(office.reprocess(_asked("reprocess", b"2", deployment="cam-2")))["waiting"] == 2
    span = {"from": "2026-01-01T00:00:00+00:00", "to": "2026-01-01T01:00:01+00:00"}
    answer = _said(office.reprocess(_asked("reprocess", b"3", **span)))
    assert (answer["images"], answer["waiting"]) == (2, 2)
    assert START + 60 * MINUTE < 1_767_225_600_000 + 3_601_000
    (again, *_) = [line.next()]
    assert again is not None
    assert again.media_id == "sha256:cam-a"


@pytest.mark.fault(24, "1 effect, after a restart too")
def test_request_that_comes_twice_has_one_effect_also_after_a_restart(
    desk: Corrigible, tmp_path: Path
) -> None:
    """The images were looked at meanwhile; the same request again gets its first answer, and that's all."""
    desk.record(seen(examined("a", 0)), close=True)
    request = _asked("reprocess", media_id="sha256:cam-a")
    first = _office(desk).reprocess(request)
    Reprocessing(desk.database).done("sha256:cam-a")
    desk.database.close()
    again = Corrigible(open_database(tmp_path))
    assert _office(again).reprocess(request) == first
    assert Reprocessing(again.database).waiting() == 0
    _office(again).reprocess(_asked("reprocess", b"another", media_id="sha256:cam-a"))
    assert Reprocessing(again.database).waiting() == 1


def test_what_changes_something_needs_correlation_data(desk: Corrigible) -> None:
    """Without it nobody could tell a second delivery from a second request."""
    desk.record(seen(examined("a", 0)), close=True)
    with pytest.raises(UsageError, match="changes something"):
        _office(desk).reprocess(_asked("reprocess", None, media_id="sha256:cam-a"))


def test_too_many_images_at_once_are_refused(desk: Corrigible, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a word on what to do instead."""
    monkeypatch.setattr(module, "REPROCESS_LIMIT", 2)
    desk.record(*[seen(examined(f"{n}", n)) for n in range(3)], close=True)
    with pytest.raises(UsageError, match="too many images"):
        _office(desk).reprocess(_asked("reprocess", deployment="cam"))
    assert Reprocessing(desk.database).waiting() == 0
