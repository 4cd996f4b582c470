"""A credential that may be used once: an accepting verdict stands only for its first use.

Rule 1: who asks decides whether that uses it up: `SharedState.first_use` does, `SharedState.unused` only looks.
Rule 2: a store that cannot be asked says neither yes nor no: the client may try again (`Unavailable`).
Rule 3: the keys of two authenticators never meet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from ..auth.chain import Verdict
from ..contract import Accept, Reject, Unavailable
from ..events.events import ReasonClass
from ..state.protocol import StateUnavailable

IsFirst = Callable[[str, datetime, datetime | None], Awaitable[bool]]
"""Whether a key is new: its text, until when it counts, and when its credential was made, if that is known."""


async def redeemed(verdict: Verdict, is_first: IsFirst) -> Verdict:
    """The verdict after the replay cache has been asked; as it was, unless it accepts a credential of single use."""
    decision = verdict.decision
    if not isinstance(decision, Accept) or decision.once is None:
        return verdict
    # Hashed because the key may be long, and those who can read the store need not see what it was made from.
    key = hashlib.sha256(f"{verdict.authenticator}\0{decision.once.key}".encode("utf-8", "surrogatepass"))
    try:
        first = await is_first(key.hexdigest(), decision.once.until, decision.once.made)
    except StateUnavailable as error:
        why = f"the credential may be used once, and the replay cache cannot be asked: {error}"
        return replace(verdict, decision=Unavailable(why))
    if not first:
        used = Reject("the credential may be used once, and was used before")
        return replace(verdict, decision=used, reason_class=ReasonClass.REPLAYED)
    return replace(verdict, decision=replace(decision, once=None), used_up=True)
