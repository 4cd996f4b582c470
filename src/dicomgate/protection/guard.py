"""Around every question to a chain: throttle first, then the chain, then the replay cache.

Rule 1: a guess is counted before anything verifies it. If it cannot be counted, it is not verified and not admitted.
Rule 2: a credential that may be used once is used up before its client is admitted.
Rule 3: the credential that was accepted last for the same account from the same source is not a guess, as long as no
        other one is tried there. It is verified without asking the shared state.

Theory of operation. The way of an attempt, from `begin` to `done(verdict)`. In the step that it arrives in,
`RecentCredentials.compare` holds it against the last credential of its subject, and puts it in the place of that one
unless they are the same:

    1. It is the one that was accepted: the chain verifies it, uncounted (step 5 follows). If the chain refuses it this
       time, the passcode was changed: that is counted after the fact, once.
    2. The same credential is being verified already: wait for that. If it is refused, so is this one; otherwise compare
       again. A client that opens fifty associations at once with one wrong passcode has guessed once.
    3. It was refused a moment ago, and nothing that this rests on has changed: refuse it again, neither counted nor
       verified.
    4. It is a guess. `Throttle.take` counts it, and it is verified; or the throttle says to wait. Then, if another
       attempt that the same counter has counted is being verified (`UnderWay`; at other gateways, by the store), this
       one waits for that to end and asks again: clients that come at once must not lock each other out. If not, refuse.
    5. The chain gives a verdict. An accepted credential with `once` is redeemed at the store, for its first use only.
    6. The charge is settled. Accepted with a secret: `succeeded`, or the charge is passed on to the next attempt
       (`StandingCharges`), which step 4 then need not count. Accepted without one, or unavailable for a known
       subject: `refund`. Anything else stays counted (`ended`). At last the outcome is remembered for steps 1 to 3.

Cancelling what `begin` returned stops the attempt at any step; what was counted stays counted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial

from ..auth.chain import Chain, Verdict
from ..auth.plugged import Pending
from ..contract import Accept, Attempt, Decision, Identity, Pass, Reject, Unavailable
from ..events.events import ReasonClass
from ..kit.patience import waited
from ..state.protocol import SharedState, StateUnavailable
from .recent_credentials import Outcome, Recent, RecentCredentials
from .single_use import redeemed
from .standing import StandingCharges
from .throttle import Charge, Subject, Throttle
from .under_way import UnderWay

_log = logging.getLogger("dicomgate.auth")
_ASK_AGAIN = 0.1, 1.0
"""Seconds after which the store is asked again how attempts at other gateways ended: at first, and at most."""
_AGAIN = Verdict(Reject("the same credential was refused a moment ago"), reason_class=ReasonClass.WRONG_CREDENTIAL)


class Guard:
    """One for all chains of a gateway. `throttle` is None where attempts are not counted."""

    def __init__(self, state: SharedState, throttle: Throttle | None, recent: RecentCredentials) -> None:
        self._state = state
        self._throttle = throttle
        self._recent = recent
        self._under_way = UnderWay()
        self._standing = StandingCharges(0 if throttle is None else throttle.ahead, self._write)
        self._writing: set[asyncio.Task[None]] = set()

    def forget(self) -> None:
        """Forget the recent credentials, not what is counted: authenticators may answer differently now."""
        self._recent.forget()
        self._standing.end()

    async def flush(self) -> None:
        """Take back what stands, and wait for pending writes: no longer than a deadline or two of the state."""
        self._standing.end()
        if self._writing:
            await asyncio.wait(self._writing)

    def begin(self, chain: Chain, attempt: Attempt, done: Callable[[Verdict], None]) -> Pending:
        """Have the chain judge an attempt, and call `done` with the verdict: once, and never before this returns."""
        if self._throttle is None:
            return chain.begin(attempt, partial(self._redeem, done))
        subject = self._throttle.subject_of(attempt)
        digest = self._recent.digest(attempt)
        known, recent = self._recent.compare(subject.key, digest)
        if known is Outcome.ACCEPTED:
            return chain.begin(attempt, partial(self._known, self._throttle, subject, recent, done))
        if known is Outcome.REFUSED:
            return asyncio.get_running_loop().call_soon(done, _AGAIN)
        judging = partial(self._judge, chain, self._throttle, subject, digest, attempt, known, recent)
        task = asyncio.get_running_loop().create_task(_call(done, judging))
        if known is Outcome.UNKNOWN:
            task.add_done_callback(recent.give_up)  # a task that is cancelled before it begins ends nothing
        return task

    async def _judge(
        self, chain: Chain, throttle: Throttle, subject: Subject, digest: bytes, attempt: Attempt,
        known: Outcome, recent: Recent,
    ) -> Verdict:  # fmt: skip
        """The verdict on a credential that is not known to be genuine: steps 2 to 6."""
        while known is Outcome.UNDER_WAY:
            await recent.ended()
            if self._recent.is_refused(recent, waited=True):
                return _AGAIN
            known, recent = self._recent.compare(subject.key, digest)
        if known is Outcome.REFUSED:
            return _AGAIN
        if known is Outcome.ACCEPTED:
            verdict = await chain.consult(attempt)
            self._check_known(throttle, subject, recent, verdict)
            return await self._redeemed(verdict)
        outcome, stands = Outcome.UNKNOWN, None
        try:
            verdict = await self._counted(chain, throttle, subject, attempt)
            if verdict.answers:  # else no authenticator saw it, and the verdict says nothing about the credential
                outcome, stands = _outcome(verdict.decision), _stands(verdict)
        except StateUnavailable as error:
            return Verdict(Unavailable(f"attempts cannot be counted: {error}"))
        finally:
            self._recent.end(recent, outcome, stands)
        return verdict

    async def _counted(self, chain: Chain, throttle: Throttle, subject: Subject, attempt: Attempt) -> Verdict:
        """Count the attempt, have it verified, settle the charge: steps 4 to 6."""
        loop = asyncio.get_running_loop()
        began, (pause, longest) = loop.time(), _ASK_AGAIN
        while (charge := self._standing.pop(subject)) is None:
            hold, charge = await throttle.take(subject)
            if hold is None:
                break
            # Wait only for attempts that the same counter has counted. An attempt from elsewhere would gain nothing by
            # waiting for the owner's, and the wait would tell that the owner is logging in.
            try:
                async with asyncio.timeout_at(began + chain.patience):
                    if not await self._under_way.one_ended(charge.keys[0]):
                        if not hold.under_way:
                            return Verdict(Reject(hold.reason), reason_class=hold.reason_class)
                        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
                        pause = min(pause * 1.5, longest)  # a thousand that wait must not keep the store busy
            except TimeoutError:
                return Verdict(Unavailable("too many attempts for the account or from the address were before it"))
        before = waited.set(loop.time() - began)
        self._under_way.begin(charge.keys)
        settled = False
        try:
            verdict = await self._redeemed(await chain.consult(attempt))
            settled = await self._settle(throttle, subject, charge, attempt.identity, verdict)
        finally:
            self._under_way.end(charge.keys)
            if not settled:
                self._write(partial(throttle.ended, charge))
            waited.reset(before)  # the credential that the upstream is shown has patience of its own
        return verdict

    async def _settle(
        self, throttle: Throttle, subject: Subject, charge: Charge, identity: Identity | None, verdict: Verdict
    ) -> bool:
        """What the verdict changes about what was counted; False if nothing."""
        accepted = isinstance(verdict.decision, Accept)
        if accepted and _shows_a_secret(identity):
            succeeded = partial(throttle.succeeded, subject, charge)
            await _logging_failure(partial(self._standing.settle, subject, charge, succeeded))
        elif accepted or (charge.known and _nothing_learned(verdict)):
            # No refund for unknown subjects: an authenticator that accepts at once, and rejects only after its
            # deadline, would otherwise be an oracle.
            await _logging_failure(partial(throttle.refund, charge))
        else:
            return False
        return True

    def _known(
        self, throttle: Throttle, subject: Subject, recent: Recent, done: Callable[[Verdict], None], verdict: Verdict
    ) -> None:
        """The verdict on a credential that was accepted before."""
        self._check_known(throttle, subject, recent, verdict)
        self._redeem(done, verdict)

    def _check_known(self, throttle: Throttle, subject: Subject, recent: Recent, verdict: Verdict) -> None:
        """Count a credential that was accepted before and is refused now; once, however many brought it at once."""
        if _outcome(verdict.decision) is Outcome.REFUSED and recent.outcome is Outcome.ACCEPTED:
            self._recent.end(recent, Outcome.REFUSED, _stands(verdict))
            self._write(partial(throttle.count, subject))

    def _redeem(self, done: Callable[[Verdict], None], verdict: Verdict) -> None:
        """Call `done` now; or, where the credential may be used once, after asking the store."""
        if isinstance(verdict.decision, Accept) and verdict.decision.once is not None:
            self._write(partial(_call, done, partial(self._redeemed, verdict)))
        else:
            done(verdict)

    async def _redeemed(self, verdict: Verdict) -> Verdict:
        """The verdict after the replay cache has seen it."""
        return await redeemed(verdict, self._state.first_use)

    def _write(self, writing: Callable[[], Awaitable[object]]) -> None:
        """Write after the verdict, which need not wait for it."""
        task = asyncio.get_running_loop().create_task(_logging_failure(writing))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)


def _outcome(decision: Decision) -> Outcome:
    """What a decision says about the credential; `Unavailable` says nothing.

    `Pass` counts as refused. Otherwise the time that a repeated attempt takes would tell which users exist: those that
    an authenticator rejects would be refused at once, and those that all pass on would be verified again.
    """
    if isinstance(decision, Accept):
        return Outcome.ACCEPTED
    return Outcome.REFUSED if isinstance(decision, Reject | Pass) else Outcome.UNKNOWN


def _stands(verdict: Verdict) -> Callable[[], bool] | None:
    """Whether everything that a refusal rests on is unchanged; None if one of those who refused cannot tell."""
    checks = [answer.stands for _, answer in verdict.answers if isinstance(answer, Reject | Pass)]
    known = [check for check in checks if check is not None]
    return (lambda: all(check() for check in known)) if len(known) == len(checks) else None


def _shows_a_secret(identity: Identity | None) -> bool:
    """False for a bare name and for no identity: being accepted without a secret proves nothing about the client."""
    return identity is not None and (identity.username is None or bool(identity.secondary))


def _nothing_learned(verdict: Verdict) -> bool:
    """True if no authenticator looked at it. With on_error = "next", one after the unavailable one may have."""
    return isinstance(verdict.decision, Unavailable) and not any(
        isinstance(decision, Reject) or (isinstance(decision, Unavailable) and decision.looked)
        for _, decision in verdict.answers
    )


# The two functions below get a callable, not a coroutine: a task that is cancelled before it begins then leaves nothing
# behind that was never awaited.


async def _call(done: Callable[[Verdict], None], judging: Callable[[], Awaitable[Verdict]]) -> None:
    try:
        verdict = await judging()
    except Exception:  # noqa: BLE001 (a defect; without an answer the association would wait for its deadline)
        _log.exception("a defect of the gateway")
        verdict = Verdict(Unavailable("a defect of the gateway"))
    done(verdict)


async def _logging_failure(writing: Callable[[], Awaitable[object]]) -> None:
    try:
        await writing()
    except StateUnavailable as error:
        _log.error("the count of attempts is wrong now: %s", error)
    except Exception:  # noqa: BLE001 (as in `_call`)
        _log.exception("a defect of the gateway: the count of attempts is wrong now")
