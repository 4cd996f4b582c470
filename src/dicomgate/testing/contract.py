"""The laws of an authenticator, as tests (docs/writing-an-authenticator.md).

Every question goes through the gateway's own `Link`: what is tested here is what happens in production.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import ClassVar, TypeVar

from ..auth.link import Link
from ..auth.members import probed, read_members
from ..contract import (
    Accept,
    Attempt,
    Authenticator,
    Decision,
    Identity,
    IdentityType,
    Pass,
    Probed,
    Reject,
    Unavailable,
)
from ..wire.user_identity import LONGEST_RESPONSE
from .linked import DEADLINE, abandoning, linked, visited
from .table_contract import explained, require, sound
from .variants import damaged, forms, nonsense, of_others
from .watching import abandon, left_behind, logged, longest_stall

_T = TypeVar("_T")
_HASTE = timedelta(milliseconds=1)
_AT_ONCE = 8
_ROUNDS = 4
_LONGEST_STALL = 1.0  # seconds; a machine may be busy, an event loop must not wait for a directory
_KINDS = (None, *IdentityType)
_NOBODY = "dicomgate-nobody"


def ask(authenticator: Authenticator, *attempts: Attempt) -> list[Decision]:
    """What the gateway makes of the answers to these attempts, all asked at the same time; in their order."""

    async def together(link: Link) -> list[Decision]:
        return list(await asyncio.gather(*map(link.ask, attempts)))

    return linked(authenticator, together)


class AuthenticatorContract:
    """Subclass it as `Test...` with three fixtures.

    `authenticator`: a fresh one; `good`: an attempt that it accepts, again and again; `bad`: one of the same identity
    type that it rejects. Their secrets (the passcode, ticket, assertion or token) must occur nowhere else.
    """

    factory: ClassVar[Callable[..., object] | None] = None
    """What makes it from its table, if that is not its class; a function in a `staticmethod`."""
    wrong_tables: ClassVar[Sequence[tuple[Mapping[str, object], str]]] = ()
    """Tables with a mistake that an operator could make, each with words that must be in what he is told."""
    secrets: ClassVar[Sequence[str]] = ()
    """Configured secrets, for example a bind password: like those of the attempts, they must not be told."""

    def test_the_good_attempt_is_accepted(self, authenticator: Authenticator, good: Attempt) -> None:
        """With a user; its `handles`, if any, names the type."""
        kind = good.identity.type if good.identity else None
        require(Link("it", authenticator).handles(kind), "the gateway would never show it the good attempt")
        _check_response(*ask(authenticator, good))

    def test_a_server_response_fits_its_item(self, authenticator: Authenticator, good: Attempt) -> None:
        """What is accepted for a client that asks for a response, too."""
        identity = good.identity and replace(good.identity, positive_response_requested=True)
        _check_response(*ask(authenticator, replace(good, identity=identity)))

    def test_the_bad_attempt_is_rejected(self, authenticator: Authenticator, bad: Attempt) -> None:
        """Looked at, and not genuine: neither passed on nor excused by an Unavailable. It stands, if it can say so."""
        (decision,) = ask(authenticator, bad)
        require(isinstance(decision, Reject) and bool(decision.reason), f"no Reject with a reason: {decision}")
        stands = getattr(decision, "stands", None)
        require(stands is None or stands() is True, "its refusal does not stand, although nothing has changed")

    def test_a_damaged_credential_is_never_accepted(self, authenticator: Authenticator, good: Attempt) -> None:
        """Empty, cut, reversed, too long, not text; of another user: no Accept, and no exception either."""
        attempts = [*damaged(good), *of_others(good)]
        for attempt, decision in zip(attempts, ask(authenticator, *attempts), strict=True):
            require(not isinstance(decision, Accept), f"accepted: {attempt.identity!r} instead of {good.identity!r}")
            require(not _is_defect(decision), f"{attempt.identity!r}: {decision}")

    def test_a_foreign_identity_is_not_judged(self, authenticator: Authenticator, good: Attempt) -> None:
        """Either `handles` keeps it away or the answer is Pass; what `handles` names is looked at, and not accepted."""
        for kind in _KINDS:
            if kind is (good.identity.type if good.identity else None) or not Link("it", authenticator).handles(kind):
                continue
            foreign = replace(good, identity=None if kind is None else Identity(kind, b"nobody", nonsense(kind)))
            (decision,) = ask(authenticator, foreign)
            if getattr(authenticator, "handles", None) is None:
                require(isinstance(decision, Pass), f"{foreign.identity!r} is not its to judge: {decision}")
            elif kind is not None:
                require(not isinstance(decision, Accept), f"accepted: {foreign.identity!r}")
            require(not _is_defect(decision), f"{foreign.identity!r}: {decision}")

    def test_many_at_once_do_not_disturb_each_other(
        self, authenticator: Authenticator, good: Attempt, bad: Attempt
    ) -> None:
        """Good and bad attempts in turn, in several threads or tasks: each gets its own answer."""
        decisions = ask(authenticator, *(good, bad) * _AT_ONCE)
        users = {_accepted(decision).user for decision in decisions[::2]}
        require(len(users) == 1, f"one credential, several users: {users}")
        for decision in decisions[1::2]:
            require(isinstance(decision, Reject), f"the bad attempt, among others: {decision}")

    def test_an_abandoned_attempt_leaves_it_usable(self, authenticator: Authenticator, good: Attempt) -> None:
        """The client hangs up while it is asked, sooner or later; the next one is answered as ever."""

        async def hang_up(link: Link) -> Decision:
            for turns in range(1, _AT_ONCE + 1):
                await abandon(link.ask(good), turns)
            return await link.ask(good)

        _accepted(abandoning(authenticator, hang_up))

    def test_a_missed_deadline_lets_nobody_in_and_leaves_it_usable(
        self, authenticator: Authenticator, good: Attempt, bad: Attempt
    ) -> None:
        """With hardly any time at all, the bad attempt is not accepted; with enough, both are answered as ever."""

        async def hurry(link: Link) -> list[Decision]:
            return list(await asyncio.gather(*map(link.ask, (bad, good) * _AT_ONCE)))

        for decision in abandoning(authenticator, hurry, _HASTE)[::2]:
            require(not isinstance(decision, Accept), "in haste, the bad attempt is accepted")
        accept, reject = ask(authenticator, good, bad)
        _accepted(accept)
        require(isinstance(reject, Reject), f"the bad attempt, after some that were too late: {reject}")

    def test_an_event_loop_never_waits_for_it(self, authenticator: Authenticator, good: Attempt, bad: Attempt) -> None:
        """An `async def authenticate` runs where all associations are carried: what blocks must be awaited."""

        async def watch(link: Link) -> float:
            return await longest_stall(asyncio.gather(link.ask(good), link.ask(bad)))

        stall = linked(authenticator, watch)
        require(stall < _LONGEST_STALL, f"it blocked the event loop for {stall:.1f} s: await it, or use a plain def")

    def test_it_leaves_nothing_behind(self, authenticator: Authenticator, good: Attempt, bad: Attempt) -> None:
        """Made use of, abandoned and left, again and again: no more tasks, threads and descriptors than before."""

        async def visit(link: Link) -> None:
            await asyncio.gather(link.ask(good), link.ask(bad))
            await abandon(link.ask(good))

        left = asyncio.run(left_behind(partial(visited, authenticator, visit), _ROUNDS))
        require(not left, f"each time that it is used, there are more {left}")

    def test_a_wrong_table_is_explained(self, authenticator: Authenticator) -> None:
        """An unknown key, and each of `wrong_tables`: a ConfigError that says what is wrong, and tells no secret."""
        explained(self.factory or type(authenticator), self.wrong_tables, self.secrets)

    def test_a_probe_ends_in_time_and_tells_no_secret(self, authenticator: Authenticator) -> None:
        """If it has one: it says of everything it depends on whether that can be used, for `check --connect`."""
        probe = read_members("it", authenticator).probe
        if probe is None:
            return

        async def ask_all(_: Link) -> Sequence[Probed]:
            return await probed(probe, DEADLINE.total_seconds())

        sound(linked(authenticator, ask_all), self.secrets)

    def test_it_says_who_is_still_valid(self, authenticator: Authenticator, good: Attempt) -> None:
        """If it has `still_valid`: a user that it has just accepted is still valid; an unknown one is not."""
        if read_members("it", authenticator).still_valid is None:
            return

        async def ask_again(link: Link) -> list[Decision]:
            accept = _accepted(await link.ask(good))
            return [await link.still_valid(user, accept.handle) for user in (accept.user, _NOBODY)]

        with logged() as lines:
            again, stranger = linked(authenticator, ask_again)
        require(isinstance(again, Accept), f"it was accepted a moment ago, and now: {again}")
        require(isinstance(stranger, Reject) and bool(stranger.reason), f"a user whom nobody knows: {stranger}")
        self._tells_none({"an answer": repr((again, stranger)), "the log": "\n".join(lines)}, good)

    def test_no_secret_is_told(self, authenticator: Authenticator, good: Attempt, bad: Attempt) -> None:
        """Neither in its repr nor in a decision nor in the log, at any level."""
        with logged() as lines:
            decisions = ask(authenticator, good, bad, *damaged(good)[:1])
        told = {"its repr": repr(authenticator), "a decision": repr(decisions), "the log": "\n".join(lines)}
        self._tells_none(told, good, bad)

    def _tells_none(self, told: Mapping[str, str], *attempts: Attempt) -> None:
        secrets = [("its configuration", secret) for secret in self.secrets]
        secrets += [(repr(it.identity), form) for it in attempts for form in forms(it.identity)]
        for whose, form in secrets:
            for where, text in told.items():
                # Not the text itself: a failing test is a log, too.
                require(form not in text, f"{where} tells the secret of {whose}")


def _accepted(decision: Decision) -> Accept:
    if not isinstance(decision, Accept):
        raise AssertionError(f"the good attempt is not accepted: {decision}")  # noqa: TRY004
    return decision


def _check_response(decision: Decision) -> None:
    size = len(_accepted(decision).server_response or b"")
    require(size <= LONGEST_RESPONSE, f"a server response of {size} bytes does not fit the A-ASSOCIATE-AC")


def _is_defect(decision: Decision) -> bool:
    return isinstance(decision, Unavailable) and decision.reason.startswith("defect: ")
