"""The optional members of an authenticator, and what `probe` may do without holding up a check."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from dicomgate import Accept, Attempt, IdentityType, PluginError, Probed
from dicomgate.auth.members import probed, read_members


class Bare:
    def authenticate(self, attempt: Attempt) -> Accept:
        return Accept("alice")


def having(**members: Any) -> Any:
    return type("Judge", (Bare,), members)()


async def answers() -> Sequence[Probed]:
    return [Probed("directory", "", "fine")]


def test_an_authenticator_without_them_has_the_defaults() -> None:
    members = read_members("it", having())
    assert (members.handles, members.needs_client_certificate, members.answers_within, members.probe) == (
        None, False, None, None,
    )  # fmt: skip


def test_what_an_authenticator_says_is_read() -> None:
    made = having(handles={2, None}, needs_client_certificate=True, answers_within=timedelta(seconds=1))
    made.probe = answers
    members = read_members("it", made)
    assert set(members.handles or ()) == {IdentityType.USERNAME_AND_PASSCODE, None}
    assert (members.needs_client_certificate, members.answers_within) == (True, timedelta(seconds=1))
    assert members.probe is answers


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"handles": 5}, "it: handles must be a collection"),
        ({"answers_within": 2}, "it: answers_within must be a timedelta"),
        ({"locks_after": True}, "it: locks_after must be a number"),
        ({"probe": lambda self: []}, "it: probe must be an async def"),
    ],
)
def test_a_member_of_a_wrong_type_is_a_defect(members: dict[str, Any], said: str) -> None:
    with pytest.raises(PluginError, match=said):
        read_members("it", having(**members))


async def _hangs() -> Sequence[Probed]:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if _tries.pop():
                raise


async def _raises() -> Sequence[Probed]:
    raise SystemExit("canary-secret")


async def _returns_text() -> Any:
    return ["fine"]


_tries = [True, False]


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (answers, ""),
        (_hangs, "no answer within 0.1 s"),
        (_raises, "defect: SystemExit in test_members.py"),
        (_returns_text, "defect: probe must return Probed objects"),
    ],
)
def test_a_probe_ends_in_time_whatever_it_does(probe: Callable[[], Awaitable[Sequence[Probed]]], said: str) -> None:
    (found,) = asyncio.run(probed(probe, 0.1))
    assert found.problem.startswith(said)
    assert bool(found.problem) == bool(said)
    assert "canary-secret" not in str(found)
