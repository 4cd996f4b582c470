"""The laws of a credential, as tests.

Every question goes through the gateway's own link: what is tested here is what happens in production.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar

from ..auth.members import probed, read_members
from ..contract import Admission, Credential, Presented, Probed, Unavailable
from ..credentials.link import CredentialLink
from ..credentials.table import CREDENTIALS
from .linked import DEADLINE, presenting, shown
from .table_contract import explained, require, sound
from .variants import forms
from .watching import abandon, left_behind, logged, longest_stall

_HASTE = timedelta(milliseconds=1)
_AT_ONCE = 8
_ROUNDS = 4
_LONGEST_STALL = 1.0  # seconds
_LONGEST = 65_000
"""Bytes of an identity: it shares the 65,535 of item 50H with what else is negotiated."""


def present(credential: Credential, *admissions: Admission) -> list[Presented | Unavailable]:
    """What the gateway presents for these admissions, all asked at the same time; in their order."""

    async def together(link: CredentialLink) -> list[Presented | Unavailable]:
        return list(await asyncio.gather(*map(link.ask, admissions)))

    return presenting(credential, together)


class CredentialContract:
    """Subclass it as `Test...` with two fixtures.

    `credential`: a fresh one; `good`: an admission for which it presents something, again and again, with the client's
    own identity if it needs that. Secrets (of the client, and `secrets`) must occur nowhere else.
    """

    factory: ClassVar[Callable[..., object] | None] = None
    """What makes it from its table, if that is not its class; a function in a `staticmethod`."""
    wrong_tables: ClassVar[Sequence[tuple[Mapping[str, object], str]]] = ()
    """Tables with a mistake that an operator could make, each with words that must be in what he is told."""
    secrets: ClassVar[Sequence[str]] = ()
    """Configured secrets, for example a passcode: they must not be told."""

    def test_it_presents_an_identity(self, credential: Credential, good: Admission) -> None:
        """One that fits a request, and has not ended."""
        (found,) = map(_presented, present(credential, good))
        size = len(found.identity.primary) + len(found.identity.secondary)
        require(size <= _LONGEST, f"an identity of {size} bytes does not fit an A-ASSOCIATE-RQ")
        require(found.expires_at is None or found.expires_at > datetime.now(UTC), "it has ended already")

    def test_the_clients_own_secret_does_not_travel(self, credential: Credential, good: Admission) -> None:
        """That is for `identity = "forward"` alone."""
        (found,) = map(_presented, present(credential, good))
        whole = found.identity.primary + found.identity.secondary
        if good.identity is not None and forms(good.identity):
            secret = good.identity.secondary or good.identity.primary
            require(secret not in whole, "it presents the client's own secret")

    def test_without_an_identity_it_does_not_break(self, credential: Credential, good: Admission) -> None:
        """A client may have been accepted by its certificate or its network."""
        (found,) = present(credential, replace(good, identity=None))
        require(not _is_defect(found), f"for a client without an identity: {found}")

    def test_a_response_that_is_nonsense_proves_nothing(self, credential: Credential, good: Admission) -> None:
        """If it verifies the upstream's response: nonsense does not pass, and is no exception."""
        (found,) = map(_presented, present(credential, good))
        if found.verify is not None:
            for response in (b"", b"\0", b"nonsense", b"\xff" * _LONGEST):
                wrong = found.verify(response)
                require(isinstance(wrong, str), f"verify returns {type(wrong).__name__}")
                require(bool(wrong), f"a response of {len(response)} bytes of nonsense proves something")

    def test_many_at_once_do_not_disturb_each_other(self, credential: Credential, good: Admission) -> None:
        """In several threads or tasks: each gets an answer, of one type of identity."""
        found = list(map(_presented, present(credential, *[good] * _AT_ONCE)))
        require(len({one.identity.type for one in found}) == 1, "one admission, several types of identity")

    def test_an_abandoned_question_leaves_it_usable(self, credential: Credential, good: Admission) -> None:
        """The client hangs up while it is asked, sooner or later; the next one is answered as ever."""

        async def hang_up(link: CredentialLink) -> Presented | Unavailable:
            for turns in range(1, _AT_ONCE + 1):
                await abandon(link.ask(good), turns)
            return await link.ask(good)

        _presented(presenting(credential, hang_up))

    def test_a_missed_deadline_leaves_it_usable(self, credential: Credential, good: Admission) -> None:
        """With hardly any time at all, and then with enough."""

        async def hurry(link: CredentialLink) -> list[Presented | Unavailable]:
            return list(await asyncio.gather(*map(link.ask, [good] * _AT_ONCE)))

        presenting(credential, hurry, _HASTE)
        _presented(*present(credential, good))

    def test_an_event_loop_never_waits_for_it(self, credential: Credential, good: Admission) -> None:
        """An `async def present` runs where all associations are carried: what blocks must be awaited."""

        async def watch(link: CredentialLink) -> float:
            return await longest_stall(link.ask(good))

        stall = presenting(credential, watch)
        require(stall < _LONGEST_STALL, f"it blocked the event loop for {stall:.1f} s: await it, or use a plain def")

    def test_it_leaves_nothing_behind(self, credential: Credential, good: Admission) -> None:
        """Made use of, abandoned and left, again and again: no more tasks, threads and descriptors than before."""

        async def visit(link: CredentialLink) -> None:
            await link.ask(good)
            await abandon(link.ask(good))

        left = asyncio.run(left_behind(partial(shown, credential, visit), _ROUNDS))
        require(not left, f"each time that it is used, there are more {left}")

    def test_a_wrong_table_is_explained(self, credential: Credential) -> None:
        """An unknown key, and each of `wrong_tables`: a ConfigError that says what is wrong, and tells no secret."""
        explained(self.factory or type(credential), self.wrong_tables, self.secrets, CREDENTIALS)

    def test_a_probe_ends_in_time_and_tells_no_secret(self, credential: Credential) -> None:
        """If it has one: it says of everything it depends on whether that can be used, for `check --connect`."""
        probe = read_members("it", credential).probe
        if probe is None:
            return

        async def ask_all(_: CredentialLink) -> Sequence[Probed]:
            return await probed(probe, DEADLINE.total_seconds())

        sound(presenting(credential, ask_all), self.secrets)

    def test_no_secret_is_told(self, credential: Credential, good: Admission) -> None:
        """Neither in its repr nor in its answer nor in the log, at any level."""
        with logged() as lines:
            (found,) = map(_presented, present(credential, good))
        told = {"its repr": repr(credential), "its answer": repr(found), "the log": "\n".join(lines)}
        secrets = [("its configuration", secret) for secret in self.secrets]
        identities = (("its answer", found.identity), ("the client", good.identity))
        secrets += [(whose, form) for whose, identity in identities for form in forms(identity)]
        for whose, form in secrets:
            for where, text in told.items():
                # Not the text itself: a failing test is a log, too.
                require(form not in text, f"{where} tells the secret of {whose}")


def _presented(found: Presented | Unavailable) -> Presented:
    if not isinstance(found, Presented):
        raise AssertionError(f"for the good admission it presents nothing: {found}")  # noqa: TRY004
    return found


def _is_defect(found: Presented | Unavailable) -> bool:
    return isinstance(found, Unavailable) and found.reason.startswith("defect: ")
