from __future__ import annotations

from pathlib import Path

import pytest

from edge.settings import VisionSettings
from tests.vision import toy


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A toy bundle that a test may damage."""
    return toy.save_bundle(tmp_path / "bundles" / "toy")


@pytest.fixture
def settings() -> VisionSettings:
    """Settings of vision on the CPU."""
    return VisionSettings(providers=("CPUExecutionProvider",))
