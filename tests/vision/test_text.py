from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import BundleError
from edge.vision.manifest import load_manifest
from edge.vision.queries import Texts
from edge.vision.text import TextTower, unit
from tests.vision import toy


def test_embeds_words(bundle: Path) -> None:
    """Texts become unit vectors in the order given."""
    vectors = TextTower(bundle, load_manifest(bundle)).embed(["red", "blue", "red green"])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(vectors, [[1, 0, 0], [0, 0, 1], [half, half, 0]], atol=1e-6)


def test_padding_changes_nothing(bundle: Path) -> None:
    """A short text beside a long one has the vector that it has alone."""
    tower = TextTower(bundle, load_manifest(bundle))
    together = tower.embed(["red", "green green green green green blue"])
    np.testing.assert_allclose(together[:1], tower.embed(["red"]), atol=1e-6)


def test_more_texts_than_one_run_takes(bundle: Path) -> None:
    """Many texts keep their order through several runs."""
    words = ["red", "green", "blue"] * 40
    vectors = TextTower(bundle, load_manifest(bundle)).embed(words)
    assert vectors.argmax(1).tolist() == [0, 1, 2] * 40


def test_long_text_is_cut(bundle: Path) -> None:
    """A text beyond the model's length is cut, not refused."""
    vectors = TextTower(bundle, load_manifest(bundle)).embed(["red " * 16 + "blue " * 100])
    np.testing.assert_allclose(vectors, [[1, 0, 0]], atol=1e-6)


def test_no_texts(bundle: Path) -> None:
    """Nothing in, nothing out."""
    assert TextTower(bundle, load_manifest(bundle)).embed([]).shape == (0, 3)


@pytest.mark.parametrize("name", ["text.onnx", "tokenizer.json"])
def test_flipped_byte_is_a_bundle_error(bundle: Path, name: str) -> None:
    """A damaged text model or tokenizer is found before it is used."""
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match="differs from its manifest"):
        TextTower(bundle, load_manifest(bundle))


def test_other_dimension_is_a_bundle_error(bundle: Path) -> None:
    """A text model of another space is noticed at its first text."""
    toy.save_manifest(bundle, visual={"dimension": 4})
    with pytest.raises(BundleError, match="the manifest says 4"):
        TextTower(bundle, load_manifest(bundle)).embed(["red"])


def test_model_is_opened_once_and_let_go(bundle: Path) -> None:
    """Texts share one model until it is released; the next text opens it again."""
    texts = Texts(bundle, load_manifest(bundle), 1)
    assert texts._tower is None
    texts.embed(["red"])
    first = texts._tower
    texts.embed(["blue"])
    assert texts._tower is first
    texts.release()
    assert texts._tower is None
    assert texts.embed(["green"]).argmax() == 1


def test_wrong_text_model_fails_its_self_test(bundle: Path) -> None:
    """A text model that differs from its golden samples is the bundle's fault."""
    with np.load(bundle / "golden.npz") as content:
        arrays = {name: content[name] for name in content}
    arrays["text.output.embedding"] = arrays["text.output.embedding"][:, ::-1]
    np.savez(bundle / "golden.npz", **arrays)
    toy.save_manifest(bundle)
    with pytest.raises(BundleError, match="self-test"):
        Texts(bundle, load_manifest(bundle), 1).embed(["red"])


def test_unit_leaves_zeros_alone() -> None:
    """A vector without direction stays what it is, without warnings."""
    np.testing.assert_array_equal(unit(np.zeros((1, 3), np.float32)), [[0, 0, 0]])
