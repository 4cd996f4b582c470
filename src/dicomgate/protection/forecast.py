"""What the guard would answer now, with nothing counted and nothing used up: for `dicomgate ask`.

Not known here is what a running gateway keeps to itself: the credentials that it verified a moment ago, which it does
not count again, and what it counts alone while the shared state is out of reach.
"""

from __future__ import annotations

import logging

from ..auth.chain import Chain, Verdict
from ..contract import Attempt, Reject, Unavailable
from ..events.events import ReasonClass
from ..state.protocol import SharedState, StateUnavailable
from .single_use import redeemed
from .throttle import Throttle

_log = logging.getLogger("dicomgate.throttle")


class Forecast:
    """The steps of a guard, dry. `throttle` is None where attempts are not counted."""

    def __init__(self, state: SharedState, throttle: Throttle | None) -> None:
        self._state = state
        self._throttle = throttle

    async def consult(self, chain: Chain, attempt: Attempt) -> Verdict:
        """The verdict that a client would get: the throttle's, the chain's, or the replay cache's."""
        if self._throttle is not None:
            try:
                if hold := await self._throttle.look(self._throttle.subject_of(attempt)):
                    return Verdict(Reject(hold.reason), reason_class=hold.reason_class)
            except StateUnavailable as error:
                if not self._throttle.counts_alone:
                    why = Unavailable(f"attempts cannot be counted: {error}")
                    return Verdict(why, reason_class=ReasonClass.UNAVAILABLE)
                _log.warning("each gateway counts alone for now, and how far is not known here: %s", error)
        return await redeemed(await chain.consult(attempt), self._state.unused)

    async def close(self) -> None:
        """Close the state."""
        await self._state.close()
