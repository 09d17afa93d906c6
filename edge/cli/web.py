"""``edge web``: the page."""

from __future__ import annotations


def web_command() -> None:
    """Serve the page."""
    from edge.web.serve import serve  # noqa: PLC0415 - the extra may be missing

    serve()
