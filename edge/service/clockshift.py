"""A camera's clock put right after the fact: its images' event times move, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import Final, NamedTuple

from edge.intake.identity import file_number
from edge.intake.moment import clock_doubt, offset_at
from edge.intake.numbering import Numbering
from edge.intake.types import Candidate, Examined, FileStat
from edge.registration.types import Key
from edge.service.corrections import Amender, Amendment, Corrected, by_kind, who
from edge.service.work import now_ms
from edge.settings import Settings
from edge.store.corrections import Correction, Corrections, Dated, Retimed, Span
from edge.store.database import Database
from edge.store.journal import Entry, Journal

CHUNK: Final = 1000
"""Images in one transaction: less than a second on a workstation, and the daemon waits at most ten."""
_NEAR: Final = 250
PAUSE: Final = 0.2
"""Seconds between two transactions, for the daemon's: SQLite looks only now and then whether it may write."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What is asked for.

    Attributes:
        span: images by event time, as it is on record before.
        by: ms to add.
        mtime: images whose time is that of the file, not the camera's, are moved too.
        again: images whose last correction was by the same amount are moved once more.
        made_by: who asks for it; the system's user if not given.
    """

    span: Span
    by: int
    mtime: bool = False
    again: bool = False
    made_by: str = ""


class Judged(NamedTuple):
    """New times of the images to move, by id, and images that stay and are in doubt no more."""

    times: dict[str, Retimed]
    trusted: list[Dated]


@dataclass(frozen=True, slots=True)
class ShiftPlan:
    """What a shift would do.

    Attributes:
        shift: the one.
        moved: images whose times change, with their times as they are.
        by_mtime: images that stay because their time isn't by the camera's clock.
        done: images that stay because they were moved by the same amount before.
        doubtful_before, doubtful_after: of the images moved, those whose time can't be right.
        registrations: living ones that have some of them.
        judged: their new times.
    """

    shift: Shift
    moved: tuple[Dated, ...]
    by_mtime: int
    done: int
    doubtful_before: int
    doubtful_after: int
    registrations: int
    judged: Judged = field(repr=False)


def plan(database: Database, shift: Shift, settings: Settings, *, now: int | None = None) -> ShiftPlan:
    """What a shift would do; nothing is changed.

    Args:
        database: any.
        shift: what is asked for.
        settings: zones, and which times are believed.
        now: the device's time, ms UTC.
    """
    images = list(Corrections(database).images(shift.span))
    own = [image for image in images if shift.mtime or image.time_source != "mtime"]
    moved = [image for image in own if shift.again or image.moved_by != shift.by]
    judged = _judge(database, shift, moved, settings, now_ms() if now is None else now)
    return ShiftPlan(
        shift,
        tuple(moved),
        by_mtime=len(images) - len(own),
        done=len(own) - len(moved),
        doubtful_before=sum(not image.clock_ok for image in moved),
        doubtful_after=sum(not time.clock_ok for time in judged.times.values()),
        registrations=_registrations(database, shift.span.deployment, moved),
        judged=judged,
    )


def shift_clock(
    database: Database, shift: Shift, settings: Settings, *, told: Callable[[int], None] = lambda _n: None
) -> Corrected:
    """Move the event times of a deployment's images, and all that follows from them.

    Many images take several transactions, each complete in itself. After an interruption the same shift does
    the rest: what was moved isn't moved twice.

    Args:
        database: opened for writing.
        shift: what to do.
        settings: zones, and which times are believed.
        told: called with the number of images after each transaction.

    Raises:
        StoreError: the database refused; what was committed stays.
    """
    found = plan(database, shift, settings)
    ordered = sorted(found.moved, key=lambda image: (image.taken, image.media_id))
    if shift.by > 0:
        ordered.reverse()  # so that no image is overtaken by one that follows in a later transaction
    parts = list(_parts(ordered))
    correction: int | None = None
    total = Corrected()
    for part in parts:
        new = [found.judged.times[image.media_id] for image in part]
        # What is in no doubt any more follows from all of them.
        judged = Judged(
            {image.media_id: image for image in new}, found.judged.trusted if part is parts[-1] else []
        )
        with database.transaction():
            correction = correction or _begin(database, shift)
            done, times = _move(database, shift, judged, settings, correction)
            Corrections(database).count(correction, images=done.images, messages=sum(done.messages.values()))
            Journal(database.path.parent).append(Entry(now_ms(), shift.made_by or who(), {}, times))
        total = total.plus(done)
        told(total.images)
        if part is not parts[-1]:
            sleep(PAUSE)
    return total


def describe(by: int) -> str:
    """A shift in words, such as ``+365 days, 0:00:00`` or ``-1:30:00``."""
    return f"{'-' if by < 0 else '+'}{timedelta(milliseconds=abs(by))}"


def move_again(
    database: Database, shift: Shift, times: Mapping[str, Retimed], settings: Settings
) -> Corrected:
    """Give images times that a correction gave them once, in a database that doesn't know of it.

    Joins the caller's transaction.

    Args:
        database: opened for writing.
        shift: of their deployment, and by how much they are moved now.
        times: their times, by id; those that aren't so much after the ones on record are left.
        settings: the rules of registration.

    Raises:
        StoreError: nothing was changed.
    """
    correction = _begin(database, shift)
    done, _ = _move(database, shift, Judged(dict(times), []), settings, correction)
    Corrections(database).count(correction, images=done.images, messages=sum(done.messages.values()))
    return done


def believe_again(
    database: Database, deployment: str, media_ids: Collection[str], settings: Settings
) -> Corrected:
    """Take the doubt from images from which a correction took it once; joins the caller's transaction."""
    images = [i for i in Corrections(database).images(Span(deployment)) if i.media_id in media_ids]
    return _move(database, Shift(Span(deployment), 0), Judged({}, images), settings, 0)[0]


