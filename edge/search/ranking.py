"""From a ranking of images to what people want to see: one of each group, best first."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T")


def best_of_each(ranked: Iterable[T], group: Callable[[T], Hashable], top: int) -> list[T]:
    """The first of each group, in order, until there are ``top``; the rest isn't read.

    Args:
        ranked: best first.
        group: of one item.
        top: how many groups, at least 1.
    """
    best: dict[Hashable, T] = {}
    for item in ranked:
        best.setdefault(group(item), item)
        if len(best) == top:
            break
    return list(best.values())
