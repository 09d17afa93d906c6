"""docs/message-fields.md: every field of every message, from the JSON Schemas.

Written by ``python -m edge.delivery.pages docs/message-fields.md``; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edge.delivery.schemas import schemas
from edge.errors import UsageError

_HEAD: Final = """\
# Every field of every message

Made from the types that encode the messages; what they mean is told in [messages.md](messages.md).
What the device sends has all of its fields. Machines read the [JSON Schemas](schemas) and the
[AsyncAPI document](asyncapi.json).
"""


def text() -> str:
    """The page."""
    return "\n".join(
        [_HEAD, *(line for name, schema in schemas().items() for line in _section(name, schema))]
    )


def main(arguments: list[str]) -> None:
    """Write the page into a file.

    Raises:
        UsageError: not exactly one file was given.
    """
    if len(arguments) != 1:
        raise UsageError("a file is needed", hint="python -m edge.delivery.pages docs/message-fields.md")
    Path(arguments[0]).write_text(text())


def _section(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from (f"## {name}", "", _prose(schema.get("description", "")), "")
    if "properties" not in schema:
        yield from (f"Plain text: {_kind(schema)}.", "")
        return
    yield from _table(schema, asked=name.startswith("command-"))
    for part, inner in sorted(schema.get("$defs", {}).items()):
        if "properties" in inner:
            yield from (f"**{part}**: {_prose(inner.get('description', ''))}", "")
            yield from _table(inner, asked=False)


def _table(schema: dict[str, Any], *, asked: bool) -> Iterator[str]:
    yield from ("| field | what | |", "| --- | --- | --- |")
    required = set(schema.get("required", ()))
    for field, about in schema["properties"].items():
        must = "optional" if asked and field not in required else ""
        said = [must, _prose(about.get("description", ""))]
        yield f"| `{field}` | {_kind(about)} | {'; '.join(part for part in said if part)} |"
    yield ""


def _kind(about: dict[str, Any]) -> str:
    """What a value is, in few words."""
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    if "const" in about:
        return f"`{str(about['const']).lower() if isinstance(about['const'], bool) else about['const']}`"
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(_kind(part) for part in about["anyOf"]))
    return _plain(about)


def _plain(about: dict[str, Any]) -> str:
    kind = str(about.get("type", "anything"))
    if kind == "array":
        inner = about.get("items") or (about.get("prefixItems") or [{}])[0]
        size = f"{about['maxItems']} " if about.get("minItems") == about.get("maxItems") is not None else ""
        return f"array of {size}{_kind(inner)}"
    low, high = about.get("minimum"), about.get("maximum")
    if low is not None and high is not None:
        return f"{kind}, {low:g} to {high:g}"
    return f"{kind}, {low:g} or more" if low is not None else kind


def _prose(description: str) -> str:
    """A docstring as a line of Markdown."""
    return " ".join(description.split()).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    main(sys.argv[1:])
