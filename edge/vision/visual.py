"""The visual tower: pixels to embeddings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from edge.errors import BundleError
from edge.vision import manifest
from edge.vision.preprocess import Pixels, Preprocessor, allocate
from edge.vision.session import Model, require
from edge.vision.text import Vectors

BATCH: Final = 8
"""Crops in one run; more bring nothing on a CPU and cost memory."""


class VisualBuffers:
    """What one thread needs to run the visual tower again and again without allocating."""

    def __init__(self, spec: manifest.Visual) -> None:
        self.tensor = allocate(spec.input, BATCH)
        self.preprocess = Preprocessor(spec.input)


class VisualTower:
    """The visual graph; safe to use from several threads.

    Args:
        model: the graph.
        spec: what the manifest says of it.

    Raises:
        BundleError: graph and manifest don't belong together.
    """

    def __init__(self, model: Model, spec: manifest.Visual) -> None:
        self.spec = spec
        self._model = model
        require(model, [spec.input.name], [spec.output])

    def buffers(self) -> VisualBuffers:
        """Buffers for one thread."""
        return VisualBuffers(self.spec)

    def __call__(self, images: Sequence[Pixels], buffers: VisualBuffers) -> tuple[Vectors, float]:
        """Embed images.

        Args:
            images: HWC uint8 RGB, any sizes; views will do.
            buffers: of the calling thread.

        Returns:
            (len(images), dimension) float32, each of length 1, and the seconds that the graph took.

        Raises:
            ProviderError: the model failed to run.
            BundleError: it gave vectors of another dimension than the manifest says.
        """
        vectors = np.empty((len(images), self.spec.dimension), np.float32)
        seconds = 0.0
        for start in range(0, len(images), BATCH):
            part = images[start : start + BATCH]
            for image, sample in zip(part, buffers.tensor, strict=False):
                buffers.preprocess(image, sample)
            began = time.perf_counter()
            (output,) = self._model.run(
                {self.spec.input.name: buffers.tensor[: len(part)]}, [self.spec.output]
            )
            seconds += time.perf_counter() - began
            if output.shape != (len(part), self.spec.dimension):
                raise BundleError(
                    f"visual model gives {output.shape[1:]} numbers, the manifest says {self.spec.dimension}",
                    subject=self.spec.file,
                )
            vectors[start : start + len(part)] = output
        return vectors, seconds
