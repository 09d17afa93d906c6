"""The AsyncAPI 3 document: topics, messages and who sends them, from the types that encode the messages.

Written by ``python -m edge.delivery.asyncapi docs/asyncapi.json``; a test compares. Told from the device's
side: it *sends* what it publishes and *receives* commands.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge import __version__
from edge.compact import LIMIT
from edge.delivery.messages import (
    Cursor,
    Health,
    Pong,
    Refusal,
    RegistrationMessage,
    ReplayReply,
    ReplayRequest,
    SnapshotProperties,
    Status,
)
from edge.delivery.publisher import SNAPSHOT_LIFETIME
from edge.delivery.requests import (
    ConfigReply,
    RegistrationReply,
    RegistrationRequest,
    ReprocessReply,
    ReprocessRequest,
)
from edge.errors import UsageError

Object = dict[str, Any]

_BINDING: Final = {"bindingVersion": "0.2.0"}
_BINARY: Final[Object] = {"type": "string", "format": "binary"}
_NOTHING: Final[Object] = {"type": "object", "maxProperties": 0, "description": "nothing, or {}"}


@dataclass(frozen=True, slots=True)
class _Topic:
    """One topic that the device publishes on."""

    address: str
    summary: str
    payload: type[BaseModel] | Object
    retained: bool = False
    content_type: str = "application/json"
    headers: type[BaseModel] | None = None
    expiry: int | None = None


@dataclass(frozen=True, slots=True)
class _Command:
    """One command, and what it is answered with if it is carried out."""

    summary: str
    request: type[BaseModel] | Object
    reply: type[BaseModel]


_TOPICS: Final[Mapping[str, _Topic]] = {
    "registration": _Topic(
        "{prefix}/{device}/registration/{deployment}",
        "A change of a registration, whole.",
        RegistrationMessage,
    ),
    "status": _Topic(
        "{prefix}/{device}/status",
        "Whether the device is there; offline is its will.",
        {"type": "string", "enum": list(get_args(Status))},
        retained=True,
        content_type="text/plain",
    ),
    "cursor": _Topic("{prefix}/{device}/cursor", "The last number given out.", Cursor, retained=True),
    "health": _Topic("{prefix}/{device}/health", "How the device is.", Health, retained=True),
    "snapshot": _Topic(
        "{prefix}/{device}/snapshot/{deployment}",
        "A small picture of a registration that opened.",
        _BINARY,
        content_type="image/jpeg",
        headers=SnapshotProperties,
        expiry=SNAPSHOT_LIFETIME,
    ),
    "compact": _Topic(
        "{prefix}/{device}/compact/{deployment}",
        "A closed registration in CBOR, if mqtt.compact is on.",
        {**_BINARY, "maxLength": LIMIT},
        content_type="application/cbor",
    ),
    "discovery": _Topic(
        "homeassistant/device/{device}/config",
        "Home Assistant's device discovery.",
        {"type": "object", "required": ["device", "origin", "components"]},
        retained=True,
    ),
}
_COMMANDS: Final[Mapping[str, _Command]] = {
    "ping": _Command("Is anybody there?", _NOTHING, Pong),
    "replay": _Command("Send messages again.", ReplayRequest, ReplayReply),
    "registration": _Command(
        "The whole media list of a registration.", RegistrationRequest, RegistrationReply
    ),
    "config": _Command("What is in force.", _NOTHING, ConfigReply),
    "reprocess": _Command("Look again with the models of today.", ReprocessRequest, ReprocessReply),
}
_PARAMETERS: Final[Mapping[str, Object]] = {
    "prefix": {"description": "mqtt.prefix; may be several levels", "default": "edge/v1"},
    "device": {"description": "name of the device", "examples": ["ridge-01"]},
    "deployment": {
        "description": "name of the camera; the characters % + # / $ are percent-encoded",
        "examples": ["cam-07"],
    },
}


def document() -> Object:
    """The document, ready for JSON."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "edge: registrations of animals",
            "version": __version__,
            "description": "What a camera-trap station publishes over MQTT 5 at QoS 1, and what it answers.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "broker.example:1883",
                "protocol": "mqtt",
                "protocolVersion": "5",
                "description": "any broker that speaks MQTT 5; TLS, user and password as it wants them",
            }
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def text() -> str:
    """The document as docs/asyncapi.json has it."""
    return json.dumps(document(), indent=2) + "\n"


