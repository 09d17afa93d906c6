"""Exact nearest images: every stored vector is compared with the query.

Vectors are kept as the store has them, float16, in a flat FAISS index (``IndexScalarQuantizer``, fp16, inner
product; Johnson, Douze and Jégou, "Billion-scale similarity search with GPUs", 2019). What is float16
already loses nothing there, it takes half the memory of float32 and, being bound by memory, less than half
the time. An index is never changed once built: any number of threads may ask it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Float16 = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

_FIRST: Final = 64
_GROWTH: Final = 4


class Block(NamedTuple):
    """Some vectors: ``vectors`` is (n, dimension) float16, ``media`` names the image of each row."""

    media: Sequence[str]
    vectors: Float16


class Vectors(Protocol):
    """Where an index gets its vectors from: all of one embedding space."""

    @property
    def dimension(self) -> int:
        """Numbers in each vector."""
        ...

    def blocks(self) -> Iterator[Block]:
        """All vectors, in blocks of any size; an image may have several, in any blocks."""
        ...


class Match(NamedTuple):
    """An image and its score: the largest inner product of a query's vector with one of the image's.

    Both have length 1, so it is the cosine, from -1 to 1, with an error of some 1e-4 from float16.
    """

    media_id: str
    score: float


class Index:
    """All vectors of one embedding space. :meth:`build` makes one."""

    def __init__(self, flat: Any, media: Sequence[str], owners: Numbers) -> None:
        """Put parts together.

        Args:
            flat: ``faiss.IndexScalarQuantizer`` of the vectors, by row.
            media: images in ascending order of their id.
            owners: (rows,) position in ``media`` of each row's image.
        """
        self._flat = flat
        self._media = media
        self._owners = owners

    @classmethod
    def build(cls, vectors: Vectors) -> Index:
        """Read all vectors into a new index.

        Raises:
            ValueError: a block isn't (n, ``vectors.dimension``) with n media.
        """
        dimension = vectors.dimension
        faiss = _faiss()
        flat = faiss.IndexScalarQuantizer(
            dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        rows: list[str] = []
        for block in vectors.blocks():
            if block.vectors.shape != (len(block.media), dimension):
                raise ValueError(f"block of {len(block.media)} media has shape {block.vectors.shape}")
            flat.add(block.vectors.astype(np.float32))
            rows.extend(block.media)
        media = sorted(set(rows))
        position = {media_id: number for number, media_id in enumerate(media)}
        return cls(flat, media, np.fromiter((position[m] for m in rows), np.int64, len(rows)))

    def __len__(self) -> int:
        """Vectors."""
        return len(self._owners)

    @property
    def media_count(self) -> int:
        """Images."""
        return len(self._media)

    def ranked(self, queries: Float32, allowed: Collection[str] | None = None) -> Iterator[Match]:
        """Images, best first; those with the same score by ascending id. Computed as far as it is read.

        Args:
            queries: (q, dimension) float32, each of length 1, q at least 1. An image's score is that of the
                best pair of a query and one of its vectors.
            allowed: ids of the only images that may be given; None: all.

        Raises:
            ValueError: ``queries`` has another shape.
        """
        if queries.ndim != 2 or not len(queries) or queries.shape[1] != self._flat.d:  # noqa: PLR2004 (q, d)
            raise ValueError(f"queries have shape {queries.shape}, not (q, {self._flat.d})")
        return self._ranked(np.ascontiguousarray(queries, np.float32), self._mask(allowed))

    def _ranked(self, queries: Float32, mask: npt.NDArray[np.bool_]) -> Iterator[Match]:
        rows = int(mask.sum())
        depth, given = min(_FIRST, rows), 0
        while depth:
            found = self._certain(queries, mask, depth, complete=depth == rows)
            for number, score in found[given:]:
                yield Match(self._media[number], score)
            if depth == rows:
                return
            depth, given = min(depth * _GROWTH, rows), len(found)

    def _certain(
        self, queries: Float32, mask: npt.NDArray[np.bool_], depth: int, *, complete: bool
    ) -> list[tuple[int, float]]:
        """Images in their final order, as far as the ``depth`` best rows of each query decide it.

        A row that isn't among a query's best scores at most as much as the last of them. So an image's score
        is final, and no other image can come before it, if it lies above all of those last scores. Images
        at the boundary itself wait for a deeper look: others may be equal to them.
        """
        parameters = _faiss().SearchParameters(sel=_selector(mask))
        scores, rows = self._flat.search(queries, depth, params=parameters)
        best = np.full(len(self._media), -np.inf, np.float32)
        np.maximum.at(best, self._owners[rows.ravel()], scores.ravel())
        boundary = -np.inf if complete else scores[:, -1].max()
        np.minimum(best, 1, out=best)  # a vector rounded to float16 can be a little longer than 1
        numbers = np.flatnonzero(best > boundary)
        order = numbers[np.argsort(-best[numbers], kind="stable")]
        return list(zip(order.tolist(), best[order].tolist(), strict=True))

    def _mask(self, allowed: Collection[str] | None) -> npt.NDArray[np.bool_]:
        if allowed is None:
            return np.ones(len(self._owners), np.bool_)
        among = np.fromiter((m in allowed for m in self._media), np.bool_, len(self._media))
        mask: npt.NDArray[np.bool_] = among[self._owners]
        return mask


def _faiss() -> Any:
    """FAISS, imported when first needed: every command, the daemon's too, comes past this module.

    As ``Any``: its stubs, where it has any, don't know what its Python layer adds.
    """
    import faiss  # noqa: PLC0415 - 0.1 s and 12 MB that only a search should cost

    return faiss


def _selector(mask: npt.NDArray[np.bool_]) -> Any:
    """FAISS's form of a mask over rows; None if it leaves out none."""
    return None if mask.all() else _faiss().IDSelectorBitmap(np.packbits(mask, bitorder="little"))
