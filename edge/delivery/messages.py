"""Every message that leaves or reaches the device, as types. The JSON Schemas are generated from them.

What a subscriber may rely on is told in ``docs/messages.md``. A reader should ignore fields that it doesn't
know (these types do); a change that would break a reader gets a new ``schema`` name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from edge.registration.types import ChangeKind, State

MEDIA_LIMIT = 20
REPLAY_LIMIT = 10_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}[+-]\d{2}:\d{2}$"

Time = Annotated[
    str, StringConstraints(pattern=_TIME), Field(description="ISO 8601 with milliseconds and offset")
]
Relative = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[
    tuple[Relative, Relative, Relative, Relative],
    Field(description="x, y, width, height as parts of the image, from the top left"),
]
Whole = Annotated[int, Field(ge=0)]
Numbered = Annotated[int, Field(ge=1)]
Status = Literal["online", "stopped", "offline"]


class Message(BaseModel):
    """What the device sends. Readers ignore fields that they don't know."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, ser_json_inf_nan="null")


class BundleRef(Message):
    """The models that spoke: name of the bundle and SHA-256 of its manifest."""

    name: str
    sha256: str


class MediaEntry(Message):
    """One image of a registration."""

    media_id: str
    file: str = Field(description="path below the drop folder")
    taken: Time
    label: str | None
    count: Whole
    boxes: tuple[Box, ...]


class RegistrationMessage(Message):
    """A change of one registration, whole: never a difference to an earlier message.

    ``registration_id`` and ``revision`` decide what a subscriber keeps; ``epoch`` and ``seq`` tell it
    what it missed. ``media`` holds at most 20 entries, in time order: the first, the last, and those of
    largest count; ``media_count`` is the truth.
    """

    schema_: Literal["edge.registration/1"] = Field(default="edge.registration/1", alias="schema")
    device: str
    epoch: str = Field(description="id of the database; seq has no gaps within one")
    seq: Numbered
    change: ChangeKind
    registration_id: str
    revision: Numbered
    state: State
    superseded_by: str | None
    deployment: str
    label: str
    scientific_name: str | None
    count: Whole
    start: Time
    end: Time
    confidence: Relative
    votes: dict[str, Whole]
    media_count: Whole
    media: tuple[MediaEntry, ...] = Field(max_length=MEDIA_LIMIT)
    time_source: Literal["exif", "filename", "mtime"]
    clock_ok: bool
    bundle: BundleRef
    observed_at: Time


class Cursor(Message):
    """The last number given out; 0 before the first."""

    epoch: str
    seq: Whole


class Problem(Message):
    """Something that is not as it should be, and what to do about it."""

    code: str = Field(description="a stable word, such as not_authorized")
    message: str
    hint: str = ""


class IntakeHealth(Message):
    """Counters since the start of the process, and what is waiting now."""

    scanned: bool = Field(default=False, description="whether the first full scan is done")
    scans: Whole = 0
    watched: Whole = Field(default=0, description="folders under watch")
    overflows: Whole = Field(
        default=0, description="times the kernel's queue overflowed; a scan follows each"
    )
    pending: Whole = Field(default=0, description="files seen and not yet processed")
    oldest_pending: Time | None = None
    processed: Whole = 0
    duplicates: Whole = 0
    set_aside: Whole = 0
    incomplete: Whole = Field(default=0, description="files on record that never became whole, as of now")
    reprocess: Whole = Field(default=0, description="images in line to be looked at again")


class OutboxHealth(Message):
    """Messages by state."""

    pending: Whole = 0
    set_aside: Whole = 0
    acked: Whole = 0
    head: Whole = 0


class BrokerHealth(Message):
    """How the device and the broker get on."""

    connected: bool = False
    reason: str = Field(default="disabled", description="a stable word: ok, unreachable, not_authorized, ...")
    detail: str = ""
    since: Time | None = None
    in_flight: Whole = 0
    acked: Whole = Field(default=0, description="messages acknowledged since the start of the process")
    held: tuple[str, ...] = Field(default=(), description="deployments whose messages the broker refuses now")


class RefusedProvider(Message):
    """An execution provider that was asked for and isn't used."""

    provider: str
    why: Literal["absent", "unsuited", "unusable", "failed"] = Field(
        description="not installed, not right for the bundle's files, libraries missing, wrong or failing"
    )
    reason: str


class ModelHealth(Message):
    """What looks at the images."""

    bundle: BundleRef | None = None
    labels: str = ""
    providers: tuple[str, ...] = Field(default=(), description="execution providers in use")
    asked: tuple[str, ...] = Field(default=(), description="execution providers in the order of preference")
    refused: tuple[RefusedProvider, ...] = Field(default=(), description="those preferred to the one in use")
    files: dict[str, str] = Field(default_factory=dict, description="the file in use of each part")


