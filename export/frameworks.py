"""The workstation's frameworks, made ready before the first of them is imported.

torch, torchvision, transformers, open_clip and ultralytics are imported by exporters only, and only after
:func:`prepare`. It does two things.

**Quiet.** ONNX Runtime, Hugging Face's hub client and ultralytics all send something home unless told not to,
and ultralytics writes settings into the home folder and installs packages by itself.

**torchvision.** Whoever installs torch for the CPU alone easily ends up with a torchvision whose compiled
part was built for another torch. Importing it then fails with ``operator torchvision::nms does not exist``,
and with it transformers' image models, open_clip and ultralytics, none of which needs that part for what is
done here. Where it can't be loaded, the operators that torchvision's import asks for are declared in its
place, and suppression, the only one that is ever called here, is computed in torch. A sound torchvision is
left as it is.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from edge.errors import ExportError

INSTALL: Final = "pip install 'edge-camera-trap[cpu,export]'"
_QUIET: Final = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "False",
    "YOLO_VERBOSE": "False",
}
_SUPPRESSION: Final = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def prepare() -> None:
    """Make torch-side libraries importable and quiet. Cheap when called again.

    Sets environment variables (those that are set already are kept) and imports torch; torchvision is
    imported only where its compiled part has to be stood in for.

    Raises:
        ExportError: torch isn't installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if "YOLO_CONFIG_DIR" not in os.environ:
        os.environ["YOLO_CONFIG_DIR"] = str(_settings_folder())
    torch = imported("torch")
    if importlib.util.find_spec("torchvision") is not None and not _sound(torch):
        _stand_in()


def imported(name: str) -> ModuleType:
    """Import a library that only the export needs.

    Raises:
        ExportError: it isn't installed, or not in a form that can be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = error.name == name.partition(".")[0]
        raise ExportError(
            "library isn't installed" if missing else "library can't be imported",
            subject=name,
            hint=INSTALL if missing else str(error),
        ) from error


def ultralytics() -> ModuleType:
    """The ``ultralytics`` module, prepared, with its usage reports turned off in its own settings too.

    Raises:
        ExportError: it isn't installed.
    """
    prepare()
    module = imported("ultralytics")
    if module.settings.get("sync"):
        module.settings.update(sync=False)
    return module


@cache
def _settings_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="edge-export-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _sound(torch: Any) -> bool:
    """Whether torchvision's compiled part loads into this torch; if so it is loaded now."""
    spec = importlib.util.find_spec("torchvision")
    places = spec.submodule_search_locations if spec is not None else None
    files = [file for place in places or () for file in sorted(Path(place).glob("_C*.so"))]
    try:
        for file in files:
            torch.ops.load_library(str(file))
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")


@cache
def _stand_in() -> Any:
    """Declare what torchvision's import asks for, import it, and give it a suppression in torch.

    Returns:
        the declarations, which last as long as the object does: until the process ends.
    """
    import torch  # noqa: PLC0415

    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}{_SUPPRESSION}")
    library.impl("nms", suppression, "CPU")
    torchvision = imported("torchvision")
    # Its own function first asks for the compiled part, which isn't there.
    torchvision.ops.nms = torchvision.ops.boxes.nms = suppression
    return library


def suppression(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Greedy non-maximum suppression on torch tensors, as ``torchvision.ops.nms`` defines it.

    Args:
        boxes: (n, 4) float, left, top, right, bottom.
        scores: (n,) float.
        iou_threshold: a box whose overlap with a better one exceeds this is dropped.

    Returns:
        (kept,) int64 indices, best first.
    """
    import torch  # noqa: PLC0415

    order = scores.argsort(descending=True, stable=True)
    kept = []
    while order.numel():
        best, order = order[0], order[1:]
        kept.append(best)
        corner = torch.minimum(boxes[best, 2:], boxes[order, 2:]) - torch.maximum(
            boxes[best, :2], boxes[order, :2]
        )
        shared = corner.clamp(min=0).prod(1)
        area = (boxes[order, 2:] - boxes[order, :2]).prod(1)
        union = (boxes[best, 2:] - boxes[best, :2]).prod() + area - shared
        order = order[shared <= iou_threshold * union]
    return torch.stack(kept) if kept else order
