"""CLIP's exporter: options in, a :class:`~export.network.Network` of two fp32 graphs and a tokenizer out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.errors import ExportError, UsageError
from edge.vision import manifest
from edge.vision.preprocess import Preprocessor, allocate
from edge.vision.tokens import Tokens
from export import calibration, frameworks
from export.clip import graphs, hub, layout, openclip, sentences, traced
from export.clip.sides import Pixels, Provenance, Say, TextSide, VisualSide
from export.clip.towers import LARGEST, Prompt, size
from export.golden import run_samples
from export.graph import OPSET
from export.network import UNKNOWN_SHA256, Array, Draft, Network, Origin, Traits

CROP_MARGIN: Final = 0.1
MIN_COSINE: Final = 0.98
_HEAD: Final = 5  # matrices: those of the last layer, and the projection
_TOKENIZER: Final = "tokenizer.json"
_SENTENCES: Final = (
    "a photo of a badger in the forest at night",
    "two roe deer",
    "ein Luchs im Schnee",
    "an empty scene, grass and trees, nothing else to be seen",
)


@dataclass(frozen=True)
class Options:
    """What to export.

    Attributes:
        model: a folder in transformers' layout, or a name on the hub. Or else:
        open_clip: an architecture of open_clip, with
        checkpoint: the file of its weights.
        text_model: a multilingual text side in place of the model's own: a folder in sentence-transformers'
            or M-CLIP's layout, or a name on the hub.
        languages: of the text side, ISO 639-1; empty for what its kind was trained on.
        name: of the bundle; empty for one made of the model's.
        license: of the weights, SPDX; empty for what the folder says.
        crop_margin: what the classifier sees around an animal, as a share of the box.
    """

    model: str = ""
    open_clip: str = ""
    checkpoint: Path | None = None
    text_model: str = ""
    languages: tuple[str, ...] = ()
    name: str = ""
    license: str = ""
    crop_margin: float = CROP_MARGIN


def build_network(options: Options, scratch: Path, say: Say) -> Network:
    """Load a model and write both towers as fp32 graphs.

    Args:
        options: what to export.
        scratch: an existing folder, for ``visual.onnx``, ``text.onnx`` and ``tokenizer.json``.
        say: told of each step, in a few words.

    Raises:
        UsageError: the options name no model, or two.
        ExportError: a file is missing, damaged or of another kind, the two sides don't belong together,
            or the hub can't be reached.
    """
    _check(options)
    frameworks.prepare()
    visual, text, came = _load(options, say)
    _same_space(visual, text, options)
    for tower in (visual.tower, text.tower):
        _fits(tower, options)
    say("writing the visual tower")
    seeing = _visual_draft(visual, options, scratch / "visual.onnx")
    say("writing the text tower")
    (scratch / _TOKENIZER).write_text(text.tokenizer, "utf-8")
    reading = _text_draft(text, scratch / "text.onnx", scratch / _TOKENIZER)
    return Network(_origin(options, came), {"visual": seeing, "text": reading}, scratch / _TOKENIZER)


def _check(options: Options) -> None:
    if bool(options.model) == bool(options.open_clip):
        raise UsageError(
            "one model is wanted", hint="give --model, or --open-clip with --checkpoint, and not both"
        )
    if bool(options.open_clip) != (options.checkpoint is not None):
        raise UsageError("--open-clip and --checkpoint belong together")


def _load(options: Options, say: Say) -> tuple[VisualSide, TextSide, list[Provenance]]:
    if options.open_clip and options.checkpoint is not None:
        say(f"loading {options.open_clip}")
        came = [openclip.provenance(options.open_clip, options.checkpoint, options.license)]
        model = openclip.load(options.open_clip, options.checkpoint, texts=not options.text_model)
        visual = openclip.visual(model, options.open_clip)
        text = None if options.text_model else openclip.text(model, options.open_clip, options.languages)
    else:
        place = hub.find(options.model, say)
        say(f"loading {place.name}")
        came = [hub.provenance(place, options.license)]
        visual, text = _sides(place.folder, options)
    if text is None:
        place = hub.find(options.text_model, say)
        say(f"loading {place.name}")
        came.append(hub.provenance(place, options.license))
        text = sentences.load(place.folder, options.languages)
    return visual, text, came


def _sides(folder: Path, options: Options) -> tuple[VisualSide, TextSide | None]:
    if options.text_model:
        return layout.visual(folder), None
    return layout.load(folder, options.languages)


def _same_space(visual: VisualSide, text: TextSide, options: Options) -> None:
    if visual.dimension != text.dimension:
        raise ExportError(
            f"images have {visual.dimension} dimensions and texts {text.dimension}",
            subject=options.text_model or options.model or options.open_clip,
            hint="a text model belongs to the image model that it was trained with",
        )


def _fits(tower: object, options: Options) -> None:
    if size(tower) > LARGEST:
        raise ExportError(
            f"tower has {size(tower) / 2**30:.1f} GiB in float32, and an ONNX file at most 2",
            subject=options.model or options.open_clip,
            hint="take a smaller model; one of this size is too slow for the field as well",
        )


def _visual_draft(side: VisualSide, options: Options, path: Path) -> Draft:
    torch = frameworks.imported("torch")
    spec = manifest.Visual(
        file=path.name, sha256=UNKNOWN_SHA256, opset=OPSET, precision="fp32",
        input=image_input(side.pixels), output=graphs.OUTPUT, dimension=side.dimension,
        logit_scale=side.scale, crop_margin=options.crop_margin,
    )  # fmt: skip
    pixels = side.pixels
    if side.tower is None:
        traced.visual(side, path)
    else:
        _save(graphs.vision(side.tower, pixels.mean, pixels.std), path)
    samples = _pictures(spec.input)
    want = side.module(torch.from_numpy(planes(samples, pixels))).numpy()
    difference = _difference(path, {graphs.PIXELS: samples}, want)
    return Draft(spec, path, difference, {graphs.PIXELS: samples[:2]}, MIN_COSINE, _traits(path))


def _text_draft(side: TextSide, path: Path, tokenizer: Path) -> Draft:
    torch = frameworks.imported("torch")
    spec = manifest.Text(
        file=path.name, sha256=UNKNOWN_SHA256, opset=OPSET, precision="fp32",
        ids=graphs.IDS, mask=graphs.MASK if side.masked else None, output=graphs.OUTPUT, clean=side.clean,
        tokenizer_sha256=UNKNOWN_SHA256, max_tokens=side.max_tokens, languages=side.languages,
    )  # fmt: skip
    if isinstance(side.tower, Prompt):
        _save(graphs.prompt(side.tower, side.length), path)
    else:
        _save(graphs.sentence(side.tower), path)
    feed = Tokens(tokenizer, spec, side.length)(_SENTENCES)
    want = side.module(*(torch.from_numpy(array) for array in feed.values())).numpy()
    golden = {name: array[:2] for name, array in feed.items()}
    return Draft(spec, path, _difference(path, feed, want), golden, MIN_COSINE, _traits(path))


def image_input(pixels: Pixels) -> manifest.ImageInput:
    """What the manifest says of the graph's input: bytes, normalised inside the graph.

    The device's bicubic is the frameworks' where it enlarges and means of areas where it shrinks, which comes
    nearest to their antialiased one.
    """
    return manifest.ImageInput(
        name=graphs.PIXELS, width=pixels.size, height=pixels.size, layout="NHWC", dtype="uint8",
        resize=pixels.resize, interpolation="cubic",
    )  # fmt: skip


def _traits(path: Path) -> Traits:
    """The last layer is the head; grouped convolutions, in towers that were traced, stay in float."""
    import onnx  # noqa: PLC0415 - only the workstation has onnx

    graph = onnx.load(path, load_external_data=False).graph
    nodes, constants = graph.node, {tensor.name for tensor in graph.initializer}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    grouped = tuple(node.name for node in convolutions if _groups(node) > 1)
    kinds = {"MatMul", "Gemm"}
    heavy = [node.name for node in nodes if node.op_type in kinds and node.input[1] in constants]
    return Traits(
        family="convolutional" if len(convolutions) > len(heavy) else "transformer",
        left_out=grouped,
        why="grouped convolutions are slower in int8" if grouped else "",
        head=tuple(heavy[-_HEAD:]),
    )


def _groups(node: Any) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _pictures(spec: manifest.ImageInput) -> Array:
    """The exporter's own photos as the graph's input: photos x size x size x 3, uint8."""
    photos = calibration.photos(calibration.PHOTOS)
    batch, preprocess = allocate(spec, len(photos)), Preprocessor(spec)
    for photo, sample in zip(photos, batch, strict=True):
        preprocess(photo, sample)
    return batch


def planes(samples: Array, pixels: Pixels) -> Array:
    """What the framework's own image side takes: float32, batch x 3 x size x size, normalised."""
    normal = (samples - np.array(pixels.mean)) / np.array(pixels.std)
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2), np.float32)


def _difference(graph: Path, feed: dict[str, Array], want: Array) -> float:
    """Largest difference of unit vectors, as a share of the largest number in the framework's."""
    want = want / np.linalg.norm(want, axis=-1, keepdims=True)
    have = run_samples(graph, feed)[graphs.OUTPUT]
    return float(np.abs(have - want).max() / np.abs(want).max())


def _save(model: Any, path: Path) -> None:
    import onnx  # noqa: PLC0415

    onnx.save(model, path)


def _origin(options: Options, came: list[Provenance]) -> Origin:
    first = came[0]
    name = options.name or re.sub(
        r"[^a-z0-9.]+", "-", "-".join(each.name.rpartition("/")[2] for each in came).lower()
    ).strip("-")
    licenses = list(dict.fromkeys(each.license for each in came))
    sources = tuple(source for each in came for source in each.sources)
    return Origin(
        name=name,
        version=first.version,
        license=" AND ".join(licenses),
        notes="Zero-shot classes by prompts; probabilities are only as good as the labels are complete.",
        sources=sources,
    )
