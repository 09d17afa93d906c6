"""The discovery payload against the rules of Home Assistant's MQTT device discovery."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from edge.delivery.homeassistant import discovery
from edge.delivery.topics import Topics
from edge.registration.types import ChangeKind
from tests.delivery.homeassistant_rules import SCHEMA

TOPICS = Topics("edge/v1", "ridge-01")


def _payload(*deployments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(discovery("ridge-01", TOPICS, deployments, "1.2"))
    return found


def test_it_has_what_home_assistant_requires() -> None:
    """A device with an identifier, an origin with a name, and components with platform, id and topic."""
    payload = _payload("cam-1")
    assert payload["device"]["identifiers"] == ["edge-ridge-01"]
    assert payload["origin"]["name"] == "edge"
    for component in payload["components"].values():
        assert component["platform"] in {"sensor", "binary_sensor", "event", "image"}
        assert component["unique_id"]
        assert component.get("state_topic") or component["image_topic"]
        assert component["name"]


def test_ids_are_unique() -> None:
    """No two entities share an id, also for deployments with similar names."""
    components = _payload("cam-1", "cam#1", "cam/1", "cam 1")["components"]
    ids = [component["unique_id"] for component in components.values()]
    assert len(ids) == len(set(ids)) == 4 + 5 * 4


def test_each_deployment_has_label_count_and_event() -> None:
    """They read the deployment's own topic, and are available while the device is online."""
    components = _payload("cam-1", "cam-1", "cam-2")["components"]
    for deployment in ("cam-1", "cam-2"):
        own = [components[f"{deployment}_{kind}"] for kind in ("label", "count", "registration")]
        assert [component["platform"] for component in own] == ["sensor", "sensor", "event"]
        assert {component["state_topic"] for component in own} == {
            f"edge/v1/ridge-01/registration/{deployment}"
        }
        assert {component["availability_topic"] for component in own} == {"edge/v1/ridge-01/status"}


def test_each_deployment_has_an_image_if_pictures_are_sent() -> None:
    """It reads the snapshots as they are: JPEG, not base64; without snapshots there is none."""
    image = _payload("cam-1")["components"]["cam-1_image"]
    assert (image["platform"], image["content_type"]) == ("image", "image/jpeg")
    assert image["image_topic"] == "edge/v1/ridge-01/snapshot/cam-1"
    assert "image_encoding" not in image
    without = json.loads(discovery("ridge-01", TOPICS, ["cam-1"], "1", snapshots=False))
    assert {c["platform"] for c in without["components"].values()} == {"sensor", "binary_sensor", "event"}


@pytest.mark.parametrize("deployments", [(), ("cam-1",), ("cam#1", "ü/+", "cam 1", "cam-1")])
def test_every_field_is_one_that_home_assistant_knows(deployments: tuple[str, ...]) -> None:
    """Field by field; Home Assistant passes over fields that it doesn't know without a word."""
    faults = [error.message for error in SCHEMA.iter_errors(_payload(*deployments))]
    assert faults == []


@pytest.mark.parametrize(
    ("component", "field", "value"),
    [
        ("status", "options", []),
        ("status", "state_class", "measurement"),
        ("status", "unique_id", None),
        ("problem", "icon", "paw"),
        ("cam-1_label", "value_templates", "x"),
        ("cam-1_label", "entity_category", "config"),
        ("cam-1_label", "state_topic", "edge/+/x"),
        ("cam-1_count", "state_class", "sum"),
        ("cam-1_image", "state_topic", "edge/v1"),
        ("cam-1_image", "image_encoding", "hex"),
        ("cam-1_registration", "event_types", None),
        ("cam-1_registration", "device_class", "problem"),
    ],
)
def test_the_rules_find_what_is_wrong(component: str, field: str, value: object) -> None:
    """A field too many, one too few, or of a wrong value: the check above would say so."""
    payload = _payload("cam-1")
    if value is None:
        del payload["components"][component][field]
    else:
        payload["components"][component][field] = value
    assert not SCHEMA.is_valid(payload)


def test_every_change_is_a_known_event() -> None:
    """Home Assistant drops events of a type that wasn't announced."""
    event = _payload("cam-1")["components"]["cam-1_registration"]
    assert event["event_types"] == list(get_args(ChangeKind))
    assert "'event_type': value_json.change" in event["value_template"]


def test_the_device_has_status_problem_outbox_and_images() -> None:
    """The four entities of the device itself, without any deployment."""
    components = _payload()["components"]
    assert set(components) == {"status", "problem", "outbox_pending", "images_processed"}
    assert components["status"]["state_topic"] == "edge/v1/ridge-01/status"
    assert components["status"]["options"] == ["online", "stopped", "offline"]
    assert components["problem"]["device_class"] == "problem"
    assert {
        components[name]["state_topic"] for name in ("problem", "outbox_pending", "images_processed")
    } == {"edge/v1/ridge-01/health"}


def test_it_does_not_depend_on_the_order_of_deployments() -> None:
    """The same deployments give the same bytes, so that nothing is sent for nothing."""
    assert discovery("d", TOPICS, ["b", "a"], "1") == discovery("d", TOPICS, ["a", "b", "a"], "1")
