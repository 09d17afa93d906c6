"""Label sets: the names that animals can get, each with the prompts that describe it.

Two forms are read. The product's own is TOML::

    title = "Central Europe"

    [[label]]
    label = "Red_Fox"
    scientific_name = "Vulpes vulpes"
    prior = 0.5
    prompts = ["red fox", "a red fox at night"]

The other is JSON as it is exchanged between users: ``{"labels": [...], "queries": [[...], ...]}``.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from edge.errors import ConfigError
from edge.vision.data import label_folders

UNIDENTIFIED: Final = "unidentified"
_SUFFIXES: Final = (".toml", ".json")
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Label(_Model):
    """One name.

    Attributes:
        label: as it stands in messages and tables, e.g. ``Red_Fox``.
        scientific_name: binomial, or the rank above where the label is wider; empty if there is none.
        prompts: texts for the zero-shot classifier; all weigh the same.
        prior: weight of a local fauna, at least 0; breaks ties between labels.
    """

    label: Text
    scientific_name: str = ""
    prompts: tuple[Text, ...] = Field(min_length=1)
    prior: float = Field(ge=0, default=0.0, allow_inf_nan=False)


class LabelSet(_Model):
    """Names to choose from.

    Attributes:
        name: of the set: its file's name without the suffix.
        title: for people.
        labels: at least two, all different.
    """

    name: str
    title: str = ""
    labels: tuple[Label, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [label.label for label in self.labels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"label given twice: {', '.join(twice)}")
        if UNIDENTIFIED in names:
            raise ValueError(f"{UNIDENTIFIED!r} is what an animal without a label is called; choose another")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in the set's order."""
        return tuple(label.label for label in self.labels)

    def priors(self) -> dict[str, float]:
        """Weights of a local fauna: label -> prior, those above 0 only."""
        return {label.label: label.prior for label in self.labels if label.prior > 0}

    def scientific_names(self) -> dict[str, str]:
        """Label -> scientific name, where there is one."""
        return {label.label: label.scientific_name for label in self.labels if label.scientific_name}

    def sha256(self) -> str:
        """Identity of what a classifier sees: labels and prompts in order, nothing else."""
        content = [[label.label, *label.prompts] for label in self.labels]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def list_label_sets(extra: Sequence[Path] = ()) -> dict[str, Path]:
    """Label sets that can be named: name -> file; earlier folders win.

    Args:
        extra: folders to search before those that come with the product.
    """
    found: dict[str, Path] = {}
    for folder in (*extra, *label_folders()):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix in _SUFFIXES:
                found.setdefault(path.stem, path)
    return found


def load_label_set(name: str | Path, extra: Sequence[Path] = ()) -> LabelSet:
    """Find and read a label set.

    Args:
        name: of an installed set (``europe``), or a TOML or JSON file.
        extra: folders to search before those that come with the product.

    Raises:
        ConfigError: there is no such set, or it can't be understood.
    """
    path = _find(str(name), extra)
    try:
        text = path.read_text("utf-8")
        content = _from_toml(text) if path.suffix == ".toml" else _from_json(text)
        return LabelSet.model_validate({"name": path.stem, **content})
    except OSError as error:
        raise ConfigError("label set can't be read", subject=str(path), hint=error.strerror or "") from error
    except ValidationError as error:
        raise ConfigError("label set is not valid", subject=str(path), hint=_first(error)) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, not JSON, not of the form, too deep
        raise ConfigError("label set can't be understood", subject=str(path), hint=str(error)) from error


def _find(name: str, extra: Sequence[Path]) -> Path:
    path = Path(name).expanduser()
    if path.suffix in _SUFFIXES or len(path.parts) > 1:
        if path.is_file():
            return path
        raise ConfigError("no such label set", subject=name, hint="there is no such file")
    known = list_label_sets(extra)
    if name not in known:
        raise ConfigError("no such label set", subject=name, hint=f"there are: {', '.join(sorted(known))}")
    return known[name]


def _from_toml(text: str) -> dict[str, Any]:
    content = tomllib.loads(text)
    if "label" not in content:
        raise ValueError("it has no [[label]] tables")
    return {"labels": content.pop("label"), **content}


def _from_json(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict) or not {"labels", "queries"} <= set(content):
        raise ValueError('it needs "labels" and "queries"')
    labels, queries = content["labels"], content["queries"]
    if not isinstance(labels, list) or not isinstance(queries, list) or len(labels) != len(queries):
        raise ValueError('"labels" and "queries" must be lists of the same length')
    return {"labels": [{"label": n, "prompts": q} for n, q in zip(labels, queries, strict=True)]}


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
