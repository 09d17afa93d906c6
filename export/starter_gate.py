"""What the starter bundle's graphs are measured by, and in which order precisions are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import GateError
from edge.vision.labels import LabelSet, load_label_set
from export import (
    calibration,
    centernet,
    efficientnet,
    gate,
    minilm,
    names,
    quantise,
    reference,
    sources,
    starter_spec as spec,
    texts,
    trial,
    visits,
)
from export.calibration import Image
from export.gate import Candidate, Measured
from export.golden import run_samples
from export.tfjs import read_graph_model

Array = NDArray[Any]
Say = Callable[[str], None]
LABELS = "north-america"
FRAMEWORK_LIMIT = 1e-3
"""Largest difference from the framework, as a share of the reference's range, that rounding explains."""

LEFT_OUT = ("_conv_stem", "_blocks.0._depthwise_conv")
WHY_LEFT_OUT = "the first two layers lose most of what int8 loses, and a first convolution is no faster"
_ANY = spec.Stored("0" * 64, "on trial")
_CALIBRATION_SCENES, _HELD_OUT_SCENES = 32, 48
_FRAMEWORK_SAMPLES = 3
_INT8_PAYS = 1.2


@dataclass(frozen=True)
class Request:
    """What to build, and from what.

    Attributes:
        source: folder with the packages; None takes installed ones and the registry.
        calibration: folder with the user's own pictures for calibration; None takes made-up scenes.
        evaluation: folder with pictures for the gate, none of them in ``calibration``; None as above.
        precision: ``auto`` lets the gate choose, ``fp32`` keeps everything.
        timed: measure times; a rebuild that is only compared doesn't need them.
    """

    source: Path | None = None
    calibration: Path | None = None
    evaluation: Path | None = None
    precision: Literal["auto", "fp32"] = "auto"
    timed: bool = True


@dataclass(frozen=True)
class Plain:
    """The fp32 graphs and the tokenizer, as files of one folder, and the sources by file name."""

    folder: Path
    source: dict[str, Path]

    @property
    def detector(self) -> Path:
        """The detector's graph."""
        return self.folder / spec.DETECTOR

    @property
    def visual(self) -> Path:
        """The visual tower's graph."""
        return self.folder / spec.VISUAL

    @property
    def text(self) -> Path:
        """The text tower's graph."""
        return self.folder / spec.TEXT

    @property
    def tokenizer(self) -> Path:
        """The tokenizer."""
        return self.folder / spec.TOKENIZER


def minilm_tensors(plain: Plain) -> dict[str, Array]:
    """The text model's tensors."""
    from safetensors.numpy import load_file  # noqa: PLC0415

    return dict(load_file(str(plain.source[sources.MINILM.name])))


def compare_with_frameworks(plain: Plain) -> dict[str, float]:
    """Largest difference of each fp32 graph from its framework, as a share of the reference's range.

    Raises:
        GateError: one is larger than rounding explains.
    """
    differences = {
        "detector": _detector_difference(plain),
        "visual": _visual_difference(plain),
        "text": _text_difference(plain),
    }
    wrong = {part: value for part, value in differences.items() if not value <= FRAMEWORK_LIMIT}
    if wrong:
        raise GateError(
            "fp32 graph differs from its framework",
            subject=", ".join(wrong),
            hint=", ".join(f"{part} by {value:.2g} of its range" for part, value in wrong.items()),
        )
    return differences


def _detector_difference(plain: Plain) -> float:
    model = reference.restored_sixths(read_graph_model(plain.source[sources.CENTERNET_GRAPH.name]))
    scenes = np.stack(_scenes(_FRAMEWORK_SAMPLES, calibration.HELD_OUT_SEED))
    ours = run_samples(plain.detector, {centernet.INPUT: scenes})
    worst = 0.0
    for i in range(len(scenes)):
        scores, sizes = reference.run_graph_model(
            model, scenes[i : i + 1], (centernet.KEYPOINTS, centernet.DISTANCES)
        )
        joined = centernet.joined(scores)
        worst = max(worst, _difference(ours[centernet.HEATMAP][i], joined[0].transpose(2, 0, 1)))
        worst = max(worst, _difference(ours[centernet.BOX][i], sizes[0].transpose(2, 0, 1)))
    return worst


def _visual_difference(plain: Plain) -> float:
    """Of the embedding, the framework's logits taken through the convex combination in numpy."""
    side = efficientnet.LITE0.size
    crops = np.stack(calibration.scenes(_FRAMEWORK_SAMPLES, side, side, calibration.HELD_OUT_SEED))
    logits = reference.efficientnet_logits(plain.source[sources.EFFICIENTNET.name], crops)
    embedder = texts.TextEmbedder(plain.text, plain.tokenizer)
    rows = names.embed_names(names.read_names(), embedder).astype(np.float16).astype(np.float32)
    ours = run_samples(plain.visual, {efficientnet.INPUT: crops})["embedding"]
    return _difference(ours, names.convex_combination(logits, rows))


def _text_difference(plain: Plain) -> float:
    feed = texts.TextEmbedder(plain.text, plain.tokenizer).feed(_prompts(_label_set())[:8])
    theirs = reference.minilm_embeddings(minilm_tensors(plain), feed[minilm.IDS], feed[minilm.MASK])
    return _difference(run_samples(plain.text, feed)[minilm.OUTPUT], theirs)


