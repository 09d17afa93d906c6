"""What the device does when it is asked over MQTT. Each handler is quick: long work is put in line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from edge import __version__
from edge.delivery.change import media_entry
from edge.delivery.commands import Command, Handler, parsed
from edge.delivery.messages import BundleRef, MediaEntry, encode
from edge.delivery.requests import (
    PAGE_BYTES,
    REPROCESS_LIMIT,
    ConfigReply,
    RegistrationReply,
    RegistrationRequest,
    ReprocessReply,
    ReprocessRequest,
)
from edge.errors import UsageError
from edge.registration.types import Registration
from edge.service.emit import line_of
from edge.service.work import now_ms
from edge.settings import Settings
from edge.store.database import Database
from edge.store.queries import member_page
from edge.store.record import SqliteRecord
from edge.store.requests import Reprocessing, Requests, Which

_UNSURE: Final = "send correlation data: without it, a second delivery can't be told from a second request"


@dataclass(frozen=True, slots=True)
class Office:
    """Answers for one daemon.

    Attributes:
        database: opened for writing.
        settings: in force.
        bundle: of models that look at images.
        labels: name of the label set.
        wake: called when images were put in line to be looked at again.
    """

    database: Database
    settings: Settings
    bundle: BundleRef
    labels: str
    wake: Callable[[], None] = lambda: None

    def handlers(self) -> Mapping[str, Handler]:
        """By the command's name."""
        return {"registration": self.registration, "config": self.config, "reprocess": self.reprocess}

    def registration(self, command: Command) -> BaseModel:
        """The images of one registration, a page at a time.

        Raises:
            UsageError: the request makes no sense, or there is no such registration.
        """
        request = parsed(RegistrationRequest, command, hint='send {"registration_id": "..."}')
        found = self._living(request.registration_id)
        offset = min(request.offset, found.media_count)  # what is asked for may be any number
        members = member_page(self.database, found, offset, request.limit)
        media = _fitting([media_entry(line_of(m), m.offset_minutes) for m in members])
        end = request.offset + len(media)
        return RegistrationReply(
            epoch=self.database.epoch,
            registration_id=found.id,
            revision=found.revision + self.database.revision_base,
            state=found.state,
            deployment=found.deployment,
            label=found.label,
            media_count=found.media_count,
            offset=request.offset,
            next=end if media and end < found.media_count else None,
            media=tuple(media),
        )

    def config(self, command: Command) -> BaseModel:
        """What is in force, without secrets.

        Raises:
            UsageError: the request says something, and there is nothing to say.
        """
        if command.payload.strip() not in (b"", b"{}"):
            raise UsageError("this command takes no arguments", subject="config", hint="send nothing, or {}")
        return ConfigReply(
            device=self.settings.device,
            version=__version__,
            bundle=self.bundle,
            labels=self.labels,
            settings=self.settings.model_dump(mode="json"),  # a SecretStr is written as stars
        )

    def reprocess(self, command: Command) -> BaseModel:
        """Put images in line to be looked at again; once for each request, however often it comes.

        Raises:
            UsageError: the request makes no sense, means no image or too many, or can't be told from another.
            StoreError: nothing was put in line.
        """
        request = parsed(ReprocessRequest, command, hint='send {"media_id": "sha256:..."} or a span of time')
        if not command.correlation:
            raise UsageError("this command changes something", subject="reprocess", hint=_UNSURE)
        identity, requests = command.identity(), Requests(self.database)
        with self.database.transaction():
            before = requests.answer(identity)
            if before is not None:
                return ReprocessReply.model_validate_json(before)
            reply = self._queue(_which(request))
            requests.keep(identity, encode(reply), now_ms())
        self.wake()
        return reply

    def _queue(self, which: Which) -> ReprocessReply:
        line = Reprocessing(self.database)
        images = line.choose(which, REPROCESS_LIMIT)
        if images == 0:
            raise UsageError("no such image on record", subject=str(which.media_id or which.deployment or ""))
        if images > REPROCESS_LIMIT:
            hint = f"at most {REPROCESS_LIMIT} at once: name a deployment, or a shorter span of time"
            raise UsageError("too many images", hint=hint)
        line.add(which)
        return ReprocessReply(images=images, waiting=line.waiting())

    def _living(self, registration_id: str) -> Registration:
        found = SqliteRecord(self.database).find(registration_id)
        if found is None:
            hint = "ids are in messages as registration_id"
            raise UsageError("no such registration", subject=registration_id, hint=hint)
        if not SqliteRecord(self.database).is_living(registration_id):
            hint = f"its images belong to {found.superseded_by}" if found.superseded_by else ""
            raise UsageError("this registration was retracted", subject=registration_id, hint=hint)
        return found


def _fitting(entries: list[MediaEntry]) -> list[MediaEntry]:
    """As many of the first as fit into one answer; one at least, so that paging comes to an end."""
    room = PAGE_BYTES
    for number, entry in enumerate(entries):
        room -= len(encode(entry)) + 1
        if room < 0:
            return entries[: max(1, number)]
    return entries


def _which(request: ReprocessRequest) -> Which:
    return Which(request.media_id, request.deployment, _ms(request.since, "from"), _ms(request.until, "to"))


def _ms(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "not a time", subject=f"{name}: {text}", hint="write ISO 8601 with an offset"
        ) from error
    if moment.tzinfo is None:
        raise UsageError(
            "a time without an offset", subject=f"{name}: {text}", hint="add one, such as +07:00"
        )
    return round(moment.timestamp() * 1000)
