"""``edge search``: find images by words or by pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from edge.cli.asking import (
    MEDIA,
    BundleOption,
    CollectionOption,
    NightOption,
    SheetOption,
    checked_sheet,
    looking,
    naming,
    read_picture,
    say,
    write_sheet,
)
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
    local,
    out,
    write_json,
    zone_of,
)
from edge.cli.escaping import escape
from edge.configuration import Configuration
from edge.delivery.messages import timestamp
from edge.service.searching import Answer, Hit, Searcher, Wanted
from edge.service.sheet import Tile
from edge.service.thumbnails import Thumbnails
from edge.store.queries import Filter
from edge.vision.foreign import as_jpeg

app = typer.Typer(no_args_is_help=True, help="Find images by words or by pictures: text, image.")

TopOption = Annotated[int, typer.Option("--top", "-n", min=1, metavar="N", help="How many to show.")]
AllOption = Annotated[
    bool, typer.Option("--all", help="Every image for itself, not only the best of each registration.")
]


@dataclass(frozen=True, slots=True)
class _How:
    """Where to look, for what, and how to show it."""

    found: Configuration
    collection: str | None
    only: bool
    wanted: Wanted
    sheet: Path | None
    as_json: bool


@app.command("text")
def text_command(
    query: Annotated[str, typer.Argument(help="What to look for, in English unless the bundle knows more.")],
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    collection: CollectionOption = None,
    bundle: BundleOption = None,
    top: TopOption = 12,
    deployment: DeploymentOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    night: NightOption = None,
    every: AllOption = False,
    as_json: JsonOption = False,
    sheet: SheetOption = None,
) -> None:
    """Show the images that look most like what the words say.

    Examples:
        edge search text "a red fox"

        edge search text owl --deployment cam-07 --from 2026-05-04 --night --all --json

        edge search text "a waterfall" --collection sights --sheet waterfalls.jpg
    """
    found = configuration(config, state=state, vision__bundle=bundle)
    wanted = _wanted(found, Filter(deployment, label), since, until, Wanted(Filter(), top, every, night))
    how = _How(found, collection, bundle is not None, wanted, sheet, as_json)
    _search(how, query, lambda searcher: searcher.by_words(query, wanted))


@app.command("image")
def image_command(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE...",
            help="Files (JPEG, PNG, WebP, TIFF, BMP, GIF), or media ids (sha256:…) of images on record. "
            "With several, what looks like any of them.",
        ),
    ],
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    collection: CollectionOption = None,
    bundle: BundleOption = None,
    top: TopOption = 12,
    deployment: DeploymentOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    night: NightOption = None,
    every: AllOption = False,
    as_json: JsonOption = False,
    sheet: SheetOption = None,
) -> None:
    """Show the images that look most like a picture, or like an animal in it.

    Examples:
        edge search image ~/known-jaguar.jpg

        edge search image left-flank.png right-flank.png --from 2026-05-04 --sheet seen.jpg

        edge search image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --top 3
    """
    found = configuration(config, state=state, vision__bundle=bundle)
    wanted = _wanted(found, Filter(deployment, label), since, until, Wanted(Filter(), top, every, night))
    how = _How(found, collection, bundle is not None, wanted, sheet, as_json)
    limits = found.settings.intake
    media = [picture for picture in pictures if picture.startswith(MEDIA)]
    files = [Path(picture) for picture in pictures if not picture.startswith(MEDIA)]
    loaded = [_picture(path, limits.max_bytes, limits.max_pixels) for path in files]
    _search(how, ", ".join(pictures), lambda searcher: searcher.by_mixture(media, loaded, wanted), files)


def _wanted(
    found: Configuration, chosen: Filter, since: str | None, until: str | None, rest: Wanted
) -> Wanted:
    times = between(since, until, zone_of(found, chosen.deployment))
    return Wanted(Filter(chosen.deployment, chosen.label, *times), rest.top, rest.every, rest.night)


def _picture(path: Path, max_bytes: int, max_pixels: int) -> bytes:
    with naming(path):
        return as_jpeg(read_picture(path, max_bytes), max_pixels)


def _search(how: _How, question: str, ask: Callable[[Searcher], Answer], files: Iterable[Path] = ()) -> None:
    checked_sheet(how.sheet, how.wanted.top)
    about = Path(" ".join(map(str, files)))  # an error found in decoding is about one of them
    with looking(how.found.settings, how.collection, only=how.only, sheet=how.sheet) as place:
        with naming(about):
            answer = ask(place.desk.searcher(place.database))
        write_sheet(how.sheet, lambda: [_tile(hit, place.pictures) for hit in answer.hits], question)
    say(answer.notes)
    if answer.not_compared:
        say([f"{answer.not_compared} images were embedded by other models and could not be compared"])
    if how.as_json:
        write_json([_json(hit) for hit in answer.hits])
    else:
        out.print(_table(answer.hits))


def _json(hit: Hit) -> dict[str, object]:
    place = hit.place
    return {
        "file": place.file,
        "score": round(hit.score, 6),
        "media_id": place.media_id,
        "deployment": place.deployment,
        "taken": timestamp(place.taken, place.offset_minutes),
        "label": place.label,
        "registration_id": place.registration_id,
    }


def _table(hits: Iterable[Hit]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("score", "file", "deployment", "taken", "label"):
        table.add_column(name, justify="right" if name == "score" else "left", overflow="fold")
    for hit in hits:
        place = hit.place
        taken = local(place.taken, place.offset_minutes)
        row = (f"{hit.score:.3f}", place.file, place.deployment, taken, place.label or "")
        table.add_row(*map(escape, row))
    return table


def _tile(hit: Hit, pictures: Thumbnails) -> Tile:
    place = hit.place
    first = f"{hit.score:.3f}  {place.label or ''}"
    return Tile(pictures(place.media_id), (first, place.file, local(place.taken, place.offset_minutes)))
