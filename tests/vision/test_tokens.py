from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from edge.errors import BundleError
from edge.vision import clean
from edge.vision.manifest import Text
from edge.vision.tokens import Tokens, fixed_length

_WORDS = {"[PAD]": 0, "[START]": 1, "[END]": 2, "red": 3, "deer": 4, "schön": 5, "&": 6, "[UNK]": 7}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A tokenizer with a start and an end token, padding with 0."""
    tokenizer = Tokenizer(WordLevel(_WORDS, unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[START] $A [END]", special_tokens=[("[START]", 1), ("[END]", 2)]
    )
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")  # noqa: S106
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def _spec(**changes: object) -> Text:
    plain = {
        "file": "text.onnx", "sha256": "0" * 64, "opset": 20, "precision": "fp32", "ids": "ids",
        "output": "embedding", "tokenizer_sha256": "0" * 64, "max_tokens": 5,
    }  # fmt: skip
    return Text.model_validate(plain | changes)


def test_pads_to_the_longest(path: Path) -> None:
    """A batch is as long as its longest text, ends included."""
    inputs = Tokens(path, _spec())(["red deer", "", "deer"])
    assert {name: array.tolist() for name, array in inputs.items()} == {
        "ids": [[1, 3, 4, 2], [1, 2, 0, 0], [1, 4, 2, 0]]
    }


def test_cuts_what_is_too_long_and_keeps_the_end(path: Path) -> None:
    """A text beyond the model's length loses its last words, not its end token."""
    assert Tokens(path, _spec())(["red deer " * 9])["ids"].tolist() == [[1, 3, 4, 3, 2]]


def test_pads_to_a_length_that_is_fixed(path: Path) -> None:
    """Where the graph takes one length only, every batch has it."""
    assert Tokens(path, _spec(), 6)(["deer"])["ids"].tolist() == [[1, 4, 2, 0, 0, 0]]


def test_gives_a_mask_where_the_graph_takes_one(path: Path) -> None:
    """The mask is 1 for tokens and 0 for padding."""
    assert Tokens(path, _spec(mask="mask"))(["red deer", ""])["mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_cleans_texts_where_the_bundle_says_so(path: Path) -> None:
    """Broken Unicode, entities, spaces and capitals only matter without cleaning."""
    text = "SchÃ¶n \n&amp;amp; Red"
    assert Tokens(path, _spec(clean="open_clip"))([text])["ids"].tolist() == [[1, 5, 6, 3, 2]]
    assert Tokens(path, _spec(max_tokens=20))([text])["ids"].tolist() != [[1, 5, 6, 3, 2]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \n\t ", ""),
        ("A  Photo\nof", "a photo of"),
        ("&lt;b&gt; &amp;amp; &#98;", "<b> & b"),
        ("donâ€™t", "don't"),
        ("ΟΔΟΣ ΟΔΟΣ", "οδος οδος"),
        ("ﬁne　x", "fine x"),
    ],
)
def test_cleans_as_open_clip_does(text: str, expected: str) -> None:
    """Mended, entities resolved twice, one space between words, lower case as Python has it."""
    assert clean.open_clip(text) == expected


def test_missing_library_is_a_bundle_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library that mends Unicode, tokens would be others: that is refused."""
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(BundleError, match=r"isn't installed: ftfy"):
        clean.open_clip("a deer")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [(("batch", 64), 64), (("batch", "length"), None), (("batch", None), None), ((), None)],
)
def test_fixed_length(shape: tuple[object, ...], expected: int | None) -> None:
    """A number in the second place of a graph's input is a length that it insists on."""
    assert fixed_length(shape) == expected
