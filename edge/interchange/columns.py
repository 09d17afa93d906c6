"""Which column means what: named by the caller, or known from how common tools call it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edge.errors import InterchangeError, UsageError

NAMES: dict[str, tuple[str, ...]] = {
    "deployment": (
        "deployment", "deploymentid", "namefolder", "station", "camera", "cameraid", "site", "siteid",
        "location", "locationid", "locationname", "folder", "relativepath",
    ),
    "media": (
        "media", "mediaid", "link", "file", "filename", "filepath", "image", "imageid", "imagename", "path",
        "photo",
    ),
    "time": (
        "time", "datetime", "timestamp", "dateregistration", "datetimeoriginal", "taken", "eventtime",
        "capturedat", "eventstart", "t",
    ),
    "label": (
        "label", "classpredict", "class", "species", "prediction", "predlabel", "predictedclass",
        "scientificname", "commonname", "pred1",
    ),
    "count": ("count", "number", "n", "numberofobjects", "groupsize", "animals", "individuals"),
    "confidence": (
        "confidence", "score", "conf", "probability", "prob", "classificationprobability", "predictionscore",
        "score1",
    ),
    "start": ("start", "dateregistrationstart", "eventstart"),
    "end": ("end", "dateregistrationend", "eventend"),
}  # fmt: skip
"""Field -> names that columns have for it, most telling first, without case, blanks and signs."""

SIGHTING = ("deployment", "media", "time", "label", "count", "confidence")
EVENT = ("deployment", "label", "start", "end", "count")


def mapping_of(text: str | None) -> dict[str, str]:
    """``deployment=name_folder,time=date`` as field -> column.

    Raises:
        UsageError: it isn't of that form, or names a field that there isn't.
    """
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        field, sign, column = part.partition("=")
        if not sign or not column.strip() or field.strip() not in SIGHTING:
            raise UsageError(
                "not a mapping of columns",
                subject=part,
                hint=f"write FIELD=COLUMN, where FIELD is one of {', '.join(SIGHTING)}",
            )
        found[field.strip()] = column.strip()
    return found


def places(
    header: Sequence[str], given: Mapping[str, str], fields: Sequence[str], needed: Sequence[str], file: str
) -> dict[str, int]:
    """Field -> position of its column.

    Args:
        header: names of the columns, as they stand in the file.
        given: field -> column, from the caller; these must be there.
        fields: to look for.
        needed: fields that must be found.
        file: for messages.

    Raises:
        InterchangeError: a column isn't there, or is there twice.
    """
    found: dict[str, int] = {}
    for field in fields:
        if field in given:
            found[field] = _given(header, given[field], file)
        elif (place := _known(header, field)) is not None:
            found[field] = place
    if missing := [field for field in needed if field not in found]:
        raise InterchangeError(
            f"no column for {' and '.join(missing)}",
            subject=file,
            hint=f"name it with --map {missing[0]}=COLUMN; there are: {_listed(header)}",
        )
    return found


def _given(header: Sequence[str], column: str, file: str) -> int:
    at = [place for place, name in enumerate(header) if name == column]
    if len(at) != 1:
        what = f"no column {column!r}" if not at else f"several columns {column!r}"
        raise InterchangeError(what, subject=file, hint=f"there are: {_listed(header)}")
    return at[0]


def _known(header: Sequence[str], field: str) -> int | None:
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in header]
    return next((plain.index(name) for name in NAMES[field] if name in plain), None)


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in header[:20])
    return f"{shown}, …" if len(header) > 20 else shown or "none"  # noqa: PLR2004 - enough to recognise it
