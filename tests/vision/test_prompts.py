from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import DiskFullError, VisionError
from edge.vision.labels import Label, LabelSet
from edge.vision.prompts import cached_label_vectors, label_vectors

LABELS = LabelSet(
    name="x",
    labels=(
        Label(label="A", prompts=("x", "y")),
        Label(label="B", prompts=("y",)),
        Label(label="C", prompts=("z",)),
    ),
)
PLACES = {"x": [3, 0, 0], "y": [0, 4, 0], "z": [0, 0, 1]}


class _Texts:
    """Embeds texts by a table, and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.calls.append(list(texts))
        return np.array([PLACES[text] for text in texts], np.float32)


def test_label_is_the_mean_of_its_prompts_directions() -> None:
    """Each prompt weighs the same, however long its vector; the mean has length 1."""
    vectors = label_vectors(LABELS, _Texts())
    half = np.sqrt(0.5)
    np.testing.assert_allclose(vectors, [[half, half, 0], [0, 1, 0], [0, 0, 1]], rtol=1e-6)


def test_shared_prompt_is_embedded_once() -> None:
    """A prompt of two labels costs one run."""
    texts = _Texts()
    label_vectors(LABELS, texts)
    assert sorted(texts.calls[0]) == ["x", "y", "z"]


def test_second_time_comes_from_disk(tmp_path: Path) -> None:
    """The same bundle and set don't need the text model again."""
    texts = _Texts()
    first = cached_label_vectors(LABELS, "b" * 64, tmp_path / "new", texts)
    second = cached_label_vectors(LABELS, "b" * 64, tmp_path / "new", texts)
    assert len(texts.calls) == 1
    np.testing.assert_array_equal(first, second)
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".npz"]


def test_other_bundle_or_set_is_computed_anew(tmp_path: Path) -> None:
    """Neither another bundle nor another prompt finds what was kept."""
    texts = _Texts()
    cached_label_vectors(LABELS, "b" * 64, tmp_path, texts)
    cached_label_vectors(LABELS, "c" * 64, tmp_path, texts)
    other = LabelSet(name="x", labels=(*LABELS.labels[:2], Label(label="C", prompts=("x",))))
    cached_label_vectors(other, "b" * 64, tmp_path, texts)
    assert len(texts.calls) == 3


def test_same_short_name_of_another_bundle_is_not_believed(tmp_path: Path) -> None:
    """The whole hash is compared, not only the part in the file's name."""
    texts = _Texts()
    cached_label_vectors(LABELS, "b" * 16 + "0" * 48, tmp_path, texts)
    cached_label_vectors(LABELS, "b" * 16 + "1" * 48, tmp_path, texts)
    assert len(texts.calls) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "nan"])
def test_damaged_cache_is_computed_anew(tmp_path: Path, damage: str) -> None:
    """A cache that can't be read is replaced, and the next start finds it whole."""
    texts = _Texts()
    right = cached_label_vectors(LABELS, "b" * 64, tmp_path, texts)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    if damage == "nan":
        with np.load(path) as content:
            np.savez(path, key=content["key"], vectors=content["vectors"] * np.nan)
    else:
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "noise": b"noise" * 99}[damage])
    np.testing.assert_array_equal(cached_label_vectors(LABELS, "b" * 64, tmp_path, texts), right)
    cached_label_vectors(LABELS, "b" * 64, tmp_path, texts)
    assert len(texts.calls) == 2


def test_cache_on_a_full_disk_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that the disk is full, for who waits for space; nothing is left behind."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        with pytest.raises(DiskFullError, match="embeddings of the labels"):
            cached_label_vectors(LABELS, "b" * 64, tmp_path, _Texts())
    assert list(tmp_path.iterdir()) == []
    assert len(cached_label_vectors(LABELS, "b" * 64, tmp_path, _Texts())) == len(LABELS.labels)


def test_unwritable_cache_is_an_error(tmp_path: Path) -> None:
    """A folder that can't be made is named."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VisionError, match="file"):
        cached_label_vectors(LABELS, "b" * 64, tmp_path / "file", _Texts())
