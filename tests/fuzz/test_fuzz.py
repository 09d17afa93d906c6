from __future__ import annotations

from typing import Any

import pytest

from tests.fuzz.readers import READERS
from tests.fuzz.target import Hungry, Slow, Target

FEW = 60
MANY = 5_000


def _named(reader: Target[Any]) -> str:
    return reader.name


@pytest.mark.filterwarnings(
    "ignore:Possible nested set:FutureWarning"
)  # of patterns that are put together here
@pytest.mark.parametrize("reader", READERS, ids=_named)
def test_any_bytes_are_taken_or_refused_in_words(reader: Target[Any]) -> None:
    """No input ends in an error of another kind, takes seconds, or takes half a gigabyte."""
    tried, _ = reader.hunt(FEW)
    assert tried >= FEW


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@pytest.mark.parametrize("reader", READERS, ids=_named)
def test_thousands_of_inputs_bring_nothing_to_light(reader: Target[Any]) -> None:
    """As above, with inputs that the short hunt doesn't have; some of them are good ones."""
    _, taken = reader.hunt(MANY, number=1)
    assert taken


def test_a_reader_that_lets_an_error_out_is_found_out() -> None:
    """The hunt itself works: an error that no reader may raise comes out of it."""
    leaky = Target("leaky", READERS[0].inputs, lambda data: data.index(b"\xff\xd9\xff"), (KeyError,))
    with pytest.raises(ValueError, match="subsection"):
        leaky.hunt(FEW)


def test_a_reader_that_takes_long_or_much_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time and memory of each input are measured."""
    monkeypatch.setattr("tests.fuzz.target.CPU_SECONDS", -1.0)
    with pytest.raises(Slow):
        READERS[0].try_on(b"")
    monkeypatch.undo()
    monkeypatch.setattr("tests.fuzz.target.GROWTH", -1)
    with pytest.raises(Hungry):
        READERS[0].try_on(b"")
