"""How fast registrations are formed, in a batch and as a stream.

``python -m benchmarks.registration`` takes two minutes; ``--quick`` uses a tenth of the data, ``--whole``
adds all of a session of 20,000 images in half an hour, some four minutes. All times are the process's own on
one core, so that others on the machine hardly count. Ratios are paired: both sides are timed in turns, and
the median of the turns' ratios is printed, so that a machine's ups and downs hit both alike.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial

from edge.registration import Engine, MemoryRecord, Observation, Options, SplitOn, register
from edge.registration.smoothing import marks

SECOND = 1_000
LABELS = ("roe deer", "red deer", "fox", "wild boar", None)
BOTH: frozenset[SplitOn] = frozenset({"label", "count"})


def visits(number: int, seed: int = 1, deployment: str = "d") -> list[Observation]:
    """Bursts of a few images, minutes to hours apart; one in ten labels is wrong."""
    rng = random.Random(seed)
    t, found = 0, []
    label: str | None = "fox"
    for n in range(number):
        if rng.random() < 0.2:
            t += rng.randrange(60 * SECOND, 3 * 3600 * SECOND)
            label = rng.choice(LABELS)
        t += rng.randrange(SECOND, 20 * SECOND)
        shown = rng.choice(LABELS) if rng.random() < 0.1 else label
        found.append(
            Observation(deployment, f"m{n:08}", t, shown, rng.randint(1, 3), rng.randrange(1_000_000))
        )
    return found


def session(number: int, every: int, seed: int = 2) -> list[Observation]:
    """One unbroken session: an image each ``every`` ms, nearly all of one animal."""
    rng = random.Random(seed)
    return [
        Observation(
            "d", f"m{n:08}", n * every, rng.choice(LABELS) if rng.random() < 0.1 else "fox", 1, 900_000
        )
        for n in range(number)
    ]


def seconds(work: Callable[[], object]) -> float:
    """How much of one core's time a call takes, the garbage collector held still."""
    gc.collect()
    gc.disable()
    begin = time.process_time()
    work()
    taken = time.process_time() - begin
    gc.enable()
    return taken


def paired(
    slow: Callable[[], object], fast: Callable[[], object], turns: int = 3
) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the turns' ratios slow / fast."""
    times = [(seconds(slow), seconds(fast)) for _ in range(turns)]
    return (
        statistics.median(s for s, _ in times),
        statistics.median(f for _, f in times),
        statistics.median(s / f for s, f in times),
    )


def literal_marks(observations: Sequence[Observation], options: Options) -> list[tuple[str, int]]:
    """label(i) and count(i) by looking at the whole window of each: O(n * k)."""
    found = []
    for i, x in enumerate(observations):
        low = high = i
        while low and x.t - observations[low - 1].t < options.window:
            low -= 1
        while high + 1 < len(observations) and observations[high + 1].t - x.t < options.window:
            high += 1
        window = observations[low : high + 1]
        votes: dict[str, tuple[int, int]] = {}
        for o in window:
            if o.label is not None:
                number, confidence = votes.get(o.label, (0, 0))
                votes[o.label] = number + 1, confidence + o.confidence
        best = min(
            votes, key=lambda label: (-votes[label][0], -votes[label][1], label), default="unidentified"
        )
        found.append((best, max(o.count for o in window if o.t <= x.t)))
    return found


def preloaded(observations: Sequence[Observation], options: Options) -> MemoryRecord:
    """A record that already holds these and their registrations."""
    record = MemoryRecord()
    for observation in observations:
        record.add(observation)
    for registration in register(observations, options):
        record.put(registration)
        record.next_opening(registration.deployment)
    return record


def stream(
    worlds: Sequence[tuple[MemoryRecord, Sequence[Observation]]], options: Options
) -> list[list[float]]:
    """Microseconds of one core for each arrival in each world, one arrival of every world in turn."""
    engines = [(Engine(options, record), arrivals) for record, arrivals in worlds]
    taken: list[list[float]] = [[] for _ in engines]
    for turn in range(min(len(arrivals) for _, arrivals in engines)):
        for (engine, arrivals), times in zip(engines, taken, strict=True):
            begin = time.process_time()
            engine.accept([arrivals[turn]])
            times.append(1e6 * (time.process_time() - begin))
    return taken


def print_stream(
    title: str, histories: Sequence[Sequence[Observation]], arrivals: Sequence[Sequence[Observation]]
) -> None:
    """One line for each history; ratios are against the first, the median of the turns'."""
    options = Options()
    worlds = [
        (preloaded(history, options), coming) for history, coming in zip(histories, arrivals, strict=True)
    ]
    taken = stream(worlds, options)
    for history, times in zip(histories, taken, strict=True):
        ratio = statistics.median(mine / first for mine, first in zip(times, taken[0], strict=True))
        print(f"{title} {len(history):>9,}  {statistics.median(times):7.0f} us  ratio {ratio:5.2f}")


