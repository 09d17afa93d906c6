"""CLIP in transformers' layout, and SigLIP, against transformers itself; random weights, small sizes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import clip_models
from benchmarks.clip_texts import texts as awkward_texts
from edge.errors import ExportError, UsageError
from edge.vision.manifest import Text, Visual
from edge.vision.preprocess import Preprocessor, allocate
from edge.vision.tokens import Tokens
from export import calibration, frameworks
from export.clip import hub, towers
from export.network import Network
from tests.export import clip_check as check

pytestmark = [
    pytest.mark.export,
    pytest.mark.filterwarnings("ignore"),  # those of libraries that are not ours
    pytest.mark.usefixtures("no_hub"),
]


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be fetched."""
    frameworks.prepare()
    frameworks.imported("huggingface_hub.constants")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small CLIP and its folder."""
    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    return clip_models.save_clip(folder), folder


@pytest.fixture(scope="module")
def network(clip: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The small CLIP, exported."""
    return check.built(tmp_path_factory.mktemp("out") / "clip", model=str(clip[1]))


def _agrees(model: Any, network: Network, size: int, colors: tuple[Any, Any]) -> None:
    torch = frameworks.imported("torch")
    samples = check.pixels(size)
    want = model.get_image_features(torch.from_numpy(check.normalised(samples, *colors)))
    np.testing.assert_allclose(check.images(network, samples), check.unit(want), atol=1e-5)
    inputs = check.feed(network)
    want = model.get_text_features(torch.from_numpy(inputs["input_ids"]))
    np.testing.assert_allclose(check.texts(network, inputs), check.unit(want), atol=1e-5)


def _colors(folder: Path) -> tuple[Any, Any]:
    config = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
    return config["image_mean"], config["image_std"]


@pytest.mark.parametrize(("act", "end"), [("quick_gelu", 49407), ("gelu", 2), ("gelu_pytorch_tanh", 49407)])
def test_both_towers_agree_with_transformers(tmp_path: Path, act: str, end: int) -> None:
    """Photos and texts have the framework's embeddings, whatever the activation and the end token's rule."""
    model = clip_models.save_clip(tmp_path / "model", act=act, end=end)
    network = check.built(tmp_path / "out", model=str(tmp_path / "model"))
    _agrees(model, network, 64, _colors(tmp_path / "model"))
    assert all(draft.difference < 1e-4 for draft in network.drafts.values())


@pytest.mark.slow
def test_true_vit_b32_agrees_with_transformers(tmp_path: Path) -> None:
    """At its true size ViT-B/32 is within 1e-4 of the framework, both towers."""
    model = clip_models.save_clip(tmp_path / "model", clip_models.B32)
    network = check.built(tmp_path / "out", model=str(tmp_path / "model"))
    _agrees(model, network, 224, _colors(tmp_path / "model"))
    assert all(draft.difference < 1e-4 for draft in network.drafts.values())


def test_siglip_agrees_with_transformers(tmp_path: Path) -> None:
    """Attention pooling, images without a class token, texts of one length that read the last token."""
    model = clip_models.save_siglip(tmp_path / "model")
    network = check.built(tmp_path / "out", model=str(tmp_path / "model"))
    assert check.feed(network)["input_ids"].shape == (len(check.TEXTS), 16)
    _agrees(model, network, 64, _colors(tmp_path / "model"))
    visual = network.drafts["visual"].section
    assert isinstance(visual, Visual)
    assert visual.input.resize == "stretch"


def test_sections_say_what_the_device_needs(clip: tuple[Any, Path], network: Network) -> None:
    """Scale, dimension, preprocessing, languages and the longest text come from the model."""
    visual, text = network.drafts["visual"].section, network.drafts["text"].section
    assert isinstance(visual, Visual)
    assert isinstance(text, Text)
    assert visual.logit_scale == pytest.approx(float(clip[0].logit_scale.exp()))
    assert (visual.dimension, visual.input.width, visual.input.resize) == (32, 64, "crop")
    assert (text.max_tokens, text.mask, text.languages, text.clean) == (77, None, ("en",), "none")
    assert network.origin.name == "tiny-clip"
    assert [source.file for source in network.origin.sources] == ["model.safetensors"]


def test_scale_is_cut_where_training_cuts_it(tmp_path: Path) -> None:
    """CLIP's scale never counts as more than 100."""
    model = clip_models.save_clip(tmp_path / "model")
    model.logit_scale.data.fill_(9.0)
    model.save_pretrained(tmp_path / "model")
    visual = check.built(tmp_path / "out", model=str(tmp_path / "model")).drafts["visual"].section
    assert isinstance(visual, Visual)
    assert visual.logit_scale == 100


def test_longer_neighbours_change_nothing(network: Network) -> None:
    """A text in a batch with longer ones has the embedding that it has alone."""
    together = check.texts(network, check.feed(network))
    alone = check.texts(network, check.feed(network, check.TEXTS[1:2]))
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)


def test_tokens_are_those_of_transformers(clip: tuple[Any, Path], network: Network) -> None:
    """Empty, very long, broken, in any script: the device's ids are the framework's, to the end token."""
    own = frameworks.imported("transformers").AutoTokenizer.from_pretrained(clip[1], local_files_only=True)
    texts = awkward_texts()
    section = network.drafts["text"].section
    assert isinstance(section, Text)
    assert network.tokenizer is not None
    ours = Tokens(network.tokenizer, section, 77)(texts)["input_ids"]
    theirs = own(texts, padding="max_length", truncation=True, max_length=77, return_tensors="np")
    assert len(texts) == 1000
    np.testing.assert_array_equal(ours, theirs["input_ids"])
    assert (ours == 49407).any(axis=1).all()


