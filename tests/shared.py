"""Where the shared test data lies; tests that need it skip, with a reason, where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def shared(*parts: str) -> Path:
    """A file or folder of the shared test data; skips the test where it is missing.

    Args:
        parts: its path within the shared folder, such as ``"data", "registrations"``.
    """
    path = ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no shared test data at {path}; set EDGE_SHARED to the folder that has it")
    return path
