"""The frameworks' own opinion of the same inputs: what the fp32 graphs are compared with.

EfficientNet is the published package's own class, MiniLM the transformers library's BERT. The detector's
framework is TensorFlow.js, which isn't Python's, so its graph is interpreted here in torch, operation by
operation and with TensorFlow's semantics, knowing nothing of the mapping to ONNX.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError
from export import frameworks
from export.tfjs import GraphModel, Node

Array = NDArray[Any]
_SIXTH = np.float16(1 / 6)


def torch_tensors(checkpoint: Path) -> dict[str, Array]:
    """The tensors of a PyTorch checkpoint as arrays; nothing else in it is executed.

    Raises:
        ExportError: not a checkpoint that can be read so.
    """
    import pickle  # noqa: PLC0415 - for the name of its error

    import torch  # noqa: PLC0415

    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise ExportError("checkpoint can't be read", subject=str(checkpoint), hint=str(error)) from error
    return {name: tensor.numpy() for name, tensor in state.items()}


def efficientnet_logits(checkpoint: Path, crops: Array, variant: str = "efficientnet-lite0") -> Array:
    """Logits of uint8 NHWC RGB crops by the package's own model."""
    import torch  # noqa: PLC0415
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()):  # it prints that it loaded
        model = EfficientNet.from_pretrained(variant, weights_path=str(checkpoint)).eval()
    with torch.inference_mode():
        planar = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
        return np.asarray(model((planar - 127) / 128).numpy())


def minilm_embeddings(tensors: Mapping[str, Array], ids: Array, mask: Array) -> Array:
    """Sentence embeddings by transformers' BERT with these tensors."""
    frameworks.prepare()
    import torch  # noqa: PLC0415
    from transformers import BertConfig, BertModel  # noqa: PLC0415

    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    model = BertModel(config, add_pooling_layer=False).eval()
    state = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    model.load_state_dict(state, strict=False)
    with torch.inference_mode():
        hidden = model(
            input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)
        ).last_hidden_state
        keep = torch.from_numpy(mask)[..., None].float()
        mean = (hidden * keep).sum(1) / keep.sum(1)
        return np.asarray(torch.nn.functional.normalize(mean, dim=-1).numpy())


def restored_sixths(model: GraphModel) -> GraphModel:
    """The graph model with its hard-swish's 1/6 as it was before it was stored in half precision.

    The weights can't be restored, but this constant is known. Left as stored it would scale every layer by
    0.9998.
    """
    weights = {
        name: np.float32(1 / 6) * np.ones_like(value) if value.size == 1 and value == _SIXTH else value
        for name, value in model.weights.items()
    }
    return GraphModel(model.nodes, weights)


def run_graph_model(model: GraphModel, image: Array, outputs: Sequence[str]) -> list[Array]:
    """Interpret a TensorFlow.js graph model for one image.

    Args:
        model: the graph; its placeholder is the image.
        image: uint8 NHWC RGB, 1 x height x width x 3, values 0 to 255 as they are.
        outputs: names of the nodes that are wanted.

    Returns:
        one NHWC array for each output.

    Raises:
        ExportError: an operation isn't known.
    """
    import torch  # noqa: PLC0415

    values: dict[str, Any] = {}
    with torch.inference_mode():
        for node in model.up_to(tuple(outputs)):
            values[node.name] = _value(node, model, values, image)
    return [np.asarray(values[name].permute(0, 2, 3, 1).numpy()) for name in outputs]


def _value(node: Node, model: GraphModel, values: dict[str, Any], image: Array) -> Any:
    """One node's NCHW value."""
    import torch  # noqa: PLC0415

    if node.op == "Placeholder":
        return torch.from_numpy(image).permute(0, 3, 1, 2).float()
    if "Conv2" in node.op or "Conv2d" in node.op:
        return _convolution(node, model, values[node.inputs[0]])
    if node.op == "Mean":
        return values[node.inputs[0]].mean((2, 3), keepdim=True)
    if node.op == "ConcatV2":
        return torch.cat([values[name] for name in node.inputs[:-1]], dim=1)
    if node.op == "ResizeBilinear":
        return _doubled(values[node.inputs[0]])
    operands = [
        values[name] if name in values else torch.from_numpy(np.array(model.weights[name]))
        for name in node.inputs
    ]
    rules = {
        "Add": torch.add,
        "Mul": torch.mul,
        "Relu": torch.relu,
        "Relu6": torch.nn.functional.relu6,
        "Sigmoid": torch.sigmoid,
        "Identity": torch.clone,
    }
    if node.op not in rules:
        raise ExportError("the reference doesn't know this operation", subject=node.op)
    return rules[node.op](*operands)


def _convolution(node: Node, model: GraphModel, value: Any) -> Any:
    import torch  # noqa: PLC0415

    weight = torch.from_numpy(np.array(model.weights[node.inputs[1]]))
    depthwise = "Depthwise" in node.op
    groups = weight.shape[2] if depthwise else 1
    kernel = weight.permute(2, 3, 0, 1).flatten(0, 1)[:, None] if depthwise else weight.permute(3, 2, 0, 1)
    stride = int(node.attributes["strides"][1])
    if node.attributes["padding"] == "SAME":
        sides = [
            max((-(-size // stride) - 1) * stride + k - size, 0)
            for size, k in zip(value.shape[2:], kernel.shape[2:], strict=True)
        ]
        (rows, columns) = sides
        margins = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        value = torch.nn.functional.pad(value, margins)
    fused = node.attributes.get("fused_ops", [])
    bias = torch.from_numpy(np.array(model.weights[node.inputs[2]])) if "BiasAdd" in fused else None
    out = torch.nn.functional.conv2d(value, kernel, bias, stride=stride, groups=groups)
    return torch.relu(out) if "Relu" in fused else out


def _doubled(value: Any) -> Any:
    """TensorFlow's legacy bilinear grid at twice the size: even pixels are copies, odd ones means."""
    import torch  # noqa: PLC0415

    for dimension in (2, 3):
        size = value.shape[dimension]
        following = torch.cat(
            [value.narrow(dimension, 1, size - 1), value.narrow(dimension, size - 1, 1)], dim=dimension
        )
        both = torch.stack([value, (value + following) / 2], dim=dimension + 1)
        value = both.flatten(dimension, dimension + 1)
    return value
