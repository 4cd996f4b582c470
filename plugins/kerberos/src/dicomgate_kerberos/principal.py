"""A Kerberos principal -> the user: the realm is kept, unless the operator says that it may go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_ANONYMOUS = "WELLKNOWN/"
LONGEST = 256


class NotAllowedError(Exception):
    """Genuine, and not to be let in. The words are for the log."""


@dataclass(frozen=True, slots=True)
class Realms:
    """Whose users may come, and of which realms the name goes without."""

    allowed: Sequence[str]
    stripped: Sequence[str]

    def user(self, principal: str) -> str:
        """`alice@HOSPITAL` or, where its realm is stripped, `alice`. Raises NotAllowedError."""
        name, _, realm = principal.rpartition("@")
        if realm not in self.allowed:
            raise NotAllowedError(f"its realm {realm[:80]!r} is not among the realms")
        # RFC 8062 3, RFC 6111: WELLKNOWN/ANONYMOUS and its like are nobody.
        if name.startswith(_ANONYMOUS) or realm.startswith("WELLKNOWN:"):
            raise NotAllowedError("it is anonymous")
        if not name or len(principal) > LONGEST or not principal.isprintable() or "\\" in name or "@" in name:
            raise NotAllowedError("its name is none that can stand in a log")  # unparsed names escape with backslashes
        return name if realm in self.stripped else principal
