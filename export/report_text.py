"""What an export measured, for people: ``report.md``, made of the content of ``report.json`` alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from export.gate import allowed_visits

Content = Mapping[str, Any]
_MOST_NODES = 10
_MOST_DIFFERENCES = 40
_MOST_FILES = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = ("lost", "added", "relabelled", "recounted")


def markdown(content: Content) -> str:
    """The report for people."""
    lines = [
        f"# {content['bundle']} {content['version']}: what the export measured",
        "",
        *_outcome(content),
        *(line for name, part in content["parts"].items() for line in _part(content, name, part)),
        *_visits(content),
        *_images(content),
        *_where(content),
        *_origins(content),
    ]
    return "\n".join(lines).rstrip() + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table with an empty line behind it; bars in cells are escaped."""
    every = [header, ["---"] * len(header), *rows]
    return [*("| " + " | ".join(map(_cell, row)) + " |" for row in every), ""]


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _outcome(content: Content) -> list[str]:
    machine, libraries = content["machine"], content["libraries"]
    runtime = next((f"ONNX Runtime {v}" for k, v in libraries.items() if k.startswith("onnxruntime")), "")
    threads = "one thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    rows = [
        (
            name,
            part["precision"],
            _megabytes(part["bytes"]),
            _ratio(part["reference_bytes"], part["bytes"]),
            *_times(part.get("cost")),
            _quality(part.get("quality")),
            _small(content["difference_from_framework"].get(name)),
        )
        for name, part in content["parts"].items()
    ]
    header = (
        "part", "kept as", "MB", "smaller", "opens, ms", "runs, ms", "fp32, ms", "faster",
        "against fp32", "fp32 off its framework",
    )  # fmt: skip
    return [
        f"On {machine['processor']}, {threads}, {runtime}. Times are medians of runs in turns with fp32.",
        "Shares stand with their counts and, where it is wide, their 95 % interval.",
        "",
        *table(header, rows),
    ]


def _part(content: Content, name: str, part: Content) -> list[str]:
    lines = [f"## {name}", ""]
    if part["unquantised"]:
        lines += [f"Kept in float32: {_nodes(part['unquantised'])}. {_sentence(part['unquantised_why'])}", ""]
    if not part["targets"]:
        return [*lines, "Nothing was tried: fp32 was asked for.", "", *_pictures(content, name)]
    for choice in part["targets"]:
        lines += _choice(content, name, choice)
    return [*lines, *_pictures(content, name)]


def _choice(content: Content, name: str, choice: Content) -> list[str]:
    judged = "" if choice["speed_judged"] else " Its speed can't be judged on this machine."
    lines = [
        f"### {name} for {choice['target']}: {choice['chosen']}",
        "",
        *([judged.strip(), ""] * bool(judged)),
    ]
    vectors = name != "detector"
    floors = content["floors"][name]
    header = ("tried", *(_VECTOR_HEADER if vectors else _BOX_HEADER), "MB", "ms", "faster", "outcome")
    rows = [_floor_row(floors, content["floors"]["cost"], vectors=vectors)]
    rows += [
        (
            f"**{tried['precision']}**" if tried["chosen"] else tried["precision"],
            *(_vector_cells(tried["quality"]) if vectors else _box_cells(tried["quality"])),
            _megabytes(tried["cost"]["bytes"]),
            _time(tried["cost"]["run_ms"]),
            _times(tried["cost"])[-1],
            "taken" if tried["chosen"] else "passed" if tried["passed"] else "; ".join(tried["lacking"]),
        )
        for tried in choice["tried"]
    ]
    return [*lines, *table(header, rows), *([] if vectors else _BOX_NOTE), *_sensitivity(choice)]


_VECTOR_HEADER = ("cosine, mean", "1st percentile", "least", "same label", "same where sure")
_BOX_HEADER = (
    "recall", "small", "medium", "large", "precision", "near recall", "near precision", "same count",
    "emptied", "filled",
)  # fmt: skip

