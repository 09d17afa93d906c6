"""What the engine promises, written down as checks on what it did.

``Watched`` drives an engine and after every call holds the record against the literal rules, a subscriber's
table against the record, ids against the rules of identity, and closed registrations against the watermark.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from edge.registration import (
    Change,
    Engine,
    Key,
    MemoryRecord,
    Observation,
    Options,
    Record,
    Registration,
    register,
)
from edge.registration.ids import registration_id
from tests.registration.build import living
from tests.registration.literal import Event, events

KINDS_BY_STATE = {
    "opened": "open",
    "updated": "open",
    "closed": "closed",
    "corrected": "closed",
}


class Watched:
    """An engine under watch.

    Args:
        options: the rules' settings.
        record: an empty one to work on.
        deployments: all that will ever be used.
    """

    def __init__(self, options: Options, record: Record, deployments: Sequence[str]) -> None:
        self.options = options
        self.record = record
        self.deployments = sorted(deployments)
        self.accepted: dict[tuple[str, str], Observation] = {}
        self.table: dict[str, Registration] = {}
        self.revisions: dict[str, int] = {}
        self.firmly_closed: set[str] = set()

    def engine(self) -> Engine:
        """A fresh one on the same record: as after a restart."""
        return Engine(self.options, self.record)

    def accept(self, batch: Sequence[Observation]) -> list[Change]:
        """Let it accept a batch, and check everything."""
        for observation in batch:
            if observation.count >= 1:
                self.accepted.setdefault((observation.deployment, observation.media_id), observation)
        return self._watch(lambda engine: engine.accept(batch))

    def amend(self, removed: Sequence[Observation], added: Sequence[Observation]) -> list[Change]:
        """Let it correct the past, and check everything."""
        for observation in removed:
            self.accepted.pop((observation.deployment, observation.media_id), None)
        for observation in added:
            if observation.count >= 1:
                self.accepted.setdefault((observation.deployment, observation.media_id), observation)
        return self._watch(lambda engine: engine.amend(removed, added))

    def advance(self, deployment: str, watermark: int) -> list[Change]:
        """Raise a watermark, and check everything."""
        before = self.record.watermark(deployment)
        changes = self._watch(lambda engine: engine.advance(deployment, watermark))
        now = self.record.watermark(deployment)
        assert now == (watermark if before is None else max(before, watermark))
        assert {change.kind for change in changes} <= {"closed"}
        return changes

    def close(self, deployment: str) -> list[Change]:
        """Close a quiet deployment, and check everything."""
        watermark = self.record.watermark(deployment)
        changes = self._watch(lambda engine: engine.close(deployment), firmly=False)
        assert self.record.open_registrations(deployment) == []
        assert self.record.watermark(deployment) == watermark
        return changes

    def registrations(self) -> list[Registration]:
        """What lives on record, by deployment and time."""
        return [r for deployment in self.deployments for r in living(self.record, deployment)]

    def members(self, registration: Registration) -> frozenset[Observation]:
        """A registration's members among everything accepted."""
        return frozenset(
            o
            for o in self.accepted.values()
            if o.deployment == registration.deployment and registration.first <= o.key <= registration.last
        )

    def _watch(self, call: Callable[[Engine], list[Change]], *, firmly: bool = True) -> list[Change]:
        before = {r.id: (r, self.members_on_record(r)) for r in self.registrations()}
        changes = call(self.engine())
        self._check_log(changes, before)
        self._check_rules()
        self._check_open()
        for change in changes:
            id_ = change.registration.id
            if change.kind == "closed" and firmly:
                self.firmly_closed.add(id_)
            else:
                self.firmly_closed.discard(id_)
        return changes

    def members_on_record(self, registration: Registration) -> tuple[Key, ...]:
        """A registration's members as the record has them, in order."""
        found = self.record.observations(registration.deployment, registration.start, registration.end)
        return tuple(o.key for o in found if registration.first <= o.key <= registration.last)

    def _check_rules(self) -> None:
        """Prefix equivalence, of the engine and of the fast batch form with the literal one."""
        expected = events(self.accepted.values(), self.options)
        assert [self._event(r) for r in self.registrations()] == expected
        assert [self._event(r) for r in register(self.accepted.values(), self.options)] == expected

    def _check_log(
        self, changes: Iterable[Change], before: dict[str, tuple[Registration, tuple[Key, ...]]]
    ) -> None:
        """A subscriber's table becomes the record; revisions grow by one; nothing said for nothing."""
        for change in changes:
            now = change.registration
            old = self.table.get(now.id)
            assert now.revision == self.revisions.get(now.id, 0) + 1
            self.revisions[now.id] = now.revision
            if change.kind == "retracted":
                assert old is not None
                assert now == replace(old, revision=now.revision, superseded_by=now.superseded_by)
                assert self.record.find(now.id) == now
                self._check_successor(now, before[now.id][1])
                del self.table[now.id]
                continue
            assert now.state == KINDS_BY_STATE[change.kind]
            assert now.superseded_by is None
            assert (change.kind == "opened") == (old is None)
            if old is not None:
                assert old.state == ("closed" if change.kind == "corrected" else "open")
            if change.kind in {"updated", "corrected"}:
                same = replace(now, revision=0) == replace(before[now.id][0], revision=0)
                assert not same or self.members_on_record(now) != before[now.id][1]
            self.table[now.id] = now
        assert sorted(self.table.values(), key=lambda r: (r.deployment, r.first)) == self.registrations()
        for id_, revision in self.revisions.items():
            found = self.record.find(id_)
            assert found is not None
            assert found.revision == revision
            assert self.record.is_living(id_) == (id_ in self.table)

    def _check_successor(self, gone: Registration, members: Iterable[Key]) -> None:
        """``superseded_by`` is the living registration with the earliest member that is still there."""
        holders = {
            key: r.id for r in living(self.record, gone.deployment) for key in self.members_on_record(r)
        }
        assert gone.superseded_by == next((holders[key] for key in members if key in holders), None)

    def _check_open(self) -> None:
        """``open_registrations`` are the open ones."""
        for deployment in self.deployments:
            alive = living(self.record, deployment)
            assert self.record.open_registrations(deployment) == [r for r in alive if r.state == "open"]

    def _event(self, registration: Registration) -> Event:
        media = tuple(sorted(o.key for o in self.members(registration)))
        assert (registration.first, registration.last) == (media[0], media[-1])
        assert registration.media_count == len(media)
        r = registration
        return Event(r.deployment, r.label, r.count, media, r.confidence)


