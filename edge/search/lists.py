"""The seam to FAISS: inverted lists, mapped from a file or in memory, and searching them.

Both kinds of index are inverted lists (Sivic and Zisserman, "Video Google", 2003; FAISS: Douze et al., "The
Faiss library", 2024). In an exact one there is a single list of float16 vectors, so that each is compared. In
an approximate one there is a list for each cell of space, and a vector is one byte for each number of what
remains of it once its cell's centre is taken away.

A file has the lists one after the other, of each the codes and then the ids, which is how
``OnDiskInvertedLists`` maps them; behind them the lists' sizes, uint64 little-endian. FAISS is kept to one
thread: it works beside a daemon.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.search.types import Float16, Float32, Numbers

Codes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint64]
ID_BYTES: Final = 8


class Codec(NamedTuple):
    """How vectors are written down.

    Attributes:
        dimension: numbers in each.
        lists: how many there are; 1: float16, more: bytes.
        ranges: (2 * dimension,) float32, lowest values and extents, of bytes; None for float16.
    """

    dimension: int
    lists: int = 1
    ranges: Float32 | None = None

    @property
    def code_bytes(self) -> int:
        """Of one vector."""
        return self.dimension * (2 if self.ranges is None else 1)


class Probe(NamedTuple):
    """Which lists are searched: numbers of lists and the centres' scores, each (q, probes)."""

    lists: Numbers
    scores: Float32


class Lists:
    """Inverted lists. Never changed once made: any number of threads may search them at once."""

    def __init__(self, codec: Codec, inverted: Any, rows: int) -> None:
        """Use ``mapped`` or ``held``."""
        self.codec = codec
        self.rows = rows
        self._inverted = inverted
        self._centres = faiss().IndexFlatIP(codec.dimension)  # never asked: whoever searches names the lists
        self._index = _shell(codec, self._centres)
        self._index.replace_invlists(inverted, False)
        self._index.ntotal = rows

    @classmethod
    def mapped(cls, codec: Codec, path: Path, sizes: Counts) -> Lists:
        """Lists of a file, which must be as long as ``sizes`` say, and must stay so; it may be removed."""
        inverted = faiss().OnDiskInvertedLists(codec.lists, codec.code_bytes, str(path))
        inverted.prefetch_nthread = 0
        inverted.set_all_lists_sizes(faiss().swig_ptr(np.ascontiguousarray(sizes)))
        inverted.totsize = payload(codec, int(sizes.sum()))
        inverted.read_only = True
        inverted.do_mmap()
        return cls(codec, inverted, int(sizes.sum()))

    @classmethod
    def held(cls, ids: Numbers, vectors: Float16) -> Lists:
        """One list, in memory, of (n, dimension) vectors; n is at least 1."""
        codec = Codec(vectors.shape[1])
        inverted = faiss().ArrayInvertedLists(1, codec.code_bytes)
        codes = np.ascontiguousarray(vectors, "<f2").view(np.uint8)
        inverted.add_entries(
            0, len(ids), faiss().swig_ptr(np.ascontiguousarray(ids)), faiss().swig_ptr(codes)
        )
        return cls(codec, inverted, len(ids))

    def search(
        self, queries: Float32, depth: int, probe: Probe | None, selector: Any
    ) -> tuple[Float32, Numbers]:
        """The best rows of each query.

        Args:
            queries: (q, dimension) float32, contiguous.
            depth: how many rows, at least 1.
            probe: which lists; None: the only one.
            selector: FAISS's, of ids; None: all.

        Returns:
            scores and ids, each (q, depth), best first; id -1 where there are fewer.
        """
        count = len(queries)
        if probe is None:
            probe = Probe(np.zeros((count, 1), np.int64), np.zeros((count, 1), np.float32))
        scores = np.empty((count, depth), np.float32)
        ids = np.empty((count, depth), np.int64)
        pointer = faiss().swig_ptr
        chosen = {"nprobe": probe.lists.shape[1]} | ({} if selector is None else {"sel": selector})
        self._index.search_preassigned_c(
            count,
            pointer(queries),
            depth,
            pointer(np.ascontiguousarray(probe.lists)),
            pointer(np.ascontiguousarray(probe.scores)),
            pointer(scores),
            pointer(ids),
            False,
            faiss().SearchParametersIVF(**chosen),
        )
        return scores, ids


def payload(codec: Codec, rows: int) -> int:
    """Bytes of lists of so many rows in all."""
    return rows * (codec.code_bytes + ID_BYTES)


def learned_ranges(residuals: Float32) -> Float32:
    """Lowest values and extents of (n, dimension) residuals: the ``ranges`` of a codec."""
    codec = Codec(residuals.shape[1], 2, np.zeros(2 * residuals.shape[1], np.float32))
    index = _shell(codec, faiss().IndexFlatIP(codec.dimension))
    index.sq.train(np.ascontiguousarray(residuals))
    ranges: Float32 = faiss().vector_to_array(index.sq.trained)
    return ranges


def encoded(codec: Codec, residuals: Float32) -> Codes:
    """(n, dimension) float32 residuals as (n, code_bytes) bytes."""
    index = _shell(codec, faiss().IndexFlatIP(codec.dimension))
    codes: Codes = index.sq.compute_codes(np.ascontiguousarray(residuals))
    return codes


def selector(ids: Numbers) -> Any:
    """FAISS's form of a set of ids, not empty; it lives as long as the object."""
    mask = np.zeros(int(ids.max()) + 1, np.bool_)
    mask[ids] = True
    return faiss().IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def nearest_centres(centres: Any, vectors: Float32, count: int) -> Probe:
    """The best cells of each vector; ``centres`` is a FAISS index of their centres."""
    scores, lists = centres.search(np.ascontiguousarray(vectors), count)
    return Probe(lists, scores)


def centres_index(centres: Float32) -> Any:
    """A FAISS index of (cells, dimension) centres, for ``nearest_centres``."""
    index = faiss().IndexFlatIP(centres.shape[1])
    index.add(np.ascontiguousarray(centres))
    return index


def faiss() -> Any:
    """FAISS, imported when first needed, for one thread; the number of threads is each caller's own.

    As ``Any``: its stubs, where it has any, don't know what its Python layer adds.
    """
    # Which of its builds it looks for first, and doesn't find, is no news to whoever runs a camera.
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    import faiss as module  # noqa: PLC0415 - 0.1 s and 12 MB that only a search should cost

    module.omp_set_num_threads(1)
    return module


def _shell(codec: Codec, centres: Any) -> Any:
    """An index without lists: it knows the code, and how to search what it is given."""
    quantizer = faiss().ScalarQuantizer
    kind = quantizer.QT_fp16 if codec.ranges is None else quantizer.QT_8bit
    index = faiss().IndexIVFScalarQuantizer(
        centres,
        codec.dimension,
        codec.lists,
        kind,
        faiss().METRIC_INNER_PRODUCT,
        codec.ranges is not None,
    )
    if codec.ranges is not None:
        faiss().copy_array_to_vector(codec.ranges, index.sq.trained)
    index.is_trained = True
    return index
