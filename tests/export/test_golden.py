"""The self-test's samples, as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ExportError
from export import golden


@pytest.mark.parametrize("value", [7e4, np.nan, -np.inf])
def test_outputs_that_float16_cant_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """Kept as infinity they would let every provider pass."""
    outputs = {"scores": np.array([[1.0], [value]], np.float32)}
    monkeypatch.setattr(golden, "run_samples", lambda *_: outputs)
    feeds = {"detector": {"image": np.zeros((2, 1), np.float32)}}
    with pytest.raises(ExportError, match="can't be kept for the self-test: scores"):
        golden.write_golden(tmp_path / "golden.npz", {"detector": tmp_path}, feeds)
