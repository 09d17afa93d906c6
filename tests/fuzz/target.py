"""What fuzzing does to a reader of bytes that anybody may have written: it holds it to three promises.

It answers or refuses with an error of its own; it doesn't take long; it doesn't take much memory.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st

T = TypeVar("T")

CPU_SECONDS = 5.0
"""For one input, on this process's own clock, so that a busy machine changes nothing."""
GROWTH = 512 * 1024
"""KiB by which one input may raise the most memory that the process ever had."""


class Slow(AssertionError):  # noqa: N818 - a finding, not an error of the program
    """One input took too long."""


class Hungry(AssertionError):  # noqa: N818 - as above
    """One input took too much memory."""


class Wordless(AssertionError):  # noqa: N818 - as above
    """A refusal that doesn't say why."""


@dataclass(frozen=True, slots=True)
class Target(Generic[T]):
    """One reader.

    Attributes:
        name: for people.
        inputs: what it is given.
        read: hands it over; raises what the reader raises.
        refusals: errors by which it may refuse.
    """

    name: str
    inputs: st.SearchStrategy[T]
    read: Callable[[T], object]
    refusals: tuple[type[Exception], ...]

    def try_on(self, value: T) -> bool:
        """Whether an input is taken; False: it is refused.

        Raises:
            AssertionError: it took too long, too much memory, or its refusal says nothing.
            Exception: whatever else the reader let out.
        """
        began, most = time.process_time(), _peak()
        try:
            self.read(value)
        except self.refusals as error:
            if not str(error).strip():
                raise Wordless(type(error).__name__) from error
            taken = False
        else:
            taken = True
        if (spent := time.process_time() - began) > CPU_SECONDS:
            raise Slow(f"{spent:.1f} s")
        if (grown := _peak() - most) > GROWTH:
            raise Hungry(f"{grown // 1024} MiB")
        return taken

    def hunt(self, examples: int, number: int = 0) -> tuple[int, int]:
        """Try so many inputs.

        Args:
            examples: at most.
            number: other numbers give other inputs.

        Returns:
            how many were tried, and how many of them were taken.

        Raises:
            Exception: whatever one of them brought to light, with the smallest input that does.
        """
        counts = [0, 0]

        def once(value: T) -> None:
            counts[0] += 1
            counts[1] += self.try_on(value)

        quiet = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            print_blob=False,
        )
        quiet(seed(number)(given(self.inputs)(once)))()
        return counts[0], counts[1]


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
