"""Whatever a credential does, there is an answer in time, and what is presented is what the standard has."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dicomgate import Admission, Identity, IdentityType, PluginError, Presented, Unavailable
from dicomgate.credentials.link import CredentialLink

GOOD = Presented(Identity(IdentityType.USERNAME_AND_PASSCODE, b"gateway", b"secret-of-it"))
ENDS = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1)))


def admission() -> Admission:
    """Alice's, of the listener clinical."""
    now = datetime.now(UTC)
    return Admission("a1", "clinical", "pacs", "staff", "alice", frozenset(), {}, "CT1", "PACS", None, now)


class Sync:
    """Answers in a thread with what `answer` returns."""

    def __init__(self, answer: Callable[[], object]) -> None:
        self._answer = answer

    def present(self, admission: Admission) -> object:
        return self._answer()


class Async(Sync):
    """The same in the event loop."""

    async def present(self, admission: Admission) -> object:
        return self._answer()


def ask(credential: object, seconds: float = 5) -> Presented | Unavailable:
    async def asked() -> Presented | Unavailable:
        link = CredentialLink("ours", credential, deadline=timedelta(seconds=seconds))  # type: ignore[arg-type]
        async with link:
            return await link.ask(admission())

    return asyncio.run(asked())


def _raises() -> object:
    raise ValueError("secret-of-it")


def _exits() -> object:
    raise SystemExit


@pytest.mark.parametrize("kind", [Sync, Async])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (_raises, "defect: ValueError"),
        (_exits, "defect: SystemExit"),
        (lambda: None, "it answered with NoneType"),
        (lambda: GOOD.identity, "it answered with Identity"),
        (lambda: Presented("gateway"), "its identity is not an Identity"),  # type: ignore[arg-type]
        (lambda: Presented(Identity(IdentityType.JWT, "x")), "fields that are not bytes"),  # type: ignore[arg-type]
        (lambda: Presented(Identity(IdentityType.JWT, b"")), "type 5 is not one of the standard's"),
        (lambda: Presented(Identity(IdentityType.USERNAME, b"a\0b")), "type 1 is not one of the standard's"),
        (lambda: Presented(Identity(IdentityType.SAML, b"<a/>", b"x")), "type 4 is not one of the standard's"),
        (lambda: Presented(GOOD.identity, "yes"), "its verify is not a function"),  # type: ignore[arg-type]
        (lambda: Presented(GOOD.identity, None, datetime(2026, 1, 1)), "a datetime with a time zone"),  # noqa: DTZ001
        (lambda: Unavailable(b"x"), "its reason is not text"),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_sound_is_unavailable(
    kind: type[Sync], answer: Callable[[], object], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = ask(kind(answer))
    assert isinstance(found, Unavailable)
    assert why in found.reason
    assert "credential ours: defect" in caplog.text
    assert "secret-of-it" not in caplog.text + found.reason


@pytest.mark.parametrize("kind", [Sync, Async])
def test_what_is_sound_comes_as_it_is(kind: type[Sync], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert ask(kind(lambda: GOOD)) == GOOD
    assert ask(kind(lambda: Unavailable("down"))) == Unavailable("down")
    ends = ask(kind(lambda: Presented(GOOD.identity, expires_at=ENDS)))
    assert isinstance(ends, Presented)
    assert ends.expires_at is not None
    assert ends.expires_at.isoformat() == "2026-01-02T02:00:00+00:00"
    long = Presented(Identity(IdentityType.JWT, b"x" * 70_000))
    assert ask(kind(lambda: long)) == long  # the handshake says that it does not fit
    assert "secret" not in caplog.text + repr(GOOD)


def test_an_answer_that_is_late_is_none() -> None:
    class Slow:
        async def present(self, admission: Admission) -> Presented:
            await asyncio.sleep(30)
            return GOOD

    for slow in (Slow(), Sync(lambda: time.sleep(1))):
        assert ask(slow, 0.05) == Unavailable("no answer within 0.05 s")


def test_what_has_no_present_is_a_plugin_error() -> None:
    with pytest.raises(PluginError, match="object has no method present"):
        ask(object())
