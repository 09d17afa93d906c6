"""From what the store gives to what the API says."""

from __future__ import annotations

from typing import Final

from edge.delivery.messages import timestamp
from edge.service.browsing import Camera, Detail
from edge.service.history import Revision
from edge.service.searching import Answer, Classified, Hit
from edge.store.browsing import Listed, Shown
from edge.store.media import Detected
from edge.web.api.models import (
    Box,
    CameraAnswer,
    ClassifyAnswer,
    DetectionAnswer,
    DifferenceAnswer,
    GuessAnswer,
    HitAnswer,
    ImageAnswer,
    RegistrationAnswer,
    RegistrationDetail,
    RevisionAnswer,
    SearchAnswer,
    Word,
)

_PPM: Final = 1_000_000


def registration(row: Listed) -> RegistrationAnswer:
    """A registration as lists have it."""
    found, offset = row.registration, row.offset_minutes
    return RegistrationAnswer(
        registration_id=found.id,
        state=found.state if row.living else "retracted",
        deployment=found.deployment,
        label=found.label,
        scientific_name=row.scientific_name or None,
        count=found.count,
        start=timestamp(found.start, offset),
        end=timestamp(found.end, offset),
        confidence=found.confidence / _PPM,
        votes=dict(found.votes),
        media_count=found.media_count,
        revision=found.revision,
        night=row.night,
        clock_ok=row.clock_ok,
        reviewed=row.reviewed,
        cover=row.cover.media_id if row.cover else None,
        observed_at=timestamp(row.observed),
        superseded_by=found.superseded_by,
    )


def detailed(found: Detail) -> RegistrationDetail:
    """A registration with all that is kept of it."""
    return RegistrationDetail(
        **registration(found.row).model_dump(),
        images=tuple(image(shown) for shown in found.pictures),
        offset=found.offset,
        revisions=tuple(_revision(revision) for revision in found.past),
        before=found.before,
        after=found.after,
    )


def image(shown: Shown) -> ImageAnswer:
    """An image on record."""
    picture, review = shown.picture, shown.review
    return ImageAnswer(
        media_id=picture.media_id,
        file=picture.file,
        deployment=picture.deployment,
        taken=timestamp(picture.taken, picture.offset_minutes),
        clock_ok=picture.clock_ok,
        night=picture.night,
        width=picture.width,
        height=picture.height,
        bytes=picture.size,
        label=shown.label,
        count=shown.count,
        confidence=shown.confidence / _PPM,
        detections=tuple(_detection(one) for one in picture.detections),
        machine=Word(label=review.machine_label, count=review.machine_count) if review else None,
    )


def camera(found: Camera) -> CameraAnswer:
    """A camera."""
    row, last = found.row, found.row.last
    return CameraAnswer(
        deployment=row.deployment,
        images=row.images,
        registrations=row.registrations,
        open=row.open,
        doubtful_times=row.doubtful,
        timezone=found.zone,
        clock_offset=found.clock_offset,
        last_taken=timestamp(last.taken, last.offset_minutes) if last else None,
        quiet_seconds=None if found.quiet is None else found.quiet / 1000,
    )


def answer(found: Answer) -> SearchAnswer:
    """What a search found."""
    return SearchAnswer(
        hits=tuple(_hit(hit) for hit in found.hits), not_compared=found.not_compared, notes=found.notes
    )


def classified(found: Classified) -> ClassifyAnswer:
    """What a picture shows."""
    return ClassifyAnswer(
        label=found.label,
        confidence=round(found.confidence, 6),
        top=tuple(GuessAnswer(label=g.label, confidence=round(g.confidence, 6)) for g in found.top),
        known=round(found.known, 6),
        animals=found.animals,
    )


def _hit(hit: Hit) -> HitAnswer:
    place = hit.place
    return HitAnswer(
        file=place.file,
        score=round(hit.score, 6),
        media_id=place.media_id,
        deployment=place.deployment,
        taken=timestamp(place.taken, place.offset_minutes),
        label=place.label,
        registration_id=place.registration_id,
    )


def _detection(found: Detected) -> DetectionAnswer:
    x, y, width, height = found.box
    return DetectionAnswer(
        kind=found.kind,
        box=Box(x=x, y=y, width=width, height=height),
        score=found.score,
        label=found.label,
        label_score=found.label_score,
    )


def _revision(found: Revision) -> RevisionAnswer:
    return RevisionAnswer(
        revision=found.message.revision,
        change=found.message.change,
        observed_at=found.message.observed_at,
        differences=tuple(
            DifferenceAnswer(what=d.what, before=d.before, after=d.after) for d in found.differences
        ),
    )
