"""Multilingual text towers trained towards CLIP's images: sentence-transformers' layout, and M-CLIP's.

Both are an encoder of BERT's kind, the mean of its tokens, and a projection into the space of a CLIP
(Reimers and Gurevych, 2020; Carlsson et al., 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.errors import ExportError
from export import frameworks
from export.clip import hub, layout
from export.clip.numbers import Numbers
from export.clip.sides import TextSide
from export.clip.towers import Encoder, Linear, Sentence

LANGUAGES: Final = (
    "ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "gl", "gu", "he", "hi",
    "hr", "hu", "hy", "id", "it", "ja", "ka", "ko", "ku", "lt", "lv", "mk", "mn", "mr", "ms", "my", "nb",
    "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "th", "tr", "uk", "ur", "vi", "zh",
)  # fmt: skip
"""What sentence-transformers' multilingual models were distilled for."""
_BERT: Final = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "out": "attention.output.dense", "first": "attention.output.LayerNorm",
    "wide": "intermediate.dense", "narrow": "output.dense", "second": "output.LayerNorm",
}  # fmt: skip
_DISTIL: Final = {
    "query": "attention.q_lin", "key": "attention.k_lin", "value": "attention.v_lin",
    "out": "attention.out_lin", "first": "sa_layer_norm",
    "wide": "ffn.lin1", "narrow": "ffn.lin2", "second": "output_layer_norm",
}  # fmt: skip
_ROBERTA: Final = ("roberta", "xlm-roberta", "camembert")
KINDS: Final = ("distilbert", "bert", *_ROBERTA)


@dataclass(frozen=True)
class _Parts:
    """An encoder with what comes behind its mean."""

    module: Any
    heads: tuple[tuple[Linear, bool], ...]
    most: int


def load(folder: Path, languages: tuple[str, ...]) -> TextSide:
    """A text side.

    Args:
        folder: with ``modules.json`` (sentence-transformers) or a ``config.json`` of type ``M-CLIP``.
        languages: that it was trained for; empty for :data:`LANGUAGES`.

    Raises:
        ExportError: it is neither, or something is missing or doesn't fit.
    """
    if (folder / "modules.json").is_file():
        parts = _sentence_transformers(folder)
        home = next((path for path in (folder, folder / "0_Transformer") if _has_tokenizer(path)), folder)
    elif layout.read_json(folder / "config.json").get("model_type") == "M-CLIP":
        parts, home = _mclip(folder), folder
    else:
        raise ExportError(
            "not a text tower that can take CLIP's place", subject=str(folder),
            hint="sentence-transformers' layout (modules.json) or M-CLIP's is wanted",
        )  # fmt: skip
    tower = _tower(parts, folder)
    torch = frameworks.imported("torch")
    most = min(parts.most, len(tower.positions))
    return TextSide(
        module=_Mean(torch, parts.module, parts.heads),
        tower=tower,
        tokenizer=layout.tokenizer(home, most),
        max_tokens=most,
        length=None,
        masked=True,
        clean="none",
        dimension=(parts.heads[-1][0].weight if parts.heads else tower.words).shape[1],
        languages=languages or LANGUAGES,
    )


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json"))


