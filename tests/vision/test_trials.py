from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import BundleError
from edge.vision.manifest import MANIFEST, load_manifest, load_parts
from edge.vision.providers import CPU, CUDA, TENSORRT
from edge.vision.trials import Trial, differing, present, sound, try_all
from tests.vision import toy
from tests.vision.bench import Bench


def test_every_file_is_compared(bundle: Path) -> None:
    """All that differ are told, not only the first."""
    (bundle / "visual.onnx").unlink()
    with (bundle / "tokenizer.json").open("ab") as stream:
        stream.write(b" ")
    found = dict(differing(bundle, load_manifest(bundle)))
    assert set(found) == {"detector.onnx", "visual.onnx", "text.onnx", "tokenizer.json", "golden.npz"}
    assert {name: problem for name, problem in found.items() if problem} == {
        "visual.onnx": "file of the bundle can't be read",
        "tokenizer.json": "file differs from its manifest",
    }


def test_every_part_runs_on_every_provider(bundle: Path) -> None:
    """Also on those that a better one would keep from being used."""
    toy.save_manifest(bundle, visual={"precision": "int8 QDQ"})
    bench = Bench(tensorrt=None, cuda=np.zeros_like, cpu=None)
    trials = list(try_all(bundle, load_manifest(bundle), (TENSORRT, CUDA, CPU), runtime=bench))
    assert [(t.provider, t.part, t.outcome) for t in trials] == [
        (TENSORRT, "detector", "passed"), (TENSORRT, "visual", "unsuited"), (TENSORRT, "text", "passed"),
        (CUDA, "detector", "failed"), (CUDA, "visual", "failed"), (CUDA, "text", "failed"),
        (CPU, "detector", "passed"), (CPU, "visual", "passed"), (CPU, "text", "passed"),
    ]  # fmt: skip
    assert all((t.cosine is not None) == (t.outcome == "passed") == (not t.reason) for t in trials)


def test_parts_of_a_bundle_are_tried_alone(bundle: Path) -> None:
    """A folder with only a detector has one trial."""
    manifest = load_parts(bundle).model_copy(update={"visual": None, "text": None})
    assert [t.part for t in try_all(bundle, manifest, (CPU,))] == ["detector"]


def test_damaged_golden_samples_are_the_bundles_fault(bundle: Path) -> None:
    """No provider is blamed for them."""
    (bundle / "golden.npz").write_bytes(b"")
    with pytest.raises(BundleError):
        list(try_all(bundle, load_manifest(bundle), (CPU,)))
    assert (bundle / MANIFEST).is_file()


def test_providers_that_are_here() -> None:
    """The configured order first; those that the settings leave out are tried too, what isn't known isn't."""
    bench = Bench(tensorrt=None, cuda=None, cpu=None)
    assert present((CPU, "OpenVINOExecutionProvider"), bench) == [CPU, TENSORRT, CUDA]


def _trial(provider: str, part: str, outcome: str) -> Trial:
    return Trial(provider, part, "x.onnx", outcome)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failed", "good"),
    [
        ([], True),
        ([(CUDA, "visual"), (CUDA, "text")], True),
        ([(CPU, "visual"), (CUDA, "detector")], False),
        ([(CPU, "text")], False),
    ],
)
def test_one_provider_has_to_get_images_right_and_the_cpu_texts(
    failed: list[tuple[str, str]], good: bool
) -> None:
    """A GPU that fails is bad luck; when nothing is left that sees, the bundle can't be used."""
    trials = [
        _trial(provider, part, "failed" if (provider, part) in failed else "passed")
        for provider in (CUDA, CPU)
        for part in ("detector", "visual", "text")
    ]
    assert sound(trials) is good


def test_nothing_tried_is_not_sound() -> None:
    """Without a provider there is nobody to see."""
    assert not sound([])
