"""Requests that reach the device, and their answers.

A request is a message on ``<prefix>/<device>/command/<name>``; the answer goes to its response topic with its
correlation data. One that comes twice (QoS 1 may repeat) is answered twice and carried out once. What is no
request, is too long or comes too often is refused; nothing that anybody sends is more than that.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from edge.delivery.connection import Incoming, Outgoing, publish_properties
from edge.delivery.messages import REPLAY_LIMIT, Refusal, ReplayRequest, encode
from edge.delivery.outbox import Outbox
from edge.delivery.throttle import Throttle
from edge.errors import EdgeError, UsageError


@dataclass(frozen=True, slots=True)
class Command:
    """One request.

    Attributes:
        name: of the command.
        payload: what it says.
        response_topic: where the answer goes; None if nobody wants one.
        correlation: what the answer carries, so that who asked knows it.
    """

    name: str
    payload: bytes
    response_topic: str | None = None
    correlation: bytes | None = None

    def identity(self) -> str:
        """Equal for deliveries of one request, different for requests whose correlation data differs."""
        digest = hashlib.sha256()
        topic = (self.response_topic or "").encode()
        parts = (self.name.encode(), self.payload, topic, self.correlation or b"")
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()


Handler = Callable[[Command], BaseModel]
"""Carries out a command and returns the answer. Raises ``EdgeError`` to refuse.

Called on the publisher's thread: it must not take long. Where a second effect would matter it remembers the
command's ``identity`` in the transaction of the first: a request may also come again after a restart.
"""

RATE = 5.0
BURST = 20
_REMEMBERED = 256
_LARGEST_REMEMBERED = 8192
_LONGEST_TOPIC = 512
_LONGEST_SHOWN = 200
_LONGEST_REQUEST = 65_536
_LARGEST_NUMBER = 2**62
"""Of messages: far beyond what a device can ever send, and within what a database can look for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A replay that is to be carried out, with where its answer goes."""

    request: ReplayRequest
    origin: Incoming


class Commands:
    """The table of commands.

    Args:
        outbox: whose epoch and numbers a replay is checked against.
        handlers: by name; ``replay`` is built in.
        base: topics of this device begin with this; an answer goes to none of them but ``reply/...``.
        throttle: how many are carried out; ``RATE`` a second and ``BURST`` at once if not given.
    """

    def __init__(
        self,
        outbox: Outbox,
        handlers: Mapping[str, Handler],
        base: str,
        *,
        throttle: Throttle | None = None,
    ) -> None:
        self._outbox = outbox
        self._throttle = throttle or Throttle(RATE, BURST)
        self._handlers = dict(handlers)
        self._base = base
        self._answers: OrderedDict[str, Outgoing] = OrderedDict()

    def receive(self, name: str, message: Incoming, now: float) -> Outgoing | Asked | None:
        """Carry out a request, or look up what was answered to it before.

        Args:
            name: of the command.
            message: as it came.
            now: monotonic time.

        Returns:
            the answer to publish, None where nobody wants one, or a replay for the caller to carry out.
        """
        verdict = "drop" if message.retained else self._throttle.ask(now)
        if verdict == "drop":
            return None
        if verdict == "tell":
            what = "too many requests: at most 5 a second are carried out"
            return self.answer(message, Refusal(command=_shown(name), what=what, hint="ask again later"))
        command = Command(name, message.payload, message.response_topic, message.correlation)
        key = command.identity() if message.correlation else None
        if key is not None and key in self._answers:
            return self._answers[key]
        try:
            result = self._carry_out(command, message)
        except EdgeError as error:
            result = Refusal(
                command=_shown(name), what=error.what, subject=_shown(error.subject), hint=error.hint
            )
        if isinstance(result, Asked):
            return result
        answer = self.answer(message, result)
        if answer is not None and key is not None and not isinstance(result, Refusal):
            self._remember(key, answer)
        return answer

    def answer(self, request: Incoming, result: BaseModel) -> Outgoing | None:
        """The message that carries a result back, None where nobody wants it."""
        topic = request.response_topic
        if not topic or not self._may_answer_on(topic):
            return None
        properties = publish_properties("application/json", correlation=request.correlation)
        return Outgoing(topic, encode(result), properties=properties)

    def _carry_out(self, command: Command, message: Incoming) -> BaseModel | Asked:
        if len(message.payload) > _LONGEST_REQUEST:
            raise UsageError("the request is too long", subject=f"{len(message.payload)} bytes")
        name = command.name
        if name == "replay":
            return Asked(self._replay_request(command), message)
        if name not in self._handlers:
            known = ", ".join(sorted({*self._handlers, "replay"}))
            raise UsageError("unknown command", subject=_shown(name), hint=f"known are: {known}")
        return self._handlers[name](command)

    def _replay_request(self, command: Command) -> ReplayRequest:
        request = parsed(ReplayRequest, command, hint='send {"epoch": ..., "from": 1, "to": 9}')
        if request.epoch != self._outbox.epoch:
            raise UsageError(
                "unknown epoch",
                subject=request.epoch,
                hint=f"the epoch is {self._outbox.epoch} now; see the cursor",
            )
        wanted = request.last - request.first + 1
        if request.last > _LARGEST_NUMBER:
            raise UsageError("there is no such number", subject=str(request.last))
        if not 1 <= wanted <= REPLAY_LIMIT:
            raise UsageError(
                "a replay of this size is not possible",
                subject=str(wanted),
                hint=f"ask for 1 to {REPLAY_LIMIT}",
            )
        return request

    def _remember(self, key: str, answer: Outgoing) -> None:
        """Large answers are those of looking something up, which can be done again."""
        if len(answer.payload) <= _LARGEST_REMEMBERED:
            self._answers[key] = answer
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)

    def _may_answer_on(self, topic: str) -> bool:
        sound = len(topic) <= _LONGEST_TOPIC and not set(topic) & set("+#\0") and not topic.startswith("$")
        # Who may only ask must not be able to speak for the device, with its rights, on its own topics.
        ours = topic.startswith(f"{self._base}/") and not topic.startswith(f"{self._base}/reply/")
        return sound and not ours


Model = TypeVar("Model", bound=BaseModel)


def parsed(model: type[Model], command: Command, *, hint: str) -> Model:
    """What a command says.

    Args:
        model: what it should say.
        command: as it came.
        hint: what to send instead, for who sent something else.

    Raises:
        UsageError: it says something else.
    """
    try:
        return model.model_validate_json(command.payload)
    except ValidationError as error:
        raise UsageError(f"not a {command.name} request", subject=_first_fault(error), hint=hint) from error


def _shown(text: str) -> str:
    """What an answer repeats of a request, whose topic and values may be 64 KB long."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'payload'}: {fault['msg']}"
