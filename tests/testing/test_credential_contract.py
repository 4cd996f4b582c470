"""The contract of credentials: a good one passes, and each law catches the one that breaks it."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest

from dicomgate import Admission, Identity, IdentityType, Presented, Unavailable
from dicomgate.testing import CredentialContract, admission, passcode, watching

SECRET = b"Xq9-the-gateway's"
CLIENT = passcode("alice", "Zr7-the-client's")


@dataclass(kw_only=True)
class Fixed:
    """The same username and passcode for everybody."""

    username: str = "gateway"
    passcode: bytes = field(default=SECRET, repr=False)

    def present(self, admission: Admission) -> Presented | Unavailable:
        """It needs nothing but its table."""
        return Presented(Identity(IdentityType.USERNAME_AND_PASSCODE, self.username.encode(), self.passcode))


class TestFixed(CredentialContract):
    wrong_tables = (({"username": 5}, "username: must be text"),)
    secrets = (SECRET.decode(),)

    @pytest.fixture
    def credential(self) -> Fixed:
        return Fixed()

    @pytest.fixture
    def good(self) -> Admission:
        return admission(identity=CLIENT)


class Down(Fixed):
    def present(self, admission: Admission) -> Presented | Unavailable:
        return Unavailable("down")


class Over(Fixed):
    def present(self, admission: Admission) -> Presented | Unavailable:
        return Presented(Identity(IdentityType.JWT, SECRET), expires_at=datetime.now(UTC) - timedelta(seconds=1))


class Long(Fixed):
    def present(self, admission: Admission) -> Presented | Unavailable:
        return Presented(Identity(IdentityType.JWT, b"x" * 65_001))


class Forwards(Fixed):
    def present(self, admission: Admission) -> Presented | Unavailable:
        assert admission.identity is not None
        return Presented(admission.identity)


class Credulous(Fixed):
    def present(self, admission: Admission) -> Presented | Unavailable:
        return Presented(Identity(IdentityType.KERBEROS, SECRET), lambda response: "" if response else "empty")


class Blocks(Fixed):
    async def present(self, admission: Admission) -> Presented | Unavailable:  # type: ignore[override]
        time.sleep(1.2)
        return super().present(admission)


class Talks(Fixed):
    def present(self, admission: Admission) -> Presented | Unavailable:
        logging.getLogger("talks").debug("presenting %s", self.passcode)
        return super().present(admission)


class Breaks(Fixed):
    """Once it was abandoned."""

    broken = False

    async def present(self, admission: Admission) -> Presented | Unavailable:  # type: ignore[override]
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.broken = True
            raise
        return Unavailable("broken") if self.broken else super().present(admission)


STOP = Event()


class Leaves(Fixed):
    def present(self, admission: Admission) -> Presented | Unavailable:
        Thread(target=STOP.wait, daemon=True).start()
        return super().present(admission)


C = CredentialContract


@pytest.mark.parametrize(
    ("law", "breaker"),
    [
        (C.test_it_presents_an_identity, Down),
        (C.test_it_presents_an_identity, Over),
        (C.test_it_presents_an_identity, Long),
        (C.test_the_clients_own_secret_does_not_travel, Forwards),
        (C.test_without_an_identity_it_does_not_break, Forwards),
        (C.test_a_response_that_is_nonsense_proves_nothing, Credulous),
        (C.test_many_at_once_do_not_disturb_each_other, Down),
        (C.test_an_abandoned_question_leaves_it_usable, Breaks),
        (C.test_a_missed_deadline_leaves_it_usable, Breaks),
        (C.test_an_event_loop_never_waits_for_it, Blocks),
        (C.test_it_leaves_nothing_behind, Leaves),
        (C.test_no_secret_is_told, Talks),
    ],
)
def test_each_law_catches_its_breaker(law: object, breaker: type[Fixed], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PATIENCE", 0.3)
    monkeypatch.setattr(watching, "_GRACE", 0.3)
    STOP.clear()
    try:
        with pytest.raises(AssertionError):
            law(CredentialContract(), breaker(), admission(identity=CLIENT))  # type: ignore[operator]
    finally:
        STOP.set()
