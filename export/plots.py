"""An export's pictures: cosines, boxes by size, sensitivity, time. Small PNGs on white.

matplotlib is imported when a picture is drawn; without it a report has none, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge.errors import ExportError
from export.findings import Findings
from export.floors import VectorFloors
from export.gate import Choice
from export.measure import SIZES, Boxes, Share, Vectors

MISSING = "There are no pictures: matplotlib isn't installed (it comes with the extra `export`)."
# Okabe and Ito (2008), Color Universal Design.
_BLUE, _ORANGE, _GREEN, _RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
_GREY, _INK = "#8C8C8C", "#333333"
_DPI = 120
_WIDTH = 6.8
_MOST_NODES = 15
_LONGEST_NODE = 44
_FULL = 0.9999995
"""A cosine this near to 1 is 1 in float32."""
Picture = dict[str, str]


def draw(folder: Path, found: Findings) -> tuple[list[Picture], str]:
    """Draw what there is to be drawn.

    Args:
        folder: for the files; made if there is any.
        found: what was measured.

    Returns:
        for each picture ``part``, ``title`` and ``file`` (relative to the folder's parent); and why there is
        none.

    Raises:
        ExportError: a file can't be written.
    """
    jobs = list(_jobs(found))
    if not jobs:
        return [], ""
    if find_spec("matplotlib") is None:
        return [], MISSING
    try:
        folder.mkdir(exist_ok=True)
        return [_saved(folder, *job) for job in jobs], ""
    except OSError as error:
        raise ExportError("picture can't be written", subject=str(folder), hint=str(error)) from error


Job = tuple[str, str, str, Callable[[], Any]]
"""Part, the file's name without suffix, title, and what draws it."""


def _jobs(found: Findings) -> Iterator[Job]:
    for choice in found.choices:
        name, quality = f"{choice.part}-{choice.target}", choice.chosen.quality
        title = f"{choice.part} for {choice.target}"
        if isinstance(quality, Vectors) and quality.cosines:
            floors = getattr(found.request.floors, choice.part)
            yield choice.part, f"cosines-{name}", f"Cosines of {title}", _later(cosines, choice, floors)
        if isinstance(quality, Boxes) and quality.recalled:
            yield choice.part, f"boxes-{name}", f"Boxes of {title}", _later(boxes, choice, found)
        if choice.sensitivity:
            yield choice.part, f"sensitivity-{name}", f"Sensitivity of {title}", _later(sensitivity, choice)
        if any(tried.measured.cost.run_ms for tried in choice.tried):
            yield choice.part, f"latency-{name}", f"Time of {title}", _later(latency, choice)


def _later(paint: Callable[..., Any], *arguments: object) -> Callable[[], Any]:
    return lambda: paint(*arguments)


def _saved(folder: Path, part: str, name: str, title: str, paint: Callable[[], Any]) -> Picture:
    # Without the library's version inside, the same numbers give the same file.
    paint().savefig(folder / f"{name}.png", dpi=_DPI, metadata={"Software": None})
    return {"part": part, "title": title, "file": f"{folder.name}/{name}.png"}


def cosines(choice: Choice, floors: VectorFloors) -> Any:
    """Histogram of cosines with fp32, with the floors of mean and least."""
    quality = choice.chosen.quality
    assert isinstance(quality, Vectors)  # noqa: S101 - the caller has looked
    figure, axes = _canvas(2.9)
    losses = [1 - min(cosine, _FULL) for cosine in quality.cosines]
    low, high = min(losses), max(*losses, 1 - floors.minimum)
    axes.hist(losses, bins=_logarithmic(low, high, 40), color=_BLUE, alpha=0.85)
    axes.set_xscale("log")
    for name, value, floor, colour in (
        ("mean", quality.mean, floors.mean, _GREEN),
        ("1st percentile", quality.p1, floors.p1, _ORANGE),
        ("least", quality.minimum, floors.minimum, _RED),
    ):
        axes.axvline(1 - floor, color=colour, lw=1.4, ls="--")
        axes.axvline(
            1 - min(value, _FULL), color=colour, lw=1.4, label=f"{name} {value:.4f} (floor {floor:g})"
        )
    axes.set_xlabel("1 \u2212 cosine with fp32 (0.001 is a cosine of 0.999)", color=_INK)
    axes.set_ylabel("samples", color=_INK)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(title="solid: measured; dashed: floor", **_LEGEND)
    _headed(figure, choice, f"{quality.samples} embeddings against fp32's")
    return figure


def _logarithmic(low: float, high: float, bins: int) -> list[float]:
    ratio = max(high / low, 1.0001)
    return [low * 0.999 * (ratio * 1.002) ** (index / bins) for index in range(bins + 1)]


def boxes(choice: Choice, found: Findings) -> Any:
    """Recall and precision by size of box, with 95 % intervals and the floors."""
    quality = choice.chosen.quality
    assert isinstance(quality, Boxes)  # noqa: S101 - the caller has looked
    figure, axes = _canvas(3.1)
    names = ["all", *(name for name, _, _ in SIZES)]
    for offset, (what, shares, colour) in zip(
        (-0.19, 0.19),
        (("recall", quality.recalled, _BLUE), ("precision", quality.precise, _ORANGE)),
        strict=True,
    ):
        _bars(axes, [shares.get(name) for name in names], offset, what, colour)
    floors = found.request.floors.detector
    axes.axhline(floors.recall, color=_BLUE, lw=1.2, ls="--")
    axes.axhline(floors.precision, color=_ORANGE, lw=1.2, ls=(0, (4, 4)))
    axes.set_xticks(range(len(names)), [_sized(name) for name in names])
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share at IoU \u2265 0.5", color=_INK)
    axes.set_xlabel("box's share of the image", color=_INK)
    axes.legend(title="dashed: floor for all", **_LEGEND)
    _headed(figure, choice, f"boxes against fp32's in {quality.images} images; lines: 95 % intervals")
    return figure


def _bars(axes: Any, shares: Sequence[Share | None], offset: float, what: str, colour: str) -> None:
    places = [place + offset for place, share in enumerate(shares) if share]
    known = [share for share in shares if share]
    axes.bar(places, [share.value for share in known], 0.34, color=colour, alpha=0.85, label=what)
    below = [max(0.0, share.value - share.interval[0]) for share in known]  # rounding may pass the end
    above = [max(0.0, share.interval[1] - share.value) for share in known]
    values = [share.value for share in known]
    axes.errorbar(places, values, yerr=[below, above], fmt="none", ecolor=_INK, elinewidth=1, capsize=3)
    for place, share in zip(places, known, strict=True):
        axes.text(place, 0.03, f"{share.hits}/{share.of}", ha="center", fontsize=8, color="white")


def _sized(name: str) -> str:
    """A size with its range, as shares of the image."""
    limits = {"small": "below 1 %", "medium": "1 to 10 %", "large": "above 10 %"}
    return f"{name}\n{limits[name]}" if name in limits else name


def sensitivity(choice: Choice) -> Any:
    """What quantising each node alone costs, the worst on top."""
    worst = choice.sensitivity[:_MOST_NODES]
    figure, axes = _canvas(1.4 + 0.22 * len(worst))
    left_out = set(choice.chosen.candidate.unquantised)
    colours = [_GREY if name in left_out else _BLUE for name, _ in worst]
    places = range(len(worst) - 1, -1, -1)
    axes.barh(places, [loss for _, loss in worst], 0.7, color=colours)
    axes.set_ylim(-0.7, len(worst) - 0.3)
    axes.set_yticks(list(places), [_short(name) for name, _ in worst], fontsize=8)
    axes.set_xlabel("loss against fp32 when only this node is quantised", color=_INK)
    note = "; grey: kept in float32" if left_out & {name for name, _ in worst} else ""
    _headed(figure, choice, f"most sensitive nodes{note}")
    return figure


def latency(choice: Choice) -> Any:
    """Median and middle half of the time of everything that was tried, beside fp32's."""
    tried = [each.measured for each in choice.tried if each.measured.cost.run_ms]
    figure, axes = _canvas(1.3 + 0.46 * len(tried))
    for row, measured in enumerate(reversed(tried)):
        cost, taken = measured.cost, measured is choice.chosen
        spread = cost.paired
        end = max(cost.run_ms, spread.run.q3) if spread else cost.run_ms
        _time(axes, row + 0.19, spread and spread.reference, cost.reference_ms, _GREY)
        _time(axes, row - 0.19, spread and spread.run, cost.run_ms, _BLUE if taken else "#56B4E9")
        axes.text(end, row - 0.19, f"  {cost.speedup:.2f} times", va="center", fontsize=8, color=_INK)
    axes.set_yticks(
        range(len(tried)), [_short(each.candidate.precision) for each in reversed(tried)], fontsize=9
    )
    axes.set_xlim(0, axes.get_xlim()[1] * 1.12)
    axes.set_xlabel("milliseconds per run (median; line: middle half of runs)", color=_INK)
    _headed(figure, choice, "time of what was tried (blue; dark: taken) beside fp32's (grey)")
    return figure


def _time(axes: Any, y: float, spread: Any, median: float, colour: str) -> None:
    axes.barh(y, median, 0.34, color=colour)
    if spread is not None:
        reach = [[max(0.0, median - spread.q1)], [max(0.0, spread.q3 - median)]]
        axes.errorbar([median], [y], xerr=reach, fmt="none", ecolor=_INK, elinewidth=1, capsize=2.5)


_LEGEND = {
    "frameon": False,
    "fontsize": 8,
    "title_fontsize": 8,
    "loc": "upper left",
    "bbox_to_anchor": (1, 1),
}


def _canvas(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - see the module's docstring

    figure = Figure(figsize=(_WIDTH, height), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.set_axisbelow(True)
    return figure, axes


def _headed(figure: Any, choice: Choice, what: str) -> None:
    """A heading over the whole width: the graph, then what is shown of it."""
    graph = f"{choice.part} for {choice.target}, {choice.chosen.candidate.precision}"
    figure.suptitle(f"{graph}\n{what}", fontsize=10, x=0.01, ha="left", color=_INK)


def _short(name: str) -> str:
    """A name as it is, without its beginning if it is long; a dollar would begin a formula."""
    short = name if len(name) <= _LONGEST_NODE else f"\u2026{name[-_LONGEST_NODE + 1 :]}"
    return short.replace("$", r"\$")
