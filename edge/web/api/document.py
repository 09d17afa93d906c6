"""The OpenAPI document as a file: ``python -m edge.web.api.document docs/openapi.json``; a test compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edge.errors import UsageError
from edge.settings import Settings
from edge.web.app import make_app


def text() -> str:
    """The document as docs/openapi.json has it."""
    return json.dumps(make_app(Settings(device="edge")).openapi(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write it.

    Raises:
        UsageError: no file was named.
    """
    if len(arguments) != 1:
        raise UsageError("a file is needed", hint="python -m edge.web.api.document docs/openapi.json")
    Path(arguments[0]).write_text(text(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
