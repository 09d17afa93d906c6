"""Values of single fields, whatever file they stand in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.interchange.types import BadValue

PPM = 1_000_000
MOST_ANIMALS = 1_000_000

NO_ANIMAL = frozenset({"blank", "empty", "nothing", "no animal", "no_animal", "no detection"})
"""Labels that say: nothing is in the image."""

NO_LABEL = frozenset(
    {"", "none", "unidentified", "unknown", "unclassified", "animal", "no cv result", "null", "na", "nan"}
)
"""Labels that say: an animal, nobody knows which."""


def label_and_count(label: str, count: str) -> tuple[str | None, int]:
    """A label (None if it names no animal) and how many; 0 animals where the label says so.

    Args:
        label: as it stands there, maybe blank.
        count: as it stands there; where it is blank, a label stands for one animal.

    Raises:
        BadValue: the count is no number.
    """
    lowered = label.lower()
    if lowered in NO_ANIMAL:
        return None, 0
    found = count_of(count) if count else int(lowered not in ("", "none"))
    return (None if lowered in NO_LABEL else label), found


def count_of(text: str) -> int:
    """How many animals.

    Raises:
        BadValue: it is no whole number from 0 to a million.
    """
    found = int(text) if text.isdecimal() and len(text) <= len(str(MOST_ANIMALS)) else _whole(text)
    if not 0 <= found <= MOST_ANIMALS:
        raise BadValue("count", text, "a whole number, 0 or more")
    return found


def confidence_of(text: str, column: str = "confidence") -> int:
    """A confidence from 0 to 1 as parts per million; a blank cell is 0.

    Raises:
        BadValue: it isn't from 0 to 1.
    """
    if not text:
        return 0
    try:
        found = float(text)
    except ValueError as error:
        raise BadValue(column, text, "a number from 0 to 1") from error
    return ppm(found, column)


def ppm(value: float, column: str) -> int:
    """A confidence as parts per million.

    Raises:
        BadValue: it isn't from 0 to 1.
    """
    if not 0 <= value <= 1:  # and so is not a number
        raise BadValue(column, value, "a number from 0 to 1")
    return round(value * PPM)


def needed(text: str, column: str) -> str:
    """A text that must not be blank.

    Raises:
        BadValue: it is.
    """
    if not text:
        raise BadValue(column, text, "a value")
    return text


def text_in(content: Mapping[str, Any], key: str) -> str:
    """A field of a JSON object as text, without blanks around it; nothing if it is missing or null.

    Raises:
        BadValue: it is a list, an object, a truth value, or holds half a character.
    """
    value = content.get(key)
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        raise BadValue(key, value, "a text or a number")
    text = str(value).strip()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadValue(key, ascii(text), "text without lone surrogates") from error
    return text


def _whole(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    return int(number) if number.is_integer() and abs(number) <= MOST_ANIMALS else -1
