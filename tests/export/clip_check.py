"""What tests of CLIP's exporter share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.vision.manifest import Text, Visual
from edge.vision.session import Model
from edge.vision.tokens import Tokens, fixed_length
from export import calibration
from export.clip import Options, build_network
from export.network import Network

Array = NDArray[Any]
TEXTS = (
    "a photo of a badger",
    "deer",
    "",
    "two wild boars with their young at the edge of a field, at night",
)


def quiet(_: str) -> None:
    """Progress that nobody reads."""


def built(scratch: Path, **options: Any) -> Network:
    """A network of a model, written to a folder."""
    scratch.mkdir()
    return build_network(Options(**options), scratch, quiet)


def pixels(size: int) -> NDArray[np.uint8]:
    """Real photos, stretched: photos x size x size x 3."""
    return np.stack(calibration.fitted(calibration.photos(calibration.PHOTOS), size, size))


def normalised(samples: Array, mean: Any, std: Any) -> Array:
    """What frameworks take: float32, batch x 3 x size x size; mean and std on 0 to 1."""
    planes: Array = ((samples / 255 - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)
    return planes.astype(np.float32)


def images(network: Network, samples: Array) -> Array:
    """What the visual graph makes of bytes."""
    draft = network.drafts["visual"]
    assert isinstance(draft.section, Visual)
    model = Model(draft.graph)
    return model.run({draft.section.input.name: samples}, [draft.section.output])[0]


def feed(network: Network, texts: tuple[str, ...] = TEXTS) -> dict[str, Array]:
    """The text graph's inputs, as the device makes them."""
    draft = network.drafts["text"]
    assert isinstance(draft.section, Text)
    assert network.tokenizer is not None
    length = fixed_length(Model(draft.graph).inputs[draft.section.ids])
    return dict(Tokens(network.tokenizer, draft.section, length)(texts))


def texts(network: Network, inputs: dict[str, Array]) -> Array:
    """What the text graph makes of token ids."""
    draft = network.drafts["text"]
    assert isinstance(draft.section, Text)
    return Model(draft.graph).run(inputs, [draft.section.output])[0]


def unit(tensor: Any) -> Array:
    """A torch tensor's rows, scaled to length 1."""
    rows: Array = tensor.detach().numpy()
    length: Array = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, length)
