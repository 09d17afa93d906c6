"""What several tests of the exporter need."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

MISSING = [name for name in ("torch", "onnx", "transformers") if find_spec(name) is None]
needs_extra = pytest.mark.skipif(bool(MISSING), reason=f"the export extra isn't installed: {MISSING}")
BUNDLE = Path(__file__).parents[2] / "models" / "onnx" / "starter"


def node(op: str, name: str, inputs: Sequence[str] = (), **attributes: Any) -> dict[str, Any]:
    """A node as a TensorFlow.js graph model spells it."""
    return {
        "op": op,
        "name": name,
        "input": list(inputs),
        "attr": {k: _attr(v) for k, v in attributes.items()},
    }


def _attr(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"s": _text(value)}
    if isinstance(value, bool):
        return {"b": value}
    if value and isinstance(value[0], str):
        return {"list": {"s": [_text(each) for each in value]}}
    return {"list": {"i": [str(each) for each in value]}}


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def write_graph_model(
    folder: Path, nodes: Sequence[Mapping[str, Any]], weights: Mapping[str, NDArray[Any]]
) -> Path:
    """Write a graph model with half-precision weights; returns its ``model.json``."""
    data = b"".join(value.astype("<f2").tobytes() for value in weights.values())
    specs = [
        {
            "name": name,
            "shape": list(value.shape),
            "dtype": "float32",
            "quantization": {"dtype": "float16", "original_dtype": "float32"},
        }
        for name, value in weights.items()
    ]
    constants = [node("Const", name) for name in weights]
    (folder / "weights.bin").write_bytes(data)
    path = folder / "model.json"
    document = {
        "modelTopology": {"node": [*constants, *nodes]},
        "weightsManifest": [{"paths": ["weights.bin"], "weights": specs}],
    }
    path.write_text(json.dumps(document), "utf-8")
    return path


def random_weights(seed: int, **shapes: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    """Small random arrays that half precision holds exactly."""
    random = np.random.default_rng(seed)
    return {
        name: random.normal(0, 0.3, shape).astype(np.float16).astype(np.float32)
        for name, shape in shapes.items()
    }
