"""CLIP's exporter in figures: agreement, speed on one thread, tokens.

``python -m benchmarks.export_clip`` builds ViT-B/32 and ViT-L/14 with random weights from their
configurations in a temporary folder (8 GB), exports both towers, quantises them with the exporter's own
recipe, and prints

* the largest difference of fp32 from transformers, on photos and texts;
* milliseconds of int8, of ONNX Runtime fp32 and of torch fp32, and their ratios. Each runs in a process of
  its own on one core, in turns; a ratio is that of one turn, given as median and quartiles;
* with ``--openvino PYTHON`` (an environment with ``openvino`` and ``nncf`` from PyPI) the same for
  OpenVINO with NNCF's static int8;
* on how many of 1,000 awkward texts the device's token ids differ from the framework's.

Weights at random say nothing of accuracy: int8's cosines are given to show that nothing is broken. It takes
about eight minutes and needs the export extra.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks import clip_models, clip_worker
from benchmarks.clip_texts import texts as awkward_texts
from edge.vision.manifest import Text, Visual
from edge.vision.session import Model
from edge.vision.tokens import Tokens
from export import calibration, frameworks
from export.clip import Options, build_network
from export.clip.build import planes
from export.clip.layout import pixels
from export.network import UNKNOWN_SHA256, Draft, Network

MODELS = {"ViT-B/32": clip_models.B32, "ViT-L/14": clip_models.L14}
PROMPTS = ("a photo of a badger in the forest at night", "two roe deer", "a wild boar", "an empty scene")
FULL = 77


@dataclass(frozen=True)
class Rival:
    """One way of running a tower: its name, the interpreter, and the worker's arguments."""

    name: str
    python: str
    kind: str
    model: Path


def main(arguments: Sequence[str]) -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--openvino", default="", help="python with openvino and nncf")
    chosen = parser.parse_args(arguments)
    frameworks.prepare()
    for name in chosen.models:
        with tempfile.TemporaryDirectory(prefix="edge-clip-") as folder:
            _model(name, Path(folder), chosen)
    print_tokens()


def _model(name: str, folder: Path, chosen: argparse.Namespace) -> None:
    source, out = folder / "model", folder / "out"
    out.mkdir()
    model = clip_models.save_clip(source, MODELS[name])
    network = build_network(Options(model=str(source)), out, lambda _: None)
    print(f"\n{name}, random weights", flush=True)
    for part, feed in _feeds(network, source):
        _agreement(part, network, model, feed)
    print(f"{'':34}{'ms':>8}  int8 is faster by (quartiles)")
    for part, feed in (*_feeds(network, source), _short(network)):
        _speed(part, network, source, feed, chosen)


def _feeds(network: Network, source: Path) -> list[tuple[str, dict[str, Any]]]:
    """Photos (as bytes, and as torch wants them) and prompts at full length."""
    spec = network.drafts["visual"].section
    assert isinstance(spec, Visual)
    size = spec.input.width
    samples = np.stack(calibration.fitted(calibration.photos(calibration.PHOTOS), size, size))
    seen = {spec.input.name: samples, "planes": planes(samples, pixels(source, size))}
    return [("visual", seen), ("text", _tokens(network, FULL))]


def _short(network: Network) -> tuple[str, dict[str, Any]]:
    """The prompts as the device runs them: as long as the longest."""
    return "text", _tokens(network, None)


def _tokens(network: Network, length: int | None) -> dict[str, Any]:
    spec = network.drafts["text"].section
    assert isinstance(spec, Text)
    assert network.tokenizer is not None
    return dict(Tokens(network.tokenizer, spec, length)(PROMPTS))


def _agreement(part: str, network: Network, model: Any, feed: dict[str, Any]) -> None:
    """Largest difference of unit vectors from torch, fp32 and int8; and int8's cosines."""
    torch = frameworks.imported("torch")
    draft = _draft(network, part)
    method = model.get_image_features if part == "visual" else model.get_text_features
    entry = "planes" if part == "visual" else "input_ids"
    with torch.no_grad():
        want = method(torch.from_numpy(feed[entry])).numpy()
    want = want / np.linalg.norm(want, axis=1, keepdims=True)
    plain, short = (_run(path, feed) for path in (draft.graph, _int8(draft)))
    sizes = [path.stat().st_size / 1e6 for path in (draft.graph, _int8(draft))]
    print(
        f"{part:8} fp32 - torch: {np.abs(plain - want).max():.1e}   "
        f"int8's cosines: {(plain * short).sum(1).min():.4f} to {(plain * short).sum(1).max():.4f}, "
        f"between samples {(plain[0] * plain[1]).sum():.4f}   {sizes[0]:.0f} -> {sizes[1]:.0f} MB",
        flush=True,
    )


def _run(path: Path, feed: dict[str, Any]) -> Any:
    model = Model(path)
    return model.run({name: feed[name] for name in model.inputs}, model.outputs)[0]


def _int8(draft: Draft) -> Path:
    """The exporter's own int8, made at the first call."""
    import onnx  # noqa: PLC0415 - only the workstation has onnx

    from export.quantise import dynamic_int8  # noqa: PLC0415

    path = draft.graph.with_suffix(".int8.onnx")
    if not path.is_file():
        onnx.save(dynamic_int8(onnx.load(draft.graph)), path)
    return path


