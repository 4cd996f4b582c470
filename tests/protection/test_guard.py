"""A chain with its guard: who is verified, how often, and what it costs to come again."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from dicomgate import Accept, Attempt, Decision, Once, Pass, Reject, Unavailable
from dicomgate.auth.chain import Chain, Verdict
from dicomgate.auth.link import Link
from dicomgate.kit.patience import waited
from dicomgate.protection.guard import Guard
from dicomgate.protection.recent_credentials import Outcome, RecentCredentials
from dicomgate.protection.throttle import Throttle, ThrottleSettings
from dicomgate.state.protocol import Backoff, Grant, SharedState, StateUnavailable
from dicomgate.state.sqlite import SqliteState
from dicomgate.testing import attempt, jwt, passcode, username

RIGHT = "correct horse"
SETTINGS = ThrottleSettings(free=3, most=6, source_free=8)
pytestmark = pytest.mark.anyio
LATER = datetime.now(UTC) + timedelta(hours=1)


AGAIN = Reject("the same credential was refused a moment ago")


class Directory:
    """Knows one passcode for everybody, and counts who asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.passcode = RIGHT.encode()
        self.down = False
        self.slow = asyncio.Event()
        self.slow.set()
        self.once: Once | None = None

    async def authenticate(self, attempt: Attempt) -> Decision:
        self.asked += 1
        await self.slow.wait()
        if self.down:
            return Unavailable("the directory is down")
        identity = attempt.identity
        assert identity is not None
        if (identity.secondary or identity.primary) != self.passcode:
            return Reject("wrong passcode")
        return Accept("alice", once=self.once)


class Desk:
    """A guard, and what it stands before."""

    def __init__(self, state: SharedState, *, repeat: float = 0.0, fallback: SharedState | None = None) -> None:
        self.directory = Directory()
        self.state = state
        self.chain = Chain([Link("staff", self.directory)])
        self.guard = Guard(state, Throttle(SETTINGS, state, fallback), RecentCredentials(repeat))

    async def log_in(self, secret: str = RIGHT, *, name: str = "alice", address: str = "192.0.2.1") -> Verdict:
        return await self.ask(attempt(passcode(name, secret), address=address))

    async def ask(self, about: Attempt) -> Verdict:
        reached: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.guard.begin(self.chain, about, reached.set_result)
        return await asyncio.wait_for(reached, 10)


@pytest.fixture
async def desk(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Desk]:
    """A desk that remembers a refused credential for so many seconds as the parameter says, 0 without one."""
    state = SqliteState()
    desk = Desk(state, repeat=getattr(request, "param", 0.0))
    yield desk
    await desk.guard.flush()
    await state.close()


REMEMBERING = pytest.mark.parametrize("desk", [60.0], indirect=True, ids=["remembering"])


def never(verdict: Verdict) -> None:
    pytest.fail(f"a verdict after all: {verdict}")


def accepted(verdicts: list[Verdict]) -> int:
    return sum(isinstance(verdict.decision, Accept) for verdict in verdicts)


# decision: D31
async def test_a_burst_of_guesses_has_a_few_verified_and_the_others_the_same_refusal(desk: Desk) -> None:
    verdicts = await asyncio.gather(*(desk.log_in(f"guess {number}") for number in range(100)))
    assert desk.directory.asked == 3
    assert {type(verdict.decision) for verdict in verdicts} == {Reject}
    reasons = [verdict.decision.reason for verdict in verdicts if isinstance(verdict.decision, Reject)]
    assert sum(reason.startswith("throttled: ") for reason in reasons) == 97
    assert accepted([await desk.log_in()]) == 0, "the right one has to wait as well, from there"


@REMEMBERING
async def test_a_client_that_comes_many_times_at_once_has_guessed_once(desk: Desk) -> None:
    assert accepted(list(await asyncio.gather(*(desk.log_in() for _ in range(50))))) == 50
    desk.directory.asked = 0
    verdicts = await asyncio.gather(*(desk.log_in("wrong") for _ in range(50)))
    assert accepted(list(verdicts)) == 0
    assert desk.directory.asked == 1
    assert [count.n for count in await desk.state.counters()] == [1], "at the familiar address"


