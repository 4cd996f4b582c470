"""Whom an order ends, by when it was given and when they came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dicomgate.events.events import Cause, Facts
from dicomgate.sessions.kick import Kick, carry_out
from dicomgate.sessions.register import Register, Traffic
from dicomgate.sessions.shut_outs import ShutOuts


class One:
    """An association of alice."""

    groups: tuple[str, ...] = ()
    ends: datetime | None = None
    handle: object = None
    over = False
    traffic: Traffic | None = None

    def __init__(self, since: datetime) -> None:
        self.id = "3f2a9c01b7de"
        self.facts = Facts(self.id, "clinical", "192.0.2.1", 1, user="alice", authenticator="staff")
        self.since = since

    def end(self, cause: Cause, detail: str) -> None:
        self.over = True


@pytest.mark.parametrize(
    ("order", "age", "ends"),
    [
        ({"session_ids": ("3f2a9c01b7de",)}, 0.0, True),
        ({"user": "alice"}, 0.0, True),  # here and now, whatever somebody has set the clock to
        ({"user": "alice"}, 30.0, False),  # at another gateway, before alice came in here
        ({"user": "alice", "refused_for": 60.0}, 30.0, True),
    ],
)
def test_only_an_order_from_before_a_user_came_lets_him_stay(order: dict[str, object], age: float, ends: bool) -> None:
    register = Register()
    register.enter(one := One(datetime.now(UTC) + timedelta(hours=1)))
    carry_out(Kick(by="staff/carol", **order), register, ShutOuts(), age)  # type: ignore[arg-type]
    assert one.over is ends
