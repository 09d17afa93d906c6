"""One connection to a broker, from dialling to its end. The only module of this package that touches paho.

A ``Connection`` is used once: after a loss it is thrown away with everything that paho still had in its
queue, and the outbox says what has to be sent. paho runs without its network thread: ``poll`` drives it from
the caller's thread, so there is no second thread that could die unnoticed. What happens is put in a list of
events; an exception out of paho, or out of a callback, ends the connection like any other loss.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.delivery import reasons, tls
from edge.delivery.waker import Waker
from edge.errors import DeliveryError
from edge.settings import MqttSettings

CONNECT_TIMEOUT: Final = 10.0
_SESSION_EXPIRY: Final = 3600
_RECEIVE_MAXIMUM: Final = 65_535
_NO_RETAINED: Final = 2
_FIXED_HEADER: Final = 5
_LARGEST_INCOMING: Final = 128 * 1024
"""Bytes. Requests are far smaller; whatever is larger the broker keeps to itself."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The broker accepted the connection.

    Attributes:
        receive_maximum: unacknowledged messages that the broker takes at once.
        maximum_packet_size: bytes, None where the broker names no limit.
    """

    receive_maximum: int
    maximum_packet_size: int | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A PUBACK."""

    mid: int
    code: int


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A SUBACK; ``codes`` in the order of the topics that were asked for."""

    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from the broker."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The end of the connection, or its refusal.

    Attributes:
        reason: a stable word.
        detail: a sentence for people.
        blames_message: whether the last message sent may have been the cause: the other side hung up, or
            what it said made no sense, without a reason that explains it.
    """

    reason: str
    detail: str
    blames_message: bool = False


Event = Welcome | Answered | Subscribed | Incoming | Lost


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to the broker, always QoS 1.

    Attributes:
        properties: MQTT 5 properties, made by :func:`publish_properties`.
    """

    topic: str
    payload: bytes
    retain: bool = False
    properties: Properties | None = None

    def size(self) -> int:
        """An upper bound of the packet's size, bytes."""
        properties = len(_packed(self.properties)) if self.properties else 1
        return _FIXED_HEADER + 2 + len(self.topic.encode()) + 2 + properties + len(self.payload)


def publish_properties(
    content_type: str,
    *,
    expiry: int | None = None,
    correlation: bytes | None = None,
    user: tuple[tuple[str, str], ...] = (),
) -> Properties:
    """MQTT 5 properties of a message.

    Args:
        content_type: MIME type.
        expiry: seconds after which the broker may forget it.
        correlation: that a request came with.
        user: user properties.
    """
    is_text = content_type.startswith(("text/", "application/json"))
    fields: dict[str, object] = {"ContentType": content_type, "PayloadFormatIndicator": int(is_text)}
    if expiry is not None:
        fields["MessageExpiryInterval"] = expiry
    if correlation is not None:
        fields["CorrelationData"] = correlation
    if user:
        fields["UserProperty"] = list(user)
    return _Packed(_properties(PacketTypes.PUBLISH, fields))