def _begin(database: Database, shift: Shift) -> int:
    span = shift.span
    line = Correction(
        id=0,
        made=now_ms(),
        made_by=shift.made_by or who(),
        kind="clock",
        deployment=span.deployment,
        what=f"clock {describe(shift.by)}",
        shift=shift.by,
        since=span.since,
        until=span.until,
    )
    return Corrections(database).begin(line)


def _move(
    database: Database, shift: Shift, judged: Judged, settings: Settings, correction: int
) -> tuple[Corrected, dict[str, Retimed]]:
    """Move some images, within the transaction; those that another correction moved meanwhile are left.

    Returns:
        what was done, and the new times of all images that have any.
    """
    store, deployment = Corrections(database), shift.span.deployment
    was = {media_id: time.taken - shift.by for media_id, time in judged.times.items()}
    span = Span(deployment, min(was.values()), max(was.values()) + 1) if was else None
    there = store.images(span) if span else ()
    # In the order in which they arrived, so that registrations that stay whole keep their ids.
    moved = sorted((i for i in there if was.get(i.media_id) == i.taken), key=_arrival)
    going = [found for image in moved if (found := store.animals(image.media_id))]
    coming = [replace(observation, t=observation.t + shift.by) for observation in going]
    staying = [Key(image.taken, image.media_id) for image in judged.trusted]
    amender = Amender(database, now_ms())
    before = amender.said(deployment, staying)
    store.retime([judged.times[image.media_id] for image in moved], correction, shift.by)
    store.trust([image.media_id for image in judged.trusted])
    newest = store.renew_newest(deployment)
    lateness = round(settings.registration.allowed_lateness * 1000)
    amender.lower_watermark(deployment, None if newest is None else newest - lateness)
    changes = amender.apply(Amendment(deployment, going, coming, staying), before)
    times = {image.media_id: judged.times[image.media_id] for image in moved}
    trusted = {i.media_id: Retimed(i.media_id, i.taken, i.offset_minutes, True) for i in judged.trusted}
    return Corrected(len(moved), by_kind(changes)), times | trusted


def _arrival(image: Dated) -> tuple[int, int, str]:
    return image.received, image.taken, image.media_id