def _draft(network: Network, part: str) -> Draft:
    return network.drafts["visual" if part == "visual" else "text"]


def _speed(part: str, network: Network, source: Path, feed: dict[str, Any], chosen: Any) -> None:
    draft = _draft(network, part)
    one = {name: array[:1] for name, array in feed.items()}
    path = source.parent / "feed.npz"
    np.savez(path, **one)
    label = part if part == "visual" else f"text of {one['input_ids'].shape[1]}"
    rivals = [
        Rival("int8", sys.executable, "onnx", _int8(draft)),
        Rival("ONNX Runtime fp32", sys.executable, "onnx", draft.graph),
        Rival("torch fp32", sys.executable, f"torch-{part}", source),
    ]
    if chosen.openvino:
        rivals.append(Rival("OpenVINO int8 (NNCF)", chosen.openvino, "openvino", draft.graph))
    _print_ratios(label, rivals, _turns(rivals, path, chosen.rounds, chosen.core))


def _print_ratios(label: str, rivals: Sequence[Rival], turns: list[list[float]]) -> None:
    for number, rival in enumerate(rivals):
        times = [turn[number] for turn in turns]
        line = f"{label:11}{rival.name:22}{statistics.median(times):9.1f}"
        if number:
            low, middle, high = statistics.quantiles([turn[number] / turn[0] for turn in turns], n=4)
            line += f"  {middle:.2f} ({low:.2f} to {high:.2f})"
        print(line, flush=True)


def _turns(rivals: Sequence[Rival], feed: Path, rounds: int, core: int) -> list[list[float]]:
    """Milliseconds of each rival in each turn; who begins goes round."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_worker(rival, feed, core)) for rival in rivals]
        turns = []
        for number in range(rounds):
            times = [0.0] * len(rivals)
            for step in range(len(rivals)):
                index = (number + step) % len(rivals)
                times[index] = _asked(workers[index])
            turns.append(times)
    return turns


@contextlib.contextmanager
def _worker(rival: Rival, feed: Path, core: int) -> Iterator[subprocess.Popen[str]]:
    script = [rival.python, "-m", "benchmarks.clip_worker"]
    if rival.kind == "openvino":
        script = [rival.python, str(Path(clip_worker.__file__))]
    command = [*script, rival.kind, str(rival.model), str(feed), str(core)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "ready":
                break
        else:
            raise SystemExit(f"{rival.name} didn't start; try: {' '.join(command)}")
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _asked(process: subprocess.Popen[str]) -> float:
    """One measurement, milliseconds by the clock."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(process.stdout.readline().split()[0])


def print_tokens() -> None:
    """The table of tokens: the device against each framework, and the frameworks among themselves."""
    transformers, open_clip = frameworks.imported("transformers"), frameworks.imported("open_clip")
    texts = awkward_texts()
    with tempfile.TemporaryDirectory(prefix="edge-clip-") as name:
        folder = Path(name)
        clip_models.save_clip_tokenizer(folder)
        padding: dict[str, Any] = {
            "padding": "max_length", "truncation": True, "max_length": FULL, "return_tensors": "np"
        }  # fmt: skip
        fast = transformers.AutoTokenizer.from_pretrained(folder)(texts, **padding)["input_ids"]
        slow = transformers.CLIPTokenizer.from_pretrained(folder)(texts, **padding)["input_ids"]
        own = open_clip.get_tokenizer("ViT-B-32")(texts).numpy()
        from_hf, from_open = _device_tokens(folder, texts)
    rows = {
        "device against transformers": (from_hf, fast),
        "device against open_clip": (from_open, own),
        "transformers against open_clip": (_to_end(fast), _to_end(own)),
        "transformers' Python tokenizer against its own fast one": (_to_end(slow), _to_end(fast)),
    }
    print(f"\nOf {len(texts)} texts, token ids differ on")
    for label, (one, other) in rows.items():
        different = sum(list(a) != list(b) for a, b in zip(one, other, strict=True))
        print(f"{different:6}  {label}")


def _device_tokens(folder: Path, texts: list[str]) -> tuple[Any, Any]:
    from export.clip import bytepairs, layout  # noqa: PLC0415 - with the frameworks it needs

    made: dict[Literal["none", "open_clip"], str] = {
        "none": layout.tokenizer(folder, FULL),
        "open_clip": bytepairs.tokenizer_json(FULL),
    }
    found = []
    for clean, content in made.items():
        path = folder / f"{clean}.json"
        path.write_text(content, "utf-8")
        spec = Text(
            file="text.onnx", sha256=UNKNOWN_SHA256, opset=20, precision="fp32", ids="input_ids",
            output="embedding", clean=clean, max_tokens=FULL, tokenizer_sha256=UNKNOWN_SHA256,
        )  # fmt: skip
        found.append(Tokens(path, spec, FULL)(texts)["input_ids"])
    return found[0], found[1]


def _to_end(ids: Any) -> list[tuple[int, ...]]:
    """Rows up to their end token: what is behind it is padding, which each framework does its own way."""
    end = 49407
    return [tuple(row[: row.index(end) + 1]) for row in ids.tolist()]


if __name__ == "__main__":
    main(sys.argv[1:])
