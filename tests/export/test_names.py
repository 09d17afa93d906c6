from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from export.names import PROMPT, ClassName, Vectors, convex_combination, embed_names, read_names, unit


def test_there_are_1000_classes_in_the_classifiers_order() -> None:
    """Outputs of ImageNet classifiers are sorted by synset; every class has a name of its own."""
    names = read_names()
    synsets = [name.synset for name in names]
    assert len(names) == 1000
    assert synsets == sorted(synsets)
    assert len({name.name for name in names}) == 1000


def test_every_vertebrate_has_a_kind() -> None:
    """The first 398 classes are animals, and each says what kind of animal it is."""
    names = read_names()
    assert all(name.kinds for name in names[:398])
    assert [names[i].name for i in (290, 294, 352)] == ["jaguar", "brown bear", "impala"]


def _axes(texts: Sequence[str]) -> Vectors:
    """A text space with an axis for each word."""
    words = ["jaguar", "leopard", "cat", "spoon"]
    rows = [np.array([float(PROMPT.format(word) == text) + 1e-6 for word in words]) for text in texts]
    return np.stack([unit(row) for row in rows]).astype(np.float32)


def test_a_kind_pulls_a_name_but_does_not_drown_it() -> None:
    """Below a half, the kind leaves the name nearest, and brings classes of a kind nearer together."""
    classes = [
        ClassName("a", "jaguar", ("cat",)),
        ClassName("b", "leopard", ("cat",)),
        ClassName("c", "spoon", ()),
    ]
    rows = embed_names(classes, _axes, kind_weight=0.3)
    jaguar, cat = _axes([PROMPT.format("jaguar"), PROMPT.format("cat")])
    assert rows[0] @ jaguar > rows[0] @ cat > 0.3
    assert rows[0] @ rows[1] > 0.1 > rows[0] @ rows[2]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_a_certain_classifier_gives_the_class_itself() -> None:
    """With all probability on one class the combination is that class's vector."""
    rows = np.eye(5)
    logits = np.full((1, 5), -50.0)
    logits[0, 3] = 50
    np.testing.assert_allclose(convex_combination(logits, rows)[0], rows[3], atol=1e-9)


def test_only_the_likeliest_classes_take_part() -> None:
    """Beyond the top few, classes have no say."""
    mixed = convex_combination(np.array([[2.0, 1.0, 0.0]]), np.eye(3), top=2)
    assert mixed[0, 2] == 0
    assert mixed[0, 0] / mixed[0, 1] == pytest.approx(np.e)
