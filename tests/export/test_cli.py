from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.errors import ExportError
from export import check, cli


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


@pytest.mark.parametrize(("found", "code"), [(["visual.onnx: operations differ"], 1), ([], 0)])
def test_a_rebuild_that_differs_is_an_error(
    found: list[str], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--check says what differs and exits with 1; without differences it exits with 0; it writes nothing."""
    monkeypatch.setattr(cli, "find_spec", lambda _: object())
    monkeypatch.setattr(cli, "_run", lambda *_: None)
    monkeypatch.setattr(check, "differences", lambda *_: found)
    result = CliRunner().invoke(cli.app, ["starter", "--check", "--out", str(tmp_path)])
    assert result.exit_code == code
    if found:
        assert isinstance(result.exception, ExportError)
        assert "operations differ" in result.exception.hint
    assert not list(tmp_path.iterdir())
