"""ConSE: an image's place in a text space from a classifier's opinion and the names of its classes.

Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings" (2013): the embedding of an
image is the mean of the embeddings of its likeliest classes' names, weighted by their probabilities. It
needs no training, and behaves as CLIP does behind the same interface.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.graph import GraphBuilder

TOP = 20
OUTPUT = "embedding"


def add_head(graph: GraphBuilder, logits: str, names: NDArray[Any], top: int = TOP) -> None:
    """Add the convex combination behind a classifier; the graph gets the output ``embedding``.

    Args:
        graph: where to add it.
        logits: name of the classifier's output, batch x classes, float32.
        names: one L2-normalised embedding per class, classes x dimension, float16 or float32.
        top: how many of the likeliest classes take part.
    """
    classes, dimension = names.shape
    probabilities = graph.node("Softmax", [logits], "probabilities", axis=-1)
    count = graph.constant("top", np.array([min(top, classes)], np.int64))
    weights, chosen = graph.nodes("TopK", [probabilities, count], ["top/weights", "top/classes"], axis=-1)
    table = graph.constant("names", names)
    rows = graph.node("Gather", [table, chosen], "top/names", axis=0)
    if names.dtype == np.float16:
        rows = graph.node("Cast", [rows], "top/names/float", to=1)
    middle = graph.constant("middle", np.array([1], np.int64))
    row = graph.node("Unsqueeze", [weights, middle], "top/weights/row")
    mixed = graph.node("MatMul", [row, rows], "mixed/row")
    mixture = graph.node("Squeeze", [mixed, middle], "mixed")
    graph.node("LpNormalization", [mixture], OUTPUT, axis=-1, p=2)
    graph.output(OUTPUT, np.float32, ("batch", dimension))
