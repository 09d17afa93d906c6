"""Raw heads of detectors to candidate boxes: pure functions behind one signature.

===============  ==============================================================================
``centernet``    Zhou et al., "Objects as Points" (2019): local maxima of a heat map
``yolo-dfl``     YOLOv8, YOLO11: per stride class logits and Li et al.'s "Generalized Focal Loss"
                 (2020) distributions over distances
``boxes``        graphs that decode by themselves: boxes and scores
===============  ==============================================================================

A camera trap asks for a kind (animal, person, vehicle), not for one of COCO's classes, so the classes of a
kind are pooled before anything is decided: ``min(1, sqrt(sum(p ** 2)))``. The Euclidean norm lies between the
maximum, which misses animals that the classes don't know (a jaguar is a little dog, a little cat and a
little zebra), and the sum, which adds up every class's background noise. With one class it changes nothing.
Suppression is then agnostic of class within a kind by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import BundleError
from edge.vision.boxes import Boxes, Scores
from edge.vision.manifest import Detector, Kind

KINDS: Final[tuple[Kind, ...]] = ("animal", "person", "vehicle")
Outputs = Mapping[str, npt.NDArray[Any]]
Kinds = npt.NDArray[np.int8]
Values = npt.NDArray[np.float32]
_FARTHEST: Final = np.float32(-80)  # a logit whose sigmoid is 0 in all but name, before exp overflows


@dataclass(frozen=True, slots=True)
class Head:
    """What a decoder has to know of a graph.

    Attributes:
        width, height: of the graph's input, pixels.
        stride: input pixels per cell of the heat map.
        channels: per kind, the class channels that mean it.
        thresholds: per kind, the score from which a box is a candidate, 0 to 1.
    """

    width: int
    height: int
    stride: int
    channels: tuple[tuple[int, ...], ...]
    thresholds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes above their kind's threshold, before suppression.

    Attributes:
        boxes: (n, 4) float32, left, top, right, bottom, input pixels, may reach outside.
        scores: (n,) float32, 0 to 1.
        kinds: (n,) int8, index into :data:`KINDS`.
    """

    boxes: Boxes
    scores: Scores
    kinds: Kinds


class Decoder(Protocol):
    """Raw outputs of one image, by the names that the decoder gives them, to candidates."""

    def __call__(self, outputs: Outputs, head: Head) -> Candidates: ...  # noqa: D102


def head_of(detector: Detector, thresholds: Mapping[Kind, float]) -> Head:
    """What the manifest says of a detector, in the decoder's terms.

    Raises:
        BundleError: the class map names a class that the graph doesn't have.
    """
    unknown = sorted(set(detector.class_map) - set(detector.classes))
    if unknown:
        raise BundleError("class map names classes that aren't the detector's", subject=", ".join(unknown))
    channels = tuple(
        tuple(i for i, name in enumerate(detector.classes) if detector.class_map.get(name) == kind)
        for kind in KINDS
    )
    limits = tuple(thresholds[kind] for kind in KINDS)
    return Head(detector.input.width, detector.input.height, detector.stride, channels, limits)


def decoder_of(detector: Detector) -> Decoder:
    """The function that the manifest names.

    Raises:
        BundleError: the manifest doesn't name the outputs that this decoder reads.
    """
    required = {"centernet": {"heatmap", "size"}, "boxes": {"boxes", "scores"}, "yolo-dfl": set[str]()}
    missing = required[detector.decoder] - set(detector.outputs)
    if detector.decoder == "yolo-dfl" and not _strides(detector.outputs):
        missing = {"boxes_<stride>", "scores_<stride>"}
    if missing:
        raise BundleError(
            f"decoder {detector.decoder} lacks outputs in the manifest", subject=", ".join(sorted(missing))
        )
    return _DECODERS[detector.decoder]


def centernet(outputs: Outputs, head: Head) -> Candidates:
    """Local maxima of a heat map, each with distances to the four sides of its box.

    ``heatmap`` (1, classes, h, w) after the sigmoid; ``size`` (1, 4, h, w): left, top, right, bottom in
    input pixels from the cell's origin. A maximum is a cell that no neighbour of its 3 x 3 exceeds.
    """
    heat, size = outputs["heatmap"][0], outputs["size"][0]
    found = []
    for kind, (channels, threshold) in enumerate(zip(head.channels, head.thresholds, strict=True)):
        score = _pooled(heat, channels)
        rows, columns = np.nonzero((score >= threshold) & (score >= _neighbours(score)))
        x, y = columns * head.stride, rows * head.stride
        left, top, right, bottom = size[:, rows, columns]
        boxes = np.stack([x - left, y - top, x + right, y + bottom], 1)
        found.append(_candidates(boxes, score[rows, columns], kind))
    return _joined(found)


