"""Registrations and their change log, in the forms that others read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TextIO, get_args

from edge.interchange.times import Clock, Style
from edge.registration.types import UNIDENTIFIED, Change, Registration

Format = Literal["csv", "jsonl", "camtrap-dp", "submission"]
FORMATS: tuple[Format, ...] = get_args(Format)

CSV_COLUMNS = (
    "deployment", "label", "start", "end", "count", "media_count", "confidence", "registration_id",
)  # fmt: skip
SUBMISSION_COLUMNS = ("name_folder", "class", "date_registration_start", "date_registration_end", "count")
SUBMISSION_MOST = 5
"""Counts of the task's table end here: 5 means 5 or more."""

CAMTRAP_DP_COLUMNS = (
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel",
    "observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior",
    "individualID", "individualPositionRadius", "individualPositionAngle", "individualSpeed", "bboxX",
    "bboxY", "bboxWidth", "bboxHeight", "classificationMethod", "classifiedBy", "classificationTimestamp",
    "classificationProbability", "observationTags", "observationComments",
)  # fmt: skip
"""All columns of Camtrap DP 1.0's table of observations, in its order."""

_PPM = 1_000_000
_WHOLE_SECONDS = Style(exact=False)


def write_csv(registrations: Iterable[Registration], out: TextIO, clock: Clock) -> None:
    """A table with a line for each registration; times as in the input."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for r in registrations:
        start, end = clock.write(r.start), clock.write(r.end)
        confidence = f"{r.confidence / _PPM:.6f}"
        writer.writerow((r.deployment, r.label, start, end, r.count, r.media_count, confidence, r.id))


def write_jsonl(registrations: Iterable[Registration], out: TextIO, clock: Clock) -> None:
    """One JSON object a line for each registration."""
    for registration in registrations:
        _line(_facts(registration, clock), out)


def write_submission(registrations: Iterable[Registration], out: TextIO, clock: Clock) -> None:
    """The table that the Ministry of Natural Resources' camera-trap task asks for."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(SUBMISSION_COLUMNS)
    for r in registrations:
        start, end = clock.write(r.start), clock.write(r.end)
        writer.writerow((r.deployment, r.label, start, end, min(r.count, SUBMISSION_MOST)))


def write_camtrap_dp(
    registrations: Iterable[Registration], out: TextIO, clock: Clock, scientific_names: Mapping[str, str]
) -> None:
    """Event-level observations of Camtrap DP 1.0.

    A label without a scientific name goes into ``observationTags`` as ``label:NAME``. The standard's times
    are whole seconds with an offset.

    Args:
        registrations: to write.
        out: text; the caller opened it without newline translation.
        clock: its zone is the one of the times.
        scientific_names: by label.
    """
    writer = csv.DictWriter(out, CAMTRAP_DP_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for r in registrations:
        name = scientific_names.get(r.label, "")
        writer.writerow(
            {
                "observationID": r.id,
                "deploymentID": r.deployment,
                "eventID": r.id,
                "eventStart": _WHOLE_SECONDS.write(r.start, clock.zone),
                "eventEnd": _WHOLE_SECONDS.write(r.end, clock.zone),
                "observationLevel": "event",
                "observationType": "animal",
                "scientificName": name,
                "count": r.count,
                "classificationProbability": f"{r.confidence / _PPM:.6f}" if r.confidence else "",
                "observationTags": "" if name or r.label == UNIDENTIFIED else f"label:{r.label}",
            }
        )


def write_changes(changes: Iterable[Change], out: TextIO, clock: Clock) -> None:
    """The change log: one JSON object a line, the registration whole in each, given out at once."""
    for change in changes:
        _line({"change": change.kind, **_facts(change.registration, clock), **_standing(change)}, out)
        out.flush()  # who follows a growing input wants each change when it happens


def write(
    form: Format,
    registrations: Iterable[Registration],
    out: TextIO,
    clock: Clock,
    scientific_names: Mapping[str, str],
) -> None:
    """Registrations in one of the forms."""
    if form == "camtrap-dp":
        write_camtrap_dp(registrations, out, clock, scientific_names)
        return
    {"csv": write_csv, "jsonl": write_jsonl, "submission": write_submission}[form](registrations, out, clock)


def _facts(r: Registration, clock: Clock) -> dict[str, Any]:
    return {
        "registration_id": r.id,
        "deployment": r.deployment,
        "label": r.label,
        "count": r.count,
        "start": clock.write(r.start),
        "end": clock.write(r.end),
        "media_count": r.media_count,
        "confidence": r.confidence / _PPM,
        "votes": dict(sorted(r.votes.items())),
        "first_media": r.first.media_id,
        "last_media": r.last.media_id,
    }


def _standing(change: Change) -> dict[str, Any]:
    r = change.registration
    return {"state": r.state, "revision": r.revision, "superseded_by": r.superseded_by}


def _line(content: Mapping[str, Any], out: TextIO) -> None:
    out.write(json.dumps(content, ensure_ascii=False) + "\n")
