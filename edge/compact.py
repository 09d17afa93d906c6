"""A closed registration in at most 60 bytes, for links that charge by the byte: satellite, LoRa.

A map with small integers for keys, in CBOR (RFC 8949) with its deterministic encoding (section 4.2): the same
registration always gives the same bytes. Needs ``cbor2`` and nothing else, on either side.

=====  =========================================================================================
key    value
=====  =========================================================================================
0      the first 8 bytes of the registration's id
1      revision
2      start, whole seconds since 1970-01-01 UTC, rounded down
3      end, seconds after the start (both rounded down to whole seconds)
4      count; 65,535 stands for that and more
5      label: its name, or its code
6      deployment: its name, or its code
7      device: its name, or its code; left out where there is no room
8      true on one that was retracted; left out otherwise
9      true where the clock can't be right; left out otherwise
=====  =========================================================================================

A name is text. Where the whole would be longer than 60 bytes, names give way to codes, the device's first,
then the deployment's, then the label's: a code is a byte string, the first 4 bytes of the SHA-256 of the name
in UTF-8. A reader who knows the names (labels are in the label set, deployments are folders) finds them by
their codes.

As with messages: keep one if its revision is greater than the one you have of its id.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Final

import cbor2

LIMIT: Final = 60
"""Bytes."""
MANY: Final = 65_535
_ID_BYTES: Final = 8
_CODE_BYTES: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SPAN: Final = 2**32 - 1

_ID, _REVISION, _START, _SPAN, _COUNT, _LABEL, _DEPLOYMENT, _DEVICE, _RETRACTED, _CLOCK = range(10)


@dataclass(frozen=True, slots=True)
class Summary:
    """Who, how many, from when to when, where.

    Attributes:
        id: the first 16 hexadecimal digits of the registration's id, without hyphens.
        revision: the greater one is the newer.
        label, deployment, device: names; ``#`` and 8 hexadecimal digits for a code whose name isn't known. An
            empty device was left out.
        count: animals; 65,535 is that and more.
        start, end: whole seconds, UTC.
        retracted: the registration is no more.
        clock_ok: False where the clock can't be right.
    """

    id: str
    revision: int
    label: str
    deployment: str
    device: str
    count: int
    start: datetime
    end: datetime
    retracted: bool = False
    clock_ok: bool = True


def short_id(registration_id: str) -> str:
    """A registration's id as a summary has it; one that is no UUID gives the start of its SHA-256."""
    return _id_bytes(registration_id).hex()


def code(name: str) -> bytes:
    """What stands for a name where there is no room for it: 4 bytes."""
    return hashlib.sha256(name.encode(errors="replace")).digest()[:_CODE_BYTES]


def encode_summary(summary: Summary) -> bytes:
    """A summary in at most 60 bytes.

    Args:
        summary: its ``id`` may also be a registration's whole id.

    Raises:
        ValueError: a time before the year 1 or a negative number; a fault of the caller.
    """
    start, end = _seconds(summary.start), _seconds(summary.end)
    if min(summary.revision, summary.count, end - start) < 0:
        raise ValueError("revision, count and length can't be negative")
    fields: dict[int, Any] = {
        _ID: _id_bytes(summary.id),
        _REVISION: summary.revision,
        _START: start,
        _SPAN: min(end - start, _LONGEST_SPAN),
        _COUNT: min(summary.count, MANY),
        _LABEL: summary.label,
        _DEPLOYMENT: summary.deployment,
        _DEVICE: summary.device,
    }
    if summary.retracted:
        fields[_RETRACTED] = True
    if not summary.clock_ok:
        fields[_CLOCK] = True
    return _fitted(fields)


def decode_summary(data: bytes, names: Iterable[str] = ()) -> Summary:
    """The inverse, as far as there was room.

    Args:
        data: as it came.
        names: labels, deployments and devices, so that codes can be told by their names.

    Raises:
        ValueError: it is no summary.
    """
    fields = _map(data)
    known = {code(name): name for name in names}
    try:
        start = _EPOCH + timedelta(seconds=_whole(fields, _START, negative=True))
        end = start + timedelta(seconds=_whole(fields, _SPAN))
    except OverflowError as error:
        raise ValueError("no summary: a time beyond the calendar") from error
    identity = fields.get(_ID)
    if not isinstance(identity, bytes) or len(identity) != _ID_BYTES:
        raise ValueError("no summary: without an id")
    return Summary(
        id=identity.hex(),
        revision=_whole(fields, _REVISION),
        label=_name(fields, _LABEL, known),
        deployment=_name(fields, _DEPLOYMENT, known),
        device=_name(fields, _DEVICE, known) if _DEVICE in fields else "",
        count=_whole(fields, _COUNT),
        start=start,
        end=end,
        retracted=fields.get(_RETRACTED) is True,
        clock_ok=fields.get(_CLOCK) is not True,
    )


def _fitted(fields: dict[int, Any]) -> bytes:
    """Names give way to codes one after the other until it fits; without the device it always does."""
    encoded = cbor2.dumps(fields, canonical=True)
    for key in (_DEVICE, _DEPLOYMENT, _LABEL):
        if len(encoded) > LIMIT and len(fields[key].encode(errors="replace")) > _CODE_BYTES:
            fields[key] = code(fields[key])
            encoded = cbor2.dumps(fields, canonical=True)
    if len(encoded) > LIMIT:
        del fields[_DEVICE]
        encoded = cbor2.dumps(fields, canonical=True)
    return encoded


def _map(data: bytes) -> Mapping[Any, Any]:
    if len(data) > LIMIT:
        raise ValueError(f"no summary: {len(data)} bytes, at most {LIMIT} are possible")
    stream = BytesIO(data)
    try:
        found = cbor2.load(stream)
    except (cbor2.CBORDecodeError, ValueError, TypeError) as error:
        raise ValueError("no summary: not CBOR") from error
    if not isinstance(found, Mapping) or stream.read(1):
        raise ValueError("no summary: not one map")
    return found


def _whole(fields: Mapping[Any, Any], key: int, *, negative: bool = False) -> int:
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or (value < 0 and not negative):
        raise ValueError(f"no summary: key {key} is no number that it could be")
    return value


def _name(fields: Mapping[Any, Any], key: int, known: Mapping[bytes, str]) -> str:
    value = fields.get(key)
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes) or len(value) != _CODE_BYTES:
        raise ValueError(f"no summary: key {key} is neither a name nor a code")
    return known.get(value, f"#{value.hex()}")


def _id_bytes(registration_id: str) -> bytes:
    plain = registration_id.replace("-", "")
    try:
        return (
            bytes.fromhex(plain)[:_ID_BYTES]
            if len(plain) == 2 * _ID_BYTES
            else uuid.UUID(plain).bytes[:_ID_BYTES]
        )
    except ValueError:
        return hashlib.sha256(registration_id.encode()).digest()[:_ID_BYTES]


def _seconds(moment: datetime) -> int:
    """Whole seconds since 1970, rounded down, without floating point."""
    return (moment - _EPOCH) // timedelta(seconds=1)
