"""CLIP, SigLIP and SigLIP 2 (at a fixed size) from a folder in transformers' layout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from edge.errors import ExportError
from export import frameworks
from export.clip.numbers import Numbers
from export.clip.sides import Color, Pixels, TextSide, VisualSide
from export.clip.towers import Activation, Encoder, Linear, Probe, Prompt, Vision

KINDS: Final = ("clip", "siglip")
LARGEST_SCALE: Final = 100.0
"""Beyond which CLIP's training cuts ``logit_scale``."""
LEGACY_END: Final = 2
"""The end token's id in old configurations, which was wrong: there the largest id is the end."""
_ACTIVATIONS: Final[dict[str, Activation]] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
_LAYER: Final = {
    "query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj",
    "out": "self_attn.out_proj", "first": "layer_norm1", "second": "layer_norm2",
    "wide": "mlp.fc1", "narrow": "mlp.fc2",
}  # fmt: skip


def load(folder: Path, languages: tuple[str, ...]) -> tuple[VisualSide, TextSide]:
    """Both sides of a model.

    Args:
        folder: with ``config.json``, weights, tokenizer and ``preprocessor_config.json``.
        languages: of the text side; empty for what its kind was trained on.

    Raises:
        ExportError: it is none of :data:`KINDS`, or something is missing or doesn't fit.
    """
    model = _model(folder)
    return _visual(model, folder), _text(model, folder, languages)


def visual(folder: Path) -> VisualSide:
    """The image side alone: its text side may then lack a tokenizer.

    Raises:
        ExportError: as :func:`load`.
    """
    return _visual(_model(folder), folder)


@contextmanager
def readable(folder: Path, what: str) -> Iterator[None]:
    """Maps what transformers raises over a folder.

    Raises:
        ExportError: in its stead.
    """
    errors = frameworks.imported("safetensors").SafetensorError
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, errors) as error:
        if isinstance(error, ExportError):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(f"{what} can't be read", subject=str(folder), hint=reason) from error


def _model(folder: Path) -> Any:
    kind = read_json(folder / "config.json").get("model_type", "")
    if kind not in KINDS:
        raise ExportError(
            f"models of type {kind or 'unknown'} aren't supported", subject=str(folder),
            hint=f"supported: {', '.join(KINDS)}; SigLIP 2 at a fixed size calls itself siglip too",
        )  # fmt: skip
    return pretrained("AutoModel", folder)


