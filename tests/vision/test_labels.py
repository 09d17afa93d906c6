from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.vision.labels import LabelSet, list_label_sets, load_label_set
from tests.shared import shared

TOML = """
title = "Two"

[[label]]
label = "Red_Fox"
scientific_name = "Vulpes vulpes"
prior = 0.5
prompts = ["red fox", "a red fox at night"]

[[label]]
label = "Wolf"
prompts = ["wolf"]
"""


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_reads_toml(tmp_path: Path) -> None:
    """Every field of the product's own form is read; the file's name is the set's."""
    labels = load_label_set(_write(tmp_path / "two.toml", TOML))
    assert labels.name == "two"
    assert labels.title == "Two"
    assert labels.names == ("Red_Fox", "Wolf")
    assert labels.labels[0].prompts == ("red fox", "a red fox at night")
    assert labels.priors() == {"Red_Fox": 0.5}
    assert labels.scientific_names() == {"Red_Fox": "Vulpes vulpes"}


def test_reads_json(tmp_path: Path) -> None:
    """The exchanged form pairs labels with lists of prompts."""
    content = {"labels": ["Fox", "Wolf"], "queries": [["fox", "a fox"], ["wolf"]]}
    labels = load_label_set(_write(tmp_path / "two.json", json.dumps(content)))
    assert labels.names == ("Fox", "Wolf")
    assert labels.labels[0].prompts == ("fox", "a fox")
    assert labels.priors() == {}


def test_reads_the_example_of_users() -> None:
    """A set as users have it is read as it is."""
    path = shared("data", "label-prompts-example.json")
    labels = load_label_set(path)
    assert labels.names == tuple(json.loads(path.read_text("utf-8"))["labels"])


BAD = {
    "no labels.toml": ('title = "x"', r"no \[\[label\]\]"),
    "one label.toml": ('[[label]]\nlabel = "A"\nprompts = ["a"]', "at least 2"),
    "twice.toml": ('[[label]]\nlabel = "A"\nprompts = ["a"]\n' * 2, "given twice: A"),
    "no prompts.toml": (TOML.replace('["wolf"]', "[]"), r"labels\.1\.prompts"),
    "blank prompt.toml": (TOML.replace('"wolf"', '"  "'), r"labels\.1\.prompts\.0"),
    "negative prior.toml": (TOML.replace("0.5", "-1"), r"labels\.0\.prior"),
    "infinite prior.toml": (TOML.replace("0.5", "inf"), r"labels\.0\.prior"),
    "unknown key.toml": (TOML.replace("prior", "weight"), r"labels\.0\.weight"),
    "reserved.toml": (TOML.replace('"Wolf"', '"unidentified"'), "unidentified"),
    "syntax.toml": ("[[label", "understood"),
    "syntax.json": ("{", "understood"),
    "list.json": ("[]", "queries"),
    "no queries.json": ('{"labels": ["A", "B"]}', "queries"),
    "lengths.json": ('{"labels": ["A", "B"], "queries": [["a"]]}', "same length"),
    "types.json": ('{"labels": ["A", "B"], "queries": [["a"], "b"]}', r"labels\.1\.prompts"),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_named(tmp_path: Path, name: str) -> None:
    """A set that can't be used says which file, and where in it."""
    text, reason = BAD[name]
    path = _write(tmp_path / name, text)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_label_set(path)
    assert caught.value.subject == str(path)


def test_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    """Bytes that aren't UTF-8 are an error about the set."""
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="understood"):
        load_label_set(tmp_path / "x.toml")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    """A path that isn't there is named."""
    with pytest.raises(ConfigError, match=r"gone\.toml"):
        load_label_set(tmp_path / "gone.toml")


def test_unknown_name_lists_those_that_are_there() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(ConfigError, match=r"africa.*europe.*north-america.*ussuri"):
        load_label_set("atlantis")


def test_own_folder_comes_first(tmp_path: Path) -> None:
    """A set in the user's folder stands in for the one that came with the product."""
    _write(tmp_path / "europe.toml", TOML)
    assert len(load_label_set("europe", [tmp_path]).labels) == 2
    assert list_label_sets([tmp_path])["europe"] == tmp_path / "europe.toml"
    assert len(load_label_set("europe").labels) > 2


def test_hash_follows_labels_and_prompts_only(tmp_path: Path) -> None:
    """What the classifier doesn't see doesn't change the hash; every prompt does."""
    base = load_label_set(_write(tmp_path / "a.toml", TOML)).sha256()
    same = TOML.replace('"Two"', '"Deux"').replace("0.5", "0.7")
    assert load_label_set(_write(tmp_path / "b.toml", same)).sha256() == base
    assert load_label_set(_write(tmp_path / "c.toml", TOML.replace("a red", "one red"))).sha256() != base
    assert load_label_set(_write(tmp_path / "d.toml", TOML.replace('"Wolf"', '"Wulf"'))).sha256() != base


INSTALLED = sorted(list_label_sets())


@pytest.mark.parametrize("name", INSTALLED)
def test_sets_of_the_product_are_complete(name: str) -> None:
    """Each label is spelled in the product's style, has a scientific name and several different prompts."""
    labels = load_label_set(name)
    for label in labels.labels:
        assert all(part[:1].isupper() and part.isalpha() for part in label.label.split("_")), label.label
        assert label.scientific_name[:1].isupper(), label.label
        assert len(set(label.prompts)) == len(label.prompts) >= 3, label.label


@pytest.mark.parametrize("name", INSTALLED)
def test_first_prompts_of_a_set_are_distinct(name: str) -> None:
    """No two labels of a set begin with the same name: no zero-shot model could tell them apart."""
    first = [label.prompts[0] for label in load_label_set(name).labels]
    assert len(set(first)) == len(first)


def test_ussuri_has_the_labels_that_users_know() -> None:
    """The set for the Ussuri speaks the vocabulary of the users' own set."""
    example = load_label_set(shared("data", "label-prompts-example.json"))
    assert load_label_set("ussuri").names == example.names


def test_north_america_can_express_the_trap_images() -> None:
    """Every label of the real trap images is in the set, spelled its way."""
    lines = shared("data", "trap-images", "ena24", "labels.csv").read_text("utf-8").split("\n")[1:]
    wanted = {line.split(",")[1].strip().replace(" ", "_") for line in lines if line}
    names: LabelSet = load_label_set("north-america")
    assert wanted | {"Jaguar", "Burrowing_Owl"} <= set(names.names)
