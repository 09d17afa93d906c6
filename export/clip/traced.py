"""Towers that are no plain transformers (MobileCLIP's, ResNets): traced by torch's own exporter.

The same ends as the others have: bytes or token ids in, unit vectors out, any batch.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.errors import ExportError
from export import frameworks
from export.clip.graphs import OUTPUT, PIXELS
from export.clip.sides import VisualSide
from export.graph import OPSET


def visual(side: VisualSide, path: Path) -> None:
    """Write an image tower: uint8, batch x size x size x 3, to float32, batch x dimension.

    Args:
        side: whose module is a ``torch.nn.Module``.
        path: of the graph.

    Raises:
        ExportError: torch can't trace it.
    """
    torch = frameworks.imported("torch")
    wrapped = _with_ends(torch, side).eval()
    size = side.pixels.size
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=1024)
    with quietly():
        try:
            program = torch.onnx.export(
                wrapped, (example,), dynamo=True, opset_version=OPSET, input_names=[PIXELS],
                output_names=[OUTPUT], dynamic_shapes=({0: batch},), verbose=False,
            )  # fmt: skip
        except (torch.onnx.OnnxExporterError, torch._dynamo.exc.TorchDynamoException) as error:  # noqa: SLF001
            reason = str(error).strip().partition("\n")[0]
            raise ExportError("architecture can't be traced", subject=path.name, hint=reason) from error
    program.save(str(path), external_data=False)
    _tidy(path)


def _with_ends(torch: Any, side: VisualSide) -> Any:
    class Ends(torch.nn.Module):  # type: ignore[misc]  # untyped base
        def __init__(self) -> None:
            super().__init__()
            self.module = side.traceable
            self.register_buffer("mean", torch.tensor(side.pixels.mean).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(side.pixels.std).view(1, 3, 1, 1))

        def forward(self, pixels: Any) -> Any:
            planes = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
            return torch.nn.functional.normalize(self.module(planes), dim=-1)

    return Ends()


def _tidy(path: Path) -> None:
    """Drop the shapes of values in between, which the quantiser's own inference stumbles over."""
    import onnx  # noqa: PLC0415 - only the workstation has onnx

    model = onnx.load(path)
    del model.graph.value_info[:]
    onnx.save(model, path)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without a library's running commentary: logs below errors, warnings, what it prints."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
