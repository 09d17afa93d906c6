"""Detectors of every family, small and with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export import frameworks
from export.yolo.checkpoint import Checkpoint, of_model

WIDTH, HEIGHT = 96, 64


def network(family: str, classes: int = 80) -> Any:
    """An ultralytics module from its YAML file, with random weights that make it say something.

    Fresh weights come with means and variances of 0 and 1 that aren't theirs: signals fade from layer to
    layer, and every head says just its bias. One pass sets those statistics; classes' biases are random.
    """
    frameworks.ultralytics()
    import torch  # noqa: PLC0415
    from ultralytics.nn import tasks  # noqa: PLC0415

    torch.manual_seed(0)
    made = tasks.RTDETRDetectionModel if "rtdetr" in family else tasks.DetectionModel
    model = made(f"{family}.yaml", nc=classes, verbose=False).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    if "rtdetr" in family:
        model.model[-1].eval()
    with torch.no_grad():
        model.predict(torch.rand(4, 3, 64, 128))
    for name, value in model.model[-1].named_parameters():
        if value.ndim == 1 and name.endswith("2.bias"):
            value.data = torch.randn_like(value) - 1
    return model.eval()


def checkpoint(family: str, folder: Path) -> Checkpoint:
    """The same, as if it had been opened from a file."""
    path = folder / f"{family}.pt"
    path.write_bytes(family.encode())
    return of_model(network(family), path)
