"""``edge web`` where it can't serve: settings, and a missing extra."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import edge
from tests.cli.conftest import Run

TOKEN = "three-otters-and-a-lynx"  # noqa: S105 - of nobody


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - it is refused
def test_beyond_this_machine_it_wants_a_token(run: Run, tmp_path: Path, host: str) -> None:
    """It ends before it listens, with the exit code of a wrong configuration, and says what to do."""
    done = run("web", "--state", tmp_path, "--host", host)
    assert done.code == 78
    assert "this machine only" in done.err
    assert "EDGE_WEB__TOKEN" in done.err


@pytest.mark.parametrize(
    ("options", "environment", "told"),
    [
        (("--host", "192.0.2.1"), {"TOKEN": TOKEN}, "can't listen there"),
        (("--host", "no such host"), {}, "no such host"),
        ((), {"TOKEN": "short"}, "at least 12"),
        ((), {"CERT_FILE": "/nowhere"}, "go together"),
        ((), {"CERT_FILE": "/nowhere", "KEY_FILE": "/nowhere"}, "certificate can't be used"),
    ],
)
def test_settings_that_cant_work_end_it(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    options: tuple[str, ...],
    environment: dict[str, str],
    told: str,
) -> None:
    """78, and one line that names the setting; never the token."""
    for name, value in environment.items():
        monkeypatch.setenv(f"EDGE_WEB__{name}", value)
    done = run("web", "--state", tmp_path, "--port", "0", *options)
    assert (done.code, done.err.count("\n")) == (78, 1), done.err
    assert told in done.err
    assert not any(token in done.err for token in (TOKEN, "short"))


@pytest.mark.parametrize("name", ["fastapi", "uvicorn", "jinja2"])
def test_without_the_extra(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The command is there all the same, and says what to install."""
    for module in [m for m in sys.modules if m.partition(".")[0] == name or m.startswith("edge.web")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    # An import puts a package into its parent as well: others' tests find the one of before there again.
    monkeypatch.setattr(edge, "web", getattr(edge, "web", None), raising=False)
    done = run("web", "--state", tmp_path)
    assert done.code == 78
    assert "pip install 'edge-camera-trap[web]'" in done.err
