"""What a network is calibrated and judged with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from export.evaluation import gather
from export.exam import Setting, dealt, prompts
from export.progress import SILENT
from export.request import Precision, Request
from export.trial import TextExaminer
from tests.export import toys
from tests.vision.toy import LABELS


@given(st.lists(st.text(), min_size=2, unique=True))
def test_no_text_is_for_both(texts: list[str]) -> None:
    """Calibration has at least one, judging at least as many, and together they are all, in their order."""
    ours, theirs = dealt(texts)
    assert not set(ours) & set(theirs)
    assert 1 <= len(ours) <= min(32, len(theirs))
    assert sorted(ours + theirs) == sorted(texts)
    assert theirs == [text for text in texts if text not in set(ours)]


class _Watched(TextExaminer):
    texts: tuple[str, ...] = ()

    def __init__(self, bench: Any, draft: Any, tokenizer: Path, texts: Any, scale: float) -> None:
        type(self).texts = tuple(texts)
        super().__init__(bench, draft, tokenizer, texts, scale)


@pytest.mark.parametrize(("precision", "calibrated"), [("int8-static", 3), ("auto", 3), ("fp16", 0)])
def test_a_text_tower_is_not_judged_by_what_it_was_calibrated_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision, calibrated: int
) -> None:
    """Where a form is calibrated, its texts are kept from the judge; where none is, all of them judge."""
    toys.few_scenes(monkeypatch)
    monkeypatch.setattr("export.trial.TextExaminer", _Watched)
    labels = toys.label_file(tmp_path, LABELS)
    request = Request(precision=precision, labels=str(labels), timed=False)
    setting = Setting(toys.network(tmp_path), request, tmp_path, SILENT, *gather(None, None))
    samples = setting.samples("text")
    setting.examiner("text", samples)
    assert len(samples) == calibrated
    assert len(_Watched.texts) == len(prompts(LABELS)) - calibrated
