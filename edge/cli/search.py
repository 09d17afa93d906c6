"""``edge search``: find images by words or by a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from edge.cli.common import (
    ConfigOption,
    DeploymentOption,
    JsonOption,
    LabelOption,
    SinceOption,
    StateOption,
    UntilOption,
    configuration,
    err,
    local,
    moment,
    out,
    write_json,
    zone_of,
)
from edge.configuration import Configuration
from edge.delivery.messages import timestamp
from edge.service.searching import Answer, BundleEyes, Hit, Searcher, Wanted
from edge.store.database import open_readonly
from edge.store.queries import Filter

app = typer.Typer(no_args_is_help=True, help="Find images by words or by a picture: text, image.")

TopOption = Annotated[int, typer.Option("--top", "-n", min=1, metavar="N", help="How many to show.")]
AllOption = Annotated[
    bool, typer.Option("--all", help="Every image for itself, not only the best of each registration.")
]
BundleOption = Annotated[
    str | None,
    typer.Option("--bundle", metavar="BUNDLE", help="Models: a name, or a folder.", show_default=False),
]


@app.command("text")
def text_command(
    query: Annotated[str, typer.Argument(help="What to look for, in English unless the bundle knows more.")],
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    bundle: BundleOption = None,
    top: TopOption = 12,
    deployment: DeploymentOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the images that look most like what the words say.

    Examples:
        edge search text "a red fox"

        edge search text owl --deployment cam-07 --from 2026-05-04 --all --json
    """
    found = configuration(config, state=state, vision__bundle=bundle)
    wanted = _wanted(found, Filter(deployment, label), since, until, top=top, every=every)
    _search(found, lambda searcher: searcher.by_words(query, wanted), as_json=as_json)


@app.command("image")
def image_command(
    picture: Annotated[
        str,
        typer.Argument(
            metavar="PICTURE", help="A JPEG file, or the media id (sha256:…) of an image on record."
        ),
    ],
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    bundle: BundleOption = None,
    top: TopOption = 12,
    deployment: DeploymentOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    every: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the images that look most like a picture, or like an animal in it.

    Examples:
        edge search image ~/known-jaguar.jpg

        edge search image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --top 3
    """
    found = configuration(config, state=state, vision__bundle=bundle)
    wanted = _wanted(found, Filter(deployment, label), since, until, top=top, every=every)
    if picture.startswith("sha256:"):
        _search(found, lambda searcher: searcher.by_media(picture, wanted), as_json=as_json)
    else:
        _search(found, lambda searcher: searcher.by_picture(Path(picture), wanted), as_json=as_json)


def _wanted(
    found: Configuration, chosen: Filter, since: str | None, until: str | None, *, top: int, every: bool
) -> Wanted:
    zone = zone_of(found)
    times = (moment(since, zone), moment(until, zone))
    return Wanted(Filter(chosen.deployment, chosen.label, *times), top, every)


def _search(found: Configuration, ask: Callable[[Searcher], Answer], *, as_json: bool) -> None:
    settings = found.settings
    with closing(open_readonly(settings.state)) as database:
        searcher = Searcher(database, BundleEyes(settings), max_bytes=settings.intake.max_bytes)
        answer = ask(searcher)
    if answer.not_compared:
        err.print(f"{answer.not_compared} images were embedded by other models and could not be compared")
    if as_json:
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
        table.add_row(f"{hit.score:.3f}", place.file, place.deployment, taken, place.label or "")
    return table
