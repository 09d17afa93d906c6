"""``edge registrations show``: everything about one registration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from edge.cli.common import ConfigOption, JsonOption, StateOption, local, out, reading, write_json
from edge.cli.escaping import escape
from edge.delivery.messages import RegistrationMessage, timestamp
from edge.errors import UsageError
from edge.registration.types import Registration
from edge.service.emit import message_of
from edge.service.history import Difference, Revision, revisions
from edge.store.database import Database
from edge.store.history import Reviewed, find_registrations, reviewed_members, said_about
from edge.store.queries import scientific_names
from edge.store.record import SqliteRecord


def show_command(
    registration: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one registration: label, votes, every image with who says what, and how it came to be.

    Revisions are derived from the messages that are still kept.

    Examples:
        edge registrations show 0b6e41c2

        edge registrations show 0b6e41c2-5d0e-5a55-9f4f-1c6f2b830d1f --json
    """
    with reading(config, state) as (_, database):
        id_ = _the_one(database, registration)
        record = SqliteRecord(database)
        found = record.find(id_)
        assert found is not None  # noqa: S101 - its id was just read
        living = record.is_living(id_)
        images = reviewed_members(database, found) if living else []
        said = [RegistrationMessage.model_validate_json(row.payload) for row in said_about(database, id_)]
        now = (
            message_of(database, found, scientific_names(database)) if living else said[-1] if said else None
        )
    past = revisions(said)
    if as_json:
        write_json(_json(found, now, images, past, living=living))
        return
    _tell(found, now, images, living=living)
    if images:
        out.print()
        out.print(_image_table(images))
    if past:
        out.print()
        out.print(_past_table(past))


def _the_one(database: Database, beginning: str) -> str:
    found = find_registrations(database, beginning)
    if not found or not beginning:
        hint = "`edge registrations --csv` lists ids"
        raise UsageError("no registration with this id", subject=beginning, hint=hint)
    if len(found) > 1:
        raise UsageError("more than one registration begins like this", subject=beginning)
    return found[0]


def _tell(
    found: Registration, now: RegistrationMessage | None, images: list[Reviewed], *, living: bool
) -> None:
    offset = images[0].member.offset_minutes if images else 0
    by_person = sum(image.review is not None for image in images)
    table = Table(box=None, show_header=False)
    rows = {
        "registration": found.id,
        "deployment": found.deployment,
        "label": found.label + (f" ({now.scientific_name})" if now and now.scientific_name else ""),
        "count": str(found.count),
        "time": f"{local(found.start, offset)} to {local(found.end, offset)}",
        "clock": "" if now is None or now.clock_ok else "can't be right",
        "votes": ", ".join(f"{label} {n}" for label, n in sorted(found.votes.items(), key=_most)) or "none",
        "confidence": f"{found.confidence / 1_000_000:.2f}",
        "images": str(found.media_count) + (f", {by_person} with a person's word" if by_person else ""),
        "state": (found.state if living else "retracted") + f", revision {found.revision}",
        "superseded by": found.superseded_by or "",
        "models": now.bundle.name if now else "",
    }  # fmt: skip
    for name, value in rows.items():
        if value:
            table.add_row(f"[bold]{name}", escape(value))
    out.print(table)


def _most(vote: tuple[str, int]) -> tuple[int, str]:
    return -vote[1], vote[0]


def _image_table(images: Iterable[Reviewed]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("taken", "file", "label", "count", "who", "models said", "boxes: x y w h, label"):
        table.add_column(name, justify="right" if name == "count" else "left", overflow="fold")
    for member, review in images:
        boxes = [
            f"{' '.join(f'{side:.2f}' for side in d.box)} {d.label or '-'} {d.label_score:.2f}"
            for d in member.detections
            if d.kind == "animal"
        ]
        machine = "" if review is None else _word(review.machine_label, review.machine_count)
        table.add_row(
            local(member.taken, member.offset_minutes),
            escape(member.file),
            escape(member.label or "-"),
            str(member.count),
            "models" if review is None else "[bold]person[/]",
            escape(machine),
            escape("\n".join(boxes)),
        )
    return table


def _word(label: str | None, count: int) -> str:
    return f"{label or '-'} x{count}" if count else "no animal"


def _past_table(past: Iterable[Revision]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("revision", "seq", "change", "observed", "what is different"):
        table.add_column(name, justify="right" if name in ("revision", "seq") else "left", overflow="fold")
    for revision in past:
        m = revision.message
        lines = [_line(difference) for difference in revision.differences]
        if not revision.follows and revision.differences:
            lines.append("(a revision between isn't kept)")
        observed = m.observed_at[:19].replace("T", " ")
        table.add_row(str(m.revision), str(m.seq), m.change, observed, escape("\n".join(lines)))
    return table


def _line(difference: Difference) -> str:
    before, after = _value(difference.before), _value(difference.after)
    if difference.before is None and difference.after == "a member":
        return f"+ {difference.what}"
    if difference.after is None and difference.before == "a member":
        return f"- {difference.what}"
    return f"{difference.what}: {before} → {after}"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return (
            str(value["name"])
            if "name" in value
            else ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
        )
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, str) and value[10:11] == "T":
        return value[:19].replace("T", " ")
    return str(value)


def _json(
    found: Registration,
    now: RegistrationMessage | None,
    images: list[Reviewed],
    past: list[Revision],
    *,
    living: bool,
) -> dict[str, Any]:
    return {
        "living": living,
        "registration": None if now is None else now.model_dump(mode="json", by_alias=True),
        "registration_id": found.id,
        "images": [_image_json(image) for image in images],
        "revisions": [
            {
                "revision": r.message.revision,
                "seq": r.message.seq,
                "change": r.message.change,
                "observed_at": r.message.observed_at,
                "follows": r.follows,
                "differences": [asdict(difference) for difference in r.differences],
            }
            for r in past
        ],
    }


def _image_json(image: Reviewed) -> dict[str, Any]:
    member, review = image
    return {
        "media_id": member.media_id,
        "file": member.file,
        "taken": timestamp(member.taken, member.offset_minutes),
        "label": member.label,
        "count": member.count,
        "by": "models" if review is None else "person",
        "machine": None
        if review is None
        else {
            "label": review.machine_label,
            "count": review.machine_count,
            "confidence": review.machine_confidence / 1_000_000,
        },
        "clock_ok": member.clock_ok,
        "detections": [
            {
                "kind": d.kind,
                "box": list(d.box),
                "score": d.score,
                "label": d.label,
                "label_score": d.label_score,
            }
            for d in member.detections
        ],
    }
