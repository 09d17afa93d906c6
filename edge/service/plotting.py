"""A deployment as a picture: what was seen when, and at which hours of the day.

matplotlib is imported when a picture is drawn: nothing else needs it, and a device in the field may lack it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from edge.errors import EdgeError, UsageError
from edge.registration.types import UNIDENTIFIED, Observation, Registration

SUFFIXES: Final = (".png", ".svg")

# Okabe and Ito (2008), Color Universal Design; without the yellow, which is too pale on white, and the black.
_COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
_GREY: Final = "#8C8C8C"
_INK: Final = "#333333"
_HOURS: Final = 24
_NARROWEST: Final = 0.004
"""Of the time shown: a registration of one image must be seen as well."""
_NUMBER_ROOM: Final = 0.014
OTHERS: Final = "others"


@dataclass(frozen=True, slots=True)
class Sighted:
    """What is drawn of a deployment.

    Attributes:
        deployment: the camera.
        observations: images with animals; ``t`` is ms UTC.
        registrations: made of them.
        offset_minutes: of local time from UTC, by media id.
        zone: name of the local time, for the axis.
    """

    deployment: str
    observations: Sequence[Observation]
    registrations: Sequence[Registration]
    offset_minutes: Mapping[str, int]
    zone: str


def draw(sighted: Sighted, target: Path) -> None:
    """Draw a deployment's timeline and daily activity.

    Above, labels are rows: a dot is an image, a bar a registration with its largest count beside it. Below,
    images with animals by hour of the day, local time, stacked by label.

    Args:
        sighted: what to draw.
        target: a file that ends in ``.png`` or ``.svg``; it is replaced.

    Raises:
        EdgeError: matplotlib isn't installed, or the file can't be written.
        UsageError: another kind of file is asked for, or there is nothing to draw.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(
            "not a kind of picture drawn here", subject=str(target), hint="end it in .png or .svg"
        )
    if not sighted.observations:
        raise UsageError("nothing to draw: no animals then and there", subject=sighted.deployment)
    try:
        import matplotlib as mpl  # noqa: PLC0415 - see the module's docstring
    except ImportError as error:
        raise EdgeError(
            "pictures need matplotlib", hint="install the extra: pip install 'edge-camera-trap[plot]'"
        ) from error
    svg = target.suffix.lower() == ".svg"
    try:
        with mpl.rc_context(
            {"svg.hashsalt": "edge"}
        ):  # with no date inside, the same record gives the same file
            _figure(sighted).savefig(target, dpi=120, metadata={"Date": None} if svg else None)
    except OSError as error:
        raise EdgeError("picture can't be written", subject=str(target), hint=str(error)) from error


def rows_of(sighted: Sighted) -> list[str]:
    """Labels of images and registrations, the most frequent first, ``unidentified`` last; at most six.

    Where there are more, the sixth and all after it are ``others``.
    """
    seen: dict[str, int] = {r.label: 0 for r in sighted.registrations}
    for observation in sighted.observations:
        label = observation.label or UNIDENTIFIED
        seen[label] = seen.get(label, 0) + 1
    nobody = seen.pop(UNIDENTIFIED, None) is not None
    names = sorted(seen, key=lambda label: (-seen[label], label))
    if len(names) > len(_COLOURS):
        names = [*names[: len(_COLOURS) - 1], OTHERS]
    return [*names, UNIDENTIFIED] if nobody else names


def by_hour(sighted: Sighted) -> dict[str, list[int]]:
    """Images with animals in each hour of the local day, by row."""
    rows = rows_of(sighted)
    hours = {row: [0] * _HOURS for row in rows}
    for observation in sighted.observations:
        hours[_row(observation.label, rows)][_local(sighted, observation).hour] += 1
    return hours


def _row(label: str | None, rows: Sequence[str]) -> str:
    name = label or UNIDENTIFIED
    return name if name in rows else OTHERS


def _local(sighted: Sighted, observation: Observation) -> datetime:
    """The camera's local time, without a zone, as axes want it."""
    return _at(observation.t, sighted.offset_minutes.get(observation.media_id, 0))


def _at(ms: int, offset_minutes: int) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (epoch + timedelta(milliseconds=ms, minutes=offset_minutes)).replace(tzinfo=None)


