"""The server's life."""


def serve() -> None:
    """Serve the page."""
