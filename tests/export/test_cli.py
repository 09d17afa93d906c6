from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from edge.errors import ExportError
from export import cli


def test_without_the_extra_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without torch gets a sentence, not a traceback."""
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "torch" else object())
    result = CliRunner().invoke(cli.app, ["starter"])
    assert isinstance(result.exception, ExportError)
    assert "torch" in result.exception.subject
    assert "edge-camera-trap[export]" in result.exception.hint


def test_an_unknown_precision_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """int4 isn't offered."""
    monkeypatch.setattr(cli, "find_spec", lambda _: object())
    result = CliRunner().invoke(cli.app, ["starter", "--precision", "int4"])
    assert result.exit_code == 2


def test_help_needs_no_heavy_library() -> None:
    """Mounting the command on a device imports neither torch nor onnx."""
    code = (
        "import sys, export.cli; print(sorted({'torch', 'onnx', 'transformers', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
