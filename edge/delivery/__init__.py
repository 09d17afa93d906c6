"""From the outbox to an MQTT broker, and back into a subscriber's table."""

from edge.delivery.backlog import Pace
from edge.delivery.change import MediaLine, Origin, choose_media, registration_message
from edge.delivery.commands import Command, Handler
from edge.delivery.messages import BundleRef, Health, RegistrationMessage, encode
from edge.delivery.outbox import Outbox, OutboxCounts, OutboxRow
from edge.delivery.publisher import Publisher
from edge.delivery.state import PublisherState

__all__ = [
    "BundleRef",
    "Command",
    "Handler",
    "Health",
    "MediaLine",
    "Origin",
    "Outbox",
    "OutboxCounts",
    "OutboxRow",
    "Pace",
    "Publisher",
    "PublisherState",
    "RegistrationMessage",
    "choose_media",
    "encode",
    "registration_message",
]
