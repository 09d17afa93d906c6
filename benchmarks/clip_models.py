"""Models with random weights in the layouts that the exporter reads, made from configurations alone."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export import frameworks


@dataclass(frozen=True)
class Sizes:
    """Of a CLIP: image and patch in pixels; width, layers and heads of both sides; the shared space."""

    image: int = 64
    patch: int = 16
    vision: tuple[int, int, int] = (64, 2, 4)
    text: tuple[int, int, int] = (64, 2, 4)
    space: int = 32


TINY = Sizes()
B32 = Sizes(224, 32, (768, 12, 12), (512, 12, 8), 512)
L14 = Sizes(224, 14, (1024, 24, 16), (768, 12, 12), 768)


def save_clip(folder: Path, sizes: Sizes = TINY, *, act: str = "quick_gelu", end: int = 49407) -> Any:
    """A CLIP in transformers' layout; returns the model, in evaluation mode."""
    transformers, torch = _libraries()
    vision, text = sizes.vision, sizes.text
    config = transformers.CLIPConfig(
        vision_config={
            "image_size": sizes.image, "patch_size": sizes.patch, "hidden_size": vision[0],
            "intermediate_size": 4 * vision[0], "num_hidden_layers": vision[1],
            "num_attention_heads": vision[2], "projection_dim": sizes.space, "hidden_act": act,
        },
        text_config={
            "hidden_size": text[0], "intermediate_size": 4 * text[0], "num_hidden_layers": text[1],
            "num_attention_heads": text[2], "projection_dim": sizes.space, "hidden_act": act,
            "eos_token_id": end, "bos_token_id": 49406, "pad_token_id": 1, "vocab_size": 49408,
        },
        projection_dim=sizes.space,
    )  # fmt: skip
    torch.manual_seed(7)
    model = shaken(transformers.CLIPModel(config))
    model.save_pretrained(folder)
    save_clip_tokenizer(folder)
    transformers.CLIPImageProcessor(
        size={"shortest_edge": sizes.image}, crop_size={"height": sizes.image, "width": sizes.image}
    ).save_pretrained(folder)
    return model.eval()


def shaken(model: Any) -> Any:
    """Biases and normalisations moved off their zeros and ones, so that leaving one out shows."""
    _, torch = _libraries()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def save_clip_tokenizer(folder: Path) -> None:
    """The tokenizer that OpenAI's models have in transformers' layout, from the vocabulary in open_clip."""
    transformers, _ = _libraries()
    package = frameworks.imported("open_clip.tokenizer")
    with gzip.open(package.default_bpe(), "rt", encoding="utf-8") as stream:
        merges = stream.read().split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(package.bytes_to_unicode().values())
    joined = ["".join(merge.split()) for merge in merges]
    words = [*letters, *(f"{x}</w>" for x in letters), *joined, "<|startoftext|>", "<|endoftext|>"]
    ids = {word: number for number, word in enumerate(words)}
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "vocab.json").write_text(json.dumps(ids), "utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")
    transformers.CLIPTokenizerFast(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    ).save_pretrained(folder)


def _libraries() -> tuple[Any, Any]:
    frameworks.prepare()
    return frameworks.imported("transformers"), frameworks.imported("torch")


def save_siglip(folder: Path, size: int = 64) -> Any:
    """A small SigLIP in transformers' layout, with CLIP's words for a tokenizer that pads to 64."""
    transformers, torch = _libraries()
    side = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.SiglipConfig(
        vision_config={**side, "image_size": size, "patch_size": 16},
        text_config={**side, "vocab_size": 49408, "max_position_embeddings": 16, "projection_size": 64},
    )
    torch.manual_seed(8)
    model = shaken(transformers.SiglipModel(config))
    model.save_pretrained(folder)
    save_clip_tokenizer(folder)
    transformers.SiglipImageProcessor(size={"height": size, "width": size}).save_pretrained(folder)
    return model.eval()


def save_words(folder: Path) -> None:
    """A WordPiece tokenizer of single letters, in BERT's layout."""
    transformers, _ = _libraries()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    transformers.DistilBertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(
        folder
    )


def save_sentences(folder: Path, space: int = 32) -> None:
    """A multilingual text tower in sentence-transformers' layout: DistilBERT, mean, dense."""
    transformers, torch = _libraries()
    safetensors = frameworks.imported("safetensors.torch")
    config = transformers.DistilBertConfig(vocab_size=64, dim=48, n_layers=2, n_heads=4, hidden_dim=96)
    torch.manual_seed(9)
    shaken(transformers.DistilBertModel(config)).save_pretrained(folder)
    save_words(folder)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(modules)
    ]
    _write(folder / "modules.json", listed)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    _write(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": 48, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
    )
    settings = {"in_features": 48, "out_features": space, "bias": True}
    _write(
        folder / "2_Dense" / "config.json",
        {**settings, "activation_function": "torch.nn.modules.activation.Tanh"},
    )
    dense = {"linear.weight": torch.randn(space, 48), "linear.bias": torch.randn(space)}
    safetensors.save_file(dense, folder / "2_Dense" / "model.safetensors")


def save_mclip(folder: Path, space: int = 32) -> tuple[Any, Any]:
    """A text tower in M-CLIP's layout; returns its encoder and its projection."""
    transformers, torch = _libraries()
    config = transformers.XLMRobertaConfig(
        vocab_size=64, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96,
        max_position_embeddings=26, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5,
    )  # fmt: skip
    torch.manual_seed(10)
    encoder = shaken(transformers.XLMRobertaModel(config, add_pooling_layer=False)).eval()
    projection = torch.nn.Linear(128, space)
    save_words(folder)
    state = {f"transformer.{name}": tensor for name, tensor in encoder.state_dict().items()}
    state |= {f"LinearTransformation.{name}": tensor for name, tensor in projection.state_dict().items()}
    torch.save(state, folder / "pytorch_model.bin")
    described = {"model_type": "M-CLIP", "modelBase": "xlm-roberta-large", "numDims": space}
    _write(folder / "config.json", described | {"transformerDimensions": 128})
    return encoder, projection


def save_open_clip(path: Path, architecture: str) -> Any:
    """A checkpoint of open_clip with random weights; returns the model, in evaluation mode."""
    _, torch = _libraries()
    open_clip = frameworks.imported("open_clip")
    torch.manual_seed(11)
    model = shaken(open_clip.create_model(architecture, pretrained=None))
    torch.save(model.state_dict(), path)
    return model.eval()


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps(content), "utf-8")
