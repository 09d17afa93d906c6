"""Torch-side libraries, importable and quiet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import ExportError
from export import frameworks

_EVERYTHING = """
from export import frameworks
frameworks.prepare()
frameworks.prepare()
ultralytics = frameworks.ultralytics()
import torch, torchvision
from torchvision import transforms
boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 10, 10]])
scores = torch.tensor([0.5, 0.9, 0.3, 0.4])
assert torchvision.ops.nms(boxes, scores, 0.5).tolist() == [1, 2]
assert torchvision.ops.batched_nms(boxes, scores, torch.tensor([0, 1, 0, 0]), 0.5).tolist() == [1, 0, 2]
assert torch.ops.torchvision.nms(boxes[:0], scores[:0], 0.5).tolist() == []
from transformers import CLIPModel, CLIPImageProcessor
from ultralytics.utils import ONLINE, SETTINGS
from ultralytics.utils.events import events
assert not ONLINE and not SETTINGS["sync"] and not events.enabled
"""


def test_a_library_that_is_absent_is_named_with_how_to_install_it() -> None:
    """A missing framework is an export error with the command that installs it."""
    with pytest.raises(ExportError, match=r"isn't installed: edge_no_such_library \(pip install"):
        frameworks.imported("edge_no_such_library")


@pytest.mark.export
def test_everything_can_be_imported_and_nothing_is_written_into_the_home_folder(tmp_path: Path) -> None:
    """In one process: torchvision's suppression, transformers, ultralytics; no settings at home."""
    pytest.importorskip("torch")
    root = Path(__file__).resolve().parents[2]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", _EVERYTHING], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("settings*"))