class DiskHealth(Message):
    """Bytes on the file system of the state folder."""

    free: Whole = 0
    total: Whole = 0
    low_water: Whole = 0


class RegistrationHealth(Message):
    """Registrations on record."""

    open: Whole = 0
    living: Whole = 0


class SearchHealth(Message):
    """Images on record, while vectors of the bundle in use take the place of another bundle's."""

    images: Whole = Field(default=0, description="on record when it began")
    embedded: Whole = Field(default=0, description="those with vectors of the bundle in use")
    unreachable: Whole = Field(
        default=0, description="those whose originals are gone or damaged; they keep the vectors they have"
    )
    running: bool = Field(default=False, description="whether there is more to do")


class Health(Message):
    """How the device is. ``ok`` means: nothing here needs a person."""

    schema_: Literal["edge.health/1"] = Field(default="edge.health/1", alias="schema")
    device: str
    epoch: str
    version: str
    at: Time
    state: Literal["starting", "ok", "degraded", "stopping"]
    since: Time
    problems: tuple[Problem, ...] = ()
    intake: IntakeHealth = IntakeHealth()
    outbox: OutboxHealth = OutboxHealth()
    broker: BrokerHealth = BrokerHealth()
    models: ModelHealth = ModelHealth()
    disk: DiskHealth = DiskHealth()
    registrations: RegistrationHealth = RegistrationHealth()
    search: SearchHealth | None = Field(
        default=None, description="null where the bundle in use has embedded every image anyway"
    )
    extra: dict[str, JsonValue] = Field(default_factory=dict)


class SnapshotProperties(Message):
    """The user properties of a snapshot, whose payload is a JPEG."""

    registration_id: str
    media_id: str


class Request(Message):
    """What the device is asked. A field that it doesn't know would be a wish that it can't fulfil."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ReplayRequest(Request):
    """``command/replay``: send the messages numbered from ``from`` to ``to`` again, both included."""

    epoch: str
    first: Numbered = Field(alias="from")
    last: Numbered = Field(alias="to")


class Span(Message):
    """Numbers from ``from`` to ``to``, both included."""

    first: Numbered = Field(alias="from")
    last: Numbered = Field(alias="to")


class ReplayReply(Message):
    """The answer to a replay, sent after the broker took the last of its messages.

    ``missing`` will never come: removed after the retention period, refused by the broker for what they are,
    or never given out. ``waiting`` were not sent yet and will come by themselves, or were refused for now:
    what is still missing after a while is asked for again.
    """

    schema_: Literal["edge.reply/1"] = Field(default="edge.reply/1", alias="schema")
    command: Literal["replay"] = "replay"
    ok: Literal[True] = True
    epoch: str
    first: Numbered = Field(alias="from")
    last: Numbered = Field(alias="to")
    sent: Whole
    waiting: Whole
    missing: tuple[Span, ...]


class Pong(Message):
    """The answer to ``command/ping``."""

    schema_: Literal["edge.reply/1"] = Field(default="edge.reply/1", alias="schema")
    command: Literal["ping"] = "ping"
    ok: Literal[True] = True
    device: str
    version: str
    epoch: str
    seq: Whole


class Refusal(Message):
    """The answer to a command that was not carried out."""

    schema_: Literal["edge.reply/1"] = Field(default="edge.reply/1", alias="schema")
    command: str
    ok: Literal[False] = False
    what: str
    subject: str = ""
    hint: str = ""


def encode(message: BaseModel) -> bytes:
    """A message as UTF-8 JSON, with the names that the schema gives its fields."""
    return message.model_dump_json(by_alias=True).encode()


def timestamp(milliseconds: int, offset_minutes: int = 0) -> str:
    """A moment as messages write it: ISO 8601 with milliseconds and the zone's offset.

    Args:
        milliseconds: since 1970-01-01 UTC.
        offset_minutes: of the zone it is shown in; -1439 to 1439.

    Raises:
        OverflowError: the moment is outside of the years 1 to 9999.
    """
    zone = timezone(timedelta(minutes=offset_minutes))
    moment = (_EPOCH + timedelta(milliseconds=milliseconds)).astimezone(zone)
    return moment.isoformat(timespec="milliseconds")


def milliseconds(time: str) -> int:
    """The inverse of :func:`timestamp`: milliseconds since 1970-01-01 UTC."""
    return (datetime.fromisoformat(time) - _EPOCH) // timedelta(milliseconds=1)