def pretrained(cls: str, folder: Path) -> Any:
    """A transformers model from local files, in float32, with every weight found.

    Raises:
        ExportError: it can't be read, or weights are missing.
    """
    transformers = frameworks.imported("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch = frameworks.imported("torch")
    with readable(folder, "model"):
        model, info = getattr(transformers, cls).from_pretrained(
            folder, local_files_only=True, torch_dtype=torch.float32, output_loading_info=True
        )
    complete(folder, [name for name in info["missing_keys"] if not name.startswith("pooler.")])
    return model.eval()


def complete(subject: Path, missing: list[str]) -> None:
    """Refuse a model some of whose weights would be left to chance.

    Raises:
        ExportError: any are missing.
    """
    if missing:
        shown = ", ".join(sorted(missing)[:3])
        raise ExportError(
            f"{len(missing)} weights are missing", subject=str(subject), hint=f"such as {shown}"
        )


def _visual(model: Any, folder: Path) -> VisualSide:
    config, torch = model.config.vision_config, frameworks.imported("torch")
    numbers = Numbers(model.state_dict())
    own = numbers.under("vision_model")
    embeddings = own.under("embeddings")
    siglip = model.config.model_type == "siglip"
    epsilon = config.layer_norm_eps
    tower = Vision(
        size=config.image_size,
        patch=embeddings.array("patch_embedding.weight"),
        patch_bias=embeddings.maybe("patch_embedding.bias"),
        token=embeddings.maybe("class_embedding"),
        positions=embeddings.array("position_embedding.weight"),
        before=None if siglip else own.norm("pre_layrnorm", epsilon),
        encoder=_encoder(own, config, folder),
        after=own.norm("post_layernorm", epsilon),
        projection=None if siglip else numbers.linear("visual_projection"),
        probe=_probe(own.under("head"), epsilon) if siglip else None,
    )
    scale = float(model.logit_scale.detach().exp().item())
    return VisualSide(
        module=_Half(torch, model.get_image_features),
        pixels=pixels(folder, config.image_size),
        tower=tower,
        dimension=config.hidden_size if siglip else model.config.projection_dim,
        scale=scale if siglip else min(scale, LARGEST_SCALE),
    )


def _text(model: Any, folder: Path, languages: tuple[str, ...]) -> TextSide:
    config, torch = model.config.text_config, frameworks.imported("torch")
    numbers = Numbers(model.state_dict())
    own = numbers.under("text_model")
    siglip = model.config.model_type == "siglip"
    end: int | Literal["last"] | None = "last" if siglip else config.eos_token_id
    projection = own.linear("head") if siglip else numbers.linear("text_projection")
    tower = Prompt(
        words=own.array("embeddings.token_embedding.weight"),
        positions=own.array("embeddings.position_embedding.weight"),
        encoder=_encoder(own, config, folder),
        causal=not siglip,
        end=None if end == LEGACY_END else end,
        after=own.norm("final_layer_norm", config.layer_norm_eps),
        projection=projection,
    )
    most = config.max_position_embeddings
    return TextSide(
        module=_Half(torch, model.get_text_features),
        tower=tower,
        tokenizer=tokenizer(folder, most),
        max_tokens=most,
        length=most if siglip else None,
        masked=False,
        clean="none",
        dimension=projection.weight.shape[1],
        languages=languages or ("en",),
    )


class _Half:
    """One side of a model: tensors to tensors, nothing kept for gradients."""

    def __init__(self, torch: Any, method: Any) -> None:
        self._torch = torch
        self._method = method

    def __call__(self, *inputs: Any) -> Any:
        with self._torch.no_grad():
            return self._method(*inputs)


def _encoder(own: Numbers, config: Any, folder: Path) -> Encoder:
    if config.hidden_act not in _ACTIVATIONS:
        raise ExportError("activation isn't supported", subject=str(folder), hint=config.hidden_act)
    numbers = range(config.num_hidden_layers)
    parts = [own.under(f"encoder.layers.{number}") for number in numbers]
    layers = [part.layer(part.asking(_LAYER), _LAYER, config.layer_norm_eps) for part in parts]
    return Encoder(tuple(layers), config.num_attention_heads, _ACTIVATIONS[config.hidden_act])


def _probe(head: Numbers, epsilon: float) -> Probe:
    query, key, value = head.packed("attention")
    asked = head.array("probe").reshape(-1) @ query.weight
    return Probe(
        query=asked if query.bias is None else asked + query.bias,
        key=Linear(key.weight),
        value=value,
        out=head.linear("attention.out_proj"),
        norm=head.norm("layernorm", epsilon),
        wide=head.linear("mlp.fc1"),
        narrow=head.linear("mlp.fc2"),
    )


def pixels(folder: Path, size: int) -> Pixels:
    """How images enter, from the folder's image processor.

    Raises:
        ExportError: there is none, or it asks for what the device can't do.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file() and (folder / "processor_config.json").is_file():
        path = folder / "processor_config.json"
    config = read_json(path)
    config = config.get("image_processor", config)
    wanted, crops = config.get("size", size), config.get("do_center_crop", False)
    wanted = {"shortest_edge": wanted} if isinstance(wanted, int) else wanted
    sides = {wanted[key] for key in ("shortest_edge", "height", "width") if key in wanted}
    crop = config.get("crop_size", size)
    sides |= set(crop.values() if isinstance(crop, dict) else [crop]) if crops else set()
    whole = "height" in wanted
    if sides != {size} or not (whole or crops):
        raise ExportError(
            f"image processor makes other images than the model's {size} x {size}", subject=str(path)
        )
    mean, std = (_color(config, key) for key in ("image_mean", "image_std"))
    return Pixels(size, "stretch" if whole else "crop", mean, std)


def _color(config: dict[str, Any], key: str) -> Color:
    plain = (0.0, 0.0, 0.0) if key == "image_mean" else (1.0, 1.0, 1.0)
    shares = config.get(key, plain) if config.get("do_normalize", True) else plain
    red, green, blue = (float(np.float64(share) / config.get("rescale_factor", 1 / 255)) for share in shares)
    return red, green, blue


def tokenizer(folder: Path, most: int) -> str:
    """What ``tokenizer.json`` will hold: the folder's own, with its padding and truncation to ``most``.

    Raises:
        ExportError: there is none, or none in the form that the device's library reads.
    """
    transformers = frameworks.imported("transformers")
    with readable(folder, "tokenizer"):
        own = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if not own.is_fast:
        raise ExportError(
            "tokenizer exists in Python only", subject=str(folder),
            hint="a folder with tokenizer.json is wanted",
        )  # fmt: skip
    backend = own.backend_tokenizer
    backend.enable_truncation(most)
    backend.enable_padding(
        pad_id=own.pad_token_id or 0, pad_token=own.pad_token or "", pad_type_id=own.pad_token_type_id
    )
    text: str = backend.to_str()
    return text


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file with settings by name.

    Raises:
        ExportError: it is missing, or something else.
    """
    content = _json(path)
    if not isinstance(content, dict):
        raise ExportError("file holds no settings", subject=str(path))
    return content


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """A JSON file with a list of settings.

    Raises:
        ExportError: it is missing, or something else.
    """
    content = _json(path)
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise ExportError("file holds no list", subject=str(path))
    return content


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ExportError(
            f"folder has no {path.name}", subject=str(path.parent), hint="is it in transformers' layout?"
        ) from error
    except (OSError, ValueError) as error:
        raise ExportError("file can't be read", subject=str(path), hint=str(error)) from error