def _figure(sighted: Sighted) -> Any:
    from matplotlib.figure import Figure  # noqa: PLC0415 - see the module's docstring

    rows = rows_of(sighted)
    colours = dict(_coloured(rows))
    height = 0.5 * len(rows) + 5.0
    figure = Figure(figsize=(11, height), layout="constrained", facecolor="white")
    above, below = figure.subplots(2, 1, height_ratios=(0.5 * len(rows) + 1.4, 2.4))
    images, events = len(sighted.observations), len(sighted.registrations)
    figure.suptitle(
        f"{_plain(sighted.deployment)}: {_number(events, 'registration')} from "
        f"{_number(images, 'image')} with animals",
        fontsize=14,
        fontweight="bold",
        color=_INK,
    )
    _timeline(above, sighted, rows, colours)
    _activity(below, sighted, rows, colours)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK, labelsize=10)
    return figure


def _coloured(rows: Sequence[str]) -> Iterator[tuple[str, str]]:
    free = iter(_COLOURS)
    for row in rows:
        yield row, _GREY if row in (UNIDENTIFIED, OTHERS) else next(free)


def _timeline(axes: Any, sighted: Sighted, rows: Sequence[str], colours: Mapping[str, str]) -> None:
    place = {row: len(rows) - 1 - number for number, row in enumerate(rows)}
    for row in rows:
        mine = [o for o in sighted.observations if _row(o.label, rows) == row]
        times = [_local(sighted, o) for o in mine]
        axes.plot(
            times, [place[row] - 0.2] * len(mine), "o", ms=4.5, color=colours[row], alpha=0.55, mec="none"
        )
    bars = [_bar(sighted, registration) for registration in sighted.registrations]
    span = max(bar.end for bar in bars) - min(bar.start for bar in bars) if bars else timedelta()
    for row in rows:
        _bars(axes, [bar for bar in bars if _row(bar.label, rows) == row], span, place[row], colours[row])
    for y in range(len(rows) - 1):
        axes.axhline(y + 0.5, color="#EEEEEE", lw=0.8)
    axes.set_yticks(list(place.values()), [_name(row) for row in place])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis="x", color="#E5E5E5", lw=0.8)
    axes.set_axisbelow(True)
    _time_axis(axes, sighted)


@dataclass(frozen=True, slots=True)
class _Bar:
    start: datetime
    end: datetime
    label: str
    count: int


def _bar(sighted: Sighted, registration: Registration) -> _Bar:
    offset = sighted.offset_minutes.get(registration.first.media_id, 0)
    start, end = _at(registration.start, offset), _at(registration.end, offset)
    return _Bar(start, end, registration.label, registration.count)


def _bars(axes: Any, bars: Sequence[_Bar], span: timedelta, y: float, colour: str) -> None:
    """Registrations of one row; the count stands where there is room for it."""
    least = max(span * _NARROWEST, timedelta(seconds=1))
    free_from = datetime.min  # noqa: DTZ901 - without a zone, as the axis is
    for bar in bars:
        width = max(bar.end - bar.start, least)
        middle = bar.start + (bar.end - bar.start) / 2
        axes.barh(y - 0.02, width, left=middle - width / 2, height=0.3, align="edge", color=colour)
        if bar.count > 1 and middle >= free_from:
            axes.text(middle, y + 0.29, str(bar.count), ha="center", va="bottom", fontsize=9, color=_INK)
            free_from = middle + span * _NUMBER_ROOM


def _time_axis(axes: Any, sighted: Sighted) -> None:
    from matplotlib import dates  # noqa: PLC0415 - see the module's docstring

    locator = dates.AutoDateLocator(minticks=4, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.use_sticky_edges = False
    axes.margins(x=0.02)
    axes.set_xlabel(f"local time ({sighted.zone})", color=_INK)
    axes.set_title(
        "bars: registrations, their largest count above; dots: images, by their own label",
        fontsize=10,
        loc="left",
        color=_INK,
    )


def _activity(axes: Any, sighted: Sighted, rows: Sequence[str], colours: Mapping[str, str]) -> None:
    hours = by_hour(sighted)
    base = [0] * _HOURS
    for row in rows:
        axes.bar(
            [hour + 0.5 for hour in range(_HOURS)],
            hours[row],
            bottom=base,
            width=0.9,
            color=colours[row],
            label=_name(row),
        )
        base = [below + more for below, more in zip(base, hours[row], strict=True)]
    axes.set_xlim(0, _HOURS)
    axes.set_xticks(range(0, _HOURS + 1, 2), [f"{hour:02}:00" for hour in range(0, _HOURS + 1, 2)])
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("images", color=_INK)
    axes.set_xlabel(f"hour of the day ({sighted.zone})", color=_INK)
    axes.set_title("daily activity", fontsize=10, loc="left", color=_INK)
    axes.legend(frameon=False, fontsize=10, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _name(label: str) -> str:
    return _plain(label.replace("_", " "))


def _plain(text: str) -> str:
    """A text as it is; a dollar would begin a formula."""
    return text.replace("$", r"\$")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
