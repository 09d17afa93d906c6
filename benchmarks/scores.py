"""The rules on 24 real cameras, through the command line: ``python -m benchmarks.scores``.

1. The four combinations of method and split, scored against the true registrations.
2. ``edge register --stream`` with the rows in time order, backwards and shuffled: applying its change log has
   to give the registrations of the batch. ``--quick`` does the default options only.
3. With ``--priors``: what a local fauna's weights are worth. Priors are the shares of labels among the images
   of one half of the cameras; they break ties on the other half, scored against no priors. Each split is used
   both ways. ``--write FILE`` keeps a label set with the priors of all cameras.

Needs the shared test data (``EDGE_SHARED``); without it nothing is measured and nothing fails.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, str]
Order = Callable[[Sequence[Row]], list[Row]]

WAYS: dict[str, tuple[tuple[str, ...], float, int]] = {
    "simple, label+count": (("--method", "simple", "--split-on", "label,count"), -0.6067, 3_381),
    "simple, label": (("--method", "simple"), -0.1981, 2_814),
    "windowed, label+count": (("--split-on", "label,count"), 0.5998, 1_222),
    "windowed, label": ((), 0.8987, 1_072),
}
"""Name -> options, known score, known number of registrations."""

SEEDS = (1, 2, 3, 4, 5)
FACTS = ("deployment", "label", "start", "end", "count", "media_count")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for; 1 if anything isn't as it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores")
    parser.add_argument("--quick", action="store_true", help="stream with the default options only")
    parser.add_argument("--priors", action="store_true", help="what priors are worth, and nothing else")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="keep a label set with all cameras' priors"
    )
    parsed = parser.parse_args(arguments)
    data = _shared() / "data" / "registrations"
    if not (data / "observations.csv").is_file():
        print(f"skipped: needs {data}; set EDGE_SHARED to the folder with the shared test data")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if parsed.priors or parsed.write:
            return priors(data, Path(folder), parsed.write)
        wrong = scores(data)
        return int(streams(data, Path(folder), quick=parsed.quick) or wrong)


def scores(data: Path) -> bool:
    """The four scores beside the known ones; whether one differs."""
    print(f"{'method, split_on':24}{'registrations':>14}{'score':>9}{'matches as 1':>14}   known")
    wrong = False
    for name, (options, known, number) in WAYS.items():
        found = scored(data / "observations.csv", data / "truth.csv", *options)
        same = (round(found["score"], 4), found["predicted"]) == (known, number)
        wrong |= not same
        print(
            f"{name:24}{found['predicted']:>14,}{found['score']:>9.4f}{found['score_by_matches']:>14.4f}"
            f"   {'as known' if same else f'DIFFERS: {known} ({number:,})'}"
        )
    return wrong


def streams(data: Path, folder: Path, *, quick: bool) -> bool:
    """Streaming in several orders against the batch; whether one differs."""
    rows = read(data / "observations.csv")
    wrong = False
    ways = [name for name, (options, _, _) in WAYS.items() if not quick or not options]
    for name in ways:
        options = WAYS[name][0]
        batch = sorted(facts(row) for row in table(data / "observations.csv", *options))
        print(f"\n--stream, {name}: {len(rows):,} rows, {len(batch):,} registrations")
        for order, arrange in orders().items():
            path = write(folder / "rows.csv", arrange(rows))
            begin = time.perf_counter()
            lines = edge(path, *options, "--stream").splitlines()
            taken = time.perf_counter() - begin
            same = sorted(map(facts, applied(lines))) == batch
            wrong |= not same
            verdict = "the same registrations" if same else "DIFFERENT registrations"
            print(f"  {order:12}{len(lines):>8,} changes{taken:>7.1f} s  {verdict}")
    return wrong


def priors(data: Path, folder: Path, keep: Path | None) -> int:
    """Scores of half the cameras with and without the priors of the other half."""
    rows, truth = read(data / "observations.csv"), read(data / "truth.csv")
    if keep:
        keep.write_text(label_set(rows), "utf-8")
    cameras = sorted({row["deployment"] for row in rows})
    print(
        f"{'split':>8}{'learnt on':>11}{'scored on':>11}{'none':>9}{'priors':>9}{'gain':>9}   registrations"
    )
    gains = []
    for seed in SEEDS:
        mixed = random.Random(seed).sample(cameras, len(cameras))
        halves = set(mixed[: len(mixed) // 2]), set(mixed[len(mixed) // 2 :])
        for learnt, other in (halves, halves[::-1]):
            labels = folder / "learnt.toml"
            labels.write_text(label_set([row for row in rows if row["deployment"] in learnt]), "utf-8")
            results = write(folder / "rows.csv", [row for row in rows if row["deployment"] in other])
            true = write(folder / "truth.csv", [row for row in truth if row["deployment"] in other])
            plain, helped = scored(results, true), scored(results, true, "--labels", str(labels))
            gains.append(helped["score"] - plain["score"])
            print(
                f"{seed:>8}{len(learnt):>11}{len(other):>11}{plain['score']:>9.4f}{helped['score']:>9.4f}"
                f"{gains[-1]:>+9.4f}   {plain['predicted']:,} -> {helped['predicted']:,}"
            )
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    print(f"mean gain {sum(gains) / len(gains):+.4f}; better {better}, worse {worse} of {len(gains)}")
    return 0


def label_set(rows: Sequence[Row]) -> str:
    """A label set whose priors are the labels' shares among some images."""
    counts = Counter(row["label"] for row in rows)
    entries = [
        f"[[label]]\nlabel = {json.dumps(label)}\nprior = {count / len(rows):.6f}\n"
        f"prompts = [{json.dumps(label)}]\n"
        for label, count in sorted(counts.items())
    ]
    return "\n".join(['title = "Learnt from labels"\n', *entries])


def orders() -> dict[str, Order]:
    """In which orders rows may come."""

    def in_time(rows: Sequence[Row]) -> list[Row]:
        return sorted(rows, key=lambda row: (row["time"], row["media"]))

    def shuffled(seed: int) -> Order:
        return lambda rows: random.Random(seed).sample(rows, len(rows))

    return {
        "in time": in_time,
        "backwards": lambda rows: in_time(rows)[::-1],
        **{f"shuffled {seed}": shuffled(seed) for seed in SEEDS},
    }


def applied(lines: Sequence[str]) -> list[dict[str, Any]]:
    """What a subscriber has who applies a change log: put by id, take away what is retracted."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        change = json.loads(line)
        if change["change"] == "retracted":
            found.pop(change["registration_id"])
        else:
            found[change["registration_id"]] = change
    assert all(change["state"] == "closed" for change in found.values())
    return list(found.values())


def facts(row: dict[str, Any]) -> tuple[str, ...]:
    """What doesn't depend on the order of arrival."""
    return tuple(str(row[name]) for name in FACTS)


def scored(results: Path, truth: Path, *options: str) -> dict[str, Any]:
    """The score that ``edge register`` gives."""
    found: dict[str, Any] = json.loads(edge(results, "--score", str(truth), "--json", *options))
    return found


def table(results: Path, *options: str) -> list[Row]:
    """The registrations that ``edge register`` gives."""
    return list(csv.DictReader(edge(results, *options).splitlines()))


def edge(results: Path, *options: str) -> str:
    """Standard output of ``edge register``."""
    command = [sys.executable, "-m", "edge", "register", str(results), *options]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def read(path: Path) -> list[Row]:
    """A table's rows."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: Sequence[Row]) -> Path:
    """A table of rows."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def _shared() -> Path:
    return Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")


if __name__ == "__main__":
    sys.exit(main())
