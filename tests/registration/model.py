"""What the engine promises, written down as checks on what it did.

``Watched`` drives an engine and after every call holds the record against the literal rules, a subscriber's
table against the record, ids against the rules of identity, and closed registrations against the watermark.
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain, count

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
from edge.registration.rebuild import rebuild
from tests.registration.build import EVER, living
from tests.registration.literal import Event, events, is_settled

Shown = dict[str, tuple[Registration, tuple[Key, ...]]]
"""Living registrations of one deployment by id, in order of time, each with its members."""

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
        self.openings: dict[str, int] = {}
        self.firmly_closed: set[str] = set()
        self._engine = Engine(options, record)
        self._shown: dict[str, Shown] = {deployment: {} for deployment in self.deployments}
        self._expected: dict[str, list[Event]] = {deployment: [] for deployment in self.deployments}
        self._stale: set[str] = set()

    def resume(self, record: Record | None = None) -> None:
        """Stop and start again: a fresh engine, on the same record or on what became of it."""
        self.record = self.record if record is None else record
        self._engine = Engine(self.options, self.record)
        assert self.registrations() == [r for shown in self._shown.values() for r, _ in shown.values()]

    def accept(self, batch: Sequence[Observation]) -> list[Change]:
        """Let it accept a batch, and check everything."""
        new = self._expect(batch)
        before, firm = self._shown, set(self.firmly_closed)
        late = {o.deployment for o in new if o.t < self._watermark(o.deployment)}
        changes = self._watch(lambda engine: engine.accept(batch))
        for change in changes:
            registration = change.registration
            assert registration.deployment in late or registration.id not in firm
        if len(new) == 1:
            self._check_identity(before, new[0].deployment, new[0])
        return changes

    def amend(self, removed: Sequence[Observation], added: Sequence[Observation]) -> list[Change]:
        """Let it correct the past, and check everything."""
        for observation in removed:
            self.accepted.pop((observation.deployment, observation.media_id), None)
            self._stale.add(observation.deployment)
        new, before = self._expect(added), self._shown
        changes = self._watch(lambda engine: engine.amend(removed, added))
        self._forget_unsettled()
        if len(removed) == 1 and not new:
            self._check_identity(before, removed[0].deployment, removed[0])
        return changes

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
        assert {change.kind for change in changes} <= {"closed"}
        assert self.record.open_registrations(deployment) == []
        assert self.record.watermark(deployment) == watermark
        return changes

    def switch(self, options: Options) -> list[Change]:
        """Change the settings, rebuild every deployment, and check everything."""
        self.options, before = options, self._shown
        self._stale.update(self.deployments)
        self.resume()
        changes = self._watch(
            lambda _: [c for d in self.deployments for c in rebuild(self.record, options, d)]
        )
        self._forget_unsettled()
        for deployment in self.deployments:
            self._check_identity(before, deployment, None)
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

    def members_on_record(self, registration: Registration) -> tuple[Key, ...]:
        """A registration's members as the record has them, in order."""
        found = self.record.observations(registration.deployment, registration.start, registration.end)
        return tuple(o.key for o in found if registration.first <= o.key <= registration.last)

    def check_tombstones(self) -> None:
        """Every id ever told of is on record at its last revision, and lives if it is in the table."""
        for id_, revision in self.revisions.items():
            found = self.record.find(id_)
            assert found is not None
            assert found.revision == revision
            assert self.record.is_living(id_) == (id_ in self.table)

    def _expect(self, arriving: Iterable[Observation]) -> list[Observation]:
        """Take note of what should be accepted, and return it."""
        new = []
        for observation in arriving:
            media = observation.deployment, observation.media_id
            if observation.count >= 1 and media not in self.accepted:
                self.accepted[media] = observation
                self._stale.add(observation.deployment)
                new.append(observation)
        return new

    def _watermark(self, deployment: str) -> float:
        watermark = self.record.watermark(deployment)
        return -math.inf if watermark is None else watermark

    def _watch(self, call: Callable[[Engine], list[Change]], *, firmly: bool = True) -> list[Change]:
        changes = call(self._engine)
        shown = {}
        for deployment in self.deployments:
            of_it = [change for change in changes if change.registration.deployment == deployment]
            shown[deployment] = self._check(deployment, of_it, firmly=firmly)
        self._shown = shown
        self._stale.clear()
        return changes

    def _check(self, deployment: str, changes: Sequence[Change], *, firmly: bool) -> Shown:
        """Everything about one deployment; what can't have changed is only held to have stayed."""
        alive, before = living(self.record, deployment), self._shown[deployment]
        shown = before
        if changes or deployment in self._stale:
            ordered = sorted(
                (o for o in self.accepted.values() if o.deployment == deployment), key=lambda o: o.key
            )
            assert self.record.observations(deployment, EVER[0].t, EVER[1].t) == ordered
            keys = [o.key for o in ordered]
            shown = {r.id: (r, _between(keys, r.first, r.last)) for r in alive}
            assert len(shown) == len(alive) == len({r.opened for r in alive})
            self._check_rules(deployment, ordered, shown)
            self._check_log(changes, before, shown)
        assert [r for r, _ in shown.values()] == alive
        self._check_states(deployment, changes, firmly=firmly)
        return shown

    def _check_rules(self, deployment: str, ordered: Sequence[Observation], shown: Shown) -> None:
        """Prefix equivalence, of the engine and of the fast batch form with the literal one."""
        if deployment in self._stale:
            self._expected[deployment] = events(ordered, self.options)
            batch = [
                (r, _between([o.key for o in ordered], r.first, r.last))
                for r in register(ordered, self.options)
            ]
            assert [_event(r, media) for r, media in batch] == self._expected[deployment]
        assert [_event(r, media) for r, media in shown.values()] == self._expected[deployment]

    def _check_log(self, changes: Iterable[Change], before: Shown, after: Shown) -> None:
        """A subscriber's table becomes the record; revisions grow by one; nothing said for nothing."""
        for change in changes:
            now = change.registration
            old = self.table.get(now.id)
            assert now.revision == self.revisions.get(now.id, 0) + 1
            self.revisions[now.id] = now.revision
            assert self.openings.setdefault(now.id, now.opened) == now.opened
            if change.kind == "retracted":
                assert old is not None
                assert now == replace(old, revision=now.revision, superseded_by=now.superseded_by)
                assert self.record.find(now.id) == now
                assert now.superseded_by == _successor(before[now.id][1], after)
                del self.table[now.id]
                continue
            self._check_living(change, old)
            if change.kind in {"updated", "corrected"}:
                same = replace(now, revision=0) == replace(before[now.id][0], revision=0)
                assert not same or after[now.id][1] != before[now.id][1]
            self.table[now.id] = now
        assert all(self.table[id_] == r for id_, (r, _) in after.items())
        assert all(id_ in after for id_ in before if id_ in self.table)

    def _check_living(self, change: Change, old: Registration | None) -> None:
        now = change.registration
        assert now.state == KINDS_BY_STATE[change.kind]
        assert now.superseded_by is None
        assert (change.kind == "opened") == (old is None)
        if old is not None:
            assert old.state == ("closed" if change.kind == "corrected" else "open")

    def _check_states(self, deployment: str, changes: Sequence[Change], *, firmly: bool) -> None:
        """What is settled is closed, and what the watermark closed is settled."""
        alive = living(self.record, deployment)
        still_open = [r for r in alive if r.state == "open"]
        assert self.record.open_registrations(deployment) == still_open
        settled = self._settled(deployment)
        assert not settled & {r.id for r in still_open}
        for change in changes:
            id_ = change.registration.id
            if change.kind == "closed" and firmly:
                assert id_ in settled
                self.firmly_closed.add(id_)
            else:
                self.firmly_closed.discard(id_)

    def _settled(self, deployment: str) -> set[str]:
        """Ids of all that no image on time can change, by the literal reading."""
        w = self.record.watermark(deployment)
        if w is None:
            return set()
        expected = self._expected[deployment]
        following = [*expected[1:], None]
        return {
            r.id
            for r, event, after in zip(living(self.record, deployment), expected, following, strict=False)
            if is_settled(event, after, w, self.options)
        }

    def _forget_unsettled(self) -> None:
        """Corrections and other settings may unsettle what the watermark had closed."""
        self.firmly_closed &= {id_ for deployment in self.deployments for id_ in self._settled(deployment)}

    def _check_identity(self, before: dict[str, Shown], deployment: str, x: Observation | None) -> None:
        check_identity(list(before[deployment].values()), list(self._shown[deployment].values()), x)


