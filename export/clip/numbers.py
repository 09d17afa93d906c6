"""Numbers out of torch modules, by the names that state dicts have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from export.clip.towers import Array, Layer, Linear, Norm


class Numbers:
    """A state dict as float32 arrays, looked up below a prefix.

    Args:
        state: names to torch tensors.
        prefix: what every name looked up begins with.
    """

    def __init__(self, state: Mapping[str, Any], prefix: str = "") -> None:
        self._state = state
        self._prefix = prefix

    def under(self, prefix: str) -> Numbers:
        """The part below a name."""
        return Numbers(self._state, f"{self._prefix}{prefix}.")

    def has(self, name: str) -> bool:
        """Whether there is such a tensor."""
        return f"{self._prefix}{name}" in self._state

    def array(self, name: str) -> Array:
        """A tensor."""
        tensor = self._state[f"{self._prefix}{name}"]
        return np.ascontiguousarray(tensor.detach().float().numpy())

    def maybe(self, name: str) -> Array | None:
        """A tensor, or None where there is none of the name."""
        return self.array(name) if self.has(name) else None

    def linear(self, name: str) -> Linear:
        """A ``torch.nn.Linear``, whose matrix is output x input."""
        return Linear(self.array(f"{name}.weight").T, self.maybe(f"{name}.bias"))

    def norm(self, name: str, epsilon: float) -> Norm:
        """A layer normalisation."""
        return Norm(self.array(f"{name}.weight"), self.array(f"{name}.bias"), epsilon)

    def packed(self, name: str) -> tuple[Linear, Linear, Linear]:
        """Query, key and value of a ``torch.nn.MultiheadAttention``."""
        weights = np.split(self.array(f"{name}.in_proj_weight"), 3)
        biases = np.split(self.array(f"{name}.in_proj_bias"), 3)
        query, key, value = (Linear(w.T, b) for w, b in zip(weights, biases, strict=True))
        return query, key, value

    def layer(self, asking: tuple[Linear, Linear, Linear], names: Mapping[str, str], epsilon: float) -> Layer:
        """A layer with its query, key and value; its other parts (fields of :class:`Layer`) are named."""
        query, key, value = asking
        return Layer(
            query=query,
            key=key,
            value=value,
            out=self.linear(names["out"]),
            first=self.norm(names["first"], epsilon),
            second=self.norm(names["second"], epsilon),
            wide=self.linear(names["wide"]),
            narrow=self.linear(names["narrow"]),
        )

    def asking(self, names: Mapping[str, str]) -> tuple[Linear, Linear, Linear]:
        """Query, key and value that are three layers of these names."""
        return self.linear(names["query"]), self.linear(names["key"]), self.linear(names["value"])
