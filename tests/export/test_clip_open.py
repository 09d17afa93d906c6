"""Checkpoints of open_clip against open_clip itself; random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import clip_models
from benchmarks.clip_texts import texts as awkward_texts
from edge.errors import ExportError
from edge.vision.manifest import Text, Visual
from edge.vision.tokens import Tokens
from export import frameworks
from export.network import Network
from tests.export import clip_check as check

pytestmark = [
    pytest.mark.export,
    pytest.mark.filterwarnings("ignore"),  # those of libraries that are not ours
]
_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 2}
_VIT = {"image_size": 64, "layers": 2, "width": 64, "head_width": 16, "patch_size": 16}
_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "edge-vit": {"embed_dim": 32, "vision_cfg": _VIT, "text_cfg": _TEXT},
    "edge-quick": {"embed_dim": 32, "vision_cfg": _VIT, "text_cfg": _TEXT, "quick_gelu": True},
    "edge-both-ways": {
        "embed_dim": 32,
        "vision_cfg": {**_VIT, "pool_type": "avg"},
        "text_cfg": {**_TEXT, "no_causal_mask": True},
        "custom_text": True,
    },
    "edge-resnet": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
        "text_cfg": _TEXT,
    },
}


@pytest.fixture(scope="module", autouse=True)
def _architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    frameworks.prepare()
    folder = tmp_path_factory.mktemp("architectures")
    for name, config in _ARCHITECTURES.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    frameworks.imported("open_clip").add_model_config(folder)


def _exported(tmp_path: Path, architecture: str) -> tuple[Any, Network]:
    checkpoint = tmp_path / "weights.pt"
    model = clip_models.save_open_clip(checkpoint, architecture)
    return model, check.built(tmp_path / "out", open_clip=architecture, checkpoint=checkpoint)


def _agrees(model: Any, network: Network, colors: tuple[Any, Any]) -> None:
    torch = frameworks.imported("torch")
    visual = network.drafts["visual"].section
    assert isinstance(visual, Visual)
    samples = check.pixels(visual.input.width)
    with torch.no_grad():
        want = model.encode_image(torch.from_numpy(check.normalised(samples, *colors)))
        np.testing.assert_allclose(check.images(network, samples), check.unit(want), atol=2e-5)
        inputs = check.feed(network)
        ids = torch.from_numpy(inputs["input_ids"])
        want = model.encode_text(torch.nn.functional.pad(ids, (0, 77 - ids.shape[1])))
    np.testing.assert_allclose(check.texts(network, inputs), check.unit(want), atol=2e-5)
    assert all(draft.difference < 1e-4 for draft in network.drafts.values())


@pytest.mark.parametrize("architecture", list(_ARCHITECTURES))
def test_both_towers_agree_with_open_clip(tmp_path: Path, architecture: str) -> None:
    """Plain transformers are re-expressed, others traced; either way embeddings are the framework's."""
    open_clip = frameworks.imported("open_clip")
    model, network = _exported(tmp_path, architecture)
    _agrees(model, network, (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD))
    text = network.drafts["text"].section
    assert isinstance(text, Text)
    assert text.clean == "open_clip"


@pytest.mark.slow
def test_mobileclip_agrees_with_open_clip(tmp_path: Path) -> None:
    """MobileCLIP, whose images aren't normalised and whose convolutions stay in float where grouped."""
    model, network = _exported(tmp_path, "MobileCLIP-S1")
    _agrees(model, network, ((0, 0, 0), (1, 1, 1)))
    assert network.drafts["visual"].traits.left_out
    assert check.feed(network)["input_ids"].shape == (len(check.TEXTS), 77)


def test_tokens_are_those_of_open_clip(tmp_path: Path) -> None:
    """Mojibake, entities, end tokens spelt out, any script: the device's ids are open_clip's."""
    texts = awkward_texts()
    _, network = _exported(tmp_path, "edge-vit")
    section = network.drafts["text"].section
    assert isinstance(section, Text)
    assert network.tokenizer is not None
    ours = Tokens(network.tokenizer, section, 77)(texts)["input_ids"]
    theirs = frameworks.imported("open_clip").get_tokenizer("ViT-B-32")(texts).numpy()
    assert len(texts) == 1000
    np.testing.assert_array_equal(ours, theirs)


def test_text_side_from_elsewhere(tmp_path: Path) -> None:
    """An architecture's images go with a multilingual text side, whatever its own is."""
    clip_models.save_open_clip(tmp_path / "weights.pt", "edge-resnet")
    clip_models.save_sentences(tmp_path / "text")
    network = check.built(
        tmp_path / "out",
        open_clip="edge-resnet",
        checkpoint=tmp_path / "weights.pt",
        text_model=str(tmp_path / "text"),
        license="MIT",
    )
    text = network.drafts["text"].section
    assert isinstance(text, Text)
    assert (text.clean, text.mask) == ("none", "attention_mask")
    assert network.origin.license == "MIT"
    assert {source.name for source in network.origin.sources} == {"edge-resnet", "text"}


def test_unknown_architecture_names_those_like_it(tmp_path: Path) -> None:
    """A name that open_clip doesn't know is an error with close ones beside it."""
    (tmp_path / "weights.pt").write_bytes(b"x")
    with pytest.raises(ExportError, match=r"no such architecture: ViT-B-33 \(there are .*ViT-B-32"):
        check.built(tmp_path / "out", open_clip="ViT-B-33", checkpoint=tmp_path / "weights.pt")


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    """Weights that don't fit are an error with the first reason."""
    clip_models.save_open_clip(tmp_path / "weights.pt", "edge-vit")
    with pytest.raises(ExportError, match="weights aren't those of edge-resnet"):
        check.built(tmp_path / "out", open_clip="edge-resnet", checkpoint=tmp_path / "weights.pt")


def test_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    """Any other file is an error, and no code in it runs."""
    (tmp_path / "weights.pt").write_bytes(b"not weights at all")
    with pytest.raises(ExportError, match="weights aren't those of edge-vit"):
        check.built(tmp_path / "out", open_clip="edge-vit", checkpoint=tmp_path / "weights.pt")


def test_missing_checkpoint_is_named(tmp_path: Path) -> None:
    """A file that isn't there is an error with its name."""
    with pytest.raises(ExportError, match=r"no such checkpoint.*weights\.pt"):
        check.built(tmp_path / "out", open_clip="edge-vit", checkpoint=tmp_path / "weights.pt")


@pytest.mark.parametrize("architecture", ["ViT-B-16-SigLIP", "roberta-ViT-B-32", "coca_ViT-B-32"])
def test_text_sides_of_other_kinds_are_refused(tmp_path: Path, architecture: str) -> None:
    """What would get another tokenizer or another network than it was trained with isn't exported."""
    (tmp_path / "weights.pt").write_bytes(b"x")
    with pytest.raises(ExportError, match=r"text side|tokenizer"):
        check.built(tmp_path / "out", open_clip=architecture, checkpoint=tmp_path / "weights.pt")
