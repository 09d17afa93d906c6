"""What the API says, as types; the OpenAPI document is made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.delivery.messages import Health


class Model(BaseModel):
    """Frozen; names in JSON are those of the fields, or their aliases."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ProblemAnswer(Model):
    """Why a request wasn't answered as asked (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(description="what went wrong, one clause")
    status: int
    detail: str = Field(default="", description="on what")
    hint: str = Field(default="", description="what to do about it")


class Box(Model):
    """In shares of the image's width and height, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


class DetectionAnswer(Model):
    """One thing found in an image; scores from 0 to 1."""

    kind: Literal["animal", "person", "vehicle"]
    box: Box
    score: float
    label: str | None
    label_score: float


class Word(Model):
    """What an image shows; a count of 0 says that there is no animal in it."""

    label: str | None = Field(description="null: an animal that nobody can name")
    count: int


class ImageAnswer(Model):
    """An image on record."""

    media_id: str
    file: str = Field(description="path below the drop folder")
    deployment: str
    taken: str = Field(description="event time in the camera's zone, ISO 8601")
    clock_ok: bool = Field(description="whether that time can be right")
    night: bool | None = Field(description="taken by infrared light; null: nobody looked")
    width: int
    height: int
    bytes: int
    label: str | None
    count: int
    confidence: float = Field(description="0 to 1; a person's word has 1")
    detections: tuple[DetectionAnswer, ...]
    machine: Word | None = Field(description="what the models say, where a person has said something else")


class RegistrationAnswer(Model):
    """An animal, or several of a kind, in front of one camera for a while."""

    registration_id: str
    state: Literal["open", "closed", "retracted"]
    deployment: str
    label: str
    scientific_name: str | None
    count: int = Field(description="most animals in one of its images")
    start: str = Field(description="in the camera's zone, ISO 8601")
    end: str
    confidence: float = Field(description="0 to 1: mean of the images that voted for the label")
    votes: dict[str, int]
    media_count: int
    revision: int
    night: bool | None = Field(description="its first image was taken by infrared light")
    clock_ok: bool
    reviewed: bool = Field(description="a person has spoken of one of its images")
    cover: str | None = Field(description="media id of the image that shows it best")
    observed_at: str = Field(description="when the device last spoke of it, UTC")
    superseded_by: str | None = Field(description="of a retracted one: which has its images now")


class RegistrationPage(Model):
    """Some registrations, and where the list goes on."""

    registrations: tuple[RegistrationAnswer, ...]
    next: str | None = Field(description="give it as `cursor` for those that follow; null at the end")


class DifferenceAnswer(Model):
    """One thing that a message said otherwise than the one before."""

    what: str
    before: object
    after: object


class RevisionAnswer(Model):
    """One message about a registration."""

    revision: int
    change: str
    observed_at: str
    differences: tuple[DifferenceAnswer, ...]


class RegistrationDetail(RegistrationAnswer):
    """A registration with its images, its past and its neighbours at the same camera."""

    images: tuple[ImageAnswer, ...]
    offset: int = Field(description="images before the first of those")
    revisions: tuple[RevisionAnswer, ...] = Field(description="as far as they are kept, oldest first")
    before: str | None
    after: str | None


class HitAnswer(Model):
    """An image that was found; the same as of `edge search --json`."""

    file: str
    score: float = Field(description="cosine to the query")
    media_id: str
    deployment: str
    taken: str
    label: str | None = Field(description="of its registration")
    registration_id: str | None


class SearchAnswer(Model):
    """What was found, best first."""

    hits: tuple[HitAnswer, ...]
    not_compared: int = Field(description="images that other models embedded")
    notes: tuple[str, ...]


class GuessAnswer(Model):
    """A label, and its probability among those asked for."""

    label: str
    confidence: float


class ClassifyAnswer(Model):
    """What a picture shows."""

    label: str | None = Field(description="null: unknown, the evidence is thin")
    confidence: float
    top: tuple[GuessAnswer, ...] = Field(description="the three likeliest")
    known: float = Field(description="probability that it is any of the labels")
    animals: int = Field(description="found in it; with none the whole picture was classified")


class CameraAnswer(Model):
    """A camera."""

    deployment: str
    images: int
    registrations: int
    open: int
    doubtful_times: int = Field(description="images whose time can't be right")
    timezone: str
    clock_offset: float = Field(description="seconds added to what its clock says")
    last_taken: str | None
    quiet_seconds: float | None = Field(description="since then, by the device's clock")


class CamerasAnswer(Model):
    """All cameras by name."""

    deployments: tuple[CameraAnswer, ...]


class LabelAnswer(Model):
    """A label that was used here."""

    label: str
    scientific_name: str | None
    registrations: int


class LabelsAnswer(Model):
    """Labels to choose from, and label sets to classify by."""

    labels: tuple[LabelAnswer, ...]
    sets: tuple[str, ...]


class PageHealth(Model):
    """How the page itself is."""

    version: str
    busy_seconds: float = Field(description="that the search in hand has taken so far")
    waiting: int = Field(description="searches in line")


class HealthAnswer(Model):
    """How the device is."""

    daemon: Literal["running", "not running"]
    health: Health | None = Field(description="the daemon's last word, as it says it over MQTT")
    web: PageHealth


class Say(Model):
    """A person's word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str | None = Field(default=None, max_length=200, description="null: an animal nobody can name")
    count: int | None = Field(
        default=None, ge=0, le=10_000, description="animals in each image; 0: none; null: as many as now"
    )
    new: bool = Field(default=False, description="the label is in no label set, and meant so")


class SayOfRegistration(Say):
    """A person's word on all images of a registration."""

    revision: int = Field(description="that the person saw; another one by now refuses it")


class Confirm(Model):
    """A person's yes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = Field(description="that the person saw; another one by now refuses it")


class Done(Model):
    """What came of a person's word."""

    images: int = Field(description="that were changed")
    messages: dict[str, int] = Field(description="that are sent for it, by their kind")
