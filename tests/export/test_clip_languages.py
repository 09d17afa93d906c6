"""Multilingual text towers in the place of a model's own; random weights, small sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import clip_models
from edge.errors import ExportError
from edge.vision.manifest import Text
from export import frameworks
from export.clip.sentences import LANGUAGES
from tests.export import clip_check as check

pytestmark = [
    pytest.mark.export,
    pytest.mark.filterwarnings("ignore"),  # those of libraries that are not ours
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small CLIP's folder; its space has 32 dimensions."""
    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    clip_models.save_clip(folder)
    return str(folder)


def test_sentence_transformers_layout(tmp_path: Path, clip: str) -> None:
    """DistilBERT, the mean and a dense layer give what sentence-transformers gives."""
    library = pytest.importorskip("sentence_transformers")
    clip_models.save_sentences(tmp_path / "text")
    network = check.built(tmp_path / "out", model=clip, text_model=str(tmp_path / "text"))
    want = library.SentenceTransformer(str(tmp_path / "text"), device="cpu").encode(list(check.TEXTS))
    want = want / np.linalg.norm(want, axis=1, keepdims=True)
    np.testing.assert_allclose(check.texts(network, check.feed(network)), want, atol=1e-5)
    text = network.drafts["text"].section
    assert isinstance(text, Text)
    assert (text.max_tokens, text.mask, text.languages) == (24, "attention_mask", LANGUAGES)
    assert {"de", "en", "zh"} < set(text.languages)
    assert network.drafts["text"].difference < 1e-4
    assert network.origin.name == "tiny-clip-text"


def test_mclip_layout(tmp_path: Path, clip: str) -> None:
    """XLM-RoBERTa, the mean and a linear layer, without the base model's settings at hand."""
    torch = frameworks.imported("torch")
    encoder, projection = clip_models.save_mclip(tmp_path / "text")
    network = check.built(
        tmp_path / "out", model=clip, text_model=str(tmp_path / "text"), languages=("sv", "en")
    )
    inputs = check.feed(network)
    ids, mask = (torch.from_numpy(inputs[name]) for name in ("input_ids", "attention_mask"))
    # XLM-RoBERTa finds places by the padding's id, which for this toy tokenizer is 0, so they are given.
    places = torch.arange(2, 2 + ids.shape[1])[None].expand(len(ids), -1)
    with torch.no_grad():
        tokens = encoder(input_ids=ids, attention_mask=mask, position_ids=places).last_hidden_state
        want = projection((tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
    np.testing.assert_allclose(check.texts(network, inputs), check.unit(want), atol=1e-5)
    text = network.drafts["text"].section
    assert isinstance(text, Text)
    assert (text.max_tokens, text.languages) == (24, ("sv", "en"))


def test_other_dimensions_are_refused(tmp_path: Path, clip: str) -> None:
    """A text tower of another space is an error that says both sizes."""
    clip_models.save_sentences(tmp_path / "text", space=48)
    with pytest.raises(ExportError, match="images have 32 dimensions and texts 48"):
        check.built(tmp_path / "out", model=clip, text_model=str(tmp_path / "text"))


def test_folder_of_another_kind_is_refused(tmp_path: Path, clip: str) -> None:
    """A folder in neither layout says which ones are wanted."""
    with pytest.raises(ExportError, match="not a text tower"):
        check.built(tmp_path / "out", model=clip, text_model=clip)


@pytest.mark.parametrize(
    ("file", "change", "match"),
    [
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False}, "only the mean of tokens"),
        ("2_Dense/config.json", {"activation_function": "torch.nn.ReLU"}, "activation isn't supported"),
    ],
)
def test_other_poolings_and_activations_are_refused(
    tmp_path: Path, clip: str, file: str, change: dict[str, object], match: str
) -> None:
    """What the graph wouldn't compute as it was trained isn't exported."""
    clip_models.save_sentences(tmp_path / "text")
    path = tmp_path / "text" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ExportError, match=match):
        check.built(tmp_path / "out", model=clip, text_model=str(tmp_path / "text"))
