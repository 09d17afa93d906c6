"""What a network is calibrated and examined with: its own graphs, a companion's where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from edge.errors import ExportError
from edge.vision.bundles import find_bundle
from edge.vision.labels import LabelSet, load_label_set
from edge.vision.manifest import Detector, Manifest, Text, Visual, load_manifest
from edge.vision.prompts import label_vectors
from export import pictures, recipes, trial
from export.evaluation import MadeUp, Material
from export.network import Feed, Network, PartName
from export.pictures import Array, Image, Size
from export.progress import Progress
from export.request import Request, native
from export.texts import TextEmbedder

COMPANION = "starter"
_TEXTS = 32  # prompts that a text tower is calibrated with, where its recipe calibrates at all
Section = TypeVar("Section", Detector, Visual, Text)


@dataclass(frozen=True)
class Setting:
    """Everything that choosing precisions for one network needs.

    Attributes:
        network: in fp32.
        request: what is wanted of it.
        scratch: folder for files.
        progress: told of what goes on.
        ours: images to calibrate with.
        theirs: images to examine with.
    """

    network: Network
    request: Request
    scratch: Path
    progress: Progress
    ours: Material
    theirs: Material

    @cached_property
    def labels(self) -> LabelSet:
        """What crops are told apart by."""
        return load_label_set(self.request.labels)

    @cached_property
    def companion(self) -> Path:
        """The bundle that completes a lone part."""
        return self.request.companion or find_bundle(COMPANION)

    @cached_property
    def _companion(self) -> Manifest:
        return load_manifest(self.companion)

    def section(self, part: PartName, kind: type[Section]) -> Section:
        """What the manifest says of a part of the network."""
        section = self.network.drafts[part].section
        if not isinstance(section, kind):
            raise ExportError("exporter made a part of another kind", subject=part)
        return section

    @cached_property
    def eye(self) -> tuple[Path, Detector]:
        """The detector whose boxes become crops: the network's own in fp32, else the companion's."""
        if "detector" in self.network.drafts:
            return self.network.drafts["detector"].graph, self.section("detector", Detector)
        return self.companion / self._companion.detector.file, self._companion.detector

    @cached_property
    def need(self) -> Size:
        """The largest width and height that a graph wants of an image."""
        inputs = [self.eye[1].input]
        inputs.append(
            self.section("visual", Visual).input
            if "visual" in self.network.drafts
            else self._companion.visual.input
        )
        return max(each.width for each in inputs), max(each.height for each in inputs)

    def samples(self, part: PartName) -> Sequence[Feed]:
        """Inputs to calibrate a part with."""
        if part == "text":
            embedder = self._embedder()
            return [embedder.feed([text]) for text in self._texts[0]]
        section = self.network.drafts[part].section
        assert isinstance(section, Detector | Visual)  # noqa: S101 - for the type checker
        return pictures.feeds(self._calibration(section), section.input, self.scratch)

    def _calibration(self, section: Detector | Visual) -> Sequence[Image]:
        if isinstance(section, Detector):
            return self.ours.images(self.need)
        if isinstance(self.ours, MadeUp):  # scenes of every scale as they are; what lies in them is pasted
            return self.ours.images((section.input.width, section.input.height))
        return self.ours.crops(self._animals(self.ours), section, self.need)

    def examiner(self, part: PartName, samples: Sequence[Feed]) -> trial.Examiner:
        """Who measures a part's candidates."""
        bench = trial.Bench(self.scratch, self.request.timed, self.progress)
        draft = self.network.drafts[part]
        if part == "detector":
            return trial.DetectorExaminer(bench, draft, self.theirs.images(self.need), samples)
        if part == "visual":
            spec = self.section("visual", Visual)
            cut = self.theirs.crops(self._animals(self.theirs), spec, self.need)
            crops = pictures.canvases(cut, spec.input, self.scratch)
            return trial.VisualExaminer(bench, draft, crops, self._label_vectors(), samples)
        scale = self.section("visual", Visual).logit_scale
        return trial.TextExaminer(bench, draft, self._tokenizer(), self._texts[1], scale)

    @cached_property
    def _texts(self) -> tuple[list[str], list[str]]:
        """What a text tower is calibrated with and what it is judged by.

        No text is in both. Forms without calibration, which is most of text towers', have seen none of them
        and are judged by all.
        """
        every = prompts(self.labels)
        family = self.network.drafts["text"].traits.family
        calibrated = "int8-static" in recipes.routes(family, native(), self.request.precision, "text")
        return dealt(every) if calibrated else ([], every)

    def _animals(self, material: Material) -> list[Array]:
        images = self.progress.over(material.images(self.need), "finding animals")
        return trial.animals(trial.found_boxes(*self.eye, images))

    def _tokenizer(self) -> Path:
        if self.network.tokenizer is None or "text" not in self.network.drafts:
            raise ExportError("a visual tower comes without its text tower", subject=self.network.origin.name)
        return self.network.tokenizer

    def _embedder(self) -> TextEmbedder:
        tokenizer = self._tokenizer()
        return TextEmbedder(self.network.drafts["text"].graph, tokenizer, self.section("text", Text))

    def _label_vectors(self) -> Array:
        return np.asarray(label_vectors(self.labels, self._embedder()))


def prompts(labels: LabelSet) -> list[str]:
    """Every text of a label set, each once."""
    return list(dict.fromkeys(prompt for label in labels.labels for prompt in label.prompts))


def dealt(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Texts for calibrating and texts for judging; none is in both.

    Every other one of the first, as many as are wanted, so that labels at the beginning are in both halves.
    Two texts at least are left to judge by, and one to calibrate with.
    """
    count = min(_TEXTS, len(texts) // 2)
    ours = list(texts[: 2 * count : 2])
    held = set(ours)
    return ours, [text for text in texts if text not in held]


def check_network(network: Network) -> None:
    """Whether it is something that a bundle can be made of.

    Raises:
        ExportError: it has no part, or one tower of a pair.
    """
    parts = set(network.drafts)
    if not parts:
        raise ExportError("exporter made nothing", subject=network.origin.name)
    if ("visual" in parts) != ("text" in parts) or ("text" in parts and network.tokenizer is None):
        raise ExportError(
            "visual tower, text tower and tokenizer belong together",
            subject=network.origin.name,
            hint=f"there is only: {', '.join(sorted(parts))}",
        )
