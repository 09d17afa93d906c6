"""Where settings come from, in what order, and which of them said what.

Later ones win: the file, the environment, systemd's credentials, the command line.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, NestedSecretsSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from edge.errors import ConfigError
from edge.settings import Settings

SYSTEM_FILE = Path("/etc/edge/edge.toml")
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_SECRET_NAMES = frozenset({"password", "token"})


class _FromOutside(Settings, BaseSettings):
    """The same fields, readable from the environment and from credential files."""

    model_config = SettingsConfigDict(
        env_prefix="EDGE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )


@dataclass(frozen=True, slots=True)
class Value:
    """One setting in force."""

    name: str
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and where each that isn't a default came from (dotted name -> source)."""

    settings: Settings
    sources: Mapping[str, str]

    def values(self) -> Iterator[Value]:
        """Every setting in force with its source; passwords are not shown."""
        for name, value in _flatten(self.settings.model_dump(mode="json")):
            shown = "********" if name.rsplit(".", 1)[-1] in _SECRET_NAMES and value else value
            yield Value(name, shown, self._source(name))

    def _source(self, name: str) -> str:
        while name:
            if name in self.sources:
                return self.sources[name]
            name = name.rpartition(".")[0]
        return "default"


def load(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Configuration:
    """Read all sources and check the result.

    Args:
        file: a TOML file; without one, ``/etc/edge/edge.toml`` where it exists.
        overrides: what the command line says, nested as the settings are.

    Raises:
        ConfigError: a source can't be read, or a value isn't acceptable.
    """
    sources: dict[str, str] = {}
    merged: dict[str, Any] = {}
    path = file or (SYSTEM_FILE if SYSTEM_FILE.is_file() else None)
    layers = (
        (str(path), _from_file(path) if path else {}),
        ("environment", _from_environment()),
        ("credential", _from_credentials()),
        ("command line", dict(overrides or {})),
    )
    for source, values in layers:
        _merge(merged, values)
        sources |= {name: source for name, _ in _flatten(values)}
    try:
        return Configuration(Settings.model_validate(merged), sources)
    except ValidationError as error:
        raise _explained(error, sources) from error


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            "configuration can't be read", subject=str(path), hint="`edge config init FILE` writes a new one"
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number too long, nested too deeply
        raise ConfigError("configuration is not TOML", subject=str(path), hint=str(error)) from error


def _from_environment() -> dict[str, Any]:
    try:
        return dict(EnvSettingsSource(_FromOutside)())
    except (SettingsError, RecursionError) as error:
        raise ConfigError(
            "environment variable can't be understood", subject="EDGE_…", hint=str(error)
        ) from error


def _from_credentials() -> dict[str, Any]:
    folder = os.environ.get(_CREDENTIALS)
    if not folder or not Path(folder).is_dir():
        return {}
    try:
        source = NestedSecretsSettingsSource(
            EnvSettingsSource(_FromOutside),
            secrets_dir=folder,
            secrets_prefix="",
            secrets_nested_delimiter="__",
        )
        found: dict[str, Any] = dict(source())
        return _without_empty(found)
    except (SettingsError, RecursionError) as error:
        raise ConfigError("credential can't be read", subject=folder, hint=str(error)) from error


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """An empty credential says nothing: the unit has one as the default where no file is."""
    kept = {k: _without_empty(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    return {key: value for key, value in kept.items() if value not in ("", {})}


def _merge(into: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), MutableMapping):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _explained(error: ValidationError, sources: Mapping[str, str]) -> ConfigError:
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    source = next(
        (s for n, s in sources.items() if f"{n}.".startswith(f"{name}.") or name.startswith(f"{n}.")), ""
    )
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, _names(Settings), n=1)
        hint = f"did you mean {close[0]}?" if close else "`edge config init -` shows all that there are"
        return ConfigError("no setting of this name", subject=f"{name} ({source or 'default'})", hint=hint)
    given = "what was given" if name.rsplit(".", 1)[-1] in _SECRET_NAMES else _shown(first.get("input"))
    more = len(error.errors()) - 1
    hint = first["msg"].removeprefix("Value error, ") + (f"; and {more} more" if more else "")
    what = "setting is missing" if first.get("input") is None else f"setting can't be {given}"
    return ConfigError(what, subject=f"{name} ({source or 'default'})", hint=hint)


def _shown(value: object) -> str:
    return repr(str(value) if isinstance(value, Path) else value)


def _names(model: type[BaseModel], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, field in model.model_fields.items():
        names.append(f"{prefix}{key}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += _names(field.annotation, f"{prefix}{key}.")
    return names
