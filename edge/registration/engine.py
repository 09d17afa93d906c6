"""The engine: observations in, one at a time and in any order; the change log out.

What it keeps is all in the record, so an engine can be made anew at any moment. After every call the
registrations on record are the ones that ``rules.register`` makes of all observations on record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edge.registration.contents import Content, Contents
from edge.registration.identity import heirs, new_id
from edge.registration.ledger import Ledger, Place
from edge.registration.stretch import look
from edge.registration.types import Change, Observation, Options, Record, Registration
from edge.registration.watermark import is_settled


class Engine:
    """Keeps the registrations on record equal to the rules, whatever arrives and when.

    Args:
        options: the rules' settings; a record is only ever used with one set of them.
        record: observations, registrations and watermarks; the caller owns the transaction around each call.
    """

    def __init__(self, options: Options, record: Record) -> None:
        self._options = options
        self._record = record

    def accept(self, observations: Iterable[Observation]) -> list[Change]:
        """Take in observations of any deployments, in any order.

        Those whose media is on record already, or with ``count < 1``, change nothing. They are worked in
        one by one in the order given, so that ids don't depend on how arrivals are cut into batches;
        what comes out is the difference between before and after all of them.

        Args:
            observations: what arrived.

        Returns:
            The change log, by deployment and time, retractions last. An image too late for its closed
            registration gives ``corrected``, or ``opened`` and ``closed``, or ``retracted``.
        """
        ledger = Ledger(self._record, self._options)
        for observation in observations:
            self._add(ledger, observation)
        return ledger.changes()

    def amend(self, removed: Iterable[Observation], added: Iterable[Observation]) -> list[Change]:
        """Correct the past: take observations off the record and put others on it.

        For a camera whose clock was wrong, or a person who relabels. Both happen in one batch.

        Args:
            removed: observations as they are on record; those with ``count < 1`` never were, and are
                passed over.
            added: what is true instead, as for ``accept``.

        Returns:
            The change log, as for ``accept``.

        Raises:
            LookupError: when one that should go isn't on record; nothing was changed then.
        """
        going = [self._on_record(observation) for observation in removed if observation.count >= 1]
        ledger = Ledger(self._record, self._options)
        for observation in going:
            self._record.remove(observation)
            self._splice(ledger, observation, added=False)
        coming = {_place(observation) for observation in added if self._add(ledger, observation)}
        return ledger.changes(coming ^ {_place(observation) for observation in going})

    def advance(self, deployment: str, watermark: int) -> list[Change]:
        """Raise a deployment's watermark and close what it settles.

        Args:
            deployment: the one.
            watermark: no further image with ``t`` below this is expected, ms UTC; one that isn't above the
                watermark on record changes nothing.

        Returns:
            ``closed``, by time.
        """
        current = self._record.watermark(deployment)
        if current is not None and watermark <= current:
            return []
        self._record.set_watermark(deployment, watermark)
        return [
            self._close(registration)
            for registration in self._record.open_registrations(deployment)
            if is_settled(self._record, registration, watermark, self._options)
        ]

    def close(self, deployment: str) -> list[Change]:
        """Close everything that is open, because the deployment has been quiet for long enough.

        The watermark stays. Images that come after all give ``corrected``, or open new registrations.

        Args:
            deployment: the one.

        Returns:
            ``closed``, by time.
        """
        return [self._close(registration) for registration in self._record.open_registrations(deployment)]

    def _close(self, registration: Registration) -> Change:
        closed = replace(registration, state="closed", revision=registration.revision + 1)
        self._record.put(closed)
        return Change("closed", closed)

    def _add(self, ledger: Ledger, observation: Observation) -> bool:
        if observation.count < 1 or not self._record.add(observation):
            return False
        self._splice(ledger, observation, added=True)
        return True

    def _on_record(self, observation: Observation) -> Observation:
        at = self._record.observations(observation.deployment, observation.t, observation.t)
        if observation not in at:
            raise LookupError(f"not on record: {observation}")
        return observation

    def _splice(self, ledger: Ledger, x: Observation, *, added: bool) -> None:
        """Make the registrations around one observation right again."""
        stretch = look(self._record, self._options, x)
        contents = Contents(self._record, self._options, x, added=added, stretch=stretch)
        for old in stretch.olds:
            ledger.touch(old.id)
        results: list[Registration] = []
        for part, heir_of in zip(stretch.parts, heirs(self._record, x, stretch), strict=True):
            content = contents.of(part)
            taken = [result.id for result in results]
            base = heir_of or self._opened(new_id(self._record, x, part, taken), x.deployment, content)
            results.append(_with_content(base, content))
        kept = {result.id for result in results}
        for old in stretch.olds:
            if old.id not in kept:
                ledger.retract(old)
        for result in results:
            if result not in stretch.olds:
                ledger.put(result)

    def _opened(self, id_: str, deployment: str, content: Content) -> Registration:
        """A registration that opens, or opens again, at the revision that was last emitted for its id."""
        tombstone = self._record.find(id_)
        blank = Registration(
            id=id_,
            deployment=deployment,
            label=content.label,
            count=content.count,
            first=content.first,
            last=content.last,
            media_count=0,
            votes={},
            confidence=0,
        )
        if tombstone is None:
            return replace(blank, opened=self._record.next_opening(deployment))
        return replace(blank, opened=tombstone.opened, revision=tombstone.revision)


def _with_content(registration: Registration, content: Content) -> Registration:
    return replace(
        registration,
        label=content.label,
        count=content.count,
        first=content.first,
        last=content.last,
        media_count=content.sums.media_count,
        votes=dict(content.sums.votes),
        confidence=content.sums.mean_confidence(content.label),
        confidence_sums=dict(content.sums.confidence),
    )


def _place(observation: Observation) -> Place:
    return observation.deployment, observation.key
