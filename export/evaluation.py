"""What an export is calibrated and examined with: images, crops, and frames in the order of a camera's time.

Two kinds stand behind one form: the user's own images, and scenes made up from the pictures that come with
the exporter.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from edge.vision.crops import region
from edge.vision.manifest import Visual
from edge.vision.pipeline import MOST_CROPS
from export import calibration as made_up, choice, pictures
from export.choice import Choice, Skipped, choose_both, entry_of
from export.pictures import Array, Image, Picture, Size, Step, encoded, quiet

MINUTE_MS = 60_000
CALIBRATION_SCENES, HELD_OUT_SCENES = 32, 48
_SCENE: Size = (512, 384)
_BURST, _EVERY_MS, _APART_MS = 3, MINUTE_MS, 60 * MINUTE_MS
"""How images without a time are arranged: visits of three images, further apart than the independence
interval."""


@dataclass(frozen=True)
class Frame:
    """One image of a sequence, as the service would take it in.

    Attributes:
        name: of its file.
        deployment: the camera.
        t: event time, ms UTC; made up where the file has none.
        timed: whether it has one.
        jpeg: reads the file.
    """

    name: str
    deployment: str
    t: int
    timed: bool
    jpeg: Callable[[], bytes]


@dataclass(frozen=True)
class Provenance:
    """Where images came from, without telling paths of the user's machine.

    Attributes:
        kind: the user's own, or made up.
        count: how many were taken.
        found: how many there were to choose from.
        distinct: how many of those taken differ from each other.
        cameras: how many deployments they are from.
        timed: how many have a time of their own.
        skipped: files that weren't taken, with reasons.
        digest: SHA-256 of the choice; of made-up scenes that of their pixels' recipe.
    """

    kind: Literal["own", "made up"]
    count: int
    found: int
    distinct: int
    cameras: int
    timed: int
    skipped: tuple[Skipped, ...]
    digest: str


class Material(Protocol):
    """Images for one purpose."""

    @property
    def provenance(self) -> Provenance:
        """Where they came from."""

    def images(self, need: Size) -> Sequence[Image]:
        """HWC uint8 RGB, at least of ``need`` (width, height) where the originals are; made at access."""

    def crops(self, boxes: Sequence[Array], spec: Visual, need: Size) -> Sequence[Image]:
        """What the classifier sees: each image as a whole, then what was found in it.

        Args:
            boxes: per image of ``images(need)`` n x 4 or more columns: left, top, right, bottom, 0 to 1.
            spec: of the visual tower.
            need: largest width and height that a graph of the bundle wants.
        """

    def frames(self) -> tuple[Frame, ...]:
        """The images in the order of deployments and time."""

    def blank(self) -> str:
        """Why nothing can be calibrated with them; empty if it can."""


@dataclass(frozen=True)
class Own:
    """A user's own images.

    Attributes:
        chosen: the images.
        folder: that their names are relative to.
    """

    chosen: Choice
    folder: Path

    @property
    def provenance(self) -> Provenance:
        """Counts, reasons and the hash of the choice."""
        frames = self.frames()
        return Provenance(
            "own",
            len(self.chosen.pictures),
            self.chosen.found,
            self.chosen.distinct,
            len({frame.deployment for frame in frames}),
            sum(frame.timed for frame in frames),
            self.chosen.skipped,
            self.chosen.digest,
        )

    def images(self, need: Size) -> Sequence[Image]:
        """Decoded at each access, as on the device."""
        return pictures.images(self.chosen.pictures, need)

    def crops(self, boxes: Sequence[Array], spec: Visual, need: Size) -> Sequence[Image]:
        """Cut at each access, as sharp as on the device."""
        return pictures.crops(self.chosen.pictures, boxes, spec, need)

    def frames(self) -> tuple[Frame, ...]:
        """By the times of EXIF or of file names; those without one in bursts of three."""
        return frames(self.folder, self.chosen.pictures)

    def blank(self) -> str:
        """Whether they are of one colour all over, or all the same."""
        return choice.blank(self.chosen.pictures)


@dataclass(frozen=True)
class MadeUp:
    """Scenes composed of the pictures that come with the exporter; the same every time.

    Attributes:
        count: of scenes.
        seed: of the shuffle.
    """

    count: int
    seed: int

    @property
    def provenance(self) -> Provenance:
        """The recipe."""
        digest = choice.digest_of([f"{self.count} scenes by seed {self.seed}"])
        return Provenance("made up", self.count, self.count, self.count, 1, 0, (), digest)

    def images(self, need: Size) -> Sequence[Image]:
        """Made at exactly the size that is needed."""
        return made_up.scenes(self.count, *need, self.seed)

    def crops(self, boxes: Sequence[Array], spec: Visual, need: Size) -> Sequence[Image]:
        """Cut from the scenes."""
        cut: list[Image] = []
        for image, found in zip(self.images(need), boxes, strict=True):
            height, width = image.shape[:2]
            rows = found[:MOST_CROPS, :4].tolist()
            regions = [region((a, b, c, d), spec.crop_margin, width, height) for a, b, c, d in rows]
            cut.extend([image, *(np.ascontiguousarray(each.of(image)) for each in regions)])
        return cut

    def frames(self) -> tuple[Frame, ...]:
        """Bursts of three of one camera."""
        scenes = self.images(_SCENE)
        return tuple(
            Frame(f"scene-{index:03}", "made-up", _arranged(index), False, partial(encoded, scene))
            for index, scene in enumerate(scenes)
        )

    def blank(self) -> str:
        """They never are."""
        return ""


def gather(
    calibration: Path | None,
    evaluation: Path | None,
    counts: tuple[int, int] = (200, 300),
    *,
    tick: Step = quiet,
) -> tuple[Material, Material]:
    """What to calibrate with, and what to examine with; no image is in both.

    Args:
        calibration: folder of the user's own images; None takes made-up scenes.
        evaluation: the same; if it is the same folder, it is split without parting a burst.
        counts: at most so many own images of each.
        tick: told of progress.

    Raises:
        ExportError: a folder can't be listed, or too few of its images can be read.
    """
    first, second = choose_both(calibration, evaluation, counts, step=tick)
    ours: Material = MadeUp(CALIBRATION_SCENES, made_up.CALIBRATION_SEED)
    theirs: Material = MadeUp(HELD_OUT_SCENES, made_up.HELD_OUT_SEED)
    if calibration is not None and first is not None:
        ours = Own(first, calibration)
    if evaluation is not None and second is not None:
        theirs = Own(second, evaluation)
    return ours, theirs


def frames(folder: Path, chosen: Sequence[Picture]) -> tuple[Frame, ...]:
    """Pictures as their cameras took them: by deployment, then by time.

    Times are EXIF's or those of file names, as intake reads them. Pictures without one are arranged in bursts
    of three, an hour apart, in the order of their names.
    """
    timed: list[Frame] = []
    untimed: dict[str, list[Picture]] = {}
    for picture in sorted(chosen, key=lambda each: each.name):
        entry = entry_of(folder, picture.name)
        if entry.t is None:
            untimed.setdefault(entry.deployment, []).append(picture)
        else:
            timed.append(Frame(picture.name, entry.deployment, entry.t, True, picture.jpeg))
    arranged = [
        Frame(picture.name, deployment, _arranged(index), False, picture.jpeg)
        for deployment, some in untimed.items()
        for index, picture in enumerate(some)
    ]
    return tuple(sorted(itertools.chain(timed, arranged), key=lambda f: (f.deployment, f.t, f.name)))


def _arranged(index: int) -> int:
    visit, image = divmod(index, _BURST)
    return visit * _APART_MS + image * _EVERY_MS