def after(observations: Sequence[Observation], number: int, every: int) -> list[Observation]:
    """Images that follow on."""
    last = observations[-1].t
    return [Observation("d", f"new{n}", last + (n + 1) * every, "fox", 1, 900_000) for n in range(number)]


def late(observations: Sequence[Observation], number: int) -> list[Observation]:
    """Images that arrive long after their time, anywhere."""
    rng, last = random.Random(3), observations[-1].t
    return [Observation("d", f"late{n}", rng.randrange(last), "fox", 1, 900_000) for n in range(number)]


def batch(number: int, deployments: int = 100) -> None:
    """Observations a second through the batch rules, on one core."""
    each = number // deployments
    observations = [o for d in range(deployments) for o in visits(each, seed=d, deployment=f"d{d:03}")]
    for name, options in (("label", Options()), ("label+count", Options(split_on=BOTH))):
        taken = min(seconds(partial(register, observations, options)) for _ in range(2))
        print(
            f"batch, {name:12} {len(observations):>9,} observations of {deployments} deployments  "
            f"{len(observations) / taken:>9,.0f} /s"
        )


def against_the_literal() -> None:
    """What sliding windows gain over looking at each window."""
    for number, every in ((20_000, 60 * SECOND), (20_000, 10 * SECOND), (5_000, SECOND)):
        observations, options = session(number, every), Options()
        assert literal_marks(observations, options) == marks(observations, options)
        slow, fast, ratio = paired(
            partial(literal_marks, observations, options),
            partial(marks, observations, options),
        )
        k = min(number, 2 * options.window // every)
        print(f"windows of {k:>5,} images  literal {slow:7.3f} s  sliding {fast:7.3f} s  ratio {ratio:7.1f}")


def streaming(sizes: Sequence[int]) -> None:
    """What one image costs, after more and more history."""
    histories = [visits(size) for size in sizes]
    print_stream("next image, history of", histories, [after(h, 300, 10 * SECOND) for h in histories])
    print_stream("late image, history of", histories, [late(h, 300) for h in histories])


def sessions(sizes: Sequence[int], every: int) -> None:
    """What one image costs in one unbroken session, short and long."""
    histories = [session(size, every) for size in sizes]
    print_stream("next image, session of", histories, [after(h, 100, every) for h in histories])
    print_stream("late image, session of", histories, [late(h, 100) for h in histories])


def dense(sizes: Sequence[int], every: int) -> None:
    """What one image costs in a session where all images lie within one window, and what is held.

    The work is linear in the images within 2W, so time by their number should stay the same.
    """
    options, count = Options(), 20
    first = 0.0
    for size in sizes:
        history = session(size, every)
        gc.collect()
        tracemalloc.start()
        record = preloaded(history, options)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        (times,) = stream([(record, after(history, count, every))], options)
        (tardies,) = stream([(record, late(history, count))], options)
        on_time, tardy = statistics.median(times), statistics.median(tardies)
        each = on_time / size
        first = first or each
        print(
            f"dense session of {size:>6,} images in {size * every / 60 / SECOND:4.1f} min, "
            f"next {on_time / 1000:5.2f} ms, late {tardy / 1000:5.2f} ms, "
            f"{each:4.2f} us for each image near, ratio {each / first:4.2f}; "
            f"record beside the observations {held / 1e6:3.1f} MB"
        )


def whole_dense_session(number: int, every: int) -> None:
    """A session of that many images in 30 minutes, all of it, in order, one image at a time."""
    record = MemoryRecord()
    engine, images = Engine(Options(), record), session(number, every)
    taken = seconds(lambda: [engine.accept([image]) for image in images])
    (registration,) = record.open_registrations("d")
    assert registration.media_count == number
    lasts = number * every / SECOND
    print(
        f"dense session of {number:>6,} images in {lasts / 60:4.1f} min, every one in order  {taken:6.1f} s, "
        f"{1e3 * taken / number:5.2f} ms each; the camera takes {lasts:,.0f} s"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.registration", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the data")
    parser.add_argument("--whole", action="store_true", help="a whole session of 20,000 images")
    chosen = parser.parse_args(arguments)
    scale = 10 if chosen.quick else 1
    batch(1_000_000 // scale)
    against_the_literal()
    streaming([1_000, 100_000 // scale, 1_000_000 // scale])
    sessions([2_000, 20_000], 10 * SECOND)
    dense([1_250, 2_500, 5_000, 10_000, 20_000], 90)
    if chosen.whole:
        whole_dense_session(20_000, 90)


if __name__ == "__main__":
    main()