def yolo_dfl(outputs: Outputs, head: Head) -> Candidates:
    """Heads cut off before their decode.

    Per stride ``boxes_<stride>`` (1, 4 * bins, h, w): logits of distributions over the distances left, top,
    right, bottom from the cell's centre, in strides, with bins for 0, 1, 2 and so on; a single bin holds the
    distance itself (YOLO26). ``scores_<stride>`` (1, classes, h, w): logits.
    Only the few cells that can reach the threshold get a sigmoid and a softmax.
    """
    found = []
    for stride in _strides(outputs):
        logits, distances = outputs[f"scores_{stride}"][0], outputs[f"boxes_{stride}"][0]
        for kind, (channels, threshold) in enumerate(zip(head.channels, head.thresholds, strict=True)):
            near = np.nonzero(_largest(logits, channels) >= _logit(threshold / _norm(channels)))
            score = _pooled(_sigmoid(logits[:, near[0], near[1]]), channels)
            rows, columns = near[0][score >= threshold], near[1][score >= threshold]
            sides = _expected(distances[:, rows, columns]) * stride
            x, y = (columns + 0.5) * stride, (rows + 0.5) * stride
            boxes = np.stack([x - sides[0], y - sides[1], x + sides[2], y + sides[3]], 1)
            found.append(_candidates(boxes, score[score >= threshold], kind))
    return _joined(found)


def plain_boxes(outputs: Outputs, head: Head) -> Candidates:
    """Outputs that are decoded already.

    ``boxes`` (1, n, 4) left, top, right, bottom in input pixels; ``scores`` (1, n, classes), 0 to 1.
    """
    boxes, scores = outputs["boxes"][0], outputs["scores"][0].T
    found = []
    for kind, (channels, threshold) in enumerate(zip(head.channels, head.thresholds, strict=True)):
        score = _pooled(scores, channels)
        (keep,) = np.nonzero(score >= threshold)
        found.append(_candidates(boxes[keep], score[keep], kind))
    return _joined(found)


_DECODERS: Final[Mapping[str, Decoder]] = {
    "centernet": centernet,
    "yolo-dfl": yolo_dfl,
    "boxes": plain_boxes,
}


def _strides(names: Mapping[str, Any]) -> list[int]:
    scores = {int(name[7:]) for name in names if name.startswith("scores_") and name[7:].isdigit()}
    return sorted(stride for stride in scores if f"boxes_{stride}" in names)


def _pooled(scores: Values, channels: tuple[int, ...]) -> Values:
    """Scores of a kind: (classes, ...) to (...), the Euclidean norm of its classes', at most 1."""
    if len(channels) == 1:
        only: Values = np.minimum(scores[channels[0]], 1, dtype=np.float32)
        return only
    total = np.zeros(scores.shape[1:], np.float32)
    for channel in channels:
        total += np.square(scores[channel], dtype=np.float32)
    pooled: Values = np.minimum(np.sqrt(total), 1)
    return pooled


def _largest(logits: Values, channels: tuple[int, ...]) -> Values:
    if not channels:
        return np.full(logits.shape[1:], -np.inf, np.float32)
    largest: Values = logits[channels[0]].astype(np.float32)
    for channel in channels[1:]:
        np.maximum(largest, logits[channel], out=largest)
    return largest


def _norm(channels: tuple[int, ...]) -> float:
    """How far the pooled score can exceed the best class's: cells below that bound need no sigmoid."""
    return math.sqrt(max(1, len(channels)))


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _sigmoid(logits: Values) -> Values:
    squashed: Values = np.float32(1) / (
        np.float32(1) + np.exp(-np.maximum(logits, _FARTHEST, dtype=np.float32))
    )
    return squashed


def _neighbours(score: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # Dilation with a 3 x 3 rectangle is the largest of the neighbourhood; outside counts as smallest.
    return np.asarray(cv2.dilate(score, np.ones((3, 3), np.uint8)), np.float32)


def _expected(logits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Means of distributions given as logits: (4 * bins, n) to (4, n); a single bin holds the mean itself."""
    grouped = logits.astype(np.float32).reshape(4, len(logits) // 4, logits.shape[1])
    if grouped.shape[1] == 1:
        return grouped[:, 0]
    weights = np.exp(grouped - grouped.max(1, keepdims=True))
    total = np.einsum("sbn,b->sn", weights, np.arange(grouped.shape[1], dtype=np.float32))
    mean: npt.NDArray[np.float32] = total / weights.sum(1)
    return mean


def _candidates(boxes: npt.NDArray[Any], scores: npt.NDArray[Any], kind: int) -> Candidates:
    return Candidates(
        boxes.reshape(-1, 4).astype(np.float32),
        scores.astype(np.float32),
        np.full(len(scores), kind, np.int8),
    )


def _joined(found: list[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([c.boxes for c in found]),
        np.concatenate([c.scores for c in found]),
        np.concatenate([c.kinds for c in found]),
    )
