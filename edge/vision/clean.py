"""What open_clip does to a text before its tokenizer sees it, so that the device's tokens are the same."""

from __future__ import annotations

import html

from edge.errors import BundleError


def open_clip(text: str) -> str:
    """Mend broken Unicode, resolve HTML's entities (twice), one space between words, lower case.

    Raises:
        BundleError: the library that mends Unicode isn't installed.
    """
    try:
        import ftfy  # noqa: PLC0415 - 20 ms that only bundles made from open_clip's checkpoints pay
    except ImportError as error:
        raise BundleError(
            "texts of this bundle need a library that isn't installed",
            subject="ftfy",
            hint="pip install ftfy",
        ) from error
    mended = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(mended.split()).lower()
