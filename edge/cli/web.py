"""``edge web``: the page."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from edge.cli.common import ConfigOption, StateOption, configuration, err
from edge.errors import ConfigError, EdgeError

_NEEDED: Final = frozenset({"fastapi", "jinja2", "python_multipart", "starlette", "uvicorn"})


def web_command(
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="Where it listens; beyond 127.0.0.1 with a token only."
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes any that is free.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more.")] = False,
) -> None:
    """Serve the page: what the device sees, to look at, search and correct in a browser; the same as JSON.

    Beside a daemon or without one. Settings are in [web]; what the page is: docs/web.md.

    Examples:
        edge web

        EDGE_WEB__TOKEN=three-otters-and-a-lynx edge web --host 0.0.0.0 --port 8640
    """
    settings = configuration(config, state=state, web__host=host, web__port=port).settings
    # The web framework measures itself for whoever asks OpenTelemetry to; here nobody may.
    os.environ["OTEL_SDK_DISABLED"] = "true"
    try:
        from edge.web.serve import serve  # noqa: PLC0415 - the extra may be missing, and the rest doesn't need it
    except ModuleNotFoundError as error:
        raise _without_extra(error) from error
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("uvicorn").setLevel(logging.INFO if verbose else logging.WARNING)
    serve(settings, listening=lambda url: _tell(url, settings.state))


def _tell(url: str, state: Path) -> None:
    err.print(f"the page of {state}: {url}", highlight=False, markup=False, soft_wrap=True)


def _without_extra(error: ModuleNotFoundError) -> EdgeError:
    """What to say of a module that can't be found; one of our own is a broken installation."""
    name = (error.name or "").partition(".")[0]
    if name in _NEEDED:
        hint = "pip install 'edge-camera-trap[web]'"
        return ConfigError("the page needs packages that aren't installed", subject=name, hint=hint)
    return EdgeError("installation is incomplete", subject=error.name or "", hint="install the package again")
