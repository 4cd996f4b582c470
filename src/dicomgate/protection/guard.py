"""What stands around every question to a chain: throttle, then the chain, then the replay cache.

Law 1: a guess is counted before anybody verifies it. Where nobody can count, nobody verifies and nobody is let in.
Law 2: a credential that may be used once is used up before it lets anyone in.
Law 3: the credential that succeeded last, at the same account from the same source, is no guess as long as no other one
       is tried there: it costs no look at the shared state.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from ..auth.chain import Chain, Question, Verdict
from ..contract import Accept, Attempt, Decision, Identity, Pass, Reject, Unavailable
from ..state.protocol import SharedState, StateUnavailable
from .recent_credentials import Outcome, RecentCredentials
from .throttle import Charge, Subject, Throttle, claim

_log = logging.getLogger("dicomgate.auth")
Asking: TypeAlias = Question | asyncio.Task[None]
"""What is under way, and can be cancelled."""


@dataclass(slots=True)
class _Gate:
    """How many are being verified that one lever has counted; it is there as long as there are any."""

    under_way: int = 0
    one_ended: asyncio.Event = field(default_factory=asyncio.Event)


class Guard:
    """One for all chains of a gateway. `throttle` is None where nothing is to be counted."""

    def __init__(self, state: SharedState, throttle: Throttle | None, guesses: RecentCredentials) -> None:
        self._state = state
        self._throttle = throttle
        self._guesses = guesses
        self._gates: dict[str, _Gate] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def forget(self) -> None:
        """Forget what was tried of late, not what is counted: authenticators may answer otherwise now."""
        self._guesses.forget()

    async def settle(self) -> None:
        """Wait for what is still to be written: no longer than a deadline or two of the state."""
        if self._writing:
            await asyncio.wait(self._writing)

    def begin(self, chain: Chain, attempt: Attempt, done: Callable[[Verdict], None]) -> Asking:
        """Ask, and call `done` with the verdict, later and once, unless what is returned is cancelled."""
        if self._throttle is None:
            return Question(chain.links, attempt, partial(self._used_up, done))
        claimed = claim(attempt)
        digest = self._guesses.digest(attempt)
        if self._guesses.past(claimed.pair, digest) is Outcome.ACCEPTED:
            return Question(chain.links, attempt, partial(self._again, self._throttle, claimed, digest, done))
        judging = partial(self._judge, chain, self._throttle, claimed, digest, attempt)
        return asyncio.get_running_loop().create_task(_call(done, judging))

    async def _judge(
        self, chain: Chain, throttle: Throttle, claimed: Subject, digest: bytes, attempt: Attempt
    ) -> Verdict:
        """The way of a credential of which nobody knows whether it is genuine."""
        while (last := self._guesses.last(claimed.pair, digest)) is not None and last.over is not None:
            await last.over.wait()  # a client that comes many times at once has guessed once
        match self._guesses.past(claimed.pair, digest):
            case Outcome.REFUSED:
                return Verdict(Reject("the same credential was refused a moment ago"))
            case Outcome.ACCEPTED:
                return await self._redeemed(await chain.consult(attempt))
        guess = self._guesses.begin(claimed.pair, digest)
        found = Outcome.UNKNOWN
        try:
            verdict = await self._counted(chain, throttle, claimed, attempt)
            # What was not verified says nothing of the credential.
            found = _found(verdict.decision) if verdict.answers else Outcome.UNKNOWN
        except StateUnavailable as error:
            return Verdict(Unavailable(f"attempts cannot be counted: {error}"))
        finally:
            self._guesses.end(guess, found)
        return verdict

    async def _counted(self, chain: Chain, throttle: Throttle, claimed: Subject, attempt: Attempt) -> Verdict:
        """The verdict on an attempt that is counted before it is verified."""
        while True:
            why_not, counted = await throttle.take(claimed)
            lever = counted.keys[0]
            if not why_not:
                break
            # Many clients may share an account, and come at once: one of those that are verified now may succeed. Not
            # one at home for one elsewhere: it would set nothing free there, and to wait would tell that it is there.
            if (gate := self._gates.get(lever)) is None:
                return Verdict(Reject(why_not))
            await gate.one_ended.wait()
        gate = self._gates.setdefault(lever, _Gate())
        gate.under_way += 1
        try:
            verdict = await self._redeemed(await chain.consult(attempt))
            await self._account_for(throttle, claimed, counted, attempt.identity, verdict)
        finally:
            gate.under_way -= 1
            if not gate.under_way:
                del self._gates[lever]
            gate.one_ended.set()
            gate.one_ended = asyncio.Event()
        return verdict

    async def _account_for(
        self, throttle: Throttle, claimed: Subject, counted: Charge, identity: Identity | None, verdict: Verdict
    ) -> None:
        """What the verdict changes about what was counted."""
        accepted = isinstance(verdict.decision, Accept)
        if accepted and _proves_something(identity):
            await _quietly(partial(throttle.succeeded, claimed, counted))
        elif accepted or (counted.known and _nobody_looked(verdict)):
            # Not from strange sources: an authenticator that accepts at once and rejects too late would be an oracle.
            await _quietly(partial(throttle.take_back, counted))

    def _again(
        self, throttle: Throttle, claimed: Subject, digest: bytes, done: Callable[[Verdict], None], verdict: Verdict
    ) -> None:
        """The verdict on a credential that succeeded before: it may have been changed since then."""
        if _found(verdict.decision) is Outcome.REFUSED:
            self._guesses.end(self._guesses.begin(claimed.pair, digest), Outcome.REFUSED)
            self._write(partial(throttle.take, claimed))
        self._used_up(done, verdict)

    def _used_up(self, done: Callable[[Verdict], None], verdict: Verdict) -> None:
        """Call `done`, after a look at the replay cache where the credential may be used once."""
        if isinstance(verdict.decision, Accept) and verdict.decision.once is not None:
            self._write(partial(_call, done, partial(self._redeemed, verdict)))
        else:
            done(verdict)

    async def _redeemed(self, verdict: Verdict) -> Verdict:
        decision = verdict.decision
        if not isinstance(decision, Accept) or decision.once is None:
            return verdict
        # The key is hashed: it may be long, and what it was made from is nobody's business who can read the state.
        key = hashlib.sha256(f"{verdict.authenticator}\0{decision.once.key}".encode("utf-8", "surrogatepass"))
        try:
            first = await self._state.first_use(key.hexdigest(), decision.once.until)
        except StateUnavailable as error:
            return replace(verdict, decision=Unavailable(f"it may be used once, and nobody can see to it: {error}"))
        if not first:
            return replace(verdict, decision=Reject("it may be used once, and was used before"))
        return replace(verdict, decision=replace(decision, once=None))

    def _write(self, writing: Callable[[], Awaitable[object]]) -> None:
        """Do it behind the verdict, which need not wait for it."""
        task = asyncio.get_running_loop().create_task(_quietly(writing))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)


def _found(decision: Decision) -> Outcome:
    """What a decision says of the credential: that nobody could look says nothing.

    Where those who looked passed it on, it is as false as where one rejected it: or who repeats himself would see, by
    the time that it takes, which of the two it was, and so which users there are.
    """
    if isinstance(decision, Accept):
        return Outcome.ACCEPTED
    return Outcome.REFUSED if isinstance(decision, Reject | Pass) else Outcome.UNKNOWN


def _proves_something(identity: Identity | None) -> bool:
    """False for a mere name, and where nothing is claimed: who gets in without a secret has not shown who it is."""
    return identity is not None and (identity.username is None or bool(identity.secondary))


def _nobody_looked(verdict: Verdict) -> bool:
    """An authenticator behind one that is down may have rejected it (on_error = "next")."""
    unavailable = isinstance(verdict.decision, Unavailable)
    return unavailable and not any(isinstance(decision, Reject) for _, decision in verdict.answers)


# Below, what is to be awaited is made where it is awaited: a task that is cancelled before it begins leaves nothing.


async def _call(done: Callable[[Verdict], None], judging: Callable[[], Awaitable[Verdict]]) -> None:
    try:
        verdict = await judging()
    except Exception:  # noqa: BLE001 (a defect; unanswered, the association would wait for its deadline)
        _log.exception("a defect of the gateway")
        verdict = Verdict(Unavailable("a defect of the gateway"))
    done(verdict)


async def _quietly(writing: Callable[[], Awaitable[object]]) -> None:
    try:
        await writing()
    except StateUnavailable as error:
        _log.error("an attempt is counted wrongly: %s", error)
    except Exception:  # noqa: BLE001 (as in `_call`)
        _log.exception("a defect of the gateway: an attempt is counted wrongly")