@REMEMBERING
async def test_who_is_unknown_is_refused_again_like_who_is_known(desk: Desk) -> None:
    class File(Directory):
        async def authenticate(self, attempt: Attempt) -> Decision:
            decision = await super().authenticate(attempt)
            assert attempt.identity is not None
            return Pass("unknown user") if attempt.identity.username == "nobody" else decision

    desk.chain = Chain([Link("file", file := File())])
    for name in "alice", "nobody":
        file.asked = 0
        again = [await desk.log_in("wrong", name=name) for _ in range(5)][-1]
        assert again.decision == AGAIN, "and at once"
        assert file.asked == 2, "the first repeat is verified: nobody knows what has changed"
    assert accepted([await desk.log_in()]) == 1


@REMEMBERING
@pytest.mark.parametrize("kind", [Reject, Pass])
async def test_a_refusal_counts_as_long_as_what_it_rests_on(kind: type[Reject | Pass], desk: Desk) -> None:
    class File(Directory):
        version = 1

        async def authenticate(self, attempt: Attempt) -> Decision:
            decision, version = await super().authenticate(attempt), self.version
            if isinstance(decision, Accept):
                return decision
            return kind("unknown user", stands=lambda: version == self.version)

    desk.chain = Chain([Link("file", file := File())])
    file.passcode = b"not yet"
    for _ in range(50):
        assert accepted([await desk.log_in()]) == 0
    assert file.asked == 1
    assert [count.n for count in await desk.state.counters()] == [1, 1], "of the account and of the source"
    file.passcode = RIGHT.encode()
    assert accepted([await desk.log_in()]) == 0, "a control: it is not asked again before it says so"
    file.version = 2
    assert accepted([await desk.log_in()]) == 1
    file.slow.clear()  # and what has changed while somebody else was being refused
    file.passcode = b"not yet"
    desk.guard.forget()
    first = asyncio.ensure_future(desk.log_in("soon right"))
    await asyncio.sleep(0.02)
    second = asyncio.ensure_future(desk.log_in("soon right"))
    await asyncio.sleep(0.02)
    file.slow.set()
    file.asked = 0
    first_verdict = await first
    assert accepted([first_verdict, await second]) == 0
    assert file.asked == 0, "it has waited, and nothing has changed"


@REMEMBERING
async def test_who_cannot_say_whether_it_stands_is_asked_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> bool:
        raise KeyError(RIGHT)

    class Broken(Directory):
        async def authenticate(self, attempt: Attempt) -> Decision:
            decision = await super().authenticate(attempt)
            return Reject("wrong passcode", stands=broken) if isinstance(decision, Reject) else decision

    desk.chain = Chain([Link("broken", directory := Broken())])
    for _ in range(3):
        await desk.log_in("wrong")
    assert directory.asked == 3
    assert "KeyError in test_guard.py" in caplog.text
    assert RIGHT not in caplog.text


@REMEMBERING
async def test_another_spelling_of_the_name_is_another_credential(desk: Desk) -> None:
    class Exact(Directory):
        async def authenticate(self, attempt: Attempt) -> Decision:
            decision = await super().authenticate(attempt)
            assert attempt.identity is not None
            same = attempt.identity.username == "alice"
            return decision if same else Reject("unknown user", stands=lambda: True)

    desk.chain = Chain([Link("file", Exact())])
    for name, right in ("Alice", 0), ("alice", 1), ("ALICE", 0), ("alice", 1):
        assert accepted([await desk.log_in(name=name)]) == right


async def test_the_credential_of_a_login_costs_no_look_at_the_state(desk: Desk) -> None:
    assert accepted([await desk.log_in()]) == 1
    await desk.guard.flush()
    desk.guard._throttle = Throttle(SETTINGS, Unreachable())
    assert accepted([await desk.log_in() for _ in range(20)]) == 20
    assert isinstance((await desk.log_in("another")).decision, Unavailable), "a control: it would be seen"


