"""``edge subscribe``: a subscriber's table, live."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from contextlib import ExitStack
from types import FrameType
from typing import Annotated, Any

import typer
from rich.live import Live

from edge.cli.common import ConfigOption, JsonOption, broker_overrides, configuration, err, out, write_json
from edge.cli.look import registration_table
from edge.delivery.messages import RegistrationMessage
from edge.delivery.tls import client_context
from edge.errors import DeliveryError, UsageError
from edge.settings import MqttSettings
from edge.subscriber import Subscriber

CONNECT_PATIENCE = 10.0


class Stop(threading.Event):
    """Set by a signal; which one it was decides the exit code where nothing was shown yet."""

    number = 0

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """As ``signal.signal`` wants it."""
        self.number = number
        self.set()


def subscribe_command(
    *,
    config: ConfigOption = None,
    broker: Annotated[
        str | None,
        typer.Option("--broker", metavar="URL", help="mqtt://[user:password@]host[:port], or mqtts://…"),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Only this device; + for all.")] = "+",
    as_json: JsonOption = False,
    events: Annotated[
        bool, typer.Option("--events", help="Print each message as a line of JSON instead of the table.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="End as soon as nothing is missing, rather than follow.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0, help="End after so long at the latest.")
    ] = None,
    from_now: Annotated[
        bool, typer.Option("--from-now", help="Don't ask devices for what they sent before.")
    ] = False,
) -> None:
    """Follow a broker, keep the table of registrations, show it live.

    Gaps are seen by their numbers and asked for, so the table is right whatever the network did. With --json
    the table is printed once, as an array, at the end: on Ctrl-C or SIGTERM, after --for, or with --once when
    nothing is missing. Exit code 1 if something still is.

    Examples:
        edge subscribe --broker mqtt://127.0.0.1

        edge subscribe --broker mqtt://broker.lan --json --once > table.json
    """
    if as_json and events:
        raise UsageError("--json and --events exclude each other")
    settings = configuration(config, **broker_overrides(broker)).settings.mqtt
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.on_signal)
    subscriber = _subscriber(settings, device, from_start=not from_now, events=events)
    with subscriber:
        _wait_for_broker(subscriber, settings, stop)
        complete = _follow(subscriber, stop, once=once, seconds=seconds, live=not (as_json or events))
        rows, missing = subscriber.rows(), sum(gap.last - gap.first + 1 for gap in subscriber.missing())
    if as_json:
        write_json(rows)
    if missing or (once and not complete):
        err.print(f"{missing} messages are missing; their device is not there to send them again")
        raise typer.Exit(1)


def _subscriber(settings: MqttSettings, device: str, *, from_start: bool, events: bool) -> Subscriber:
    return Subscriber(
        settings.host,
        settings.port,
        prefix=settings.prefix,
        device=device,
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password else None,
        tls=client_context(settings) if settings.tls else None,
        from_start=from_start,
        on_change=_print_event if events else None,
    )


def _print_event(message: RegistrationMessage) -> None:
    line = json.dumps(message.model_dump(mode="json", by_alias=True), ensure_ascii=False)
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _wait_for_broker(subscriber: Subscriber, settings: MqttSettings, stop: Stop) -> None:
    """Raises where there is no answer; a signal meanwhile ends the program as it would end any other."""
    deadline = time.monotonic() + CONNECT_PATIENCE
    while not subscriber.connected.wait(0.1):
        subscriber.check()
        if subscriber.refused:
            raise _turned_away(subscriber.refused, settings)
        if stop.is_set():
            err.print(f"stopped before {settings.host}:{settings.port} answered", highlight=False)
            raise typer.Exit(128 + stop.number)
        if time.monotonic() > deadline:
            raise DeliveryError(
                "no answer from the broker",
                subject=f"{settings.host}:{settings.port}",
                hint="is it running, and does it speak MQTT 5? Give another with --broker",
            )


def _turned_away(reason: tuple[str, str], settings: MqttSettings) -> DeliveryError:
    word, sentence = reason
    hint = "see the broker's log"
    if word in {"bad_credentials", "not_authorized"}:
        hint = "say who you are: mqtt://USER:PASSWORD@HOST, or EDGE_MQTT__USERNAME and EDGE_MQTT__PASSWORD"
    return DeliveryError(f"{word}: {sentence}", subject=f"{settings.host}:{settings.port}", hint=hint)


def _follow(
    subscriber: Subscriber, stop: threading.Event, *, once: bool, seconds: float | None, live: bool
) -> bool:
    """Until told to stop; returns whether nothing was missing at the end."""
    deadline = None if seconds is None else time.monotonic() + seconds
    with ExitStack() as stack:
        screen = stack.enter_context(Live(console=out, auto_refresh=False)) if live else None
        shown: list[dict[str, Any]] | None = None
        while not stop.wait(0.25):
            subscriber.check()
            if screen is not None and (rows := subscriber.rows()) != shown:
                shown = rows
                table = registration_table(RegistrationMessage.model_validate(row) for row in rows)
                screen.update(table, refresh=True)
            if once and subscriber.is_complete():
                return True
            if deadline is not None and time.monotonic() > deadline:
                break
    return subscriber.is_complete()
