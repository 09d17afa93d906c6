"""The rules on 24 real cameras: known scores, and streaming that equals batch in any order of arrival."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from edge.registration import (
    Engine,
    MemoryRecord,
    Method,
    Observation,
    Options,
    Registration,
    SplitOn,
    register,
)
from edge.registration.score import Interval, score
from tests.registration.build import living
from tests.shared import shared

LABEL: frozenset[SplitOn] = frozenset({"label"})
BOTH: frozenset[SplitOn] = frozenset({"label", "count"})


def milliseconds(time: str) -> int:
    """The data's times have no zone; any one does."""
    return round(datetime.fromisoformat(f"{time}+00:00").timestamp() * 1000)


@pytest.fixture(scope="module")
def observations() -> list[Observation]:
    """All frames; the data has no confidence."""
    with shared("data", "registrations", "observations.csv").open(newline="") as file:
        return [
            Observation(r["deployment"], r["media"], milliseconds(r["time"]), r["label"], int(r["count"]), 0)
            for r in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def truth() -> list[Interval]:
    """The true registrations."""
    with shared("data", "registrations", "truth.csv").open(newline="") as file:
        return [
            Interval(
                r["deployment"], r["label"], milliseconds(r["start"]), milliseconds(r["end"]), int(r["count"])
            )
            for r in csv.DictReader(file)
        ]


@pytest.mark.parametrize(
    ("method", "split_on", "expected", "number"),
    [
        ("simple", BOTH, -0.6067, 3_381),
        ("simple", LABEL, -0.1981, 2_814),
        ("windowed", BOTH, 0.5998, 1_222),
        ("windowed", LABEL, 0.8987, 1_072),
    ],
)
def test_known_scores(
    *,
    observations: list[Observation],
    truth: list[Interval],
    method: Method,
    split_on: frozenset[SplitOn],
    expected: float,
    number: int,
) -> None:
    """Each method and way to split gives the known number of registrations and the known score."""
    registrations = register(observations, Options(method=method, split_on=split_on))
    assert len(registrations) == number
    assert round(score(registrations, truth).score, 4) == expected


def in_time(observations: list[Observation]) -> list[Observation]:
    """As the cameras took them."""
    return sorted(observations, key=lambda o: (o.t, o.media_id))


def backwards(observations: list[Observation]) -> list[Observation]:
    """The newest first."""
    return in_time(observations)[::-1]


def shuffled(observations: list[Observation]) -> list[Observation]:
    """Without any order."""
    return random.Random(3).sample(observations, len(observations))


@pytest.mark.parametrize("arrange", [in_time, backwards, shuffled])
@pytest.mark.parametrize(
    "options",
    [Options(), Options(split_on=BOTH), Options(method="simple", compared_to="registration_start")],
    ids=["windowed", "windowed, count too", "simple, from the start"],
)
def test_streaming_equals_batch(
    observations: list[Observation],
    options: Options,
    arrange: Callable[[list[Observation]], list[Observation]],
) -> None:
    """One at a time, in time, backwards or shuffled, the engine ends where the batch does."""
    record = MemoryRecord()
    engine = Engine(options, record)
    for observation in arrange(observations):
        engine.accept([observation])
    deployments = sorted({o.deployment for o in observations})
    found = [r for deployment in deployments for r in living(record, deployment)]
    assert list(map(anonymous, found)) == list(map(anonymous, register(observations, options)))


def anonymous(registration: Registration) -> Registration:
    """Without what depends on the order of arrival."""
    return replace(registration, id="", revision=0, opened=0)