async def test_a_passcode_that_was_changed_is_a_guess_from_then_on(desk: Desk) -> None:
    await desk.log_in()
    desk.directory.passcode = b"battery staple"
    desk.directory.asked = 0
    assert accepted([await desk.log_in()]) == 0
    await desk.guard.flush()
    assert [(count.key, count.n) for count in await desk.state.counters()] == [("known:alice", 1)], "this refusal too"
    for _ in range(20):
        assert accepted([await desk.log_in()]) == 0
    assert desk.directory.asked == 3, "it is verified again as long as the counter allows it"


async def test_an_outage_counts_for_nothing_where_the_account_is_known_and_elsewhere_it_does(desk: Desk) -> None:
    assert accepted([await desk.log_in()]) == 1
    desk.directory.down = True
    for number in range(20):
        assert isinstance((await desk.log_in(f"guess {number}")).decision, Unavailable)
    desk.directory.down = False
    assert accepted([await desk.log_in()]) == 1
    # An authenticator that accepts at once, and rejects only when its time is over, must not be an oracle.
    desk.directory.down, desk.directory.asked = True, 0
    for number in range(20):
        await desk.log_in(f"guess {number}", address="192.0.2.66")
    assert desk.directory.asked == 3


async def test_who_is_rejected_behind_one_that_is_down_has_guessed(desk: Desk) -> None:
    assert accepted([await desk.log_in()]) == 1
    down, file = Directory(), Directory()
    down.down = True
    desk.chain = Chain([Link("directory", down, next_on_error=True), Link("file", file)])
    for number in range(20):
        assert isinstance((await desk.log_in(f"guess {number}")).decision, Unavailable | Reject)
    assert file.asked == 3


async def test_who_gets_in_without_a_secret_has_not_shown_who_it_is(desk: Desk) -> None:
    class Trusting:
        async def authenticate(self, attempt: Attempt) -> Decision:
            identity = attempt.identity
            assert identity is not None
            return Reject("wrong passcode") if identity.secondary else Accept("alice")

    desk.chain = Chain([Link("trusting", Trusting())])
    reasons = []
    for number in range(10):
        assert accepted([await desk.ask(attempt(username("alice")))]) == (number < 3)
        verdict = await desk.log_in(f"guess {number}")
        assert isinstance(verdict.decision, Reject)
        reasons.append(verdict.decision.reason)
    assert reasons.count("wrong passcode") == 3


async def test_many_who_share_an_account_may_come_at_once_from_many_places(desk: Desk) -> None:
    for _ in range(2):  # when nobody knows them, and when all do
        verdicts = await asyncio.gather(*(desk.log_in(address=f"192.0.2.{number}") for number in range(48)))
        assert accepted(list(verdicts)) == 48
        desk.guard.forget()
    assert not desk.guard._under_way


async def test_many_users_of_one_address_may_come_at_once(desk: Desk) -> None:
    """More than the address has free: behind one router, or a proxy. Guesses from there gain nothing by it."""
    names = [f"user{number}" for number in range(40)]
    verdicts = await asyncio.gather(*(desk.log_in(name=name) for name in names))
    assert accepted(list(verdicts)) == 40
    assert not desk.guard._under_way
    desk.directory.asked = 0
    verdicts = await asyncio.gather(*(desk.log_in("guess", name=f"other{name}") for name in names))
    assert desk.directory.asked == SETTINGS.source_free
    assert accepted(list(verdicts)) == 0


async def test_who_waits_for_others_has_the_patience_of_one(desk: Desk) -> None:
    desk.chain.patience = 0.05
    desk.directory.slow.clear()
    logins = [asyncio.ensure_future(desk.log_in(name=f"user{number}")) for number in range(SETTINGS.source_free + 1)]
    assert isinstance((await logins.pop()).decision, Unavailable), "it comes again later"
    desk.directory.slow.set()
    assert accepted(await asyncio.gather(*logins)) == SETTINGS.source_free
    assert accepted([await desk.log_in(name="last")]) == 1


async def test_what_follows_the_verdict_has_its_own_patience(desk: Desk) -> None:
    """A credential for the upstream is asked for in the context of the verdict."""
    desk.directory.slow.clear()
    spent: list[float] = []
    for _ in range(SETTINGS.free + 1):  # the last one waits for the others
        desk.guard.begin(desk.chain, attempt(passcode("alice", RIGHT)), lambda _: spent.append(waited.get()))
    await asyncio.sleep(0.05)
    desk.directory.slow.set()
    async with asyncio.timeout(10):
        while len(spent) <= SETTINGS.free:
            await asyncio.sleep(0.01)
    assert spent == [0.0] * (SETTINGS.free + 1)


