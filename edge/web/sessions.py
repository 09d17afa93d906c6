"""Who has given the token: programs send it with each request, browsers once, for a signed cookie.

A cookie says until when it is good, and is signed (HMAC-SHA256) with a key that scrypt makes of the token. So
it outlives a restart without anything being stored, a new token ends all of them, and whoever steals one has
to pay for each guess at the token behind it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import cached_property
from typing import Final

COOKIE: Final = "edge_session"
SECURE_COOKIE: Final = "__Host-edge_session"
"""Its name over https: browsers take it from this very origin only."""
_SALT: Final = b"edge web session 1"
_MOST_ENDED: Final = 10_000


class Sessions:
    """Checks tokens, and makes and checks cookies.

    Args:
        token: the secret, as text.
        lifetime: seconds that a cookie is good for.
        clock: Unix time.
    """

    def __init__(self, token: str, lifetime: float, *, clock: Callable[[], float] = time.time) -> None:
        self._token = token
        self._digest = hashlib.sha256(token.encode()).digest()
        self.lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        self._ended: dict[str, float] = {}

    @cached_property
    def _key(self) -> bytes:
        return hashlib.scrypt(self._token.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes as long for any that isn't."""
        given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        return hmac.compare_digest(given, self._digest)

    def begin(self) -> str:
        """A cookie's value: good until then, never given before."""
        signed = f"{int(self._clock() + self.lifetime)}.{secrets.token_urlsafe(12)}"
        return f"{signed}.{self._signature(signed)}"

    def holds(self, cookie: str) -> bool:
        """Whether a cookie's value was made here, is still good, and wasn't ended."""
        signed, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            return False
        until, _, name = signed.partition(".")
        with self._lock:
            return int(until) > self._clock() and name not in self._ended

    def end(self, cookie: str) -> None:
        """Have a cookie count no more, as long as this process lives."""
        if not self.holds(cookie):
            return
        until, name, _ = cookie.split(".")
        now = self._clock()
        with self._lock:
            if len(self._ended) >= _MOST_ENDED:
                self._ended = {n: t for n, t in self._ended.items() if t > now}
            self._ended[name] = float(until)

    def _signature(self, signed: str) -> str:
        made = hmac.digest(self._key, signed.encode("utf-8", "surrogatepass"), "sha256")
        return urlsafe_b64encode(made).rstrip(b"=").decode()