def _judge(database: Database, shift: Shift, moved: Sequence[Dated], settings: Settings, now: int) -> Judged:
    """Whether the clock can be right once these images are moved, by the rules of intake.

    One that was in doubt must also stand where its number says; one that wasn't needn't, since over a
    deployment's whole history numbers repeat. One that stays is believed again only where the shift is why.
    """
    moving = {image.media_id for image in moved}
    images = sorted(Corrections(database).images(Span(shift.span.deployment)), key=_arrival)
    old = [_retimed(image, 0, shift, settings) for image in images]
    new = [_retimed(image, shift.by if image.media_id in moving else 0, shift, settings) for image in images]
    before, after = (_verdicts(images, times, shift, settings, now) for times in (old, new))
    times: dict[str, Retimed] = {}
    trusted = []
    for image, time, was, judged in zip(images, new, before, after, strict=True):
        if image.media_id in moving:
            right = judged.clock_ok if not image.clock_ok else judged.plausible
            times[image.media_id] = time._replace(clock_ok=right)
        elif not image.clock_ok and not was.clock_ok and judged.clock_ok:
            trusted.append(image)
    return Judged(times, trusted)


class _Verdict(NamedTuple):
    """Whether a time is plausible by itself, and whether it also agrees with the image's number."""

    plausible: bool
    clock_ok: bool


def _verdicts(
    images: Sequence[Dated], times: Sequence[Retimed], shift: Shift, settings: Settings, now: int
) -> list[_Verdict]:
    earliest = settings.intake.earliest
    plausible = [not clock_doubt(t.taken, t.offset_minutes, earliest, now) for t in times]
    examined = [
        _examined(image, time, shift, settings, plausible=ok)
        for image, time, ok in zip(images, times, plausible, strict=True)
    ]
    judged = Numbering().judge(examined)
    return [_Verdict(ok, one.clock_ok) for ok, one in zip(plausible, judged, strict=True)]


def _retimed(image: Dated, by: int, shift: Shift, settings: Settings) -> Retimed:
    """An image's new time, not judged yet. An offset that the camera itself stated stays."""
    zone = settings.intake.zone(shift.span.deployment)
    taken = image.taken + by
    stated = image.offset_minutes != offset_at(image.taken, zone)
    return Retimed(
        image.media_id, taken, image.offset_minutes if stated else offset_at(taken, zone), clock_ok=True
    )


def _examined(image: Dated, time: Retimed, shift: Shift, settings: Settings, *, plausible: bool) -> Examined:
    """An image at its new time in intake's words."""
    return Examined(
        candidate=Candidate(Path(), image.file, FileStat(0, 0, 0, 0)),
        deployment=shift.span.deployment,
        taken_ms=time.taken,
        nanos=0,
        offset_minutes=time.offset_minutes,
        time_source=image.time_source,
        clock_ok=plausible,
        number=file_number(image.file, settings.intake.time_pattern),
    )


def _parts(ordered: Sequence[Dated]) -> Iterator[Sequence[Dated]]:
    """Parts of about ``CHUNK`` images, cut where the camera was quiet for longest nearby."""
    start = 0
    while len(ordered) - start > CHUNK + _NEAR:
        near = ordered[start + CHUNK - _NEAR : start + CHUNK + _NEAR]
        gaps = [abs(b.taken - a.taken) for a, b in pairwise(near)]
        end = start + CHUNK - _NEAR + gaps.index(max(gaps)) + 1
        yield ordered[start:end]
        start = end
    if start < len(ordered):
        yield ordered[start:]


def _registrations(database: Database, deployment: str, moved: Sequence[Dated]) -> int:
    if not moved:
        return 0
    ids = {image.media_id for image in moved}
    rows = database.execute(
        "SELECT r.id, o.media_id FROM registrations r JOIN observations o INDEXED BY animals "
        "ON o.kind = 'animal' AND o.deployment = r.deployment "
        "AND (o.t, o.media_id) >= (r.first_t, r.first_media) "
        "AND (o.t, o.media_id) <= (r.last_t, r.last_media) WHERE r.living AND r.deployment = ?",
        (deployment,),
    )
    return len({id_ for id_, media_id in rows if media_id in ids})
