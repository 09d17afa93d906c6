"""All readers of bytes that anybody may have written."""

from __future__ import annotations

from typing import Any

from tests.fuzz import bundles, images, texts, wire
from tests.fuzz.target import Target

READERS: list[Target[Any]] = [*images.TARGETS, *texts.TARGETS, *wire.TARGETS, *bundles.TARGETS]
