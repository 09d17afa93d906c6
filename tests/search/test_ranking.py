from __future__ import annotations

from collections.abc import Iterator

from edge.search import best_of_each


def test_keeps_the_first_of_each_group_in_order() -> None:
    """Of a ranking, each group is there once, at the place of its best member."""
    ranked = ["a1", "b1", "a2", "c1", "b2"]
    assert best_of_each(ranked, lambda item: item[0], top=12) == ["a1", "b1", "c1"]


def test_reads_no_further_than_needed() -> None:
    """Once there are enough groups, the rest of the ranking is not computed."""
    read: list[str] = []

    def ranked() -> Iterator[str]:
        for item in ("a1", "a2", "b1", "c1"):
            read.append(item)
            yield item

    assert best_of_each(ranked(), lambda item: item[0], top=2) == ["a1", "b1"]
    assert read == ["a1", "a2", "b1"]
