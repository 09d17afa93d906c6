"""Where settings come from, which source wins, and what is said of mistakes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from edge import configuration
from edge.configuration import load
from edge.errors import ConfigError
from edge.resources import default_configuration
from edge.settings import DeploymentSettings, Settings

SETTING = re.compile(r"^(?:# )?(?P<name>[a-z_]+) = (?P<value>.+?)(?: +# .*)?$")
SECTION = re.compile(r"^(?:# )?\[(?P<name>[a-z_.-]+[a-z0-9_.-]*)\]$")
# Documented by name, but deliberately not as lines to fill in.
TOLD_ELSEWHERE = {"mqtt.password", "web.token"}


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither this machine's file nor its environment takes part."""
    monkeypatch.setattr(configuration, "SYSTEM_FILE", tmp_path / "absent.toml")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its configuration."""
    return tmp_path / "edge.toml"


def _names(model: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for key, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= _names(kind, f"{prefix}{key}.")
        else:
            found.add(f"{prefix}{key}")
    return found


def _documented() -> set[str]:
    """Settings with a line in the default configuration, those that are commented out included."""
    found, section = set(), ""
    for line in default_configuration().splitlines():
        if (heading := SECTION.match(line)) is not None:
            section = f"{heading['name']}."
        elif (setting := SETTING.match(line)) is not None:
            found.add(f"{section}{setting['name']}")
    return found


def test_every_setting_is_documented() -> None:
    """A setting that is added without a line in configs/edge.toml is found here, and one that is gone too."""
    of_one_camera = {f"intake.deployments.cam-07.{name}" for name in _names(DeploymentSettings)}
    expected = _names(Settings) - {"intake.deployments"} | of_one_camera
    assert _documented() == expected - TOLD_ELSEWHERE
    assert all(name.replace(".", "__") in default_configuration() for name in TOLD_ELSEWHERE)


def test_every_line_says_the_default(file: Path) -> None:
    """The shipped file, as it is, changes nothing."""
    file.write_text(default_configuration(), "utf-8")
    assert load(file).settings == Settings()


def test_lines_that_are_commented_out_are_valid(file: Path) -> None:
    """Taking the ``#`` away from an example gives a configuration that is accepted."""
    lines = []
    for line in default_configuration().splitlines():
        bare = line.removeprefix("# ")
        lines.append(bare if SETTING.match(line) or SECTION.match(line) else line)
    file.write_text("\n".join(lines), "utf-8")
    settings = load(file).settings
    assert settings.device == "ridge-01"
    assert settings.intake.deployment("cam-07").clock_offset == -3600.0