class _Packed(Properties):
    """Properties that don't change any more, packed once and not for every message."""

    def __init__(self, properties: Properties) -> None:
        super().__init__(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
        self.__dict__.update(properties.__dict__)
        self.__dict__["packed"] = _packed(properties)

    def pack(self) -> bytes:
        """As they go over the wire, length included."""
        packed: bytes = self.__dict__["packed"]
        return packed


class Connection:
    """One paho client, for one network connection.

    Args:
        settings: where and as whom.
        client_id: stable for a device, so that a new connection takes over from a dead one.
        will: published by the broker when the connection ends without a goodbye.
    """

    def __init__(self, settings: MqttSettings, client_id: str, will: Outgoing) -> None:
        self._settings: Final = settings
        self._events: Final[deque[Event]] = deque()
        self._over = self._welcomed = False
        self._client: Final = self._made(client_id, will)

    def dial(self) -> None:
        """Look up the broker, connect, and send CONNECT. Blocks; may be called from another thread.

        Failures are events, as all else is.
        """
        with self._seam():
            settings = self._settings
            if settings.tls:
                self._client.tls_set_context(tls.client_context(settings))
            expiry = max(_SESSION_EXPIRY, 2 * settings.will_delay)
            limits = {"SessionExpiryInterval": expiry, "MaximumPacketSize": _LARGEST_INCOMING}
            properties = _properties(PacketTypes.CONNECT, dict(limits))
            # Not a clean start: that would end the session, and with it publish the will, at every reconnect.
            self._client.connect(
                settings.host, settings.port, settings.keepalive, clean_start=False, properties=properties
            )

    def poll(self, timeout: float, waker: Waker) -> list[Event]:
        """Send and receive what is ready, after at most ``timeout`` seconds; returns what happened."""
        with self._seam():
            self._turn(0.0 if self._events else timeout, waker)
        waker.clear()
        events = list(self._events)
        self._events.clear()
        return events

    def publish(self, message: Outgoing) -> int | None:
        """Hand a message to paho; returns the packet id, None if the connection is gone."""
        sent = None
        with self._seam():
            sent = self._client.publish(
                message.topic, message.payload, qos=1, retain=message.retain, properties=message.properties
            )
        return sent.mid if sent is not None else None

    def subscribe(self, topics: list[str]) -> None:
        """Ask for topics at QoS 1, without what is retained there."""
        options = SubscribeOptions(qos=1, retainHandling=_NO_RETAINED)
        with self._seam():
            self._client.subscribe([(topic, options) for topic in topics])

    def goodbye(self) -> None:
        """Say that the connection ends on purpose: the broker drops the will."""
        with self._seam():
            self._client.disconnect()

    def close(self) -> None:
        """Hang up. The broker publishes the will after its delay, unless there was a goodbye."""
        self._over = True
        connected = self._client.socket()
        if connected is not None:
            connected.close()

    def _made(self, client_id: str, will: Outgoing) -> Client:
        settings = self._settings
        client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
        client.max_inflight_messages_set(
            0
        )  # the window is kept by our caller, who must not be second-guessed
        client.connect_timeout = CONNECT_TIMEOUT
        if settings.username is not None:
            password = settings.password.get_secret_value() if settings.password else None
            client.username_pw_set(settings.username, password)
        properties = _properties(PacketTypes.WILLMESSAGE, {"WillDelayInterval": settings.will_delay})
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain, properties=properties)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _turn(self, timeout: float, waker: Waker) -> None:
        connected: Any = self._client.socket()
        if connected is None:
            self._lose(self._hung_up())
            return
        if hasattr(connected, "pending") and connected.pending():
            timeout = 0.0
        poller = select.poll()
        poller.register(waker, select.POLLIN)
        poller.register(connected, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        ready = dict(poller.poll(timeout * 1000))
        if ready.get(connected.fileno(), 0) & ~select.POLLOUT or not timeout:
            self._client.loop_read()
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()

    def _lose(self, lost: Lost) -> None:
        """The first reason is the cause, later ones are its consequences."""
        if not self._over:
            self._over = True
            self._events.append(lost)

    def _hung_up(self) -> Lost:
        """A broker of MQTT 3.1.1 may answer CONNECT like this; so does one that expects TLS."""
        if self._welcomed:
            return Lost(*reasons.CLOSED, blames_message=True)
        return Lost(*(reasons.NOT_WELCOME_IN_TLS if self._settings.tls else reasons.NOT_WELCOME))

    @contextmanager
    def _seam(self) -> Iterator[None]:
        """Whatever goes wrong in paho ends the connection, and nothing else."""
        try:
            yield
        except TimeoutError:
            self._lose(Lost("unreachable", "the broker doesn't answer; check host, port and firewall"))
        except socket.gaierror as error:
            self._lose(Lost("unreachable", f"no address for {self._settings.host}: {error.strerror}"))
        except ConnectionRefusedError:
            where = f"{self._settings.host}:{self._settings.port}"
            self._lose(Lost("unreachable", f"nothing listens on {where}; is the broker running?"))
        except ssl.SSLError as error:
            self._lose(Lost(*tls.explain(error)))
        except ConnectionResetError:
            spoken = self._welcomed or not self._settings.tls
            self._lose(self._hung_up() if spoken else Lost(*tls.NOT_SPOKEN))
        except DeliveryError as error:
            self._lose(Lost(tls.FILES, str(error)))
        except OSError as error:
            self._lose(Lost("unreachable", str(error)))
        except Exception as error:  # noqa: BLE001 - paho raises whatever it stumbles over in a bad packet
            self._lose(Lost("client_error", f"{type(error).__name__}: {error}", blames_message=True))

    def _on_socket_open(self, _client: Client, _data: Any, connected: Any) -> None:
        if self._over:
            raise ConnectionAbortedError(
                "given up while dialling"
            )  # before CONNECT: it would oust its successor
        if connected.family in (socket.AF_INET, socket.AF_INET6):
            # Small packets go out at once; waiting for more to fill a segment would cost 40 ms each.
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self,
        _client: Client,
        _data: Any,
        _flags: ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if code.value >= reasons.FAILURE:
            self._lose(Lost(*reasons.explain(code.value)))
            return
        self._welcomed = True
        self._events.append(
            Welcome(
                getattr(properties, "ReceiveMaximum", _RECEIVE_MAXIMUM),
                getattr(properties, "MaximumPacketSize", None),
            )
        )

    def _on_publish(
        self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._events.append(Answered(mid, code.value))

    def _on_subscribe(
        self, _client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self._events.append(Subscribed(tuple(code.value for code in codes)))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._events.append(
            Incoming(
                message.topic,
                bytes(message.payload),
                message.retain,
                getattr(message.properties, "ResponseTopic", None),
                getattr(message.properties, "CorrelationData", None),
            )
        )

    def _on_disconnect(
        self,
        _client: Client,
        _data: Any,
        flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            word, sentence = reasons.explain(code.value)
            self._lose(Lost(word, sentence, blames_message=word in _BLAMING))
        elif code.getName() == "Keep alive timeout":
            self._lose(Lost("keepalive", "nothing was heard for longer than the keepalive allows"))
        else:
            self._lose(self._hung_up())


_BLAMING: Final = frozenset(
    {reasons.CLOSED[0], "protocol_error", "packet_too_large", "payload_refused", "refused"}
)


def _properties(packet_type: int, fields: dict[str, object]) -> Properties:
    """Properties as paho has them: set by assignment to names that its class doesn't declare."""
    properties = Properties(packet_type)  # type: ignore[no-untyped-call]
    for name, value in fields.items():
        setattr(properties, name, value)
    return properties


def _packed(properties: Properties) -> bytes:
    return bytes(properties.pack())  # type: ignore[no-untyped-call]
