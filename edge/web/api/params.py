"""What may be asked, as query parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from edge.errors import UsageError
from edge.service.browsing import Wish
from edge.service.searching import Wanted, class_labels
from edge.settings import Settings
from edge.store.queries import Filter
from edge.vision.labels import LabelSet, list_label_sets, load_label_set

MEDIA: Final = r"^sha256:[0-9a-f]{64}$"
_MOST_LABELS: Final = 100

MediaId = Annotated[str, Path(pattern=MEDIA, description="sha256 of the file: `sha256:...`")]
RegistrationId = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f-]+$")]


class Filters(BaseModel):
    """Which images or registrations; all that is given has to be true of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    deployment: str | None = Field(default=None, max_length=200, description="only this camera")
    label: str | None = Field(default=None, max_length=200, description="only this label")
    since: str | None = Field(
        default=None,
        alias="from",
        max_length=40,
        description="from this time on: 2026-05-04 or 2026-05-04T18:00, in the zone of the camera that is "
        "chosen, else the device's",
    )
    until: str | None = Field(default=None, alias="to", max_length=40, description="up to it, not included")

    def filter(self, settings: Settings) -> Filter:
        """As the store takes it.

        Raises:
            UsageError: a time is none.
        """
        zone = settings.intake.zone(self.deployment or "")
        return Filter(self.deployment, self.label, _moment(self.since, zone), _moment(self.until, zone))


class ListFilters(Filters):
    """Which registrations, and where in the list."""

    state: Literal["open", "closed"] | None = None
    order: Literal["changed", "time"] = Field(
        default="time", description="newest first: by their start, or by what was said of them last"
    )
    limit: int = Field(default=24, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=100, description="`next` of the page before")

    def wish(self, settings: Settings) -> Wish:
        """As the listing takes it."""
        return Wish(self.filter(settings), self.state, self.order)


class SearchFilters(Filters):
    """Which images are compared, and how many of them are wanted."""

    top: int = Field(default=12, ge=1, le=200)
    every: bool = Field(
        default=False, alias="all", description="every image, not only the best of each registration"
    )
    night: bool | None = Field(default=None, description="only images taken in the dark, or only others")

    def wanted(self, settings: Settings) -> Wanted:
        """As the searcher takes it."""
        return Wanted(self.filter(settings), self.top, self.every, self.night)


class Question(SearchFilters):
    """What is searched for: words, or an image on record."""

    q: str | None = Field(default=None, max_length=500, description="words, such as `a red fox`")
    media: str | None = Field(default=None, pattern=MEDIA, description="an image on record")


class Classes(BaseModel):
    """Among which labels is chosen; the device's own if none are given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=(), max_length=_MOST_LABELS, description="give it once for each label"
    )
    label_set: str | None = Field(default=None, max_length=100, description="name of an installed set")

    def label_names(self, settings: Settings) -> LabelSet:
        """The labels.

        Raises:
            UsageError: there is no such set, or both are given.
            ConfigError: the device's own set can't be read.
        """
        if self.labels and self.label_set:
            raise UsageError("give labels or a label_set, not both")
        if self.labels:
            return class_labels(self.labels)
        if self.label_set is None:
            return load_label_set(settings.vision.labels)
        known = list_label_sets()
        if self.label_set not in known:  # a path would be read otherwise
            hint = f"there are {', '.join(sorted(known))}"
            raise UsageError("no label set of this name", subject=self.label_set, hint=hint)
        return load_label_set(self.label_set)


class MediaClasses(Classes):
    """An image on record, and among which labels is chosen."""

    media: str = Field(pattern=MEDIA, description="an image on record")


Filtered = Annotated[Filters, Query()]
Listing = Annotated[ListFilters, Query()]
Questioned = Annotated[Question, Query()]
Searched = Annotated[SearchFilters, Query()]
Classed = Annotated[Classes, Query()]
MediaClassed = Annotated[MediaClasses, Query()]


def _moment(text: str | None, zone: ZoneInfo) -> int | None:
    """A time as ms UTC, read in a zone unless it names its own."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return round((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        hint = "write 2026-05-04 or 2026-05-04T18:00:00+07:00"
        raise UsageError("not a time", subject=text, hint=hint) from error
