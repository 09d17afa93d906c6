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