def _difference(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def choose_precisions(
    plain: Plain, request: Request, scratch: Path, say: Say
) -> tuple[dict[str, Measured], list[str]]:
    """Let each part have the cheapest precision that reaches its floors.

    Returns:
        what was chosen by part, and what was refused on the way.

    Raises:
        GateError: a part reaches them in no precision.
    """
    if request.precision == "fp32":
        return {}, []
    bench = trial.Bench(scratch, _held_out(request), request.timed)
    chosen: dict[str, Measured] = {}
    refused: list[str] = []
    for part, choose in (("detector", _choose_detector), ("visual", _choose_visual), ("text", _choose_text)):
        say(f"choosing a precision for {part}")
        chosen[part], failed = choose(plain, request, bench)
        refused.extend(f"{part}: {reason}" for reason in failed)
    return chosen, refused


def _choose_detector(plain: Plain, _: Request, bench: trial.Bench) -> tuple[Measured, list[str]]:
    """int8 isn't tried: it is no faster for this network's mixture of operations (``docs/models.md``)."""
    model = _load(plain.detector)
    candidates = [
        Candidate("fp16 weights", lambda: quantise.half_weights(model)),
        Candidate("fp32", lambda: model),
    ]
    measure = partial(trial.detector_trial, bench, plain.detector, spec.detector(_ANY))
    return gate.choose("detector", candidates, measure, gate.DETECTOR)


def _choose_visual(plain: Plain, request: Request, bench: trial.Bench) -> tuple[Measured, list[str]]:
    model, section = _load(plain.visual), spec.visual(_ANY)
    crops = trial.animal_crops(plain.detector, spec.detector(_ANY), bench.images, section.crop_margin)
    embedder = texts.TextEmbedder(plain.text, plain.tokenizer)
    labels = _label_vectors(_label_set(), embedder)
    samples = [{section.input.name: crop[None]} for crop in _calibration_crops(request, section.input.width)]
    measure = partial(trial.visual_trial, bench, trial.VisualExam(plain.visual, section, crops, labels))
    ranking = partial(_most_sensitive, model, samples, measure)
    candidates = _visual_candidates(model, samples, ranking)
    return gate.choose("visual", candidates, measure, gate.VISUAL, lambda: ranking()[:8])


def _visual_candidates(
    model: Any, samples: Sequence[dict[str, Array]], ranking: Callable[[], list[str]]
) -> Iterator[Candidate]:
    """int8 with the known exceptions, then with ever more of the most sensitive convolutions, then fp16."""

    def static(left_out: Sequence[str], why: str) -> Candidate:
        name = quantise.precision_name("int8 QDQ", left_out)
        build = partial(quantise.static_int8, model, samples, left_out)
        return Candidate(name, build, tuple(left_out), why, pays=_INT8_PAYS)

    yield static(LEFT_OUT, WHY_LEFT_OUT)
    worst = ranking()
    for count in (6, 12):
        yield static(worst[:count], "the most sensitive, one by one")
    yield Candidate("fp16 weights", lambda: quantise.half_weights(model))


def _most_sensitive(
    model: Any, samples: Sequence[dict[str, Array]], measure: Callable[[Candidate, Any], Measured]
) -> list[str]:
    """Convolutions in the order of what quantising each one alone costs, the worst first."""
    every = quantise.convolutions(model)
    loss: dict[str, float] = {}
    for name in every:
        others = [other for other in every if other != name]
        alone = quantise.static_int8(model, samples[:8], others)
        quality = measure(Candidate(name, lambda: None), alone).quality
        loss[name] = getattr(quality, "mean", 1.0)
    return sorted(every, key=lambda name: loss[name])


def _choose_text(plain: Plain, _: Request, bench: trial.Bench) -> tuple[Measured, list[str]]:
    model = _load(plain.text)
    candidates = [
        Candidate("int8 weights", lambda: quantise.int8_weights(model)),
        Candidate("fp16 weights", lambda: quantise.half_weights(model)),
    ]
    prompts = _prompts(_label_set())
    exam = trial.TextExam(plain.text, plain.tokenizer, prompts, spec.LOGIT_SCALE)
    measure = partial(trial.text_trial, bench, exam)
    return gate.choose("text", candidates, measure, gate.TEXT)


def compare_visits(plain: Path, ours: Path, request: Request) -> visits.Visits:
    """Registrations of the bundle against those of its fp32 twin.

    Raises:
        GateError: more of them differ than the floors allow.
    """
    images, labels = _held_out(request), _label_set()
    seen = visits.compare(visits.observe(plain, images, labels), visits.observe(ours, images, labels))
    lacking = gate.visit_shortfalls(seen, gate.VISITS)
    if lacking:
        raise GateError("visits differ from those of fp32", subject=str(ours.name), hint=", ".join(lacking))
    return seen


def _label_set() -> LabelSet:
    return load_label_set(LABELS)


def _prompts(labels: LabelSet) -> list[str]:
    return [prompt for label in labels.labels for prompt in label.prompts]


def _label_vectors(labels: LabelSet, embed: names.Embed) -> Array:
    """One vector per label: the mean of its prompts' vectors, as on the device."""
    return np.stack([names.unit(embed(label.prompts).mean(axis=0)) for label in labels.labels])


def _held_out(request: Request) -> list[Image]:
    if request.evaluation is not None:
        return calibration.own_pictures(request.evaluation)
    return _scenes(_HELD_OUT_SCENES, calibration.HELD_OUT_SEED)


def _scenes(count: int, seed: int) -> list[Image]:
    return calibration.scenes(count, centernet.WIDTH, centernet.HEIGHT, seed)


def _calibration_crops(request: Request, side: int) -> list[Image]:
    if request.calibration is not None:
        return calibration.fitted(calibration.own_pictures(request.calibration), side, side)
    return calibration.scenes(_CALIBRATION_SCENES, side, side, calibration.CALIBRATION_SEED)


def _load(path: Path) -> Any:
    import onnx  # noqa: PLC0415

    return onnx.load(path)
