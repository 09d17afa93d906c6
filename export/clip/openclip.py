"""Checkpoints of open_clip: an architecture by its name there, and a file of weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final, Literal

from edge.errors import ExportError
from edge.vision.manifest import Source
from export import frameworks
from export.clip import bytepairs, hub, traced
from export.clip.layout import LARGEST_SCALE
from export.clip.numbers import Numbers
from export.clip.sides import Pixels, Provenance, TextSide, VisualSide
from export.clip.towers import Activation, Encoder, Linear, Prompt, Vision

_LAYER: Final = {
    "out": "attn.out_proj", "first": "ln_1", "second": "ln_2", "wide": "mlp.c_fc", "narrow": "mlp.c_proj",
}  # fmt: skip


def load(architecture: str, checkpoint: Path, *, texts: bool) -> Any:
    """The model, from local weights.

    Args:
        architecture: open_clip's name.
        checkpoint: the file.
        texts: its text side is wanted too.

    Raises:
        ExportError: there is no such architecture or file, or they don't belong together.
    """
    frameworks.prepare()
    open_clip = frameworks.imported("open_clip")
    if architecture not in open_clip.list_models():
        close = frameworks.imported("difflib").get_close_matches(architecture, open_clip.list_models(), 3)
        hint = f"there are {', '.join(close)}" if close else "`open_clip.list_models()` has them all"
        raise ExportError("open_clip has no such architecture", subject=architecture, hint=hint)
    if texts:
        _own_words(architecture, open_clip.get_model_config(architecture))
    if not checkpoint.is_file():
        raise ExportError("no such checkpoint", subject=str(checkpoint))
    try:
        with traced.quietly():
            model = open_clip.create_model(architecture, pretrained=str(checkpoint), precision="fp32")
    except (RuntimeError, KeyError, ValueError, OSError, EOFError, AttributeError) as error:
        raise _mismatch(architecture, checkpoint, error) from error
    except frameworks.imported("pickle").UnpicklingError as error:
        raise _mismatch(architecture, checkpoint, error) from error
    return model.eval()


def _mismatch(architecture: str, checkpoint: Path, error: Exception) -> ExportError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = "; ".join(lines[:2])[:300]
    return ExportError(f"weights aren't those of {architecture}", subject=str(checkpoint), hint=reason)


def provenance(architecture: str, checkpoint: Path, license_id: str) -> Provenance:
    """Where a checkpoint comes from: named by its architecture, versioned by its bytes.

    Raises:
        ExportError: there is no such file.
    """
    if not checkpoint.is_file():
        raise ExportError("no such checkpoint", subject=str(checkpoint))
    digest, terms = hub.sha256(checkpoint), license_id or hub.UNKNOWN_LICENSE
    source = Source(
        name=architecture, version=digest[:12], file=checkpoint.name, sha256=digest, license=terms
    )
    return Provenance(architecture, digest[:12], terms, (source,))


def visual(model: Any, architecture: str) -> VisualSide:
    """The image side; what isn't a plain Vision Transformer is left to be traced."""
    tower, own = None, model.visual
    if _is_plain(own):
        tower = _vision(own)
    torch = frameworks.imported("torch")
    size = own.image_size if isinstance(own.image_size, tuple) else (own.image_size, own.image_size)
    if size[0] != size[1]:
        raise ExportError("images that aren't square aren't supported", subject=architecture)
    settings = _preprocessing(architecture, dict(getattr(own, "preprocess_cfg", {})))
    with torch.no_grad():
        shape = own(torch.zeros(1, 3, *size)).shape
    return VisualSide(
        module=_Still(torch, own),
        pixels=Pixels(
            size[0],
            "stretch" if settings["resize_mode"] == "squash" else "crop",
            _color(settings["mean"]),
            _color(settings["std"]),
        ),
        tower=tower,
        dimension=int(shape[-1]),
        scale=min(float(model.logit_scale.detach().exp().max()), LARGEST_SCALE),
        traceable=None if tower is not None else own,
    )


