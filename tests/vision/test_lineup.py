from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from edge.errors import ProviderError
from edge.vision.lineup import LIVES, WINDOW, Lineup
from edge.vision.providers import CPU, CUDA
from edge.vision.selftest import ProviderReport, Refusal


class _Models:
    """What a provider opens; fails as often as it is told to."""

    def __init__(self, provider: str, failures: list[str]) -> None:
        self.provider = provider
        self._failures = failures

    def look(self) -> str:
        try:
            self._run()
        except RuntimeError as error:
            raise ProviderError("model failed to run", subject="visual.onnx", hint=str(error)) from error
        return self.provider

    def _run(self) -> None:
        if self.provider in self._failures:
            self._failures.remove(self.provider)
            raise RuntimeError("CUDA failure 700")


class _Bench:
    """Opens models on the first provider that isn't banned, as the self-test would."""

    def __init__(self, *providers: str) -> None:
        self.providers = providers
        self.now = 0.0
        self.failures: list[str] = []
        self.opened: list[weakref.ref[_Models]] = []
        self.alive: list[int] = []

    def open(self, banned: Mapping[str, str]) -> tuple[_Models, ProviderReport]:
        """Models, and how many of those before were still held."""
        self.alive.append(sum(each() is not None for each in self.opened))
        refused = tuple(Refusal(p, banned[p]) for p in self.providers if p in banned)
        left = [p for p in self.providers if p not in banned]
        if not left:
            raise ProviderError("no execution provider can be used")
        models = _Models(left[0], self.failures)
        self.opened.append(weakref.ref(models))
        return models, ProviderReport(self.providers, left[0], refused, {})

    def lineup(self, patience: float = 10.0) -> Lineup[_Models]:
        return Lineup(self.open, lambda: self.now, patience)


def _look(models: _Models) -> str:
    return models.look()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: what is let go goes at once, or it isn't let go."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_one_failure_opens_the_same_provider_anew() -> None:
    """Memory may have been short for a moment; the models are new ones, and do what was asked."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    bench.failures += [CUDA]
    assert lineup.use(_look) == CUDA
    assert (lineup.report.in_use, len(bench.opened)) == (CUDA, 2)


def test_failed_models_are_gone_before_new_ones_are_opened() -> None:
    """A GPU's memory needn't hold both: neither the error nor the one who looked keeps the old ones."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    bench.failures += [CUDA] * (LIVES + 1)
    with _uncollected():
        assert lineup.use(_look) == CPU
    assert bench.alive == [0] * (LIVES + 1)


def test_new_models_wait_for_those_who_still_use_the_old() -> None:
    """Another worker in the middle of an image ends it first; nobody gets models that are about to go."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    begun, go_on = threading.Event(), threading.Event()

    def slow(models: _Models) -> str:
        begun.set()
        assert go_on.wait(60)
        return models.provider

    other = threading.Thread(target=lineup.use, args=(slow,))
    other.start()
    assert begun.wait(60)
    bench.failures += [CUDA]
    failing = threading.Thread(target=lineup.use, args=(_look,))
    failing.start()
    failing.join(0.2)
    assert failing.is_alive()
    assert len(bench.opened) == 1
    go_on.set()
    failing.join(60)
    other.join(60)
    assert bench.alive == [0, 0]


def test_worker_that_hangs_is_not_waited_for_long() -> None:
    """One that never comes back from a driver doesn't stop the others."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup(patience=0.05)
    begun, go_on = threading.Event(), threading.Event()

    def hanging(_: _Models) -> None:
        begun.set()
        assert go_on.wait(60)

    other = threading.Thread(target=lineup.use, args=(hanging,))
    other.start()
    assert begun.wait(60)
    bench.failures += [CUDA]
    assert lineup.use(_look) == CUDA
    assert bench.alive == [0, 1]
    go_on.set()
    other.join(60)


def test_provider_that_fails_again_and_again_is_replaced() -> None:
    """After so many failures the next one takes over, and the report says why."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    bench.failures += [CUDA] * LIVES
    assert lineup.use(_look) == CPU
    (refusal,) = lineup.report.refused
    assert (refusal.provider, refusal.why) == (CUDA, "failed")
    assert "CUDA failure 700" in refusal.reason


def test_failures_far_apart_do_not_add_up() -> None:
    """Three bad moments in a season are no reason to give a GPU up."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    for _ in range(3 * LIVES):
        bench.failures += [CUDA]
        assert lineup.use(_look) == CUDA
        bench.now += WINDOW


def test_failures_come_to_an_end() -> None:
    """When nothing is left that works, that is an error and not a loop, however often one asks."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    bench.failures += [CUDA] * LIVES + [CPU] * LIVES
    for _ in range(2):
        with pytest.raises(ProviderError, match="no execution provider"):
            lineup.use(_look)


def test_other_errors_are_the_callers() -> None:
    """A damaged image replaces nothing."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()

    def damaged(_: _Models) -> None:
        raise ValueError("cut off")

    with pytest.raises(ValueError, match="cut off"):
        lineup.use(damaged)
    assert lineup.use(_look) == CUDA
    assert len(bench.opened) == 1


def test_one_failure_seen_by_many_threads_counts_once() -> None:
    """Workers that were running the same models when they died don't use up the provider's lives."""
    bench = _Bench(CUDA, CPU)
    lineup = bench.lineup()
    together = threading.Barrier(8)
    done: list[str] = []

    def dying(models: _Models) -> str:
        if models is bench.opened[0]():
            together.wait(60)
            raise ProviderError("model failed to run")
        return models.provider

    threads = [threading.Thread(target=lambda: done.append(lineup.use(dying))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [CUDA] * 8
    assert bench.alive == [0, 0]