_BOX_NOTE = [
    "Boxes at an overlap (IoU) of 0.5; small ones have less than 1 % of the image, large ones 10 % and more.",
    "Near: the other side's box may score up to 0.05 below the threshold; what is still missing isn't there.",
    "Same count: images with as many boxes as fp32 finds. Emptied: images where only fp32 finds any, filled:",
    "where only this does.",
    "",
]


def _floor_row(floors: Content, cost: Content, *, vectors: bool) -> tuple[str, ...]:
    faster = f"\u2265 {cost['speedup']:g} if for speed"
    if vectors:
        least = [_least(floors[key]) for key in ("mean", "p1", "minimum")]
        return ("*floor*", *least, "", _least(floors["sure_agreement"]), "", "", faster, "")
    return (
        "*floor*",
        _least(floors["recall"]),
        "",
        "",
        "",
        _least(floors["precision"]),
        *[""] * 7,
        faster,
        "",
    )


def _vector_cells(quality: Content | None) -> list[str]:
    if quality is None:
        return ["not measured", *[""] * 4]
    cosines = [f"{quality[key]:.4f}" for key in ("mean", "p1", "minimum")]
    return [*cosines, _share(quality["same"]), _share(quality["sure"])]


def _box_cells(quality: Content | None) -> list[str]:
    if quality is None:
        return ["not measured", *[""] * 9]
    recalled = [_share(quality["recalled"].get(size)) for size in ("all", "small", "medium", "large")]
    images = quality["images"]
    counts = [f"{quality[key]} of {images}" for key in ("same_count", "emptied", "filled")]
    near = [_share(quality.get(key)) for key in ("near_recalled", "near_precise")]
    return [*recalled, _share(quality["precise"].get("all")), *near, *counts]


def _sensitivity(choice: Content) -> list[str]:
    nodes = choice["sensitivity"][:_MOST_NODES]
    if not nodes:
        return []
    rows = [(f"`{each['node']}`", _small(each["loss"])) for each in nodes]
    return [
        "What quantising one node alone costs, the worst first:",
        "",
        *table(("node", "loss"), rows),
    ]


def _pictures(content: Content, name: str) -> list[str]:
    own = [picture for picture in content["plots"] if picture["part"] == name]
    return [line for each in own for line in (f"![{each['title']}]({each['file']})", "")]


def _visits(content: Content) -> list[str]:
    visits = content["visits"]
    if visits is None:
        return ["## Visits", "", "Not compared: everything stays in fp32.", ""]
    differ = ", ".join(f"{kind} {visits[kind]}" for kind in _KINDS)
    lines = ["## Visits", "", f"Visits: {visits['reference']} with fp32; {differ}.", ""]
    floors = content["floors"]["visits"]
    header = ("deployment", "images", "visits with fp32", *_KINDS)
    rows = [(name, *_visit_cells(part)) for name, part in visits["by_deployment"].items()]
    total = [("**all**", *_visit_cells(visits))]
    allowed = (allowed_visits(floors[kind], visits["reference"]) for kind in _KINDS)
    most = ("*most that may differ*", "", "", *allowed)
    return [*lines, *table(header, [*rows, *total, most]), *_differences(visits["differences"])]


def _visit_cells(part: Content) -> list[object]:
    return [part["images"], part["reference"], *(part[kind] for kind in _KINDS)]


def _differences(differences: Sequence[Content]) -> list[str]:
    if not differences:
        return []
    rows = [
        (
            each["kind"],
            each["deployment"],
            _moment(each["start"]),
            each["was"] or "\u2013",
            each["now"] or "\u2013",
            _files(each["files"]),
        )
        for each in differences[:_MOST_DIFFERENCES]
    ]
    rest = len(differences) - len(rows)
    more = [f"And {rest} more in `report.json`.", ""] if rest > 0 else []
    return [
        "Which visits differ:",
        "",
        *table(("how", "deployment", "begins", "fp32", "now", "images"), rows),
        *more,
    ]


