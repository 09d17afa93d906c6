import os
from pathlib import Path

import pytest

from edge.configuration import load
from edge.demo.stage import Service, Stage
from edge.demo.story import STORY
from edge.errors import ConfigError, EdgeError
from edge.vision.labels import load_label_set


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage that is prepared."""
    made = Stage(tmp_path / "demo", 18830)
    made.prepare()
    return made


def test_settings_are_the_products(stage: Stage) -> None:
    """The settings that the demo writes are valid and stay inside its folder."""
    settings = load(stage.config, {}).settings
    assert settings.drop == stage.drop
    assert settings.state.is_relative_to(stage.root)
    assert (settings.mqtt.host, settings.mqtt.port) == ("127.0.0.1", 18830)
    assert settings.vision.bundle == "starter"


def test_labels_know_the_cast(stage: Stage) -> None:
    """The label set has every animal of the story, and others to choose from."""
    labels = set(load_label_set(load(stage.config, {}).settings.vision.labels).names)
    cast = {moment.label for moment in STORY if moment.label}
    assert cast < labels
    assert len(labels) >= 2 * len(cast)


def test_a_used_folder_is_refused(stage: Stage) -> None:
    """A folder in which a demo ran is not run in again, and nothing in it is touched."""
    before = stage.config.read_bytes()
    with pytest.raises(ConfigError, match="a demo was here before"):
        stage.prepare()
    assert stage.config.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A path below a file is an error that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be used"):
        Stage(tmp_path / "file" / "demo", 1).prepare()


def test_a_failed_question_tells_why(stage: Stage) -> None:
    """Without a database the command line's own words come through."""
    with pytest.raises(EdgeError, match=r"edge registrations failed with \d+: \S"):
        stage.ask("registrations")


def test_a_service_that_ends_by_itself_is_noticed(stage: Stage) -> None:
    """What the service said before it ended is part of the error."""
    stage.config.write_text("no_such_setting = 1\n")
    service = Service(stage)
    service.start()
    with pytest.raises(EdgeError, match=r"(?s)edge run ended with 78.*no_such_setting"):
        service.finish(20.0)
    service.kill()


def test_surroundings_do_not_reach_the_service(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that set the product's settings are not handed on."""
    monkeypatch.setenv("EDGE_NO_SUCH_SETTING", "1")
    with pytest.raises(EdgeError) as caught:
        stage.ask("registrations")
    assert "NO_SUCH_SETTING" not in str(caught.value).upper()
    assert os.environ["EDGE_NO_SUCH_SETTING"] == "1"
