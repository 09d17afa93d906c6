"""Registration ids: UUIDv5 (RFC 9562, section 5.5) of the deployment and the media that opened it."""

from __future__ import annotations

from uuid import UUID, uuid5

NAMESPACE = UUID("0d1f6c1e-6f57-5d0e-9a55-2f4f1c6f2b83")


def registration_id(deployment: str, media_id: str, ordinal: int = 1) -> str:
    """The id of a registration that this media opens.

    Args:
        deployment: where it opens.
        media_id: the image that opens it.
        ordinal: above 1 only where living registrations have the ids of all its members.
    """
    name = f"{deployment}\n{media_id}" if ordinal == 1 else f"{deployment}\n{media_id}\n{ordinal}"
    return str(uuid5(NAMESPACE, name))
