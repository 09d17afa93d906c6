"""What came of a soak: counts, slopes with their uncertainty, a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.soak.sampling import Latency, Sample

WARM_UP = 0.15
"""Share of the time that slopes leave out: models, caches and the allocator fill up first."""
_BIN = 60.0


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through measurements, by least squares.

    Attributes:
        per_hour: unit per hour.
        interval: half the width of its 95 % confidence interval, from the residuals.
        level: median of the values.
    """

    per_hour: float
    interval: float
    level: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a soak ended.

    Attributes:
        minutes: that the cameras delivered.
        delivered: files.
        files: on record, by state.
        unaccounted: delivered files without an outcome.
        given_out: messages.
        missing: of those, that never reached the subscriber.
        equal: whether the subscriber's table is the daemon's, field by field.
        registrations: living ones.
        restarts: of the broker.
        deaths: ends of the daemon that nobody asked for.
        rss, anonymous: MiB.
        latency: seconds from the complete file to the subscriber, medians of minutes without a restart.
        latency_p95: seconds, of those images.
        exit_code: of the daemon at its end.
    """

    minutes: float
    delivered: int
    files: Mapping[str, int]
    unaccounted: int
    given_out: int
    missing: int
    equal: bool
    registrations: int
    restarts: int
    deaths: int
    rss: Slope | None
    anonymous: Slope | None
    latency: Slope | None
    latency_p95: float | None
    exit_code: int

    @property
    def ok(self) -> bool:
        """Nothing lost, nothing unaccounted for, both tables equal, no fault of the daemon."""
        lost = self.unaccounted or self.missing or self.deaths or self.exit_code
        return self.equal and not lost and self.registrations > 0

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps({"ok": self.ok, **asdict(self)}, indent=2) + "\n")

    def text(self) -> str:
        """For people."""
        files = ", ".join(f"{number} {state}" for state, number in self.files.items() if number)
        return "\n".join(
            [
                f"{self.minutes:.0f} minutes, {self.restarts} restarts of the broker",
                f"files: {self.delivered} delivered, {files}; {self.unaccounted} unaccounted for",
                f"messages: {self.given_out} given out, {self.missing} lost",
                f"registrations: {self.registrations}; tables {'equal' if self.equal else 'DIFFER'}",
                f"memory: {_line(self.rss, 'MiB')}; own {_line(self.anonymous, 'MiB')}",
                f"latency: {_line(self.latency, 's')}; 95 % within {self.latency_p95 or 0:.1f} s",
                f"daemon: {self.deaths} deaths, exit code {self.exit_code}",
                "ok" if self.ok else "NOT OK",
            ]
        )


def _line(slope: Slope | None, unit: str) -> str:
    if slope is None:
        return "too few samples"
    return f"{slope.level:.1f} {unit}, slope {slope.per_hour:+.2f} ± {slope.interval:.2f} {unit}/h"


def slope(at: Sequence[float], values: Sequence[float], least: int = 8) -> Slope | None:
    """A line through values over time, the warm-up left out; None from fewer than ``least`` values.

    Args:
        at: seconds.
        values: as many.
        least: number of values.
    """
    t, y = np.asarray(at, np.float64), np.asarray(values, np.float64)
    if t.size:
        kept = t >= t[0] + WARM_UP * (t[-1] - t[0])
        t, y = t[kept] / 3600.0, y[kept]
    if t.size < least or float(np.ptp(t)) == 0.0:
        return None
    middle = t - t.mean()
    gradient = float(middle @ y / (middle @ middle))
    rest = y - y.mean() - gradient * middle
    error = float(np.sqrt(rest @ rest / (t.size - 2) / (middle @ middle)))
    return Slope(gradient, 1.96 * error, float(np.median(y)))


def minutes_of(latencies: Sequence[Latency]) -> tuple[list[float], list[float]]:
    """Median of each minute's calm images: middles of the minutes in seconds, seconds."""
    bins: dict[int, list[float]] = {}
    for one in latencies:
        if one.calm:
            bins.setdefault(int(one.at // _BIN), []).append(one.seconds)
    return [(n + 0.5) * _BIN for n in sorted(bins)], [float(np.median(bins[n])) for n in sorted(bins)]


def draw(
    path: Path,
    samples: Sequence[Sample],
    latencies: Sequence[Latency],
    outages: Sequence[tuple[float, float]],
    title: str,
) -> None:
    """Memory, latency and what waits over time, as PNG; times without a broker are shaded."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only needed here

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (top, middle, low) = plt.subplots(3, 1, figsize=(10, 9), sharex=True, layout="constrained")
    t = [s.at / 60 for s in samples]
    top.plot(t, [s.rss for s in samples], label="resident")
    top.plot(t, [s.anonymous for s in samples], label="its own")
    top.set(ylabel="memory, MiB", ylim=(0, None), title=title)
    for calm, colour in ((True, "tab:blue"), (False, "tab:orange")):
        chosen = [one for one in latencies if one.calm is calm]
        name = "broker there" if calm else "broker away or just back"
        middle.plot(
            [one.at / 60 for one in chosen], [one.seconds for one in chosen], ".", ms=2, c=colour, label=name
        )
    middle.set(ylabel="file to subscriber, s", yscale="log")
    low.plot(t, [s.delivered - s.recorded for s in samples], label="files without an outcome")
    low.plot(t, [s.waiting for s in samples], label="messages not acknowledged")
    low.set(ylabel="waiting", xlabel="minutes", ylim=(0, None))
    for axis in (top, middle, low):
        for begin, end in outages:
            axis.axvspan(begin / 60, end / 60, color="0.85", zorder=0)
        axis.legend(loc="upper left", fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
