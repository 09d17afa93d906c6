"""JSON Schemas of all messages, from the types that encode them.

Written by ``python -m edge.delivery.schemas docs/schemas``; a test compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from edge.delivery.messages import (
    Cursor,
    Health,
    Pong,
    Refusal,
    RegistrationMessage,
    ReplayReply,
    ReplayRequest,
    SnapshotProperties,
    Status,
)
from edge.delivery.requests import (
    ConfigReply,
    RegistrationReply,
    RegistrationRequest,
    ReprocessReply,
    ReprocessRequest,
)
from edge.errors import UsageError

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_SENT: Final[dict[str, Any]] = {
    "registration": RegistrationMessage,
    "cursor": Cursor,
    "health": Health,
    "status": Status,
    "snapshot-properties": SnapshotProperties,
    "reply-replay": ReplayReply,
    "reply-ping": Pong,
    "reply-registration": RegistrationReply,
    "reply-config": ConfigReply,
    "reply-reprocess": ReprocessReply,
    "reply-refusal": Refusal,
}
_RECEIVED: Final[dict[str, Any]] = {
    "command-replay": ReplayRequest,
    "command-registration": RegistrationRequest,
    "command-reprocess": ReprocessRequest,
}


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (2020-12) by name. What the device sends has all its fields; ``status`` is plain text."""
    sent = {name: _schema(name, TypeAdapter(kind), "serialization") for name, kind in _SENT.items()}
    received = {name: _schema(name, TypeAdapter(kind), "validation") for name, kind in _RECEIVED.items()}
    return sent | received


def files() -> dict[str, str]:
    """File name -> text, as ``docs/schemas`` holds them."""
    return {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in schemas().items()}


def main(arguments: list[str]) -> None:
    """Write all schemas into a folder.

    Raises:
        UsageError: not exactly one folder was given.
    """
    if len(arguments) != 1:
        raise UsageError("a folder is needed", hint="python -m edge.delivery.schemas docs/schemas")
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text)


def _schema(name: str, adapter: TypeAdapter[Any], mode: Any) -> dict[str, Any]:
    schema = adapter.json_schema(mode=mode, by_alias=True)
    return {"$schema": _DRAFT, "$id": f"urn:edge:{name}:1", **schema}


if __name__ == "__main__":
    main(sys.argv[1:])