def _images(content: Content) -> list[str]:
    header = ("for", "which", "taken", "of", "distinct", "cameras", "with a time", "choice")
    material = content["material"]
    rows = [
        (
            purpose, each["kind"], each["count"], each["found"], each["distinct"], each["cameras"],
            each["timed"], f"`{each['digest'][:16]}`",
        )
        for purpose, each in material.items()
    ]  # fmt: skip
    lines = ["## Images", "", *table(header, rows)]
    for purpose, each in material.items():
        if each["skipped"]:
            lines += [f"Not taken for {purpose}: {each['skipped_count']}.", ""]
            lines += [f"- `{skipped['name']}`: {skipped['reason']}" for skipped in each["skipped"]]
            lines += [""]
    return lines


def _where(content: Content) -> list[str]:
    machine = content["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in content["libraries"].items())
    took = f" It took {timedelta(seconds=round(content['seconds']))}." if content["seconds"] else ""
    missing = [content["plots_missing"], ""] if content["plots_missing"] else []
    cores = f"{machine['system']}, {machine['cores']} cores"
    where = f"{machine['processor']} ({cores}), Python {machine['python']}"
    return [
        "## Where it was measured",
        "",
        f"{where}; {libraries}.{took}",
        "",
        *missing,
    ]


def _origins(content: Content) -> list[str]:
    rows = [
        (each["name"], each["version"], f"`{each['file']}`", each["license"], each["origin"])
        for each in content["sources"]
    ]
    return [
        "## Weights and licences",
        "",
        f"Licence of the whole: {content['license']}.",
        "",
        *table(("from", "version", "file", "licence", "origin"), rows),
    ]


def _quality(quality: Content | None) -> str:
    if quality is None:
        return "is fp32"
    if "mean" in quality:
        cosine = f"cosine mean {quality['mean']:.4f}, least {quality['minimum']:.4f}"
        return f"{cosine}; same label {_share(quality['same'])}, where sure {_share(quality['sure'])}"
    recall, precision = (_share(quality[key].get("all")) for key in ("recalled", "precise"))
    return f"recall {recall}, precision {precision}"


def _share(share: Content | None) -> str:
    """A share with its counts, and the 95 % interval where it is wide."""
    if share is None or not share["of"]:
        return "\u2013"
    value = share["hits"] / share["of"]
    text = f"{value:.3f} ({share['hits']}/{share['of']})"
    wide = share["high"] - share["low"] > 0.05
    return f"{text}, {share['low']:.2f}\u2013{share['high']:.2f}" if wide else text


def _times(cost: Content | None) -> tuple[str, str, str, str]:
    """Opening, running, fp32's running, and how many times as fast; empty where no time was measured."""
    if not cost:
        return "", "", "", ""
    run, reference = cost["run_ms"], cost["reference_ms"]
    faster = f"{cost['speedup']:.2f}" if run and cost["speedup"] is not None else ""
    return _time(cost["load_ms"]), _time(run), _time(reference), faster


def _time(ms: float) -> str:
    return (f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}") if ms else ""


def _ratio(reference: int | None, size: int) -> str:
    return f"{reference / size:.2f}" if reference and size else ""


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f}"


def _least(floor: float) -> str:
    return f"\u2265 {floor:g}"


def _small(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if abs(value) < 0.01 else f"{value:.4f}"


def _nodes(names: Sequence[str]) -> str:
    some = ", ".join(f"`{name}`" for name in names[:_MOST_NODES])
    return f"{some} and {len(names) - _MOST_NODES} more" if len(names) > _MOST_NODES else some


def _files(names: Sequence[str]) -> str:
    some = ", ".join(f"`{name}`" for name in names[:_MOST_FILES])
    return f"{some} and {len(names) - _MOST_FILES} more" if len(names) > _MOST_FILES else some


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _moment(ms: int) -> str:
    return f"{_EPOCH + timedelta(milliseconds=ms):%Y-%m-%d %H:%M}"