def _sentence_transformers(folder: Path) -> _Parts:
    """Transformer, mean pooling, any number of dense layers; a normalisation at the end is ours anyway."""
    modules = layout.read_json_list(folder / "modules.json")
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    paths = [folder / str(module.get("path", "")) for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Dense", "Normalize"}:
        raise ExportError("these modules aren't supported", subject=str(folder), hint=", ".join(kinds))
    pooling = layout.read_json(paths[1] / "config.json")
    if not pooling.get("pooling_mode_mean_tokens") and pooling.get("pooling_mode") != "mean":
        raise ExportError("only the mean of tokens is supported as pooling", subject=str(paths[1]))
    heads = tuple(_dense(path) for kind, path in zip(kinds, paths, strict=True) if kind == "Dense")
    settings = paths[0] / "sentence_bert_config.json"
    most = layout.read_json(settings).get("max_seq_length") if settings.is_file() else None
    return _Parts(layout.pretrained("AutoModel", paths[0]), heads, most or 10**6)


def _dense(folder: Path) -> tuple[Linear, bool]:
    activation = str(layout.read_json(folder / "config.json").get("activation_function", ""))
    squashed = activation.endswith("Tanh")
    if not squashed and not activation.endswith("Identity"):
        raise ExportError("activation isn't supported", subject=str(folder), hint=activation)
    return Numbers(hub.tensors_of(folder)).linear("linear"), squashed


def _mclip(folder: Path) -> _Parts:
    """M-CLIP keeps its encoder's weights below ``transformer.`` and its settings at the base model's name.

    Those settings are read off the weights, so that the base model isn't needed.
    """
    base = str(layout.read_json(folder / "config.json").get("modelBase", ""))
    if "xlm-roberta" not in base.lower():
        raise ExportError(
            "this base model isn't supported", subject=base or str(folder), hint="XLM-RoBERTa is"
        )
    tensors = hub.tensors_of(folder)
    own = {
        name.removeprefix("transformer."): t for name, t in tensors.items() if name.startswith("transformer.")
    }
    numbers = Numbers(tensors)
    if "embeddings.word_embeddings.weight" not in own or not numbers.has("LinearTransformation.weight"):
        raise ExportError("weights aren't M-CLIP's", subject=str(folder))
    transformers = frameworks.imported("transformers")
    module = transformers.XLMRobertaModel(_xlm_config(transformers, own), add_pooling_layer=False)
    with layout.readable(folder, "model"):
        missing = module.load_state_dict(own, strict=False).missing_keys
    layout.complete(folder, [name for name in missing if "position_ids" not in name])
    return _Parts(module.eval(), ((numbers.linear("LinearTransformation"), False),), 10**6)


def _xlm_config(transformers: Any, own: dict[str, Any]) -> Any:
    words, width = own["embeddings.word_embeddings.weight"].shape
    layers = {name.split(".")[2] for name in own if name.startswith("encoder.layer.")}
    return transformers.XLMRobertaConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, width // 64),  # so in every XLM-RoBERTa
        intermediate_size=len(own["encoder.layer.0.intermediate.dense.weight"]),
        max_position_embeddings=len(own["embeddings.position_embeddings.weight"]),
        type_vocab_size=len(own["embeddings.token_type_embeddings.weight"]),
        layer_norm_eps=1e-5,
    )


def _tower(parts: _Parts, folder: Path) -> Sentence:
    config = parts.module.config
    if config.model_type not in KINDS:
        raise ExportError(
            "encoder of this type isn't supported", subject=str(folder), hint=str(config.model_type)
        )
    numbers = Numbers(parts.module.state_dict())
    distil = config.model_type == "distilbert"
    epsilon = 1e-12 if distil else config.layer_norm_eps
    return Sentence(
        words=numbers.array("embeddings.word_embeddings.weight"),
        positions=_positions(numbers, config),
        before=numbers.norm("embeddings.LayerNorm", epsilon),
        encoder=_encoder(numbers, config, epsilon),
        heads=parts.heads,
    )


def _positions(numbers: Numbers, config: Any) -> Any:
    """Position embeddings from the first token on, the (only ever) first segment's added.

    RoBERTa and its kin count from behind the padding's id.
    """
    table = numbers.array("embeddings.position_embeddings.weight")
    first = config.pad_token_id + 1 if config.model_type in _ROBERTA else 0
    segment = numbers.maybe("embeddings.token_type_embeddings.weight")
    kept = table[first:]
    return kept if segment is None else (kept + segment[0]).astype(np.float32)


def _encoder(numbers: Numbers, config: Any, epsilon: float) -> Encoder:
    distil = config.model_type == "distilbert"
    activation = config.activation if distil else config.hidden_act
    if activation != "gelu":
        raise ExportError("activation isn't supported", subject=str(config.model_type), hint=activation)
    prefix, names = ("transformer.layer", _DISTIL) if distil else ("encoder.layer", _BERT)
    parts = [numbers.under(f"{prefix}.{number}") for number in range(config.num_hidden_layers)]
    layers = tuple(part.layer(part.asking(names), names, epsilon) for part in parts)
    return Encoder(layers, config.num_attention_heads, "gelu")


class _Mean:
    """The framework's own encoder, the mean of its tokens, and the projections."""

    def __init__(self, torch: Any, module: Any, heads: tuple[tuple[Linear, bool], ...]) -> None:
        self._torch = torch
        self._module = module
        self._heads = heads

    def __call__(self, ids: Any, mask: Any) -> Any:
        torch = self._torch
        with torch.no_grad():
            tokens = self._module(input_ids=ids, attention_mask=mask).last_hidden_state
            keep = mask.unsqueeze(-1).float()
            value = (tokens * keep).sum(1) / keep.sum(1)
            for linear, squashed in self._heads:
                value = value @ torch.from_numpy(np.ascontiguousarray(linear.weight))
                value = value if linear.bias is None else value + torch.from_numpy(linear.bias)
                value = torch.tanh(value) if squashed else value
            return value
