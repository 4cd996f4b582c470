"""Groups from another authenticator than the one that verified the user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from dicomgate import Accept, Attempt, ConfigError, Decision, Reject, Unavailable
from dicomgate.auth.chain import Chain, Verdict
from dicomgate.auth.groups import GroupSource
from dicomgate.auth.link import Link
from dicomgate.testing import attempt, kerberos

pytestmark = pytest.mark.anyio
TICKET = attempt(kerberos(b"ticket"))


class Tickets:
    """Verifies everybody: alice, in a group of its own."""

    decision: Decision = Accept("alice", frozenset({"own"}))

    async def authenticate(self, _: Attempt) -> Decision:
        return self.decision


class Directory:
    """Knows groups; `answer` is what becomes of a question."""

    def __init__(self, answer: Callable[[str], Any]) -> None:
        self._answer = answer
        self.asked: list[str] = []

    async def authenticate(self, _: Attempt) -> Decision:
        raise AssertionError

    async def groups_of(self, user: str) -> Collection[str]:
        self.asked.append(user)
        return await self._answer(user)  # type: ignore[no-any-return]


async def consulted(directory: Directory, first: Any = None, deadline: float = 5.0) -> Verdict:
    source = GroupSource("directory", directory, deadline)
    return await Chain([Link("tickets", first or Tickets(), groups_from=source)]).consult(TICKET)


async def test_groups_are_added() -> None:
    directory = Directory(answering(["radiology", "staff"]))
    verdict = await consulted(directory)
    assert verdict.decision == Accept("alice", frozenset({"own", "radiology", "staff"}))
    assert verdict.authenticator == "tickets"
    assert verdict.answers == (("tickets", verdict.decision),)
    assert directory.asked == ["alice"]


@pytest.mark.parametrize("decision", [Reject("no"), Unavailable("down")])
async def test_who_is_not_accepted_is_not_asked_for(decision: Decision) -> None:
    refusing, directory = Tickets(), Directory(answering(["radiology", "staff"]))
    refusing.decision = decision
    assert (await consulted(directory, refusing)).decision == decision
    assert directory.asked == []


Ask = Callable[[str], Coroutine[Any, Any, Any]]


def answering(answer: Any) -> Ask:
    """Return the answer, or raise it if it is an exception."""

    async def ask(_: str) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return ask


async def hanging(_: str) -> list[str]:
    await asyncio.sleep(60)
    raise AssertionError


async def stubborn(_: str) -> list[str]:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return ["late"]


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (answering(group for group in ["radiology"]), Unavailable, "not a collection of text"),
        (answering(None), Unavailable, "defect: TypeError"),
        (answering("radiology"), Unavailable, "not a collection of text"),
        (answering([1]), Unavailable, "not a collection of text"),
        (answering(LookupError("no entry of alice")), Reject, "groups from directory: no entry of alice"),
        (answering(ConnectionError("no directory can be asked")), Unavailable, "no directory can be asked"),
        (answering(RuntimeError("the canary's secret")), Unavailable, "defect: RuntimeError"),
        (answering(SystemExit()), Unavailable, "defect: SystemExit"),
        (answering(asyncio.CancelledError()), Unavailable, "defect: "),
        (answering(KeyError("a defect")), Unavailable, "defect: KeyError"),
        (hanging, Unavailable, "no answer within 0.1 s"),
        (stubborn, Unavailable, "no answer within 0.1 s"),
    ],
)
async def test_what_cannot_be_had_lets_nobody_in(answer: Any, kind: type[Reject | Unavailable], says: str) -> None:
    deadline = 0.1 if "no answer" in says else 20
    decision = (await consulted(Directory(answer), deadline=deadline)).decision
    assert isinstance(decision, kind)
    assert says in decision.reason
    assert "canary" not in decision.reason


@pytest.mark.parametrize("next_on_error", [False, True])
async def test_a_source_that_is_down_stops_the_chain_or_does_not(next_on_error: bool) -> None:
    source = GroupSource("directory", Directory(answering(ConnectionError("no directory can be asked"))), 5)
    first = Link("tickets", Tickets(), groups_from=source, next_on_error=next_on_error)
    decision = await Chain([first, Link("other", Tickets())]).authenticate(TICKET)
    assert decision == Tickets.decision if next_on_error else isinstance(decision, Unavailable)


async def test_who_leaves_meanwhile_leaves_nothing() -> None:
    before = asyncio.all_tasks()
    told: list[Verdict] = []
    source = GroupSource("directory", Directory(hanging), 60)
    pending = Chain([Link("tickets", Tickets(), groups_from=source)]).begin(TICKET, told.append)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() > before
    pending.cancel()
    await asyncio.sleep(0.05)
    assert told == []
    assert asyncio.all_tasks() == before


def test_one_that_has_no_groups_to_give() -> None:
    with pytest.raises(ConfigError, match="'tickets' cannot be asked for groups"):
        GroupSource("tickets", Tickets(), timedelta(seconds=1).total_seconds())
