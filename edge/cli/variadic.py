"""Options that take all the words up to the next option: ``--labels "red fox" badger --json``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from typer.core import TyperCommand

from edge.errors import UsageError


def spread(words: Sequence[str], option: str) -> Iterator[str]:
    """A command line in which the option stands before each of its words, as parsers want it.

    Its words end at the next option, or at ``--``, behind which all are arguments.

    Args:
        words: of the command line, after the command's name.
        option: such as ``--labels``.

    Raises:
        UsageError: no word follows it.
    """
    within = False
    for number, word in enumerate(words):
        if word == "--":
            yield from words[number:]
            return
        if word == option:
            within = True
            following = words[number + 1 : number + 2]
            if not following or _is_option(following[0]):
                raise UsageError(f"nothing follows {option}", hint="such as: --labels europe")
            continue
        if _is_option(word):
            within = False
        if within:
            yield option
        yield word


def _is_option(word: str) -> bool:
    return word.startswith("-") and len(word) > 1


class LabelsCommand(TyperCommand):
    """A command whose ``--labels`` takes several words."""

    spread_option: ClassVar[str] = "--labels"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the base class, after :func:`spread`; typer has no public name for the context's type."""
        return super().parse_args(ctx, list(spread(args, self.spread_option)))
