"""The laws of an authenticator, as tests (docs/writing-an-authenticator.md).

Every question goes through the gateway's own `Link`: what is tested here is what happens in production.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from ..auth.calling import Link
from ..contract import Accept, Attempt, Authenticator, Decision, Identity, IdentityType, Pass, Reject, Unavailable

_T = TypeVar("_T")
_DEADLINE = timedelta(seconds=30)
_AT_ONCE = 8
_LONGEST_RESPONSE = 65_000  # bytes; sub-item 59H shares the 65,535 of item 50H with the rest of the negotiation
_KINDS = (None, *IdentityType)


def ask(authenticator: Authenticator, *attempts: Attempt) -> list[Decision]:
    """What the gateway makes of the answers to these attempts, all asked at the same time; in their order."""

    async def together(link: Link) -> list[Decision]:
        return list(await asyncio.gather(*map(link.ask, attempts)))

    return _linked(authenticator, together)


class AuthenticatorContract:
    """Subclass it as `Test...` with three fixtures.

    `authenticator`: a fresh one; `good`: an attempt that it accepts, again and again; `bad`: one of the same identity
    type that it rejects. Their secrets (the passcode, ticket, assertion or token) must occur nowhere else.
    """

    def test_the_good_attempt_is_accepted(self, authenticator: Authenticator, good: Attempt) -> None:
        """With a user, and with a server response that fits its item; its `handles`, if any, names the type."""
        kind = good.identity.type if good.identity else None
        _require(Link("it", authenticator).handles(kind), "the gateway would never show it the good attempt")
        accept = _accepted(*ask(authenticator, good))
        size = len(accept.server_response or b"")
        _require(size <= _LONGEST_RESPONSE, f"a server response of {size} bytes does not fit the A-ASSOCIATE-AC")

    def test_the_bad_attempt_is_rejected(self, authenticator: Authenticator, bad: Attempt) -> None:
        """Looked at, and not genuine: neither passed on nor excused by an Unavailable."""
        (decision,) = ask(authenticator, bad)
        _require(isinstance(decision, Reject) and bool(decision.reason), f"no Reject with a reason: {decision}")

    def test_a_damaged_credential_is_never_accepted(self, authenticator: Authenticator, good: Attempt) -> None:
        """Empty, cut, reversed, too long, not text: no Accept, and no exception either."""
        for damaged in _damaged(good):
            (decision,) = ask(authenticator, damaged)
            _require(not isinstance(decision, Accept), f"accepted: {damaged.identity!r} instead of {good.identity!r}")
            _require(not _is_defect(decision), f"{damaged.identity!r}: {decision}")

    def test_a_foreign_identity_is_not_judged(self, authenticator: Authenticator, good: Attempt) -> None:
        """Either `handles` keeps it away or the answer is Pass; what `handles` names is looked at, and not accepted."""
        for kind in _KINDS:
            if kind is (good.identity.type if good.identity else None) or not Link("it", authenticator).handles(kind):
                continue
            foreign = replace(good, identity=None if kind is None else Identity(kind, b"nobody", _nonsense(kind)))
            (decision,) = ask(authenticator, foreign)
            if getattr(authenticator, "handles", None) is None:
                _require(isinstance(decision, Pass), f"{foreign.identity!r} is not its to judge: {decision}")
            elif kind is not None:
                _require(not isinstance(decision, Accept), f"accepted: {foreign.identity!r}")
            _require(not _is_defect(decision), f"{foreign.identity!r}: {decision}")

    def test_many_at_once_do_not_disturb_each_other(
        self, authenticator: Authenticator, good: Attempt, bad: Attempt
    ) -> None:
        """Good and bad attempts in turn, in several threads or tasks: each gets its own answer."""
        decisions = ask(authenticator, *(good, bad) * _AT_ONCE)
        users = {_accepted(decision).user for decision in decisions[::2]}
        _require(len(users) == 1, f"one credential, several users: {users}")
        for decision in decisions[1::2]:
            _require(isinstance(decision, Reject), f"the bad attempt, among others: {decision}")

    def test_an_abandoned_attempt_leaves_it_usable(self, authenticator: Authenticator, good: Attempt) -> None:
        """The client hangs up while it is asked; the next one is answered as ever."""

        async def abandon(link: Link) -> Decision:
            call = asyncio.ensure_future(link.ask(good))
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait((call,))
            return await link.ask(good)

        _accepted(_linked(authenticator, abandon))

    def test_no_secret_is_told(self, authenticator: Authenticator, good: Attempt, bad: Attempt) -> None:
        """Neither in its repr nor in a decision nor in the log, at any level."""
        with _logged() as lines:
            decisions = ask(authenticator, good, bad, *_damaged(good)[:1])
        told = {"its repr": repr(authenticator), "a decision": repr(decisions), "the log": "\n".join(lines)}
        for attempt in (good, bad):
            for form in _forms(attempt.identity):
                for where, text in told.items():
                    # Not the text itself: a failing test is a log, too.
                    _require(form not in text, f"{where} tells the secret of {attempt.identity!r}")


def _linked(authenticator: Authenticator, use: Callable[[Link], Coroutine[Any, Any, _T]]) -> _T:
    async def run() -> _T:
        async with Link("it", authenticator, deadline=_DEADLINE, workers=4) as link:
            return await use(link)

    return asyncio.run(run())


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _accepted(decision: Decision) -> Accept:
    if not isinstance(decision, Accept):
        raise AssertionError(f"the good attempt is not accepted: {decision}")  # noqa: TRY004
    return decision


def _is_defect(decision: Decision) -> bool:
    return isinstance(decision, Unavailable) and decision.reason.startswith("defect: ")


def _nonsense(kind: IdentityType) -> bytes:
    return b"nonsense" if kind is IdentityType.USERNAME_AND_PASSCODE else b""


def _damaged(good: Attempt) -> list[Attempt]:
    identity = good.identity
    if identity is None:
        return []
    whole = identity.secondary or identity.primary
    values = (b"", whole[: len(whole) // 2], whole[::-1], b"\xff\xfe\x00", whole * (60_000 // max(1, len(whole))))
    return [replace(good, identity=_with_secret(identity, value)) for value in values if value != whole]


def _with_secret(identity: Identity, value: bytes) -> Identity:
    return replace(identity, secondary=value) if identity.secondary else replace(identity, primary=value)


def _forms(identity: Identity | None) -> list[str]:
    """The secret as it could stand in a text. A username is none."""
    if identity is None or identity.type is IdentityType.USERNAME:
        return []
    secret = identity.secondary or identity.primary
    plain = secret.decode("utf-8", "replace")
    return [plain, repr(plain)[1:-1], repr(secret)[2:-1], secret.hex(), base64.b64encode(secret).decode().rstrip("=")]


@contextmanager
def _logged() -> Iterator[list[str]]:
    lines: list[str] = []
    formatter = logging.Formatter()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    root, handler = logging.getLogger(), Handler()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
