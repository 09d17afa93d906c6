"""What a model bundle says of itself: ``manifest.toml``, read and checked.

A bundle is a folder with everything that vision needs. The manifest names every file with its
SHA-256, and everything that differs between bundles: sizes, preprocessing, decoder, class map,
thresholds. The same code runs every bundle.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.errors import BundleError

MANIFEST = "manifest.toml"
PARTS = ("detector", "visual", "text")
Kind = Literal["animal", "person", "vehicle"]
Target = Literal["x86", "arm", "tensorrt", "cuda"]
"""What a file was quantised for: x86 or ARM processors, TensorRT, CUDA."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Model):
    """Where weights came from, and under which terms."""

    name: str
    version: str
    file: str
    sha256: Sha256
    license: str
    origin: str = ""


class ImageInput(_Model):
    """How pixels enter a graph.

    The runtime resizes to ``width`` x ``height``, arranges as ``layout`` in ``dtype`` and, where
    ``mean`` and ``std`` are given, computes ``(x - mean) / std`` per RGB channel on values 0 to 255.
    Without them the graph normalises by itself. Channels are always RGB.
    """

    name: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    layout: Literal["NHWC", "NCHW"]
    dtype: Literal["uint8", "float32"]
    resize: Literal["stretch", "letterbox", "crop"] = "stretch"
    interpolation: Literal["linear", "area", "cubic"] = "linear"
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


class Stored(_Model):
    """One ONNX file: its bytes and how its numbers are kept."""

    file: str
    sha256: Sha256
    opset: int
    precision: str
    unquantised: tuple[str, ...] = ()
    unquantised_why: str = ""


class Variant(Stored):
    """The same graph, quantised for one kind of machine."""

    target: Target


class ModelFile(Stored):
    """A graph of the bundle: the file that runs everywhere, and others for certain machines.

    Every file of a graph has the same inputs, outputs and meaning.
    """

    variants: tuple[Variant, ...] = ()

    def stored_for(self, target: Target) -> Stored:
        """The file for a target; the one that runs everywhere where there is none of its own."""
        return next((variant for variant in self.variants if variant.target == target), self)

    def files(self) -> dict[str, str]:
        """The graph's files: name -> SHA-256."""
        return {stored.file: stored.sha256 for stored in (self, *self.variants)}


class Thresholds(_Model):
    """Scores from which a detection counts, and the overlap above which two are one."""

    animal: float = Field(gt=0, lt=1)
    person: float = Field(gt=0, lt=1)
    vehicle: float = Field(gt=0, lt=1)
    iou: float = Field(gt=0, le=1)


class Detector(ModelFile):
    """Image to raw heads; ``decoder`` names the pure function that turns them into boxes.

    ``outputs`` maps the decoder's names to the graph's: ``centernet`` wants ``heatmap`` and ``size``,
    ``yolo-dfl`` ``boxes_<stride>`` and ``scores_<stride>``, ``boxes`` wants ``boxes`` and ``scores``.
    ``classes`` are the graph's classes in channel order; ``class_map`` gives those that count.
    """

    input: ImageInput
    decoder: Literal["centernet", "yolo-dfl", "boxes"]
    outputs: dict[str, str]
    stride: int = 4
    classes: tuple[str, ...]
    class_map: dict[str, Kind]
    thresholds: Thresholds


class Visual(ModelFile):
    """Crop to embedding, L2-normalised inside the graph; the batch is dynamic."""

    input: ImageInput
    output: str
    dimension: int = Field(gt=0)
    logit_scale: float = Field(gt=0)
    crop_margin: float = Field(ge=0, default=0.0)


class Text(ModelFile):
    """Token ids to embedding in the same space, L2-normalised inside the graph.

    ``mask`` is the graph's input for the attention mask; None where it takes none. ``clean`` is what
    happens to a text before the tokenizer sees it: nothing, or open_clip's mending of broken Unicode and
    HTML. Padding is the tokenizer file's.
    """

    ids: str
    mask: str | None = None
    output: str
    clean: Literal["none", "open_clip"] = "none"
    tokenizer: str = "tokenizer.json"
    tokenizer_sha256: Sha256
    max_tokens: int = Field(gt=0)
    languages: tuple[str, ...] = ("en",)


class Golden(_Model):
    """The self-test: inputs and fp32 outputs, and how close a provider has to come.

    ``golden.npz`` holds ``<part>.input.<graph input>`` and ``<part>.output.<graph output>`` for the
    parts ``detector``, ``visual`` and ``text``, at least two different samples each along axis 0.
    """

    file: str = "golden.npz"
    sha256: Sha256
    min_cosine: dict[Literal["detector", "visual", "text"], float]


class Parts(_Model):
    """``manifest.toml`` of any folder that an export made: a whole bundle, or some parts of one."""

    format: Literal[1] = 1
    name: str
    version: str
    license: str
    notes: str = ""
    sources: tuple[Source, ...]
    detector: Detector | None = None
    visual: Visual | None = None
    text: Text | None = None
    golden: Golden

    def files(self) -> dict[str, str]:
        """Every file that the manifest vouches for: name -> SHA-256."""
        found = {self.golden.file: self.golden.sha256}
        for part in (self.detector, self.visual, self.text):
            found |= part.files() if part is not None else {}
        if self.text is not None:
            found[self.text.tokenizer] = self.text.tokenizer_sha256
        return found

    def missing(self) -> tuple[str, ...]:
        """Parts that a bundle needs and this isn't."""
        return tuple(part for part in PARTS if getattr(self, part) is None)


class Manifest(Parts):
    """``manifest.toml`` of a whole bundle, which the device can run."""

    detector: Detector
    visual: Visual
    text: Text


def load_manifest(bundle: Path) -> Manifest:
    """Read a bundle's manifest.

    Raises:
        BundleError: the folder has no manifest, one that can't be understood, or only parts of a bundle.
    """
    parts = load_parts(bundle)
    if parts.missing():
        raise BundleError(
            f"not a whole bundle: it has no {' and no '.join(parts.missing())}",
            subject=str(bundle),
            hint="`edge export bundle` joins a detector with a classifier",
        )
    return Manifest.model_validate(parts.model_dump())


def load_parts(folder: Path) -> Parts:
    """Read the manifest of a bundle or of some parts of one.

    Raises:
        BundleError: the folder has no manifest, or one that can't be understood.
    """
    path = folder / MANIFEST
    try:
        return Parts.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise BundleError(
            "no model bundle here", subject=str(folder), hint="see `edge models list` for those that are"
        ) from error
    except OSError as error:
        raise BundleError("manifest can't be read", subject=str(path), hint=error.strerror or "") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, not of the form, nested too deeply
        raise BundleError("manifest can't be understood", subject=str(path), hint=str(error)) from error


def bundle_sha256(bundle: Path) -> str:
    """The bundle's identity: SHA-256 of its manifest, which names every file by SHA-256."""
    return hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()


def verify_files(bundle: Path, manifest: Parts) -> None:
    """Compare every file of a bundle with its manifest.

    Raises:
        BundleError: a file is missing or its bytes differ.
    """
    for name, expected in manifest.files().items():
        verify_file(bundle / name, expected)


def verify_file(path: Path, expected: str) -> None:
    """Compare one file with the SHA-256 (hex) that its manifest gives.

    Raises:
        BundleError: it is missing, can't be read, or its bytes differ.
    """
    try:
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(
            "file of the bundle can't be read", subject=str(path), hint=error.strerror or ""
        ) from error
    if actual != expected:
        raise BundleError("file differs from its manifest", subject=str(path), hint="copy the bundle again")