def test_pixels_are_near_those_of_transformers(network: Network) -> None:
    """The device's resize and crop differ from the framework's by a grey level or so."""
    transformers = frameworks.imported("transformers")
    visual = network.drafts["visual"].section
    assert isinstance(visual, Visual)
    spec = visual.input.model_copy(update={"width": 224, "height": 224})
    processor = transformers.CLIPImageProcessor(do_normalize=False, do_rescale=False)
    for photo in calibration.photos(calibration.PHOTOS):
        ours = allocate(spec)[0]
        Preprocessor(spec)(photo, ours)
        theirs = np.asarray(processor(images=photo, return_tensors="np")["pixel_values"][0])
        assert np.abs(ours.astype(float) - theirs.transpose(1, 2, 0)).mean() < 1.5


def test_missing_weights_are_refused(clip: tuple[Any, Path], tmp_path: Path) -> None:
    """A model some of whose weights would be left to chance isn't exported."""
    safetensors = frameworks.imported("safetensors.torch")
    folder = _copy(clip[1], tmp_path / "model")
    tensors = safetensors.load_file(folder / "model.safetensors")
    del tensors["visual_projection.weight"]
    safetensors.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExportError, match=r"1 weights are missing.*visual_projection"):
        check.built(tmp_path / "out", model=str(folder))


def test_damaged_weights_are_refused(clip: tuple[Any, Path], tmp_path: Path) -> None:
    """Weights cut short are an error with the folder's name."""
    folder = _copy(clip[1], tmp_path / "model")
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ExportError, match="model can't be read"):
        check.built(tmp_path / "out", model=str(folder))


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("model.safetensors", "folder has no weights"),
        ("config.json", r"folder has no config\.json"),
        ("preprocessor_config.json", r"folder has no preprocessor_config\.json"),
    ],
)
def test_missing_files_are_named(clip: tuple[Any, Path], tmp_path: Path, name: str, match: str) -> None:
    """What a folder lacks is said by name."""
    folder = _copy(clip[1], tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ExportError, match=match):
        check.built(tmp_path / "out", model=str(folder))


def test_other_models_are_refused(clip: tuple[Any, Path], tmp_path: Path) -> None:
    """A folder with a model of another type says so."""
    folder = _copy(clip[1], tmp_path / "model")
    (folder / "config.json").write_text('{"model_type": "resnet"}')
    with pytest.raises(ExportError, match="models of type resnet aren't supported"):
        check.built(tmp_path / "out", model=str(folder))


def test_other_image_sizes_are_refused(clip: tuple[Any, Path], tmp_path: Path) -> None:
    """An image processor for another size than the network's is an error, not a quiet resize."""
    folder = _copy(clip[1], tmp_path / "model")
    config = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(config | {"size": {"shortest_edge": 72}}))
    with pytest.raises(ExportError, match="makes other images than the model's 64 x 64"):
        check.built(tmp_path / "out", model=str(folder))


def test_missing_folder_is_an_export_error(tmp_path: Path) -> None:
    """A path that isn't there doesn't become a name on the hub."""
    with pytest.raises(ExportError, match="no such folder"):
        hub.find(str(tmp_path / "nothing"), check.quiet)


def test_unreachable_hub_is_an_export_error() -> None:
    """Without a network a name on the hub ends in one sentence with a way out."""
    with pytest.raises(ExportError, match=r"hub can't be reached.*give its folder"):
        hub.find("nobody/no-such-model-for-edge", check.quiet)


@pytest.mark.parametrize(
    ("name", "match"), [("GatedRepoError", "accepted"), ("RepositoryNotFoundError", "no such model")]
)
def test_refusals_of_the_hub_are_told_apart(monkeypatch: pytest.MonkeyPatch, name: str, match: str) -> None:
    """A model behind terms and one that doesn't exist are different errors."""
    errors = frameworks.imported("huggingface_hub.errors")
    response = frameworks.imported("requests").Response()

    def refuse(*_: Any, **__: Any) -> None:
        raise getattr(errors, name)("refused", response=response)

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ExportError, match=match):
        hub.find("somebody/something", check.quiet)


@pytest.mark.parametrize("options", [{}, {"model": "a", "open_clip": "b"}, {"open_clip": "b"}])
def test_one_model_is_wanted(tmp_path: Path, options: dict[str, str]) -> None:
    """No model, two, or half of one is a usage error."""
    with pytest.raises(UsageError):
        check.built(tmp_path / "out", **options)


def test_license_and_languages_can_be_given(clip: tuple[Any, Path], tmp_path: Path) -> None:
    """What the folder doesn't say can be said; a model card's licence is read."""
    folder = _copy(clip[1], tmp_path / "model")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    assert hub.declared_license(folder) == "Apache-2.0"
    network = check.built(
        tmp_path / "out", model=str(folder), license="MIT", languages=("de", "en"), name="x"
    )
    text = network.drafts["text"].section
    assert isinstance(text, Text)
    assert (network.origin.license, network.origin.name, text.languages) == ("MIT", "x", ("de", "en"))


def test_size_of_a_tower_is_known_beforehand() -> None:
    """A tower beyond what one file holds is found by counting, not by running out."""
    norm = towers.Norm(np.zeros(8, np.float32), np.zeros(8, np.float32), 1e-5)
    assert towers.size(norm) == 64
    wide = dataclasses.replace(norm, weight=np.broadcast_to(np.float32(0), 2**29))
    assert towers.size((wide, norm)) > towers.LARGEST


def _copy(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target