def main(arguments: list[str]) -> None:
    """Write the document into a file.

    Raises:
        UsageError: not exactly one file was given.
    """
    if len(arguments) != 1:
        raise UsageError("a file is needed", hint="python -m edge.delivery.asyncapi docs/asyncapi.json")
    Path(arguments[0]).write_text(text())


def _channels() -> Object:
    sent = {name: _channel(topic.address, [name]) for name, topic in _TOPICS.items()}
    asked = {
        f"command-{name}": _channel(f"{{prefix}}/{{device}}/command/{name}", [f"command-{name}"])
        for name in _COMMANDS
    }
    replies: Object = {
        "address": None,
        "messages": _message_refs([*map("reply-{}".format, _COMMANDS), "refusal"]),
    }
    replies["description"] = "the response topic of the request"
    return {**sent, **asked, "reply": replies}


def _channel(address: str, messages: list[str]) -> Object:
    names = {name: about for name, about in _PARAMETERS.items() if f"{{{name}}}" in address}
    return {"address": address, "messages": _message_refs(messages), "parameters": names}


def _message_refs(names: list[str]) -> Object:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operations() -> Object:
    sent = {f"send-{name}": _sending(name, topic) for name, topic in _TOPICS.items()}
    asked = {f"receive-{name}": _receiving(name, command) for name, command in _COMMANDS.items()}
    return {**sent, **asked}


def _sending(name: str, topic: _Topic) -> Object:
    binding: Object = {"qos": 1, "retain": topic.retained, **_BINDING}
    if topic.expiry is not None:
        binding["messageExpiryInterval"] = topic.expiry
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": topic.summary,
        "bindings": {"mqtt": binding},
    }


def _receiving(name: str, command: _Command) -> Object:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/command-{name}"},
        "summary": command.summary,
        "bindings": {"mqtt": {"qos": 1, "retain": False, **_BINDING}},
        "reply": {
            "address": {"location": "$message.header#/responseTopic"},
            "channel": {"$ref": "#/channels/reply"},
            "messages": [
                {"$ref": f"#/channels/reply/messages/{message}"} for message in (f"reply-{name}", "refusal")
            ],
        },
    }


def _messages() -> Object:
    sent = {name: _sent_message(name, topic) for name, topic in _TOPICS.items()}
    found: Object = {**sent, "refusal": _message("refusal", Refusal)}
    for name, command in _COMMANDS.items():
        found[f"command-{name}"] = _message(f"command-{name}", command.request)
        found[f"reply-{name}"] = _message(f"reply-{name}", command.reply)
    return found


def _sent_message(name: str, topic: _Topic) -> Object:
    message = _message(name, topic.payload)
    message["contentType"] = topic.content_type
    if topic.headers is not None:
        message["headers"] = _ref(topic.headers)
    return message


def _message(name: str, payload: type[BaseModel] | Object) -> Object:
    body = payload if isinstance(payload, dict) else _ref(payload)
    return {
        "name": name,
        "contentType": "application/json",
        "payload": body,
        "bindings": {"mqtt": {**_BINDING}},
    }


def _ref(model: type[BaseModel]) -> Object:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas() -> Object:
    """Every type, what it refers to included, as the schema objects of AsyncAPI: JSON Schema draft 7."""
    sent: list[Any] = [t.payload for t in _TOPICS.values()] + [t.headers for t in _TOPICS.values()]
    sent += [Refusal, *(command.reply for command in _COMMANDS.values())]
    asked: list[Any] = [command.request for command in _COMMANDS.values()]
    wanted: list[tuple[Any, Literal["serialization", "validation"]]] = [
        *((model, "serialization") for model in sent if isinstance(model, type)),
        *((model, "validation") for model in asked if isinstance(model, type)),
    ]
    _, found = models_json_schema(wanted, by_alias=True, ref_template="#/components/schemas/{model}")
    schemas: Object = _as_draft_7(found["$defs"])
    return schemas


def _as_draft_7(schema: Any) -> Any:
    """A list of fixed length has its parts under another name there."""
    if isinstance(schema, dict):
        return {"items" if key == "prefixItems" else key: _as_draft_7(value) for key, value in schema.items()}
    return [_as_draft_7(part) for part in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    main(sys.argv[1:])
