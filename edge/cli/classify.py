"""``edge classify``: what pictures show, among labels that somebody gives."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.asking import (
    MEDIA,
    BundleOption,
    CollectionOption,
    NightOption,
    Place,
    SheetOption,
    checked_sheet,
    looking,
    naming,
    read_picture,
    say,
    write_sheet,
)
from edge.cli.classified import Result, as_object, counts, surest, table, tile, write_csv
from edge.cli.common import (
    ConfigOption,
    DeploymentOption,
    JsonOption,
    LabelOption,
    SinceOption,
    StateOption,
    UntilOption,
    between,
    configuration,
    out,
    write_json,
    zone_of,
)
from edge.errors import UsageError
from edge.intake.types import printable
from edge.service.searching import TOP, Desk, Wanted, labels_of
from edge.service.sheet import MOST, Tile, thumbnail
from edge.settings import Settings
from edge.store.queries import Filter
from edge.store.searching import place as place_of
from edge.vision.labels import LabelSet

LabelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        metavar="SET|FILE|CLASS...",
        help="A label set, a file with one, or the classes themselves: all words up to the next option. "
        "Default: vision.labels.",
        show_default=False,
    ),
]
TopOption = Annotated[int, typer.Option("--top", "-n", min=1, metavar="N", help="How many labels to show.")]
_OF_EACH = 8
"""Pictures of each class on the sheet of a data set."""


@dataclass(frozen=True, slots=True)
class _How:
    """With what to look, and for what."""

    settings: Settings
    collection: str | None
    only: bool
    labels: LabelSet
    top: int
    sheet: Path | None


def classify_command(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PICTURE...",
            help="Files (JPEG, PNG, WebP, TIFF, BMP, GIF), or media ids (sha256:…) of images on record.",
        ),
    ] = None,
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    labels: LabelsOption = None,
    collection: CollectionOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="All images on record; --collection does it without being told.")
    ] = False,
    bundle: BundleOption = None,
    top: TopOption = TOP,
    deployment: DeploymentOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    night: NightOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
    sheet: SheetOption = None,
) -> None:
    """Say what pictures show, of some labels: the likeliest three, or "unknown" where the evidence is thin.

    Put pictures before --labels, or behind a --: all words after --labels are classes, up to the next option.
    One word alone is a label set, by its name or its file. Filters choose among images on record.

    Examples:
        edge classify photo.jpg

        edge classify photo.jpg --labels "Waterfalls and lakes" "Ancient pyramids" --json

        edge classify --collection sights --labels classes.toml --csv > classes.csv

        edge classify --all --labels europe --from 2026-05-04 --night
    """
    given, classes = pictures or [], labels or []
    found = configuration(config, state=state, vision__bundle=bundle)
    zone = zone_of(found, deployment)
    wanted = Wanted(Filter(deployment, label, *between(since, until, zone)), night=night)
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    _check(given, classes, wanted, all_of_them=every, collection=collection)
    checked_sheet(sheet, len(given))
    meant = labels_of(classes, found.settings.vision.labels)
    how = _How(found.settings, collection, bundle is not None, meant, top, sheet)
    say(filter(None, [Desk(found.settings).remark(meant)]))
    results = _each(how, given) if given else _all(how, wanted)
    if as_json:
        write_json([as_object(result) for result in results])
    elif as_csv:
        write_csv(results)
    else:
        out.print(table(results) if given else counts(results, meant.names))


def _check(
    given: Sequence[str], classes: Sequence[str], wanted: Wanted, *, all_of_them: bool, collection: str | None
) -> None:
    if not given and not all_of_them and collection is None:
        taken = next((word for word in classes[1:] if Path(word).is_file()), None)
        if taken:
            hint = "put pictures before --labels, or behind a --"
            raise UsageError("this picture was taken for a class", subject=taken, hint=hint)
        hint = "give pictures, or --collection NAME, or --all for the images on record"
        raise UsageError("nothing to classify", hint=hint)
    if given and (all_of_them or (collection and not all(word.startswith(MEDIA) for word in given))):
        raise UsageError("either pictures or all that are on record, not both", subject=given[0])
    if given and wanted != Wanted():
        hint = "without pictures, with --collection NAME or --all"
        raise UsageError("filters choose among images on record", hint=hint)


def _each(how: _How, given: Sequence[str]) -> list[Result]:
    """Pictures one by one, in the order in which they were given."""
    results: list[Result] = []
    tiles: list[Tile] = []
    with ExitStack() as held:
        place = None
        if any(word.startswith(MEDIA) for word in given):
            place = held.enter_context(looking(how.settings, how.collection, only=how.only, sheet=how.sheet))
        desk = place.desk if place else Desk(how.settings, only=how.only)
        for word in given:
            on_record = place if word.startswith(MEDIA) else None
            result, shown = _on_record(how, on_record, word) if on_record else _file(how, desk, word)
            results.append(result)
            tiles.extend([shown] if shown else [])
    write_sheet(how.sheet, lambda: tiles, how.labels.title or ", ".join(how.labels.names))
    return results


def _on_record(how: _How, place: Place, media_id: str) -> tuple[Result, Tile | None]:
    shows = place.desk.classify_media(place.database, media_id, how.labels, how.top)
    record = place_of(place.database, media_id)
    result = Result(record.file if record else media_id, shows, record)
    return result, tile(result, place.pictures(media_id)) if how.sheet else None


def _file(how: _How, desk: Desk, name: str) -> tuple[Result, Tile | None]:
    path, settings = Path(name), how.settings
    data = read_picture(path, settings.intake.max_bytes)
    with naming(path):
        shows = desk.classify(data, how.labels, how.top)
        result = Result(printable(name), shows)
        if not how.sheet:
            return result, None
        people = shows.people if settings.vision.blur_people else ()
        return result, tile(result, thumbnail(data, people, settings.intake.max_pixels))


def _all(how: _How, wanted: Wanted) -> list[Result]:
    """All images that the filter lets through, the surest first."""
    with looking(how.settings, how.collection, only=how.only, sheet=how.sheet) as place:
        say(place.desk.searcher(place.database).notes)
        named = place.desk.classify_all(place.database, how.labels, wanted, how.top)
        results = [Result(found.file, shows, found) for found, shows in named]
        results.sort(key=lambda result: (-result.shows.confidence, result.name))
        shown = surest(results, _OF_EACH, MOST) if how.sheet else []
        pictures = [tile(r, place.pictures(r.record.media_id)) for r in shown if r.record]
    write_sheet(how.sheet, lambda: pictures, how.labels.title or ", ".join(how.labels.names))
    return results
