"""A detector's class names to the three kinds that a camera trap asks for.

COCO's 80 names and MegaDetector's three are known. Any other list of names is somebody's own, and guessing
which of them are animals would silently lose those that the guess doesn't know: it has to be given.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

from edge.errors import UsageError
from edge.vision.manifest import Kind
from export.centernet import COCO, GROUPS

Choice = Literal["animal", "person", "vehicle", "none"]
OTHERS: Final = "*"
"""In a class map: every class that isn't named."""

_COCO_KINDS: Final[Mapping[str, Choice]] = {
    **dict.fromkeys(COCO, "none"),
    **dict.fromkeys(GROUPS["animal"], "animal"),
    **dict.fromkeys(GROUPS["person"], "person"),
    **dict.fromkeys(GROUPS["vehicle"], "vehicle"),
}
_MEGADETECTOR_KINDS: Final[Mapping[str, Choice]] = {
    "animal": "animal",
    "animals": "animal",
    "person": "person",
    "people": "person",
    "human": "person",
    "vehicle": "vehicle",
    "vehicles": "vehicle",
    "empty": "none",
}
_HINT: Final = "say which they are, e.g. --class-map deer=animal or --class-map '*=animal'"


def class_map(names: Sequence[str], given: Mapping[str, Choice]) -> dict[str, Kind]:
    """What each class of a detector counts as; those that count as nothing aren't in it.

    Args:
        names: the detector's classes, in the order of its channels.
        given: by name what the user says, ``*`` for all others; wins over what is known.

    Raises:
        UsageError: a name is given that the detector doesn't have, the names are neither COCO's nor
            MegaDetector's and nothing is said of them, or nothing is an animal.
    """
    absent = sorted(set(given) - set(names) - {OTHERS})
    if absent:
        raise UsageError(
            f"the detector has no class called {', '.join(absent)}",
            subject=_listed(names),
            hint="names are compared letter by letter",
        )
    choices = _known(names) | dict.fromkeys(names if OTHERS in given else (), given.get(OTHERS, "none"))
    choices |= {name: choice for name, choice in given.items() if name != OTHERS}
    if not choices:
        raise UsageError("classes that aren't COCO's or MegaDetector's", subject=_listed(names), hint=_HINT)
    kinds: dict[str, Kind] = {
        name: choice for name in names if (choice := choices.get(name, "none")) != "none"
    }
    if "animal" not in kinds.values():
        raise UsageError("no class of the detector is an animal", subject=_listed(names), hint=_HINT)
    return kinds


def is_coco(names: Sequence[str]) -> bool:
    """Whether the classes are COCO's."""
    return set(names) <= set(COCO)


def read_class_map(entries: Iterable[str]) -> dict[str, Choice]:
    """Class maps as they are given on the command line.

    Args:
        entries: each ``NAME=KIND``, or a TOML file of lines ``"name" = "kind"``; a kind is ``animal``,
            ``person``, ``vehicle`` or ``none``. The later one wins.

    Raises:
        UsageError: the file can't be read or understood, or a kind isn't one of them.
    """
    found: dict[str, str] = {}
    for entry in entries:
        name, equals, kind = entry.rpartition("=")
        found |= {name.strip(): kind.strip()} if equals else _read(Path(entry))
    return {name: _choice(name, kind) for name, kind in found.items()}


def _known(names: Sequence[str]) -> dict[str, Choice]:
    """What the names mean if all of them are known from one source; else nothing."""
    for kinds in (_COCO_KINDS, _MEGADETECTOR_KINDS):
        plain = {name: name.strip().lower() for name in names}
        if all(word in kinds for word in plain.values()):
            return {name: kinds[word] for name, word in plain.items()}
    return {}


def _read(path: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            "class map can't be read", subject=str(path), hint=error.strerror or "NAME=KIND or a file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("class map can't be understood", subject=str(path), hint=str(error)) from error
    return {name: str(kind) for name, kind in table.items()}


def _choice(name: str, kind: str) -> Choice:
    for choice in get_args(Choice):
        if kind == choice:
            known: Choice = choice
            return known
    raise UsageError(
        "class map names a kind that isn't one",
        subject=f"{name}={kind}",
        hint=f"one of {', '.join(get_args(Choice))}",
    )


def _listed(names: Sequence[str], most: int = 100) -> str:
    shown = ", ".join(names[:most])
    return f"{shown}, and {len(names) - most} more" if len(names) > most else shown
