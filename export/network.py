"""The seam between exporters and the assembly: fp32 graphs, and all that the gate has to know of them.

An exporter (starter, CLIP, YOLO) turns weights into a :class:`Network`. The assembly does the rest, the same
for all of them: quantise, measure, refuse or choose, write the bundle, report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from edge.vision.manifest import Detector, Source, Text, Visual

Array = NDArray[Any]
Feed = Mapping[str, Array]
PartName = Literal["detector", "visual", "text"]
UNKNOWN_SHA256 = "0" * 64
"""In a section whose file isn't written yet."""


@dataclass(frozen=True)
class Origin:
    """What a bundle, or a part of one, says of where it comes from.

    Attributes:
        name: of the bundle; also its folder's.
        version: of the weights.
        license: SPDX expression.
        notes: limits that a user has to know, a sentence or two.
        sources: files that went in, with their SHA-256.
        texts: files to put into the folder's ``LICENSES``, and ``NOTICE`` if there is one.
    """

    name: str
    version: str
    license: str
    notes: str
    sources: tuple[Source, ...]
    texts: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Traits:
    """What the quantiser has to know of a graph.

    Attributes:
        family: convolutional networks are calibrated (static), transformers scale as they run (dynamic);
            of a text tower with a large table of words, int8 weights alone may be the smallest.
        left_out: nodes that stay in float32 in every int8 form.
        why: they do.
        head: nodes of the last layers, left out first where int8 costs too much.
    """

    family: Literal["convolutional", "transformer"]
    left_out: tuple[str, ...] = ()
    why: str = ""
    head: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """One part in fp32.

    Attributes:
        section: of the manifest, with ``UNKNOWN_SHA256`` for files and ``fp32`` as precision.
        graph: the ONNX file.
        difference: largest from the framework on real inputs, as a share of the framework's range.
        golden: inputs for the self-test by the graph's names, at least two different samples along axis 0.
        min_cosine: how close a provider has to come to the fp32 outputs on them.
        traits: for the quantiser.
    """

    section: Detector | Visual | Text
    graph: Path
    difference: float
    golden: Feed
    min_cosine: float
    traits: Traits


@dataclass(frozen=True)
class Network:
    """Everything that one export makes, in fp32.

    Attributes:
        origin: name, licence, sources.
        drafts: by part: a detector, or visual and text, or all three.
        tokenizer: the ``tokenizer.json`` that belongs to the text draft.
    """

    origin: Origin
    drafts: Mapping[PartName, Draft]
    tokenizer: Path | None = None
