"""What is on its way to the broker and not yet answered. Pure.

Invariants: there are never more than ``capacity``; the order is that of sending; a packet id stands for one
item.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Window(Generic[T]):
    """Items in flight, by packet id.

    Args:
        capacity: at most so many at once; 1 or more.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._items: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._items)

    def has_room(self) -> bool:
        """Whether one more may be sent."""
        return len(self._items) < self.capacity

    def add(self, mid: int, item: T) -> None:
        """Note that an item was sent under this packet id.

        Raises:
            ValueError: there is no room, or the id is in use; a fault of the caller.
        """
        if not self.has_room() or mid in self._items:
            raise ValueError(f"packet id {mid} with {len(self._items)} of {self.capacity} in flight")
        self._items[mid] = item

    def take(self, mid: int) -> T | None:
        """Remove and return the item with this id; None if there is none."""
        return self._items.pop(mid, None)

    def items(self) -> list[T]:
        """All items, in the order of sending."""
        return list(self._items.values())

    def oldest(self) -> T | None:
        """The item that was sent first."""
        return next(iter(self._items.values()), None)