def check_identity(
    before: Sequence[tuple[Registration, frozenset[str]]],
    after: Sequence[tuple[Registration, frozenset[str]]],
    x: Observation,
) -> None:
    """Who is who after one image came or went, worked out from nothing but members.

    Args:
        before: living registrations of its deployment with their media, in order.
        after: the same afterwards.
        x: the image.
    """
    claims: dict[str, list[Registration]] = {r.id: [] for r, _ in after}
    for old, members in before:
        heir = next((new.id for new, now in after if now & (members - {x.media_id})), None)
        if heir is not None:
            claims[heir].append(old)
    living_before = {old.id for old, _ in before}
    for new, media in after:
        claimants = claims[new.id]
        if claimants:
            assert new.id == min(claimants, key=lambda r: r.opened).id
        else:
            assert new.id not in living_before
            openers = {registration_id(new.deployment, m) for m in media}
            arriving = registration_id(new.deployment, x.media_id)
            free = openers - living_before
            assert new.id in free or not free
            if x.media_id in media and arriving not in living_before:
                assert new.id == arriving


def on_time_leaves_alone(watched: Watched, deployment: str, images: Sequence[Observation]) -> None:
    """Images on time don't touch what the watermark closed."""
    record = copy.deepcopy(watched.record)
    changes = Engine(watched.options, record).accept(images)
    touched = {c.registration.id for c in changes if c.registration.deployment == deployment}
    assert not touched & watched.firmly_closed


def can_still_change(watched: Watched, registration: Registration, w: int) -> bool:
    """Whether some flood of images on time changes a registration, by the batch rules."""
    observations = [o for o in watched.accepted.values() if o.deployment == registration.deployment]
    flood_times = {w, w + 1, *(o.t for o in observations if o.t >= w)}
    flood_labels = {registration.label, "zz", None}
    flood_counts = {registration.count, 1, 99}
    media = {o.media_id for o in watched.members(registration)}
    return any(
        not _stands(
            registration,
            media,
            [*observations, *_flood(registration.deployment, t, label, count, name)],
            watched,
        )
        for t in flood_times
        for label in flood_labels
        for count in flood_counts
        for name in ("!", registration.last.media_id)
    )


def _flood(deployment: str, t: int, label: str | None, count: int, name: str) -> list[Observation]:
    return [Observation(deployment, f"{name}{i}", t, label, count, 1_000_000) for i in range(40)]


def _stands(
    registration: Registration, media: set[str], observations: Sequence[Observation], watched: Watched
) -> bool:
    ordered = sorted(observations, key=lambda o: o.key)
    for r in register(ordered, watched.options):
        if r.first == registration.first:
            now = {o.media_id for o in ordered if r.first <= o.key <= r.last}
            return now == media and (r.label, r.count) == (registration.label, registration.count)
    return False


def fresh(options: Options, deployments: Sequence[str]) -> Watched:
    """On an empty record in memory."""
    return Watched(options, MemoryRecord(), deployments)
