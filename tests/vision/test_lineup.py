from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from edge.errors import ProviderError
from edge.vision.lineup import LIVES, WINDOW, Lineup
from edge.vision.providers import CPU, CUDA
from edge.vision.selftest import ProviderReport, Refusal

LOST = ProviderError("model failed to run", subject="visual.onnx", hint="CUDA failure 700")


class _Bench:
    """Opens objects on the first provider that isn't banned, as the self-test would."""

    def __init__(self, *providers: str) -> None:
        self.providers = providers
        self.now = 0.0
        self.opened: list[str] = []

    def open(self, banned: Mapping[str, str]) -> tuple[object, ProviderReport]:
        refused = tuple(Refusal(p, banned[p]) for p in self.providers if p in banned)
        left = [p for p in self.providers if p not in banned]
        if not left:
            raise ProviderError("no execution provider can be used")
        self.opened.append(left[0])
        return object(), ProviderReport(self.providers, left[0], refused, {})

    def lineup(self) -> Lineup[object]:
        return Lineup(self.open, lambda: self.now)


def test_one_failure_opens_the_same_provider_anew() -> None:
    """Memory may have been short for a moment; the models are new ones."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    before = lineup.in_use
    lineup.failed(before, LOST)
    assert lineup.in_use is not before
    assert (lineup.report.in_use, bench.opened) == (CUDA, [CUDA, CUDA])


def test_provider_that_fails_again_and_again_is_replaced() -> None:
    """After so many failures the next one takes over, and the report says why."""
    lineup = _Bench(CUDA, CPU).lineup()
    for _ in range(LIVES):
        lineup.failed(lineup.in_use, LOST)
    assert lineup.report.in_use == CPU
    (refusal,) = lineup.report.refused
    assert (refusal.provider, refusal.why) == (CUDA, "failed")
    assert "CUDA failure 700" in refusal.reason


def test_failures_far_apart_do_not_add_up() -> None:
    """Three bad moments in a season are no reason to give a GPU up."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    for _ in range(3 * LIVES):
        lineup.failed(lineup.in_use, LOST)
        bench.now += WINDOW
    assert lineup.report.in_use == CUDA


def test_failures_come_to_an_end() -> None:
    """When nothing is left that works, that is an error and not a loop."""
    lineup = _Bench(CUDA, CPU).lineup()
    for _ in range(2 * LIVES - 1):
        lineup.failed(lineup.in_use, LOST)
    with pytest.raises(ProviderError, match="no execution provider"):
        lineup.failed(lineup.in_use, LOST)


def test_one_failure_seen_by_many_threads_counts_once() -> None:
    """Workers that were running the same models when they died don't use up the provider's lives."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    used = lineup.in_use
    threads = [threading.Thread(target=lineup.failed, args=(used, LOST)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.opened == [CUDA, CUDA]