async def test_a_guess_that_was_compared_counts_although_nobody_could_decide(desk: Desk) -> None:
    class Remembering(Directory):
        looked = True

        async def authenticate(self, attempt: Attempt) -> Decision:
            decision = await super().authenticate(attempt)
            return Unavailable("down", looked=self.looked) if isinstance(decision, Unavailable) else decision

    desk.chain = Chain([Link("remembering", directory := Remembering())])
    assert accepted([await desk.log_in()]) == 1
    directory.down, directory.asked = True, 0
    for number in range(20):
        await desk.log_in(f"guess {number}")
    assert directory.asked == 3
    await desk.state.clear(None)
    directory.down = False
    assert accepted([await desk.log_in()]) == 1
    directory.down, directory.looked, directory.asked = True, False, 0
    for number in range(20):
        await desk.log_in(f"guess {number}")
    assert directory.asked == 20, "a control: nobody has looked"


@REMEMBERING
async def test_what_was_refused_here_may_be_right_there(desk: Desk) -> None:
    here = attempt(passcode("alice", RIGHT), listener="other")
    other = Chain([Link("other", Directory())])
    other.links[0]._plugin.passcode = b"another"  # type: ignore[attr-defined]
    mine, desk.chain = desk.chain, other
    assert accepted([await desk.ask(here)]) == 0
    desk.chain = mine
    assert accepted([await desk.log_in()]) == 1


async def test_an_answer_that_crosses_a_cancellation_is_dropped(desk: Desk) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about["message"]))

    class Plain:
        def authenticate(self, attempt: Attempt) -> Decision:
            return Reject("wrong passcode")

    awaited, plain = desk.chain.links[0], Link("plain", Plain())
    before = asyncio.all_tasks()
    for number in range(300):
        pending = desk.guard.begin(desk.chain, attempt(passcode("bob", f"{number}")), lambda _: None)
        for _ in range(number % 12):
            await asyncio.sleep(0)
        pending.cancel()
        asked = [asyncio.ensure_future(link.ask(attempt(passcode("bob", "x")))) for link in (awaited, plain)]
        for _ in range(number % 7):
            await asyncio.sleep(0)
        for one in asked:
            one.cancel()
    await asyncio.sleep(0.05)
    assert not plain._line._waiting
    assert asyncio.all_tasks() == before
    assert complaints == []


