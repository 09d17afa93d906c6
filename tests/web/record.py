"""A page over a small record, and a browser that asks it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi.testclient import TestClient

from edge.settings import Settings, WebSettings
from edge.store.database import DATABASE, open_database
from edge.web.app import make_app
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen

TOKEN = "three-otters-and-a-lynx"  # noqa: S105 - of pages that live for a test
HERE = "http://127.0.0.1:8640"


def media_id(name: str, deployment: str = "cam") -> str:
    """The id that an image of this name has in these tests."""
    return "sha256:" + hashlib.sha256(f"{deployment}/{name}".encode()).hexdigest()


def fill(state: Path) -> Corrigible:
    """Three closed registrations: foxes and a badger at ``cam``, a fox at ``ridge``.

    It is made once and then copied: the disk's word on every commit takes longer than all the rest.
    """
    state.mkdir(parents=True, exist_ok=True)
    (state / DATABASE).write_bytes(_filled())
    database = open_database(state)
    database.execute("PRAGMA synchronous=OFF")
    return Corrigible.of(database)


@cache
def _filled() -> bytes:
    with TemporaryDirectory() as folder:
        _fill(Corrigible.at(Path(folder)))
        return (Path(folder) / DATABASE).read_bytes()


def _fill(desk: Corrigible) -> None:
    sightings = (
        ("cam", "f0", 0, "Red_Fox", 1),
        ("cam", "f1", 1, "Red_Fox", 2),
        ("cam", "b0", 60, "Badger", 1),
        ("cam", "n0", 90, None, 0),
        ("ridge", "f0", 200, "Red_Fox", 1),
    )
    for deployment, name, minute, label, count in sightings:
        file = examined(name, minute, deployment=deployment)
        desk.record(seen(file, label, count, media_id=media_id(name, deployment)))
    desk.record(close=True)
    desk.database.close()


def settings(state: Path, **web: Any) -> Settings:
    """A page's; limits are out of the way where they aren't given."""
    given = {"requests": 100_000.0, "searches": 100_000.0, **web}
    return Settings(device="d", drop=state.parent / "drop", state=state, web=WebSettings(**given))


@contextmanager
def page(found: Settings, *, client: str = "127.0.0.1", base: str = HERE) -> Iterator[TestClient]:
    """The page, asked from an address; redirects are shown, not followed."""
    with TestClient(
        make_app(found), base_url=base, client=(client, 50000), follow_redirects=False
    ) as browser:
        yield browser


def bearer(token: str = TOKEN) -> dict[str, str]:
    """Headers of a program that has the token."""
    return {"Authorization": f"Bearer {token}"}
