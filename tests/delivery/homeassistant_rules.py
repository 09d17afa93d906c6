"""What Home Assistant takes in a device discovery payload, as a JSON Schema in our own words.

Read off the schemas that Home Assistant 2026.11 checks such payloads with (``homeassistant/components/mqtt``:
``schemas.py``, ``config.py`` and the platforms' own), for the platforms
and fields that are of use here. There, unknown fields are dropped in silence; here they are faults.
"""

from __future__ import annotations

from typing import Any, Final

from jsonschema import Draft202012Validator

_TEXT: Final = {"type": "string", "minLength": 1}
_TOPIC: Final = {"type": "string", "minLength": 1, "maxLength": 65_535, "pattern": "^[^+#\\x00]+$"}
_TEMPLATE: Final = {"type": "string", "pattern": "{{.*}}"}
_QOS: Final = {"enum": [0, 1, 2]}

_COMMON: Final[dict[str, Any]] = {
    "unique_id": _TEXT,
    "name": _TEXT,
    "icon": {"type": "string", "pattern": "^[a-z]+:[a-z0-9-]+$"},
    "enabled_by_default": {"type": "boolean"},
    "availability_topic": _TOPIC,
    "availability_template": _TEMPLATE,
    "payload_available": _TEXT,
    "payload_not_available": _TEXT,
    "json_attributes_topic": _TOPIC,
    "json_attributes_template": _TEMPLATE,
    "qos": _QOS,
}
_READS: Final[dict[str, Any]] = {"state_topic": _TOPIC, "value_template": _TEMPLATE}
_DIAGNOSTIC: Final = {"entity_category": {"enum": ["diagnostic"]}}


def _platform(name: str, fields: dict[str, Any], required: list[str], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"platform": {"const": name}, **_COMMON, **fields},
        "required": ["platform", "unique_id", *required],
        "additionalProperties": False,
        **more,
    }


_SENSOR: Final = _platform(
    "sensor",
    {
        **_READS,
        **_DIAGNOSTIC,
        "device_class": {"enum": ["enum", "timestamp"]},
        "options": {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
        "state_class": {"enum": ["measurement", "total", "total_increasing"]},
        "unit_of_measurement": _TEXT,
    },
    ["state_topic"],
    allOf=[
        {
            # Options belong to an enumeration, which has neither a class of its state nor a unit.
            "if": {"required": ["options"]},
            "then": {
                "required": ["device_class"],
                "properties": {
                    "device_class": {"const": "enum"},
                    "state_class": False,
                    "unit_of_measurement": False,
                },
            },
        }
    ],
)
_BINARY_SENSOR: Final = _platform(
    "binary_sensor",
    {
        **_READS,
        **_DIAGNOSTIC,
        "device_class": {"enum": ["problem", "connectivity"]},
        "payload_on": _TEXT,
        "payload_off": _TEXT,
    },
    ["state_topic"],
)
_EVENT: Final = _platform(
    "event",
    {
        **_READS,
        "device_class": {"enum": ["motion", "button", "doorbell"]},
        "event_types": {"type": "array", "items": _TEXT, "minItems": 1},
    },
    ["state_topic", "event_types"],
)
_IMAGE: Final = _platform(
    "image",
    {"image_topic": _TOPIC, "content_type": _TEXT, "image_encoding": {"enum": ["b64", "raw"]}},
    ["image_topic"],
)
_DEVICE: Final = {
    "type": "object",
    "properties": {
        "identifiers": {"type": "array", "items": _TEXT, "minItems": 1},
        **dict.fromkeys(
            ("name", "manufacturer", "model", "sw_version", "hw_version", "serial_number"), _TEXT
        ),
    },
    "required": ["identifiers"],
    "additionalProperties": False,
}
_ORIGIN: Final = {
    "type": "object",
    "properties": {"name": _TEXT, "sw_version": _TEXT, "support_url": _TEXT},
    "required": ["name"],
    "additionalProperties": False,
}
SCHEMA: Final = Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "device": _DEVICE,
            "origin": _ORIGIN,
            "components": {
                "type": "object",
                # The name of a component becomes part of a discovery topic.
                "propertyNames": {"pattern": "^[A-Za-z0-9_-]+$"},
                "additionalProperties": {"oneOf": [_SENSOR, _BINARY_SENSOR, _EVENT, _IMAGE]},
            },
            "qos": _QOS,
        },
        "required": ["device", "origin", "components"],
        "additionalProperties": False,
    }
)
