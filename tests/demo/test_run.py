import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from edge.delivery.broker import kinds
from edge.demo.run import run_demo
from edge.demo.stage import Stage
from edge.demo.story import FILES
from edge.errors import ConfigError
from edge.vision.data import bundle_folders
from tests.children import minded

needs_models = pytest.mark.skipif(
    not any((folder / "starter" / "manifest.toml").is_file() for folder in bundle_folders()),
    reason="the starter bundle is not here; edge export starter makes it",
)
needs_broker = pytest.mark.skipif(not kinds(), reason="no MQTT broker is installed")


@pytest.mark.slow
@needs_models
@needs_broker
def test_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a broker's crash and a power cut on the way, both tables are equal and as the story has them."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    console = Console(file=StringIO())
    svg = tmp_path / "demo.svg"
    assert run_demo(keep=None, json=True, svg=svg, console=console, pace=0.3) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["ok"] is True
    assert summary["equal"] is True
    assert summary["messages"]["missing"] == 0
    assert summary["files"] == {"delivered": FILES, "processed": 19, "duplicate": 1, "incomplete": 1}
    assert summary["story"]["found"] == summary["story"]["registrations"] == 6
    assert {row["state"] for row in summary["registrations"]} == {"closed"}
    assert "power cut" in svg.read_text("utf-8").replace("&#160;", " ")
    assert list(folder.iterdir()) == []


_PROGRAM = """
from rich.console import Console
from edge.demo.run import run_demo
run_demo(keep=None, json=False, svg=None, console=Console())
"""


@pytest.mark.slow
@needs_models
@needs_broker
def test_terminated_it_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM in the middle ends broker and service, and removes the folder."""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    demo = minded(
        subprocess.Popen([sys.executable, "-c", _PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)
    )
    assert demo.stdout is not None
    port = re.search(r"listens on 127\.0\.0\.1:(\d+)", demo.stdout.readline())
    assert port
    assert "online" in demo.stdout.readline()
    demo.terminate()
    assert demo.wait(60) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port[1])), timeout=1).close()


@needs_broker
def test_a_used_folder_ends_the_demo_before_it_begins(tmp_path: Path) -> None:
    """A folder with an earlier demo is refused, and what is in it stays."""
    Stage(tmp_path, 1).prepare()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="a demo was here before"):
        run_demo(keep=tmp_path, json=True, svg=None, console=Console(file=StringIO()))
    assert sorted(tmp_path.rglob("*")) == before
