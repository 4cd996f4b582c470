"""Who is asked about, when, and whose associations end: with authenticators and sessions of the test's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dicomgate import Accept, Attempt, ConfigError, Decision, Pass, Reject, Unavailable
from dicomgate.auth.link import Link
from dicomgate.events.events import Cause, Facts
from dicomgate.sessions.register import Register, Traffic
from dicomgate.sessions.revalidation import Revalidation
from dicomgate.testing import attempt

pytestmark = pytest.mark.anyio
INTERVAL = 0.2
GONE = (Cause.DISABLED, "staff: unknown user")


class One:
    """An association that tells how it was ended, and leaves the register then."""

    traffic: Traffic | None = Traffic(0, 0, 0, 0, 0.0)
    over = False

    def __init__(
        self, register: Register, name: str, user: str | None, by: str = "staff", handle: object = None
    ) -> None:
        self.id = name
        self.facts = Facts(name, "clinical", "192.0.2.1", 1, user=user, authenticator=by)
        self.groups: tuple[str, ...] = ()
        self.since = datetime.now(UTC)
        self.ends: datetime | None = None
        self.handle = handle
        self.ended: list[tuple[Cause, str]] = []
        self._register = register
        register.enter(self)

    def end(self, cause: Cause, detail: str) -> None:
        self.ended.append((cause, detail))
        self._register.leave(self)


class Staff:
    """Answers what the test says, and remembers when it was asked about whom."""

    def __init__(self, answer: Callable[[str], object] = Accept) -> None:
        self.answer = answer
        self.asked: list[tuple[str, object]] = []
        self.times: list[float] = []
        self.given_up = False

    def authenticate(self, attempt: Attempt) -> Decision:
        return Pass()

    async def still_valid(self, user: str, handle: object) -> Any:
        self.asked.append((user, handle))
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answer(user)
        if isinstance(answer, asyncio.Event):
            try:
                await answer.wait()
            except asyncio.CancelledError:
                self.given_up = True
                raise
            answer = Reject("unknown user")
        return answer


class Plain(Staff):
    """The same in a thread."""

    def still_valid(self, user: str, handle: object) -> Any:
        self.asked.append((user, handle))
        return self.answer(user)


def link(authenticator: object, name: str = "staff", interval: float = INTERVAL, **keys: Any) -> Link:
    return Link(name, authenticator, revalidate=timedelta(seconds=interval), **keys)  # type: ignore[arg-type]


@pytest.fixture
def register() -> Register:
    return Register()


@pytest.fixture
async def revalidation(register: Register, anyio_backend: str) -> Any:
    running = Revalidation(register)
    yield running
    running.close()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("kind", [Staff, Plain])
async def test_a_user_who_is_gone_is_asked_about_once_and_all_of_his_are_ended(
    kind: type[Staff], register: Register, revalidation: Revalidation
) -> None:
    staff = kind(lambda user: Reject("unknown user") if user == "bob" else Accept(user))
    his = [One(register, str(number), "bob") for number in range(3)]
    others = [One(register, "a", "alice"), One(register, "b", "bob", "directory"), One(register, "c", None)]
    revalidation.adopt([link(staff), Link("directory", Staff(lambda _: Reject("")))])
    await until(lambda: his[0].ended)
    assert [one.ended for one in his] == [[GONE]] * 3
    assert [one.ended for one in others] == [[]] * 3
    await until(lambda: len(staff.asked) == 3)
    assert [user for user, _ in staff.asked] == ["bob", "alice", "alice"]


async def test_questions_are_spread_and_few_at_a_time(register: Register, revalidation: Revalidation) -> None:
    tokens = [f"token-{number}" for number in range(8)]
    _ = [One(register, f"{token}-{twice}", "alice", handle=token) for token in tokens for twice in range(2)]
    staff = Staff()
    revalidation.adopt([link(staff)])
    await until(lambda: len(staff.asked) == 8)
    assert [handle for _, handle in staff.asked] == tokens
    assert staff.times[-1] - staff.times[0] > INTERVAL * 0.5
    revalidation.close()
    hanging = Staff(lambda _: asyncio.Event())
    revalidation.adopt([link(hanging)])
    await until(lambda: len(hanging.asked) == 4)
    await asyncio.sleep(INTERVAL)
    assert len(hanging.asked) == 4


async def test_who_came_after_the_question_began_is_not_ended(register: Register, revalidation: Revalidation) -> None:
    disabled = asyncio.Event()
    staff = Staff(lambda _: disabled)
    before = One(register, "before", "bob")
    revalidation.adopt([link(staff)])
    await until(lambda: staff.asked)
    after = One(register, "after", "bob")  # he is there again, and was let in
    staff.answer = Accept
    disabled.set()
    await until(lambda: before.ended)
    await until(lambda: len(staff.asked) == 2)
    assert (before.ended, after.ended) == ([GONE], [])


def raising(_: str) -> object:
    raise ValueError("canary-7f3a91")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _: Unavailable("the directory is down"), "the directory is down"),
        (raising, "defect: ValueError in test_revalidation.py"),
        (lambda _: None, "defect: it answered with NoneType"),
        (lambda _: Pass(), "defect: it passed on a user"),
        (lambda _: Accept("alice"), "defect: it was asked about one user, and accepted another"),
    ],
)
async def test_without_an_answer_users_stay_and_it_is_told_once(
    answer: Callable[[str], object],
    reason: str,
    register: Register,
    revalidation: Revalidation,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "dicomgate.auth")
    staff = Staff(answer)
    bob, eve = One(register, "1", "bob"), One(register, "2", "eve")
    revalidation.adopt([link(staff, interval=0.05)])
    await until(lambda: len(staff.asked) >= 5)
    staff.answer = Accept
    await until(lambda: "again whether" in caplog.text)
    told = [line for line in caplog.messages if "may still log in" in line]
    assert bob.ended == eve.ended == []
    assert "cannot say whether its users may still log in; they stay connected" in told[0]
    assert reason in told[0]
    assert told[1:] == ["authenticator staff says again whether its users may still log in"]
    assert "canary" not in caplog.text


async def test_a_round_that_takes_too_long_is_told(
    register: Register, revalidation: Revalidation, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = asyncio.Event()
    One(register, "1", "bob")
    revalidation.adopt([link(Staff(lambda _: hanging), interval=0.02)])
    await asyncio.sleep(0.05)
    hanging.set()
    await until(lambda: caplog.messages)
    assert "authenticator staff: to ask about 1 users took " in caplog.text


async def test_a_strict_operator_ends_whom_nobody_can_answer_for(
    register: Register, revalidation: Revalidation
) -> None:
    bob, waiting = One(register, "1", "bob"), One(register, "2", "bob")
    waiting.traffic = None  # its login was a moment ago
    staff = Staff(lambda _: Unavailable("down"))
    revalidation.adopt([link(staff, interval=0.05, end_if_unavailable=True)])
    await until(lambda: bob.ended)
    assert len(staff.asked) == 2, "no answer once may be a restart"
    assert bob.ended == [(Cause.UNVERIFIABLE, "staff: down")]
    assert waiting.ended == []


async def test_after_a_reload_the_new_authenticator_of_that_name_is_asked(
    register: Register, revalidation: Revalidation
) -> None:
    """Also while the old one is being asked: that is given up, because it is about to be closed."""
    hanging = asyncio.Event()
    old, new = Staff(lambda _: hanging), Staff()
    bob = One(register, "1", "bob")
    revalidation.adopt([link(old)])
    await until(lambda: old.asked)
    revalidation.adopt([link(new)])
    await until(lambda: old.given_up)
    await until(lambda: new.asked)
    assert bob.ended == []
    often = Staff(lambda _: Reject("unknown user"))
    revalidation.adopt([link(often, interval=0.01)])  # another interval counts at once
    await until(lambda: bob.ended)
    revalidation.adopt([Link("staff", often)])
    asked = len(often.asked)
    One(register, "2", "bob")
    await asyncio.sleep(0.05)
    assert len(often.asked) == asked, "without revalidate nobody asks"


def test_an_authenticator_that_cannot_tell_is_refused_the_key() -> None:
    class Judge:
        def authenticate(self, attempt: Attempt) -> Decision:
            return Pass()

    with pytest.raises(ConfigError, match="revalidate: this authenticator cannot say whether a user may still log in"):
        link(Judge())
    assert Link("staff", Judge()).revalidate is None, "the control"


async def test_a_handle_is_kept_only_where_it_is_needed(anyio_backend: str) -> None:
    class Judge(Staff):
        def authenticate(self, attempt: Attempt) -> Decision:
            return Accept("alice", handle=attempt.calling_ae_title if attempt.calling_ae_title != "LIST" else [])

    asked = attempt(None, calling_ae_title="TOKEN")
    kept, dropped = await link(Judge()).ask(asked), await Link("staff", Judge()).ask(asked)
    assert isinstance(kept, Accept)
    assert isinstance(dropped, Accept)
    assert (kept.handle, dropped.handle) == ("TOKEN", None)
    assert "TOKEN" not in repr(kept)
    unhashable = await link(Judge()).ask(attempt(None, calling_ae_title="LIST"))
    assert unhashable == Unavailable("defect: its handle is not hashable")
