"""Names from cards, messages and models on their way to a terminal: no markup, no commands to it."""

from __future__ import annotations

import re

from rich import markup

# C0 but tab and newline, DEL, C1: a terminal obeys some of them. Surrogates are bytes that aren't UTF-8.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_BYTE = 0xFF


def escape(text: str) -> str:
    r"""Text that rich shows as it is, with control characters and bytes that are no text as ``\xNN``."""
    return markup.escape(_UNFIT.sub(_shown, text))


def _shown(found: re.Match[str]) -> str:
    # Python keeps a byte that isn't UTF-8 in the last eight bits of a surrogate (PEP 383).
    return f"\\x{ord(found[0]) & _BYTE:02x}"
