"""A runtime with providers that tests make up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from edge.vision.providers import CPU, CUDA, TENSORRT
from edge.vision.session import Chain, Model

Fault = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
_NAMES = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}


class Faulty(Model):
    """A model on a provider that computes something else."""

    fault: Fault = staticmethod(lambda array: array)

    def run(self, inputs: Any, outputs: Any) -> list[npt.NDArray[Any]]:
        """What the CPU would give, spoilt."""
        return [type(self).fault(array) for array in super().run(inputs, outputs)]


def faulty(fault: Fault) -> type[Faulty]:
    """A kind of model with this fault."""
    return type("Faulty", (Faulty,), {"fault": staticmethod(fault)})


class Bench:
    """A runtime whose providers are the CPU in disguise, each with a fault of its own or None."""

    def __init__(self, **faults: Fault | None) -> None:
        self._faults = {_NAMES[name]: fault for name, fault in faults.items()}
        self.opened: list[tuple[str, str, Chain]] = []

    def available(self) -> tuple[str, ...]:
        """Those that were given."""
        return tuple(self._faults)

    def open(self, path: Path, provider: str, threads: int, chain: Chain) -> Model:
        """The CPU's model under the provider's name."""
        self.opened.append((path.name, provider, chain))
        fault = self._faults[provider]
        model = (Model if fault is None else faulty(fault))(path, CPU, threads)
        model.provider = provider
        return model
