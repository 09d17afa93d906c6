"""Requests that reach the device, and their answers.

A request is a message on ``<prefix>/<device>/command/<name>``; the answer goes to its response topic with its
correlation data. One that comes twice (QoS 1 may repeat) is answered twice and carried out once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from edge.delivery.connection import Incoming, Outgoing, publish_properties
from edge.delivery.messages import REPLAY_LIMIT, Refusal, ReplayRequest, encode
from edge.delivery.outbox import Outbox
from edge.errors import EdgeError, UsageError

Handler = Callable[[bytes], BaseModel]
"""Carries out a command: its payload in, the answer out. Raises ``EdgeError`` to refuse.

Called on the publisher's thread: it must not take long, and must do nothing twice for the same payload
where that matters, since a request may also come again after a restart.
"""

_REMEMBERED = 256
_LONGEST_TOPIC = 512
_LONGEST_REQUEST = 65_536


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
        base: topics of this device begin with this; no answer goes to a command topic.
    """

    def __init__(self, outbox: Outbox, handlers: Mapping[str, Handler], base: str) -> None:
        self._outbox = outbox
        self._handlers = dict(handlers)
        self._base = base
        self._answers: OrderedDict[tuple[str, str, bytes], Outgoing] = OrderedDict()

    def receive(self, name: str, message: Incoming) -> Outgoing | Asked | None:
        """Carry out a request, or look up what was answered to it before.

        Returns:
            the answer to publish, None where nobody wants one, or a replay for the caller to carry out.
        """
        if message.retained:
            return None
        key = (name, message.response_topic or "", message.correlation or b"")
        if message.correlation and key in self._answers:
            return self._answers[key]
        try:
            result = self._carry_out(name, message)
        except EdgeError as error:
            result = Refusal(command=name, what=error.what, subject=error.subject, hint=error.hint)
        if isinstance(result, Asked):
            return result
        answer = self.answer(message, result)
        if answer is not None and message.correlation and name != "replay":
            self._remember(key, answer)
        return answer

    def answer(self, request: Incoming, result: BaseModel) -> Outgoing | None:
        """The message that carries a result back, None where nobody wants it."""
        topic = request.response_topic
        if not topic or not self._may_answer_on(topic):
            return None
        properties = publish_properties("application/json", correlation=request.correlation)
        return Outgoing(topic, encode(result), properties=properties)

    def _carry_out(self, name: str, message: Incoming) -> BaseModel | Asked:
        if len(message.payload) > _LONGEST_REQUEST:
            raise UsageError("the request is too long", subject=f"{len(message.payload)} bytes")
        if name == "replay":
            return Asked(self._replay_request(message.payload), message)
        if name not in self._handlers:
            known = ", ".join(sorted({*self._handlers, "replay"}))
            raise UsageError("unknown command", subject=name, hint=f"known are: {known}")
        return self._handlers[name](message.payload)

    def _replay_request(self, payload: bytes) -> ReplayRequest:
        try:
            request = ReplayRequest.model_validate_json(payload)
        except ValidationError as error:
            raise UsageError(
                "not a replay request",
                subject=_first_fault(error),
                hint='send {"epoch": ..., "from": 1, "to": 9}',
            ) from error
        if request.epoch != self._outbox.epoch:
            raise UsageError(
                "unknown epoch",
                subject=request.epoch,
                hint=f"the epoch is {self._outbox.epoch} now; see the cursor",
            )
        wanted = request.last - request.first + 1
        if not 1 <= wanted <= REPLAY_LIMIT:
            raise UsageError(
                "a replay of this size is not possible",
                subject=str(wanted),
                hint=f"ask for 1 to {REPLAY_LIMIT}",
            )
        return request

    def _remember(self, key: tuple[str, str, bytes], answer: Outgoing) -> None:
        self._answers[key] = answer
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)

    def _may_answer_on(self, topic: str) -> bool:
        sound = len(topic) <= _LONGEST_TOPIC and not set(topic) & set("+#\0") and not topic.startswith("$")
        return sound and not topic.startswith(f"{self._base}/command/")


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'payload'}: {fault['msg']}"
