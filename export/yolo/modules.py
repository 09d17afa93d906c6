"""ultralytics' detectors between uint8 pixels and what the device decodes, as torch modules.

Imports torch: only :mod:`export.yolo.graph` and tests import this module, after ``frameworks.prepare()``.
"""

from __future__ import annotations

from typing import Any

import torch

_SCALE = 1 / 255


class Cells(torch.nn.Module):  # type: ignore[misc]  # torch isn't followed
    """A network with a grid of cells, up to the last convolutions of its head.

    ``forward`` takes (n, height, width, 3) uint8 RGB and gives, for each stride, the logits
    (n, 4 * bins, h, w) of the distances to a box's sides and (n, classes, h, w) of classes.

    Args:
        network: ultralytics' detection model; it is used, not changed.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = _Shell(network, _Ends(network.model[-1]))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Pixels to raw heads."""
        return tuple(self.network(image.permute(0, 3, 1, 2).float() * _SCALE))


class Queries(torch.nn.Module):  # type: ignore[misc]  # torch isn't followed
    """A network that answers a fixed number of queries (RT-DETR).

    ``forward`` takes (n, height, width, 3) uint8 RGB and gives (n, queries, 4) corners, left, top, right,
    bottom in input pixels, and (n, queries, classes) scores, 0 to 1.

    Args:
        network: ultralytics' detection model; it is used, not changed.
        width, height: of the input, pixels.
    """

    def __init__(self, network: Any, width: int, height: int) -> None:
        super().__init__()
        self.network = _Shell(network, network.model[-1])
        self.register_buffer("sides", torch.tensor([width, height, width, height], dtype=torch.float32))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels to boxes and scores."""
        _, raw = self.network(image.permute(0, 3, 1, 2).float() * _SCALE)
        centres, sizes = raw[0][-1, ..., :2], raw[0][-1, ..., 2:]
        corners = torch.cat((centres - sizes / 2, centres + sizes / 2), dim=-1)
        return corners * self.sides, raw[1][-1].sigmoid()


class _Shell(torch.nn.Module):  # type: ignore[misc]  # torch isn't followed
    """ultralytics' walk over its layers, with another last one.

    A layer's ``f`` names the layers that it reads from, -1 the one before it.
    """

    def __init__(self, network: Any, last: torch.nn.Module) -> None:
        super().__init__()
        layers = list(network.model)
        self.sources = [layer.f for layer in layers]
        self.model = torch.nn.ModuleList([*layers[:-1], last])

    def forward(self, x: torch.Tensor) -> Any:
        """Run the layers in their order."""
        results: list[Any] = []
        for source, layer in zip(self.sources, self.model, strict=True):
            if isinstance(source, int):
                x = layer(x if source == -1 else results[source])
            else:
                x = layer([x if index == -1 else results[index] for index in source])
            results.append(x)
        return x


class _Ends(torch.nn.Module):  # type: ignore[misc]  # torch isn't followed
    """The last branches of a grid's head for each stride; attributes are called as ultralytics does."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        single = bool(getattr(head, "end2end", False))
        self.boxes, self.scores = ("one2one_cv2", "one2one_cv3") if single else ("cv2", "cv3")
        setattr(self, self.boxes, getattr(head, self.boxes))
        setattr(self, self.scores, getattr(head, self.scores))

    def forward(self, levels: list[torch.Tensor]) -> list[torch.Tensor]:
        """Features of each stride to both branches' results, boxes first."""
        branches = zip(levels, getattr(self, self.boxes), getattr(self, self.scores), strict=True)
        return [branch(level) for level, *both in branches for branch in both]
