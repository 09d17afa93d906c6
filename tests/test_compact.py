"""The compact form: always small enough, and what it says is what was."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from hypothesis import given, strategies as st

from edge.compact import LIMIT, MANY, Summary, code, decode_summary, encode_summary, short_id

SUMMARY = Summary(
    id="0b6e5a34-58a5-5e0c-9d0b-6f1f9a1c4f10",
    revision=4,
    label="Red_Deer",
    deployment="cam-07",
    device="ridge-01",
    count=2,
    start=datetime(2026, 5, 3, 20, 12, 9, tzinfo=UTC),
    end=datetime(2026, 5, 3, 20, 31, 40, tzinfo=UTC),
)
MOMENTS = st.datetimes(timezones=st.timezones() | st.just(UTC)).map(lambda t: t.astimezone(UTC))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@st.composite
def summaries(draw: st.DrawFn) -> Summary:
    """Any registration that could be on record."""
    start, end = sorted([draw(MOMENTS), draw(MOMENTS)])
    return Summary(
        id=str(draw(st.uuids())),
        revision=draw(st.integers(1, 2**63 - 1)),
        label=draw(NAMES),
        deployment=draw(NAMES),
        device=draw(NAMES),
        count=draw(st.integers(0, 2**31)),
        start=start,
        end=end,
        retracted=draw(st.booleans()),
        clock_ok=draw(st.booleans()),
    )


def test_documented_example_byte_by_byte() -> None:
    """53 bytes; what stands where is fixed."""
    encoded = encode_summary(SUMMARY)
    assert encoded.hex() == (
        "a8"
        "00480b6e5a3458a55e0c"
        "0104"
        "021a69f7ac19"
        "03190493"
        "0402"
        "05685265645f44656572"
        "066663616d2d3037"
        "076872696467652d3031"
    )
    assert len(encoded) == 53


def test_ordinary_registration_comes_back_whole() -> None:
    """With names where there is room for them."""
    assert decode_summary(encode_summary(SUMMARY)) == replace(SUMMARY, id="0b6e5a3458a55e0c")


@given(summaries())
def test_every_registration_fits_and_comes_back(summary: Summary) -> None:
    """At most 60 bytes; who, how many, when and where, to the second, names known to the reader in full."""
    encoded = encode_summary(summary)
    assert len(encoded) <= LIMIT
    got = decode_summary(encoded, [summary.label, summary.deployment, summary.device])
    assert got.id == short_id(summary.id)
    assert (got.label, got.deployment) == (summary.label, summary.deployment)
    assert got.device in (summary.device, "")
    assert got.count == min(summary.count, MANY)
    assert (got.revision, got.retracted, got.clock_ok) == (
        summary.revision,
        summary.retracted,
        summary.clock_ok,
    )
    assert timedelta(0) <= summary.start - got.start < timedelta(seconds=1)
    if summary.end - summary.start < timedelta(days=136 * 365):
        assert timedelta(0) <= summary.end - got.end < timedelta(seconds=1)


@given(summaries())
def test_encoding_is_deterministic(summary: Summary) -> None:
    """Keys ascend, numbers and lengths are as short as they can be: encoding again gives the same bytes."""
    encoded = encode_summary(summary)
    assert cbor2.dumps(cbor2.loads(encoded), canonical=True) == encoded
    assert list(cbor2.loads(encoded)) == sorted(cbor2.loads(encoded))


def test_codes_take_the_place_of_names_in_a_fixed_order() -> None:
    """The device's name gives way first, the label's last; what isn't known is shown as a code."""
    long = replace(SUMMARY, deployment="upper-meadow-1")
    got = decode_summary(encode_summary(long))
    assert (got.label, got.deployment) == ("Red_Deer", "upper-meadow-1")
    assert got.device == f"#{hashlib.sha256(b'ridge-01').hexdigest()[:8]}"
    longer = replace(long, label="Capreolus_pygargus", deployment="x" * 40)
    got = decode_summary(encode_summary(longer), ["x" * 40])
    assert (got.label, got.deployment) == ("Capreolus_pygargus", "x" * 40)
    assert code("Red_Deer") == hashlib.sha256(b"Red_Deer").digest()[:4]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\x01",
        b"\xa0",
        b"\x80",
        encode_summary(SUMMARY) + b"\x00",
        encode_summary(SUMMARY)[:-1],
        b"\xa1" * 70,
        cbor2.dumps({0: b"12345678", 1: 1, 2: 2**62, 3: 0, 4: 1, 5: "a", 6: "b"}),
        cbor2.dumps({0: b"1234567", 1: 1, 2: 0, 3: 0, 4: 1, 5: "a", 6: "b"}),
        cbor2.dumps({0: b"12345678", 1: -1, 2: 0, 3: 0, 4: 1, 5: "a", 6: "b"}),
        cbor2.dumps({0: b"12345678", 1: 1, 2: 0, 3: 0, 4: True, 5: "a", 6: "b"}),
        cbor2.dumps({0: b"12345678", 1: 1, 2: 0, 3: 0, 4: 1, 5: b"12345", 6: "b"}),
    ],
)
def test_what_is_no_summary_is_refused(data: bytes) -> None:
    """With one kind of error."""
    with pytest.raises(ValueError, match="no summary"):
        decode_summary(data)


@given(st.binary(max_size=70))
def test_any_bytes_are_a_summary_or_refused(data: bytes) -> None:
    """Nothing that a radio brings raises anything else."""
    try:
        decode_summary(data)
    except ValueError:
        return


@given(summaries(), st.integers(0, 59), st.integers(0, 255))
def test_flipped_bytes_are_a_summary_or_refused(summary: Summary, at: int, value: int) -> None:
    """Nor does a byte that was damaged on its way."""
    damaged = bytearray(encode_summary(summary))
    damaged[at % len(damaged)] = value
    try:
        decode_summary(bytes(damaged))
    except ValueError:
        return


def test_an_id_of_any_form_has_a_short_one() -> None:
    """UUIDs with and without hyphens, one that is short already, and what is no UUID."""
    whole = "0b6e5a34-58a5-5e0c-9d0b-6f1f9a1c4f10"
    assert (
        short_id(whole) == short_id(whole.replace("-", "")) == short_id(short_id(whole)) == "0b6e5a3458a55e0c"
    )
    assert len(short_id("reg-1")) == 16


@pytest.mark.parametrize("wrong", [replace(SUMMARY, revision=-1), replace(SUMMARY, count=-1)])
def test_negative_numbers_are_the_callers_fault(wrong: Summary) -> None:
    """They would take another form on the wire."""
    with pytest.raises(ValueError, match="negative"):
        encode_summary(wrong)


def test_the_reader_needs_nothing_heavy() -> None:
    """Whoever decodes needs cbor2, and neither pydantic nor a broker's client."""
    program = "import sys, edge.compact; print(*({'pydantic', 'paho', 'numpy', 'cv2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
