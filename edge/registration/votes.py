"""Who wins a vote, and the sums that registrations are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge.registration.types import UNIDENTIFIED, Observation, Registration, Tally


def winner(votes: Mapping[str, int], confidence: Mapping[str, int], priors: Mapping[str, float]) -> str:
    """The label with the most votes.

    A tie goes to the larger sum of confidence, then to the larger prior, then to the label that sorts first.

    Args:
        votes: label -> number of votes, each at least 1.
        confidence: label -> sum of the votes' confidence, ppm.
        priors: label -> weight, 0 where missing.

    Returns:
        A label of ``votes``, or ``unidentified`` where nobody voted.
    """
    if not votes:
        return UNIDENTIFIED
    return min(votes, key=lambda label: (-votes[label], -confidence[label], -priors.get(label, 0), label))


@dataclass(slots=True)
class Sums:
    """Sums over a set of observations by their own label; sets can be joined and taken apart."""

    media_count: int = 0
    votes: Counter[str] = field(default_factory=Counter)
    confidence: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, observations: Iterable[Observation]) -> Sums:
        """Of some observations."""
        sums = cls()
        for observation in observations:
            sums.media_count += 1
            if observation.label is not None:
                sums.votes[observation.label] += 1
                sums.confidence[observation.label] += observation.confidence
        return sums

    @classmethod
    def of_registration(cls, registration: Registration) -> Sums:
        """Of a registration's members, as it carries them."""
        votes, confidence = registration.votes, registration.confidence_sums
        return cls(registration.media_count, Counter(votes), Counter(confidence))

    @classmethod
    def of_tally(cls, tally: Tally) -> Sums:
        """Of a run of observations, as the record adds them up."""
        return cls(tally.media_count, Counter(tally.votes), Counter(tally.confidence))

    def plus(self, other: Sums) -> Sums:
        """Of both sets, which have nothing in common."""
        return self._combined(other, 1)

    def minus(self, part: Sums) -> Sums:
        """Of what is left when a part of the set is taken out."""
        return self._combined(part, -1)

    def mean_confidence(self, label: str) -> int:
        """Mean confidence of the votes for ``label``, ppm, floor; 0 without one."""
        votes = self.votes.get(label, 0)
        return self.confidence[label] // votes if votes else 0

    def _combined(self, other: Sums, sign: int) -> Sums:
        votes, confidence = self.votes.copy(), self.confidence.copy()
        for label, number in other.votes.items():
            votes[label] += sign * number
            confidence[label] += sign * other.confidence[label]
            if not votes[label]:
                del votes[label], confidence[label]
        return Sums(self.media_count + sign * other.media_count, votes, confidence)
