"""Which message makes the broker hang up. Pure.

A broker that is sent something it can't take often just closes the connection, again and again, and nothing
behind that message is ever sent. After a loss without an explanation the message that was sent first and not
answered is suspected, and as long as one is suspected messages are sent one at a time: who then is alone in
flight at a loss is to blame. After enough strikes in a row it is condemned.
"""

from __future__ import annotations


class Suspicion:
    """One suspect at a time.

    Args:
        strikes: losses with the suspect alone in flight that condemn it.
    """

    def __init__(self, strikes: int) -> None:
        self._limit = strikes
        self._suspect: str | None = None
        self._strikes = 0

    @property
    def suspect(self) -> str | None:
        """Who is suspected; None lifts the rule of one at a time."""
        return self._suspect

    def blame(self, name: str, *, alone: bool, certain: bool = False) -> bool:
        """The connection was lost with this message unanswered.

        Args:
            name: of the message that was sent first.
            alone: whether nothing else was in flight.
            certain: whether the broker said that a message was the cause.

        Returns:
            whether it is condemned; the suspicion is over then.
        """
        if name != self._suspect:
            self._suspect, self._strikes = name, 0
        self._strikes += alone
        condemned = self._strikes >= self._limit or (alone and certain)
        if condemned:
            self.clear()
        return condemned

    def answered(self, name: str) -> None:
        """The broker answered a message; if it was the suspect, it is cleared."""
        if name == self._suspect:
            self.clear()

    def clear(self) -> None:
        """Nobody is suspected."""
        self._suspect, self._strikes = None, 0