def _color(shares: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = (255 * float(share) for share in shares)
    return red, green, blue


def _preprocessing(architecture: str, plain: dict[str, Any]) -> dict[str, Any]:
    """Mean, standard deviation and resizing as open_clip lists them for the architecture's own weights.

    A checkpoint doesn't say how it was trained; where the listed ones differ, most of them decide.
    """
    listed = frameworks.imported("open_clip.pretrained")._PRETRAINED.get(architecture, {})  # noqa: SLF001
    keys = ("mean", "std", "resize_mode")
    votes = Counter(tuple(config.get(key) for key in keys) for config in listed.values())
    chosen = dict(zip(keys, votes.most_common(1)[0][0], strict=True)) if votes else {}
    settings = plain | {key: value for key, value in chosen.items() if value is not None}
    if settings.get("resize_mode", "shortest") not in {"shortest", "squash"}:
        raise ExportError(
            "this way of resizing isn't supported", subject=architecture, hint=str(settings["resize_mode"])
        )
    return settings


def _is_plain(own: Any) -> bool:
    """Whether a Vision Transformer has CLIP's own form: class token, no extras in its layers."""
    plain = (
        type(own).__name__ == "VisionTransformer"
        and type(own).__module__ == "open_clip.transformer"
        and own.attn_pool is None
        and own.pool_type == "tok"
        and not own.final_ln_after_pool
        and own.proj is not None
    )
    return plain and _plain_layers(own.transformer)


def _plain_layers(transformer: Any) -> bool:
    return all(
        type(block).__name__ == "ResidualAttentionBlock"
        and type(block.ls_1).__name__ == "Identity"
        and type(block.ls_2).__name__ == "Identity"
        and _activation(block) is not None
        for block in transformer.resblocks
    )


def _activation(block: Any) -> Activation | None:
    layer = block.mlp.gelu
    if type(layer).__name__ == "QuickGELU":
        return "quick_gelu"
    if type(layer).__name__ != "GELU":
        return None
    return "gelu" if layer.approximate == "none" else "gelu_tanh"


def _vision(own: Any) -> Vision:
    numbers = Numbers(own.state_dict())
    before = None if type(own.ln_pre).__name__ == "Identity" else numbers.norm("ln_pre", own.ln_pre.eps)
    return Vision(
        size=own.image_size[0],
        patch=numbers.array("conv1.weight"),
        patch_bias=None,
        token=numbers.array("class_embedding"),
        positions=numbers.array("positional_embedding"),
        before=before,
        encoder=_encoder(numbers, own.transformer),
        after=numbers.norm("ln_post", own.ln_post.eps),
        projection=Linear(numbers.array("proj")),
    )


def _encoder(numbers: Numbers, transformer: Any) -> Encoder:
    layers = []
    for index, block in enumerate(transformer.resblocks):
        own = numbers.under(f"transformer.resblocks.{index}")
        layers.append(own.layer(own.packed("attn"), _LAYER, block.ln_1.eps))
    first = transformer.resblocks[0]
    return Encoder(tuple(layers), first.attn.num_heads, _activation(first) or "gelu")


def text(model: Any, architecture: str, languages: tuple[str, ...]) -> TextSide:
    """The text side and its tokenizer.

    Raises:
        ExportError: the tokenizer isn't open_clip's own, or the network isn't a plain text transformer.
    """
    own = getattr(model, "text", model)
    if not hasattr(own, "token_embedding") or not _plain_layers(own.transformer):
        raise ExportError("text side of this architecture isn't supported", subject=architecture)
    tower = _prompt(own, architecture)
    length = len(tower.positions)
    return TextSide(
        module=_Still(frameworks.imported("torch"), model.encode_text, length),
        tower=tower,
        tokenizer=bytepairs.tokenizer_json(length),
        max_tokens=length,
        length=None if tower.causal else length,
        masked=False,
        clean="open_clip",
        dimension=tower.projection.weight.shape[1] if tower.projection else tower.words.shape[1],
        languages=languages or ("en",),
    )


def _own_words(architecture: str, config: dict[str, Any]) -> None:
    """Refuse a text side that isn't a transformer over open_clip's own tokens, before weights are read."""
    settings = config.get("text_cfg", {})
    foreign = {"hf_model_name", "hf_tokenizer_name", "tokenizer_kwargs", "embed_cls"} & settings.keys()
    if foreign or "multimodal_cfg" in config or "siglip" in architecture.lower():
        raise ExportError(
            "text side of this architecture isn't supported: only open_clip's own tokenizer is",
            subject=architecture,
            hint="export the model in transformers' layout with --model",
        )


def _prompt(own: Any, architecture: str) -> Prompt:
    numbers = Numbers(own.state_dict())
    pooling = str(getattr(own, "text_pool_type", None) or getattr(own, "pool_type", ""))
    ends: dict[str, int | Literal["last"] | None] = {
        "argmax": None,
        "last": "last",
        "eos": getattr(own, "text_eos_id", None) or getattr(own, "eos_id", None),
    }
    extras = getattr(own, "cls_emb", None) is not None or getattr(own, "use_pad_mask", False)
    if pooling not in ends or extras:
        raise ExportError(
            "text side of this architecture isn't supported", subject=architecture, hint=pooling
        )
    projection = None
    if numbers.has("text_projection"):
        projection = Linear(numbers.array("text_projection"))
    elif numbers.has("text_projection.weight"):
        projection = numbers.linear("text_projection")
    return Prompt(
        words=numbers.array("token_embedding.weight"),
        positions=numbers.array("positional_embedding"),
        encoder=_encoder(numbers, own.transformer),
        causal=own.attn_mask is not None,
        end=ends[pooling],
        after=numbers.norm("ln_final", own.ln_final.eps),
        projection=projection,
    )


class _Still:
    """A module without gradients; texts are padded with zeros to ``length``, as open_clip's own are."""

    def __init__(self, torch: Any, module: Any, length: int | None = None) -> None:
        self._torch = torch
        self._module = module
        self._length = length

    def __call__(self, value: Any) -> Any:
        if self._length is not None:
            value = self._torch.nn.functional.pad(value, (0, self._length - value.shape[1]))
        with self._torch.no_grad():
            return self._module(value)
