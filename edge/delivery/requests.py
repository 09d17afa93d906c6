"""What the device can be asked besides ``ping`` and ``replay``, and what it answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from edge.delivery.messages import BundleRef, MediaEntry, Message, Numbered, Request, Whole
from edge.registration.types import State

PAGE: int = 200
"""Images in one answer if a request doesn't say how many."""
LARGEST_PAGE: int = 500
PAGE_BYTES: int = 48 * 1024
"""An answer with images ends before it gets larger than this, however many were asked for."""
REPROCESS_LIMIT: int = 100_000
"""Images that one request may put in line."""

Moment = Annotated[str, Field(description="ISO 8601 with an offset, such as 2026-05-04T18:00:00+07:00")]


class RegistrationRequest(Request):
    """``command/registration``: the images of one registration, from ``offset`` on."""

    registration_id: str
    offset: Whole = 0
    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE)] = PAGE


class RegistrationReply(Message):
    """The answer to ``command/registration``: a page of its images, in time order.

    ``next`` is the offset of the page after this one, null on the last. Pages belong together while
    ``revision`` stays the same; when it changes, begin again.
    """

    schema_: Literal["edge.reply/1"] = Field(default="edge.reply/1", alias="schema")
    command: Literal["registration"] = "registration"
    ok: Literal[True] = True
    epoch: str
    registration_id: str
    revision: Numbered
    state: State
    deployment: str
    label: str
    media_count: Whole
    offset: Whole
    next: Whole | None
    media: tuple[MediaEntry, ...]


class ConfigReply(Message):
    """The answer to ``command/config``: what is in force. Passwords are stars; ``null`` is not set."""

    schema_: Literal["edge.reply/1"] = Field(default="edge.reply/1", alias="schema")
    command: Literal["config"] = "config"
    ok: Literal[True] = True
    device: str
    version: str
    bundle: BundleRef
    labels: str
    settings: dict[str, Any] = Field(description="by section, as in the configuration file")


class ReprocessRequest(Request):
    """``command/reprocess``: look again at images with the models and labels of today.

    One image by ``media_id``, or those of a ``deployment``, of a span of event time, or both. ``to`` is not
    included.
    """

    media_id: str | None = None
    deployment: str | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        others = (self.deployment, self.since, self.until)
        if self.media_id is None and all(other is None for other in others):
            raise ValueError("say which images: media_id, deployment, from, to")
        if self.media_id is not None and any(other is not None for other in others):
            raise ValueError("media_id stands alone")
        return self


class ReprocessReply(Message):
    """The answer to ``command/reprocess``: how many images it meant, and how many are in line now.

    What is different afterwards comes as changes of registrations, like everything else.
    """

    schema_: Literal["edge.reply/1"] = Field(default="edge.reply/1", alias="schema")
    command: Literal["reprocess"] = "reprocess"
    ok: Literal[True] = True
    images: Whole
    waiting: Whole
