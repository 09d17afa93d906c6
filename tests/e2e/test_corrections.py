"""Corrections beside a running daemon, end to end: real processes, a real broker, composed images."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.delivery.broker import LocalBroker, mosquitto_path as mosquitto
from edge.delivery.messages import RegistrationMessage
from edge.demo.camera import picture
from edge.demo.story import MEADOW, STORY, THICKET, TRAIL, Moment, default_evening
from edge.registration import Observation, Options, register
from edge.subscriber import Subscriber
from tests.e2e.site import Row, Site, stop, wait_for

LABELS = str(Path(__file__).resolve().parents[2] / "edge" / "demo" / "labels.toml")
YEAR = timedelta(days=365)
EVENING = default_evening(datetime.now(UTC).date())

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    """A running mosquitto."""
    if mosquitto() is None:
        pytest.skip("needs mosquitto")
    with LocalBroker("mosquitto") as running:
        yield running


def _cards() -> dict[str, list[Moment]]:
    cards: dict[str, list[Moment]] = defaultdict(list)
    for moment in STORY:
        if moment.arrival != "torn":
            cards[moment.deployment].append(moment)
    return cards


def _put(site: Site, moments: list[Moment], order: random.Random, by: timedelta = timedelta()) -> None:
    """Write a card's files in random order, in bursts, with the time that its camera's clock showed."""
    for number, moment in enumerate(order.sample(moments, len(moments))):
        path = site.drop / moment.file
        path.parent.mkdir(exist_ok=True)
        written = path.with_name(f".{path.name}.part")
        written.write_bytes(picture(moment, EVENING + by))
        written.rename(path)
        if number % 3 == 2:
            time.sleep(0.3)


def _truth(media: dict[str, Row], moments: list[Moment]) -> list[tuple[object, ...]]:
    """What the batch rules make of what was seen at the times at which it was there."""
    seen = [
        Observation(
            moment.deployment,
            media[moment.file]["media_id"],
            round(moment.taken(EVENING).timestamp() * 1000),
            media[moment.file]["label"],
            media[moment.file]["count"],
            round(media[moment.file]["confidence"] * 1_000_000),
        )
        for moment in moments
        if media[moment.file]["kind"] == "animal"
    ]
    return [(r.deployment, r.label, r.count, r.start, r.end, r.media_count, dict(r.votes))
            for r in register(seen, Options())]  # fmt: skip


def _facts(rows: list[Row]) -> list[tuple[object, ...]]:
    return [
        (
            r["deployment"],
            r["label"],
            r["count"],
            _ms(r["start"]),
            _ms(r["end"]),
            r["media_count"],
            r["votes"],
        )
        for r in rows
    ]


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_late_card_and_wrong_clock_end_as_if_all_had_been_in_order(
    tmp_path: Path, broker: LocalBroker
) -> None:
    """Three cards in random order, one of them late, one a year ahead: corrected, they are the batch rules'.

    Both corrections are made beside the running daemon, and a subscriber's table follows them.
    """
    site = Site(tmp_path, broker.port, {"vision": {"labels": LABELS}}).prepare()
    cards, order = _cards(), random.Random(11)
    everything = [moment for card in cards.values() for moment in card]
    heard: list[RegistrationMessage] = []
    with Subscriber(broker.host, broker.port, on_message=heard.append) as subscriber:
        early, late = cards[THICKET][::2], cards[THICKET][1::2]
        _put(site, cards[MEADOW] + early, order)
        _put(site, cards[TRAIL], order, YEAR)
        site.run_until_idle()
        assert all(not r["clock_ok"] for r in site.registrations() if r["deployment"] == TRAIL)

        daemon = site.start()
        site.wait_ready()
        _put(site, late, order)
        site.wait_for_files(len(everything))
        done = site.json("clock", "shift", "--deployment", TRAIL, "--by", "-365d")["done"]
        assert done["images"] == len(cards[TRAIL])
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations(), 15)
        rows = subscriber.rows()
        assert _facts(rows) == _truth(site.media(), everything)
        assert all(r["clock_ok"] for r in rows)

        jaguar = cards[TRAIL][0].file
        count = len(heard)
        relabelled = site.json("relabel", jaguar, "Jaguar", "--count", "2")
        assert sum(relabelled["done"]["messages"].values()) == 1
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations(), 15)
        (told,) = heard[count:]
        assert (told.change, told.deployment, told.count) == ("corrected", TRAIL, 2)
        assert _facts(subscriber.rows()) == _truth(site.media(), everything)

        assert site.json("clock", "shift", "--deployment", TRAIL, "--by", "-365d")["done"] is None
        copy = site.drop / TRAIL / "again" / Path(jaguar).name
        copy.parent.mkdir()
        copy.write_bytes((site.drop / jaguar).read_bytes())
        site.wait_for_files(len(everything) + 1)
        assert stop(daemon) == 0
        site.run_until_idle()
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations(), 15)
        rows = subscriber.rows()
    assert _facts(rows) == _truth(site.media(), everything)
    assert {row["state"] for row in rows} == {"closed"}
    assert site.media()[jaguar]["count"] == 2


def test_correction_without_a_daemon_waits_in_line(tmp_path: Path, broker: LocalBroker) -> None:
    """Its messages go out with the next start."""
    site = Site(tmp_path, broker.port, {"vision": {"labels": LABELS}}).prepare()
    _put(site, _cards()[MEADOW][:1], random.Random(1))
    with Subscriber(broker.host, broker.port) as subscriber:
        site.run_until_idle()
        wait_for(lambda: len(subscriber.rows()) == 1)
        site.json("relabel", STORY[0].file, "Coyote", "--count", "3")
        site.run_until_idle()
        wait_for(lambda: subscriber.is_complete() and subscriber.rows() == site.registrations(), 15)
        (row,) = subscriber.rows()
    assert (row["change"], row["label"], row["count"], row["state"]) == ("corrected", "Coyote", 3, "closed")