class Turns:
    """A state whose every answer takes two turns of the event loop; the call number `broken` is not answered."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.calls = 0
        self.broken, self.error = 0, Exception

    async def _turn(self) -> None:
        self.calls += 1
        broken = self.calls == self.broken
        await asyncio.sleep(0)
        if broken:
            raise self.error("out of reach")

    async def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        await self._turn()
        held = next((backoff.key for backoff in unknown if self.counts[backoff.key] >= backoff.free), "")
        self.counts.update([] if held else [backoff.key for backoff in unknown])
        await asyncio.sleep(0)
        return Grant(False, held, 30.0)

    async def ended(self, _: Sequence[str]) -> None:
        await self._turn()

    async def succeeded(self, _subject: str, forget: Sequence[str], _refund: object, _ended: object) -> None:
        await self._turn()
        for key in forget:
            self.counts.pop(key, None)


async def test_whatever_breaks_off_at_whatever_step_the_others_are_answered_and_nothing_is_left() -> None:
    before = asyncio.all_tasks()
    secrets = ["a", "a", RIGHT, "b", RIGHT, "c", "d", "d", RIGHT]

    async def crowd(state: Turns, leaver: int = -1, turn: int = 0) -> None:
        desk = Desk(cast(SharedState, state), repeat=60.0)
        verdicts: list[list[Verdict]] = [[] for _ in secrets]
        pending = [
            desk.guard.begin(desk.chain, attempt(passcode("alice", secret)), told.append)
            for secret, told in zip(secrets, verdicts, strict=True)
        ]
        for now in range(60):
            if now == turn and leaver >= 0:
                had = list(verdicts[leaver])
                pending[leaver].cancel()
            await asyncio.sleep(0)
        for number, told in enumerate(verdicts):
            assert told == had if number == leaver else len(told) == 1
            assert secrets[number] == RIGHT or not accepted(told)
        await desk.guard.flush()
        assert not desk.guard._under_way
        assert Outcome.UNDER_WAY not in [recent.outcome for recent in desk.guard._recent._last.values()]
        assert asyncio.all_tasks() == before

    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about["message"]))
    await crowd(undisturbed := Turns())
    for leaver in range(len(secrets)):
        for turn in range(50):
            await crowd(Turns(), leaver, turn)
    for call in range(1, undisturbed.calls + 1):
        for error in (StateUnavailable, KeyError):
            state = Turns()
            state.broken, state.error = call, error
            await crowd(state)
    assert not complaints


async def test_who_leaves_before_the_answer_was_counted_all_the_same(desk: Desk) -> None:
    desk.directory.slow.clear()
    for number in range(20):
        pending = desk.guard.begin(desk.chain, attempt(passcode("alice", f"guess {number}")), never)
        await asyncio.sleep(0.02)
        pending.cancel()
    desk.directory.slow.set()
    assert desk.directory.asked == 3
    await asyncio.sleep(0.05)
    assert isinstance((await desk.log_in()).decision, Reject)


async def test_who_waits_for_one_that_leaves_is_verified_by_himself(desk: Desk) -> None:
    desk.directory.slow.clear()
    first = desk.guard.begin(desk.chain, attempt(passcode("alice", RIGHT)), never)
    await asyncio.sleep(0.02)
    second = asyncio.ensure_future(desk.log_in())
    await asyncio.sleep(0.02)
    first.cancel()
    desk.directory.slow.set()
    assert accepted([await second]) == 1


class Unreachable:
    def __getattr__(self, name: str) -> Any:
        async def method(*_: Any) -> Any:
            raise StateUnavailable("redis: no answer within 1 s")

        return method


# decision: D32
async def test_where_nobody_can_count_nobody_is_verified_and_nothing_is_used_up() -> None:
    desk = Desk(Unreachable())
    verdict = await desk.log_in()
    assert verdict.decision == Unavailable("attempts cannot be counted: redis: no answer within 1 s")
    assert desk.directory.asked == 0
    fallback = SqliteState()
    desk = Desk(Unreachable(), fallback=fallback)
    assert accepted([await desk.log_in()]) == 1
    desk.directory.once = Once("jti-1", LATER)
    verdict = await desk.log_in()
    why = "the credential may be used once, and the replay cache cannot be asked: redis: no answer within 1 s"
    assert verdict.decision == Unavailable(why)
    await fallback.close()


async def test_without_a_throttle_nothing_is_counted(desk: Desk) -> None:
    desk.guard = Guard(desk.state, None, RecentCredentials(60))
    for number in range(20):
        assert accepted([await desk.log_in(f"guess {number}")]) == 0
    assert desk.directory.asked == 20
    assert accepted([await desk.log_in()]) == 1
    assert await desk.state.counters() == []


# decision: D6
@pytest.mark.parametrize("throttled", [True, False])
async def test_what_may_be_used_once_lets_one_in(throttled: bool, desk: Desk) -> None:
    if not throttled:
        desk.guard = Guard(desk.state, None, RecentCredentials(60))
    desk.directory.once, desk.directory.passcode = Once("jti-1", LATER), b"token"
    verdicts = await asyncio.gather(*(desk.ask(attempt(jwt("token"))) for _ in range(20)))
    verdicts += [await desk.ask(attempt(jwt("token"), address="192.0.2.9"))]
    assert accepted(verdicts) == 1
    assert {v.decision for v in verdicts if isinstance(v.decision, Reject)} <= {
        Reject("the credential may be used once, and was used before"),
        AGAIN,
    }
    desk.directory.once, desk.directory.passcode = Once("jti-2", LATER), b"another"
    verdict = await desk.ask(attempt(jwt("another")))
    assert isinstance(verdict.decision, Accept)
    assert verdict.decision.once is None, "it is used up: nobody has to see to it any more"


async def test_a_defect_of_the_guard_admits_nobody_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        async def take(self, *_: Any) -> None:
            raise KeyError("n")

    desk = Desk(cast(SharedState, Broken()))
    with caplog.at_level(logging.ERROR):
        assert (await desk.log_in()).decision == Unavailable("a defect of the gateway")
    assert desk.directory.asked == 0
    assert "a defect of the gateway" in caplog.text


async def test_guesses_are_not_held_against_what_is_remembered(desk: Desk) -> None:
    guesses = [f"guess {number}" for number in range(40)]
    for address in ("192.0.2.1", "192.0.2.66"):  # from where the owner is, and from elsewhere
        assert accepted([await desk.log_in()]) == 1
        for secret in [*guesses, RIGHT]:
            verdict = await desk.log_in(secret, address=address)
        assert isinstance(verdict.decision, Reject), "the right one, among many, was one too many"
        assert verdict.decision.reason.startswith("throttled: ")
        await desk.state.clear(None)


# decision: D31
@pytest.mark.parametrize("sources", [1, 100])
async def test_guesses_that_arrive_in_one_turn_are_counted_before_they_are_compared(sources: int, desk: Desk) -> None:
    assert accepted([await desk.log_in()]) == 1
    await desk.guard.flush()
    desk.directory.asked = 0
    verdicts: list[Verdict] = []
    guesses = [f"guess {number}" for number in range(1000)]
    for number, secret in enumerate([*guesses, RIGHT, *guesses]):  # no other turn of the loop in between
        about = attempt(passcode("alice", secret), address=f"192.0.2.{1 + number % sources}")
        desk.guard.begin(desk.chain, about, verdicts.append)
    while len(verdicts) < 2001:
        await asyncio.sleep(0.01)
    assert accepted(verdicts) == 0, "the right one, among a thousand, was one too many"
    assert desk.directory.asked <= (3 if sources == 1 else 6), "the free ones, at the familiar address and elsewhere"


async def test_a_credential_that_was_right_and_comes_many_times_at_once_is_counted_once(desk: Desk) -> None:
    assert accepted([await desk.log_in()]) == 1
    desk.directory.passcode = b"another"
    verdicts = await asyncio.gather(*(desk.log_in() for _ in range(20)))
    await desk.guard.flush()
    assert accepted(list(verdicts)) == 0
    assert [(count.key, count.n) for count in await desk.state.counters()] == [("known:alice", 1)]


async def test_who_is_cancelled_before_it_began_leaves_nobody_waiting(desk: Desk) -> None:
    desk.guard.begin(desk.chain, attempt(passcode("alice", RIGHT)), never).cancel()
    assert accepted([await desk.log_in()]) == 1


async def test_a_guess_while_the_owner_is_verified_gains_nothing(desk: Desk) -> None:
    for number in range(20):  # the counters let no more through
        await desk.log_in(f"guess {number}", address="192.0.2.66")
    desk.directory.slow.clear()
    owner = asyncio.ensure_future(desk.log_in())
    await asyncio.sleep(0.02)
    guess = asyncio.ensure_future(desk.log_in(address="192.0.2.66"))
    await asyncio.sleep(0.02)
    desk.directory.slow.set()
    await owner
    assert accepted([await guess]) == 0


async def test_who_guesses_elsewhere_does_not_see_that_the_owner_logs_in(desk: Desk) -> None:
    assert accepted([await desk.log_in()]) == 1
    for number in range(4):
        await desk.log_in(f"guess {number}", address="192.0.2.66")
    desk.guard.forget()
    desk.directory.slow.clear()
    owner = asyncio.ensure_future(desk.log_in())
    neighbours = [asyncio.ensure_future(desk.log_in(f"guess {number}")) for number in range(3)]
    await asyncio.sleep(0.05)
    assert [one.done() for one in neighbours].count(False) == 3, "a control: at home they wait for the owner"
    refused = await asyncio.wait_for(desk.log_in("guess", address="192.0.2.66"), 5)
    assert not owner.done()
    assert isinstance(refused.decision, Reject)
    assert refused.decision.reason.startswith("throttled: ")
    desk.directory.slow.set()
    assert accepted([await owner]) == 1
    await asyncio.gather(*neighbours)
