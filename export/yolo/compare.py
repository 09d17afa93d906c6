"""fp32 ONNX against torch: the raw heads, and the device's boxes against ultralytics' own decode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError
from edge.vision.heads import Decoder, Head
from edge.vision.manifest import ImageInput
from edge.vision.preprocess import Preprocessor, allocate
from edge.vision.session import Model
from export.yolo.checkpoint import Checkpoint
from export.yolo.graph import Exported, by_name

Array = NDArray[Any]
TOLERANCE: Final = 1e-3
"""Largest difference that rounding explains, as a share of a head's range or of the input's longer side."""

_BEST: Final = 30  # detections of an image that are compared with ultralytics' own
_JUST_BELOW: Final = 0.999


@dataclass(frozen=True)
class Difference:
    """What an export changed.

    Attributes:
        heads: largest difference of a raw output, as a share of that output's range in torch.
        boxes: largest difference of a box's side from ultralytics' own decode, as a share of the longer side.
        scores: largest difference of a class's score from ultralytics' own, 0 to 1.
        compared: how many boxes were.
    """

    heads: float
    boxes: float
    scores: float
    compared: int

    @property
    def largest(self) -> float:
        """Of the three."""
        return max(self.heads, self.boxes, self.scores)


def feeds(images: Sequence[NDArray[np.uint8]], spec: ImageInput) -> Iterator[Array]:
    """Images as the device gives them to the graph, one batch of one each."""
    preprocess = Preprocessor(spec)
    for image in images:
        batch = allocate(spec)
        preprocess(image, batch[0])
        yield batch


def difference(
    checkpoint: Checkpoint, exported: Exported, batches: Sequence[Array], decoder: Decoder
) -> Difference:
    """Run ONNX Runtime, torch and ultralytics' decode on the same pixels.

    Args:
        checkpoint: as it was loaded.
        exported: from it.
        batches: inputs of the graph, batches of one.
        decoder: the device's.
    """
    import torch  # noqa: PLC0415

    graph = Model(exported.path)
    found = Difference(0.0, 0.0, 0.0, 0)
    for batch in batches:
        results = graph.run(dict.fromkeys(graph.inputs, batch), exported.outputs)
        with torch.no_grad():
            pixels = torch.from_numpy(batch)
            heads = [value.numpy() for value in exported.module(pixels)]
            decoded, _ = checkpoint.model(pixels.permute(0, 3, 1, 2).float() / 255)
        own = reference_boxes(decoded.numpy()[0], checkpoint, batch.shape[2], batch.shape[1])
        if checkpoint.queries:
            results = in_order(heads, results)
        head = max(_share(want, got) for want, got in zip(heads, results, strict=True))
        found = _worse(found, head, _decoded(own, by_name(exported, results), decoder, batch))
    return found


def refuse(found: Difference, checkpoint: Checkpoint) -> None:
    """Stop an export that isn't what the framework computes.

    Raises:
        ExportError: the difference is larger than rounding explains.
    """
    if not found.largest <= TOLERANCE:
        raise ExportError(
            f"ONNX computes something else than ultralytics: heads {found.heads:.2g}, "
            f"boxes {found.boxes:.2g}, scores {found.scores:.2g} of {TOLERANCE:g} allowed",
            subject=str(checkpoint.path),
        )


def reference_boxes(decoded: Array, checkpoint: Checkpoint, width: int, height: int) -> Array:
    """Bring ultralytics' own result for one image into one form.

    Args:
        decoded: (4 + classes, cells), boxes as centre and size in pixels; or (n, 6), corners in pixels (heads
            that give one box for an object) or centre and size as shares (RT-DETR), score, class.
        checkpoint: tells which.
        width: of the input, pixels.
        height: of the input, pixels.

    Returns:
        (n, 6) left, top, right, bottom in pixels, score, class; the best ones, best first.
    """
    single = checkpoint.queries or bool(getattr(checkpoint.model.model[-1], "end2end", False))
    if single:
        rows = decoded
    else:
        kinds, cells = np.unravel_index(np.argsort(-decoded[4:], axis=None)[: 4 * _BEST], decoded[4:].shape)
        rows = np.column_stack([decoded[:4, cells].T, decoded[4 + kinds, cells], kinds])
    rows = rows[np.argsort(-rows[:, 4], kind="stable")][:_BEST].astype(np.float64)
    if checkpoint.queries:
        rows[:, :4] *= (width, height, width, height)
    if checkpoint.queries or not single:
        rows[:, :4] = np.hstack([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2])
    return rows


def _decoded(own: Array, outputs: Any, decoder: Decoder, batch: Array) -> Array:
    """For each of ultralytics' boxes how far the device's nearest one of its class is: n x (box, score)."""
    height, width = batch.shape[1:3]
    differences = []
    for kind in np.unique(own[:, 5]).astype(int):
        wanted = own[own[:, 5] == kind]
        limit = float(wanted[:, 4].min()) * _JUST_BELOW
        head = Head(width, height, 1, ((int(kind),), (), ()), (limit, _JUST_BELOW, _JUST_BELOW))
        ours = decoder(outputs, head)
        if not len(ours.boxes):
            return np.full((1, 2), np.inf)
        for row in wanted:
            box = np.abs(ours.boxes - row[:4]).max(axis=1) / max(width, height)
            score = np.abs(ours.scores - row[4])
            nearest = int(np.argmin(box + score))
            differences.append((box[nearest], score[nearest]))
    return np.array(differences).reshape(-1, 2)


def in_order(wanted: Sequence[Array], results: Sequence[Array]) -> list[Array]:
    """RT-DETR's queries in the order of the reference's: of two equally good ones either may come first.

    Args:
        wanted: arrays of 1 x queries x anything.
        results: the same by the other graph.
    """
    scales = [max(float(np.ptp(want)), float(np.finfo(np.float32).tiny)) for want in wanted]
    ours, theirs = (
        np.concatenate([value[0] / scale for value, scale in zip(side, scales, strict=True)], axis=1)
        for side in (results, wanted)
    )
    nearest = [int(np.abs(ours - row).max(axis=1).argmin()) for row in theirs]
    return [value[:, nearest] for value in results]


def _share(want: Array, got: Array) -> float:
    return float(np.abs(want - got).max() / max(float(np.ptp(want)), np.finfo(np.float32).tiny))


def _worse(found: Difference, heads: float, decoded: Array) -> Difference:
    box, score = decoded.max(axis=0) if len(decoded) else (0.0, 0.0)
    return Difference(
        max(found.heads, heads),
        max(found.boxes, float(box)),
        max(found.scores, float(score)),
        found.compared + len(decoded),
    )
