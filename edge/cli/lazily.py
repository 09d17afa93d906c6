"""A command tree that is imported as far as it is used: a call wants one command of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

Maker = Callable[[str], Any]
"""Makes the command of a name; typer has no public name for a command's type."""


class Commands(MutableMapping[str, Any]):
    """Commands by name; one is made when it is first looked up, and not for listing names.

    Args:
        makers: by name, in the order in which help shows them.
        made: further commands, behind those.
    """

    def __init__(self, makers: Mapping[str, Maker], made: Mapping[str, Any]) -> None:
        self._makers: dict[str, Maker | None] = {**makers, **dict.fromkeys(made)}
        self._made = dict(made)

    def __getitem__(self, name: str) -> Any:
        """The command.

        Raises:
            KeyError: there is none of that name.
        """
        maker = self._makers[name]
        if name not in self._made and maker is not None:
            self._made[name] = maker(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        """Add a command, or put it in place of another."""
        self._makers[name] = None
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        """Remove a command."""
        del self._makers[name]
        self._made.pop(name, None)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a command."""
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        """Names, in their order."""
        return iter(self._makers)

    def __len__(self) -> int:
        """How many commands there are."""
        return len(self._makers)


def lazy(makers: Mapping[str, Maker]) -> type[TyperGroup]:
    """A class of group that has these commands, before those that are added to it as usual."""

    class LazyGroup(TyperGroup):
        """A group whose commands are made when they are looked up."""

        def __init__(self, *, commands: Mapping[str, Any] | None = None, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = Commands(makers, commands or {})

    return LazyGroup


def command(place: str, kind: str | None = None) -> Maker:
    """Makes a command of a function.

    Args:
        place: ``module:function``.
        kind: ``module:class`` of the command; typer's own if not given.
    """

    def make(name: str) -> Any:
        app = typer.Typer(add_completion=False)
        app.command(name, cls=_at(kind) if kind else None)(_at(place))
        return typer.main.get_command(app)

    return make


def group(place: str) -> Maker:
    """Makes a group of commands of the ``typer.Typer`` at ``module:name``."""

    def make(name: str) -> Any:
        made = typer.main.get_group(_at(place))
        made.name = name
        return made

    return make


def _at(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
