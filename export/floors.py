"""Floors that an export has to reach: their defaults, and how others are read from a TOML file.

The defaults are also written, each with what it means, in ``configs/export.toml``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Cosine = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FrameworkFloors(_Section):
    """Most that an fp32 graph may differ from its framework, as a share of the framework's range."""

    difference: Share = 1e-3


class BoxFloors(_Section):
    """Least recall and precision against fp32's boxes."""

    recall: Share = 0.97
    precision: Share = 0.97


class VectorFloors(_Section):
    """Least agreement of embeddings with fp32: cosines, and labels where fp32 is sure of them."""

    mean: Cosine
    p1: Cosine
    minimum: Cosine
    sure_agreement: Share = 0.95


class VisualFloors(VectorFloors):
    """Of a visual tower."""

    mean: Cosine = 0.995
    p1: Cosine = 0.97
    minimum: Cosine = 0.93


class TextFloors(VectorFloors):
    """Of a text tower."""

    mean: Cosine = 0.998
    p1: Cosine = 0.996
    minimum: Cosine = 0.99


class VisitFloors(_Section):
    """Most registrations that may come out differently, as a share of fp32's (see the gate)."""

    lost: Share = 0.05
    added: Share = 0.05
    relabelled: Share = 0.1
    recounted: Share = 0.1


class CostFloors(_Section):
    """What a loss has to buy: times as fast where a form is for speed, times as small where for size."""

    speedup: Ratio = 1.2
    smaller: Ratio = 1.5


class Floors(_Section):
    """All of them."""

    framework: FrameworkFloors = FrameworkFloors()
    detector: BoxFloors = BoxFloors()
    visual: VisualFloors = VisualFloors()
    text: TextFloors = TextFloors()
    visits: VisitFloors = VisitFloors()
    cost: CostFloors = CostFloors()


def load_floors(file: Path | None) -> Floors:
    """Read floors; those that the file doesn't name keep their defaults.

    Args:
        file: TOML; None gives the defaults.

    Raises:
        ConfigError: it can't be read, isn't TOML, or names what there isn't.
    """
    if file is None:
        return Floors()
    try:
        return Floors.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise ConfigError("floors can't be read", subject=str(file), hint=error.strerror or "") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("floors aren't TOML", subject=str(file), hint=str(error)) from error
    except ValidationError as error:
        found = error.errors(include_url=False)
        hint = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
        raise ConfigError("floors aren't valid", subject=str(file), hint=hint) from error