def _between(keys: Sequence[Key], first: Key, last: Key) -> tuple[Key, ...]:
    return tuple(keys[bisect_left(keys, first) : bisect_right(keys, last)])


def _event(registration: Registration, media: tuple[Key, ...]) -> Event:
    r = registration
    assert (r.first, r.last, r.media_count) == (media[0], media[-1], len(media))
    return Event(r.deployment, r.label, r.count, media, r.confidence)


def _successor(members: Iterable[Key], after: Shown) -> str | None:
    """The living registration with the earliest member that is still there."""
    holders = {key: id_ for id_, (_, keys) in after.items() for key in keys}
    return next((holders[key] for key in members if key in holders), None)


def check_identity(
    before: Sequence[tuple[Registration, Sequence[Key]]],
    after: Sequence[tuple[Registration, Sequence[Key]]],
    x: Observation | None,
) -> None:
    """Who is who after one image came or went, or other settings: worked out from nothing but members.

    Args:
        before: living registrations of its deployment with their members, in order.
        after: the same afterwards.
        x: the image; None where no image came or went.
    """
    arriving = None if x is None else x.key
    claims: dict[str, list[Registration]] = {r.id: [] for r, _ in after}
    for old, members in before:
        left = {key for key in members if key != arriving}
        heir = next((new.id for new, now in after if not left.isdisjoint(now)), None)
        if heir is not None:
            claims[heir].append(old)
    taken = {old.id for old, _ in before}
    for new, now in after:
        heir_of = min(claims[new.id], key=lambda r: r.opened, default=None)
        expected = _new_id(new.deployment, now, arriving, taken) if heir_of is None else heir_of.id
        assert new.id == expected
        taken.add(new.id)


def _new_id(deployment: str, members: Sequence[Key], arriving: Key | None, taken: set[str]) -> str:
    """The id of a registration that is nobody's heir: the first that is free."""
    openers = sorted(members, key=lambda key: key != arriving)
    ids = chain(
        (registration_id(deployment, key.media_id) for key in openers),
        (registration_id(deployment, members[0].media_id, ordinal) for ordinal in count(2)),
    )
    return next(id_ for id_ in ids if id_ not in taken)


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