def test_later_sources_win(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, environment, credential, command line, in this order; each value says where it is from."""
    file.write_text(
        '[mqtt]\nhost = "file"\nport = 1\nusername = "file"\nkeepalive = 20\npassword = "file"\n', "utf-8"
    )
    monkeypatch.setenv("EDGE_MQTT__HOST", "environment")
    monkeypatch.setenv("EDGE_MQTT__PORT", "2")
    monkeypatch.setenv("EDGE_MQTT__PASSWORD", "environment")
    (tmp_path / "mqtt__password").write_text("credential\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found = load(file, {"mqtt": {"host": "command line"}})
    values = {value.name: (value.value, value.source) for value in found.values()}
    assert values["mqtt.keepalive"] == (20, str(file))
    assert values["mqtt.port"] == (2, "environment")
    assert values["mqtt.host"] == ("command line", "command line")
    assert values["mqtt.password"] == ("********", "credential")
    assert values["mqtt.prefix"] == ("edge/v1", "default")
    assert found.settings.mqtt.password is not None
    assert found.settings.mqtt.password.get_secret_value() == "credential"


def test_empty_credential_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit's default where there is no password file doesn't hide a password from elsewhere."""
    (tmp_path / "mqtt__password").write_text("\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load().settings.mqtt.password is None
    monkeypatch.setenv("EDGE_MQTT__PASSWORD", "environment")
    found = load()
    assert found.settings.mqtt.password is not None
    assert found.sources["mqtt.password"] == "environment"


def test_other_credentials_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential that isn't a setting is somebody else's."""
    (tmp_path / "backup_key").write_text("x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load().settings == Settings()


def test_values_of_the_environment_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, booleans and lists are understood."""
    monkeypatch.setenv("EDGE_MQTT__ENABLED", "false")
    monkeypatch.setenv("EDGE_VISION__PROVIDERS", '["CPUExecutionProvider"]')
    monkeypatch.setenv("EDGE_REGISTRATION__SPLIT_ON", '["label", "count"]')
    settings = load().settings
    assert settings.mqtt.enabled is False
    assert settings.vision.providers == ("CPUExecutionProvider",)
    assert settings.registration.split_on == {"label", "count"}


@pytest.mark.parametrize(
    ("text", "subject", "hint"),
    [
        ('[mqtt]\nhots = "a"\n', "mqtt.hots", "mqtt.host"),
        ("[registratoin]\ngap = 1.0\n", "registratoin", "registration"),
        ('drops = "/x"\n', "drops", "drop"),
        ("[zebra]\nx = 1\n", "zebra", "edge config init -"),
    ],
)
def test_unknown_keys_are_errors(file: Path, text: str, subject: str, hint: str) -> None:
    """A misspelt setting is named, with the nearest that there is."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.what == "no setting of this name"
    assert caught.value.subject == f"{subject} ({file})"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "subject", "hint"),
    [
        ("[mqtt]\nport = 70000\n", "mqtt.port", "65536"),
        ('[intake]\ntimezone = "Mars/Olympus"\n', "intake.timezone", "Asia/Vladivostok"),
        ("[intake]\ndeployment_pattern = '('\n", "intake.deployment_pattern", "regular expression"),
        ('device = "a/b"\n', "device", "MQTT topic"),
        ('device = "a\\tb"\n', "device", "control characters"),
        ('drop = "/card"\nstate = "/card/edge"\n', "state", "must not lie in the drop folder /card"),
        ('drop = "/card"\nstate = "/card"\n', "state", "must not lie in the drop folder /card"),
        ('[registration]\nmethod = "magic"\n', "registration.method", "windowed"),
        ("[registration]\ngap = 0\nwindow = 0\n", "registration.window", "and 1 more"),
    ],
)
def test_unacceptable_values_are_explained(file: Path, text: str, subject: str, hint: str) -> None:
    """Which setting, where it was said, and what would be accepted."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.subject == f"{subject} ({file})"
    assert hint in caught.value.hint


def test_a_password_is_not_told_when_it_is_wrong(file: Path) -> None:
    """An error about a password doesn't show it."""
    file.write_text("[mqtt]\npassword = 4711\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.what == "setting can't be what was given"
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("content", [b"[mqtt\n", b"\xff\xfe"])
def test_what_is_not_toml_is_said(file: Path, content: bytes) -> None:
    """A broken file is named, with the place."""
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not TOML"):
        load(file)


def test_a_file_that_was_asked_for_must_be_there(file: Path) -> None:
    """Only the default file may be missing."""
    with pytest.raises(ConfigError, match="can't be read"):
        load(file)
    assert load().settings == Settings()


def test_unusable_environment_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that isn't one says which variable kind it was."""
    monkeypatch.setenv("EDGE_VISION__PROVIDERS", "CPU, GPU")
    with pytest.raises(ConfigError):
        load()


NAMES = st.sampled_from(sorted(_names(Settings) - {"intake.deployments"}))
VALUES = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.lists(st.integers()))


def _complaint(name: str, value: Any) -> ConfigError | None:
    *parents, last = name.split(".")
    nested: dict[str, Any] = {last: value}
    for parent in reversed(parents):
        nested = {parent: nested}
    try:
        load(None, nested)
    except ConfigError as error:
        return error
    return None


@given(name=NAMES, value=VALUES)
def test_nothing_but_config_errors(name: str, value: Any) -> None:
    """Whatever is given for a setting, it is accepted or explained by its name, never a traceback.

    Where two settings need each other, the complaint may begin with the other one's name.
    """
    complaint = _complaint(name, value)
    if complaint is not None:
        assert complaint.subject.startswith(name) or name.rpartition(".")[2] in complaint.hint
        assert complaint.exit_code == 78


def test_a_certificate_without_its_key_says_so(file: Path) -> None:
    """The key isn't called wrong: it is missing, and the other half is named."""
    file.write_text('[web]\ncert_file = "/etc/edge/page.pem"\n')
    with pytest.raises(ConfigError, match="missing") as caught:
        load(file)
    assert caught.value.subject.startswith("web.key_file")
    assert "cert_file" in caught.value.hint


def test_default_configuration_is_toml() -> None:
    """Read with the standard library alone."""
    assert set(tomllib.loads(default_configuration())) == {
        "drop", "state", "intake", "vision", "registration", "mqtt", "store", "health", "search",
        "web",
    }  # fmt: skip
