from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from edge.service.run import run
from edge.settings import MqttSettings, RegistrationSettings, Settings, VisionSettings, WebSettings
from edge.testing import jpeg_bytes
from tests.web.record import page

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope="session")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A state folder that a daemon with toy models filled: red and blue animals at two cameras."""
    from tests.vision import toy  # noqa: PLC0415 - needs onnx, which not every run has

    folder = tmp_path_factory.mktemp("looked")
    bundle = toy.save_bundle(folder / "toy")
    for camera, colour in (("cam", RED), ("ridge", BLUE)):
        (folder / "drop" / camera).mkdir(parents=True)
        for number in range(3):
            data = toy.jpeg(toy.scene((8 * number, 24, colour)))
            (folder / "drop" / camera / f"20260504-12{number:02}00.JPG").write_bytes(data)
    found = Settings(
        device="d",
        drop=folder / "drop",
        state=folder / "state",
        vision=VisionSettings(bundle=str(bundle), floor=0.0, margin=0.0),
        registration=RegistrationSettings(allowed_lateness=0.0),
        mqtt=MqttSettings(enabled=False),
        web=WebSettings(
            requests=100_000.0, searches=100_000.0, upload_bytes=2_000_000, upload_pixels=2_000_000
        ),
    )
    assert run(found, stop=threading.Event(), until_idle=True, drain_timeout=0.0) in ("done", "undelivered")
    return found


@pytest.fixture(scope="session")
def searching(looked: Settings) -> Iterator[TestClient]:
    """A page over it."""
    with page(looked) as browser:
        yield browser


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A picture from elsewhere."""
    return jpeg_bytes(640, 480)


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for temporary files; uploads must leave nothing in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder
