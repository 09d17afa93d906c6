"""Home Assistant's MQTT device discovery: one retained message describes the device and its entities. Pure.

Follows https://www.home-assistant.io/integrations/mqtt/ (device discovery payload). The entities read the
same topics as every other subscriber; nothing is published for Home Assistant alone but this description.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, get_args

from edge.delivery.topics import Topics, discovery_id
from edge.registration.types import ChangeKind

_EVENT = (
    "{{ {'event_type': value_json.change, 'label': value_json.label, 'count': value_json.count,"
    " 'start': value_json.start, 'end': value_json.end, 'confidence': value_json.confidence,"
    " 'registration_id': value_json.registration_id, 'revision': value_json.revision} | tojson }}"
)
_PROBLEMS = "{{ {'problems': value_json.problems} | tojson }}"

Component = dict[str, Any]


def discovery(
    device: str, topics: Topics, deployments: Iterable[str], version: str, *, snapshots: bool = True
) -> bytes:
    """The discovery payload.

    Args:
        device: name of the machine.
        topics: where its state is published.
        deployments: each gets sensors for the last label, its count and its time, an event and an image.
        version: of this software.
        snapshots: whether pictures are sent; without, there are no image entities.
    """
    components = _device_components(topics)
    for deployment in sorted(set(deployments)):
        components |= _deployment_components(deployment, topics)
        if snapshots:
            components |= _image_component(deployment, topics)
    own = discovery_id(device)
    payload = {
        "device": {
            "identifiers": [f"edge-{own}"],
            "name": device,
            "manufacturer": "edge",
            "model": "Camera-trap station",
            "sw_version": version,
        },
        "origin": {"name": "edge", "sw_version": version},
        "components": {
            name: {"unique_id": f"edge_{own}_{name}", **component} for name, component in components.items()
        },
        "qos": 1,
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _device_components(topics: Topics) -> dict[str, Component]:
    health = {"state_topic": topics.health, "entity_category": "diagnostic"}
    return {
        "status": {
            "platform": "sensor",
            "name": "Status",
            "state_topic": topics.status,
            "device_class": "enum",
            "options": ["online", "stopped", "offline"],
            "entity_category": "diagnostic",
        },
        "problem": {
            "platform": "binary_sensor",
            "name": "Problem",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.problems else 'OFF' }}",
            "json_attributes_topic": topics.health,
            "json_attributes_template": _PROBLEMS,
            **health,
        },
        "outbox_pending": {
            "platform": "sensor",
            "name": "Messages waiting",
            "state_class": "measurement",
            "value_template": "{{ value_json.outbox.pending }}",
            **health,
        },
        "images_processed": {
            "platform": "sensor",
            "name": "Images processed",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.intake.processed }}",
            **health,
        },
    }


def _availability(topics: Topics) -> Component:
    return {
        "availability_topic": topics.status,
        "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
    }


def _deployment_components(deployment: str, topics: Topics) -> dict[str, Component]:
    own = discovery_id(deployment)
    common = {"state_topic": topics.registration(deployment), **_availability(topics)}
    return {
        f"{own}_label": {
            "platform": "sensor",
            "name": f"{deployment} last animal",
            "icon": "mdi:paw",
            "value_template": "{{ value_json.label }}",
            **common,
        },
        f"{own}_count": {
            "platform": "sensor",
            "name": f"{deployment} last count",
            "state_class": "measurement",
            "value_template": "{{ value_json.count }}",
            **common,
        },
        f"{own}_seen": {
            "platform": "sensor",
            "name": f"{deployment} last seen",
            "device_class": "timestamp",
            "value_template": "{{ value_json.end }}",
            **common,
        },
        f"{own}_registration": {
            "platform": "event",
            "name": f"{deployment} registration",
            "event_types": list(get_args(ChangeKind)),
            "value_template": _EVENT,
            **common,
        },
    }


def _image_component(deployment: str, topics: Topics) -> dict[str, Component]:
    """The last picture; Home Assistant keeps what came, so that it outlives the message's expiry."""
    return {
        f"{discovery_id(deployment)}_image": {
            "platform": "image",
            "name": f"{deployment} last picture",
            "image_topic": topics.snapshot(deployment),
            "content_type": "image/jpeg",
            **_availability(topics),
        }
    }
