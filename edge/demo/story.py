"""One evening at three places, told by three cameras: what is there, when, and how the files arrive.

The truth is declared here and nowhere else; what the demo shows comes from the images alone. With the
truth and the documented rules, :func:`expected` says which registrations a perfect eye would report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Final, Literal

from edge.demo.scenes import Figure, Light, Place, Scene
from edge.registration import Observation, Options, Registration, register

ZONE: Final = timezone(timedelta(hours=-6))
MEADOW, THICKET, TRAIL = "meadow-01", "thicket-02", "trail-03"
PLACES: Final = {
    MEADOW: Place("meadow"),
    THICKET: Place("woodland"),
    TRAIL: Place("woodland", 0.0, 0.25, 0.6, 0.95, mirrored=True),
}

Arrival = Literal["renamed", "growing", "torn", "late"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One image of the story.

    Attributes:
        deployment: whose camera.
        number: in its file's name; numbers follow the camera's clock, not the arrival.
        clock: what the camera's clock shows, ``HH:MM:SS`` with at most milliseconds.
        label: the animals that are there; None if there are none.
        figures: what is drawn; one animal each, unless ``label`` is None.
        light: day, dusk or night.
        arrival: written aside and renamed, growing in place, cut off for ever, or out of order.
    """

    deployment: str
    number: int
    clock: str
    label: str | None = None
    figures: tuple[Figure, ...] = ()
    light: Light = "day"
    arrival: Arrival = "renamed"

    @property
    def file(self) -> str:
        """Path below the drop folder."""
        return f"{self.deployment}/IMG_{self.number:04}.JPG"

    @property
    def scene(self) -> Scene:
        """What the camera sees."""
        seed = 1000 * list(PLACES).index(self.deployment) + self.number
        return Scene(PLACES[self.deployment], self.figures, self.light, seed)

    def taken(self, evening: date) -> datetime:
        """When the image was taken."""
        return datetime.combine(evening, time.fromisoformat(self.clock), ZONE)


_NEAR_BISON = Figure("bison", 0.72, 0.46, 0.90, mirrored=True)
_FAR_BISON = Figure("bison", 0.22, 0.34, 0.70)
_LATE_BISON = Figure("bison", 0.80, 0.42, 0.85, mirrored=True)
_PERSON = Figure("person", 0.42, 0.72, 1.04)
_BOAR = Figure("boar", 0.30, 0.38, 0.86)
_SECOND_BOAR = Figure("boar", 0.74, 0.34, 0.76, mirrored=True)
_NIGHT_BOAR = Figure("boar", 0.20, 0.30, 0.75)

# In the order of arrival.
STORY: Final = (
    Moment(MEADOW, 1, "17:02:11", "American_Bison", (Figure("bison", 0.38, 0.50),)),
    Moment(MEADOW, 2, "17:09:40", "American_Bison", (_FAR_BISON, _NEAR_BISON)),
    Moment(MEADOW, 3, "17:21:05"),
    Moment(MEADOW, 4, "17:26:32", "American_Bison", (_NEAR_BISON,), arrival="growing"),
    Moment(MEADOW, 6, "18:40:20", None, (_PERSON,), "dusk"),
    Moment(THICKET, 1, "18:51:07", "Wild_Boar", (Figure("boar", 0.35, 0.42, 0.75),), "dusk"),
    Moment(THICKET, 2, "18:58:44", "Wild_Boar", (_SECOND_BOAR, _BOAR), "dusk"),
    Moment(MEADOW, 7, "19:05:30.200", "Domestic_Dog", (Figure("dog", 0.30, 0.52),), "dusk"),
    Moment(MEADOW, 8, "19:05:31.100", "Domestic_Dog", (Figure("dog", 0.55, 0.54),), "dusk"),
    Moment(THICKET, 3, "19:10:02", None, (), "dusk"),
    Moment(THICKET, 4, "19:21:19", "Wild_Boar", (_NIGHT_BOAR,), "night"),
    Moment(MEADOW, 5, "17:44:50", "American_Bison", (_LATE_BISON,), arrival="late"),
    Moment(THICKET, 5, "20:47:33", "Wild_Boar", (Figure("boar", 0.80, 0.34, 0.75),), "night"),
    Moment(TRAIL, 1, "21:47:03.100", "Jaguar", (Figure("jaguar", 0.36, 0.66, 0.92),), "night"),
    Moment(TRAIL, 2, "21:47:03.600", "Jaguar", (Figure("jaguar", 0.40, 0.66, 0.92),), "night"),
    Moment(TRAIL, 3, "21:47:04.100", "Jaguar", (Figure("jaguar", 0.44, 0.66, 0.92),), "night"),
    Moment(TRAIL, 4, "22:05:41", "Jaguar", (Figure("jaguar", 0.50, 0.66, 0.92),), "night"),
    Moment(TRAIL, 5, "22:12:16", "Jaguar", (Figure("jaguar", 0.58, 0.58, 0.92),), "night", "torn"),
    Moment(TRAIL, 6, "22:40:09", None, (), "night"),
    Moment(TRAIL, 7, "23:31:55", "Jaguar", (Figure("jaguar", 0.44, 0.66, 0.92, mirrored=True),), "night"),
)
COPIED: Final = STORY[13]
COPY_FILE: Final = f"{TRAIL}/card-2/IMG_0001.JPG"
FILES: Final = len(STORY) + 1


def default_evening(today: date) -> date:
    """An evening that is over everywhere on earth: times in the future would be flagged."""
    return today - timedelta(days=2)


def expected(evening: date, moments: Iterable[Moment] = STORY) -> list[Registration]:
    """The registrations that follow from the truth by the default rules, by deployment and start."""
    seen = [_observation(moment, evening) for moment in moments if moment.label and moment.arrival != "torn"]
    return register(seen, Options())


def _observation(moment: Moment, evening: date) -> Observation:
    return Observation(
        deployment=moment.deployment,
        media_id=moment.file,
        t=round(moment.taken(evening).timestamp() * 1000),
        label=moment.label,
        count=len(moment.figures),
        confidence=1_000_000,
    )
