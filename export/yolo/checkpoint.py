"""ultralytics checkpoints, opened with as little trust as they allow.

A ``.pt`` file is a pickle: opening it the plain way runs whatever code its author put there. ultralytics
can rebuild its own classes from an allow-list instead (torch's ``weights_only``), and that is how files are
opened here. A checkpoint with anything else in it is refused unless the user says that it is to be trusted.
"""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.errors import ExportError
from export import frameworks

AGPL: Final = "AGPL-3.0-only"
_GRID_HEADS: Final = ("Detect", "v10Detect")
_QUERY_HEADS: Final = ("RTDETRDecoder",)
_NEXT: Final = "give a detector's checkpoint, such as yolo11n.pt"
_TRUST: Final = "it may run code when opened: only if you trust where it comes from, add --unsafe-load"


@dataclass(frozen=True)
class Checkpoint:
    """A detector that was opened.

    Attributes:
        path: of the file.
        sha256: of the file.
        model: ultralytics' module in float32, for inference, batch normalisation folded.
        names: of its classes, in channel order.
        grid: the coarsest stride: sides of inputs are its multiples.
        queries: whether it decodes a fixed number of queries (RT-DETR) instead of a grid of cells.
        license: SPDX expression, from the file where it says so.
    """

    path: Path
    sha256: str
    model: Any
    names: tuple[str, ...]
    grid: int
    queries: bool
    license: str


def load(path: Path, *, unsafe: bool = False) -> Checkpoint:
    """Open a checkpoint of a detector.

    Args:
        path: the file.
        unsafe: also open files with other objects in them than ultralytics' own, which may run code.

    Raises:
        ExportError: the file is missing, isn't a checkpoint, or not a detector's; or ultralytics is absent.
    """
    if not path.is_file():
        raise ExportError("no such checkpoint", subject=str(path), hint="give the path of a local .pt file")
    contents = _opened(path, unsafe=unsafe)
    return of_model(_model(contents, path), path, str(contents.get("license") or ""))


def of_model(model: Any, path: Path, license_text: str = "") -> Checkpoint:
    """What an ultralytics module is, made ready for inference.

    Args:
        model: an ultralytics ``DetectionModel`` or ``RTDETRDetectionModel``; it is changed.
        path: the file that it comes from.
        license_text: what the checkpoint says.

    Raises:
        ExportError: it isn't a detector.
    """
    kind = type(model.model[-1]).__name__
    if kind not in (*_GRID_HEADS, *_QUERY_HEADS):
        raise ExportError(f"not a detector: its head is {kind}", subject=str(path), hint=_NEXT)
    names = getattr(model, "names", None)
    classes = int(model.model[-1].nc)
    if not isinstance(names, Mapping) or sorted(names) != list(range(classes)):
        raise ExportError("checkpoint doesn't name its classes", subject=str(path), hint=_NEXT)
    return Checkpoint(
        path,
        _digest(path),
        model.float().eval().requires_grad_(False).fuse(verbose=False),
        tuple(str(names[channel]) for channel in range(classes)),
        max(32, int(max(model.stride))),
        kind in _QUERY_HEADS,
        spdx(license_text),
    )


def spdx(text: str) -> str:
    """A checkpoint's own words on its licence as an SPDX expression; ultralytics' where it says nothing."""
    words = text.strip()
    return AGPL if not words or words.upper().startswith("AGPL-3.0") else words.split(" (", maxsplit=1)[0]


def _opened(path: Path, *, unsafe: bool) -> dict[str, Any]:
    frameworks.ultralytics()
    if not zipfile.is_zipfile(path):  # torch's files are; a bare pickle isn't worth a second look
        raise ExportError("not an ultralytics checkpoint", subject=str(path), hint=_NEXT)
    tasks = frameworks.imported("ultralytics.nn.tasks")
    try:
        contents, _ = tasks.torch_safe_load(str(path), safe_only=not unsafe)
    except (TypeError, AttributeError, ModuleNotFoundError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0]
        refused = not unsafe and "outside the supported" in reason
        raise ExportError(
            "checkpoint holds more than a model" if refused else "not an ultralytics checkpoint",
            subject=str(path),
            hint=_TRUST if refused else reason,
        ) from error
    except (AssertionError, RuntimeError, OSError, EOFError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ExportError("not an ultralytics checkpoint", subject=str(path), hint=reason) from error
    if not isinstance(contents, dict):
        raise ExportError("not an ultralytics checkpoint", subject=str(path), hint=_NEXT)
    return contents


def _model(contents: Mapping[str, Any], path: Path) -> Any:
    model: Any = contents.get("ema") or contents.get("model")
    layers = getattr(model, "model", None)
    if not hasattr(layers, "__getitem__") or not hasattr(model, "fuse"):
        raise ExportError("checkpoint without a model", subject=str(path), hint=_NEXT)
    for module in model.modules():  # files from before torch 1.11 lack what its Upsample asks for
        if type(module).__name__ == "Upsample" and not hasattr(module, "recompute_scale_factor"):
            module.recompute_scale_factor = None
    return model


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
