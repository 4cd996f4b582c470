"""Whatever an authenticator does, the outcome is a decision in time, and no secret is told."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest

from dicomgate import Accept, Attempt, Decision, IdentityType, Once, Pass, PluginError, Reject, StartError, Unavailable
from dicomgate.auth.link import Link
from dicomgate.testing import attempt, passcode

pytestmark = pytest.mark.anyio
CANARY = "canary-7f3a91"
ALICE = attempt(passcode("alice", CANARY), id="a-17")
SHORT, LONG = timedelta(milliseconds=50), timedelta(seconds=60)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Sync:
    """A plain authenticator that does what it is told."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def authenticate(self, attempt: Attempt) -> Any:
        return self.act()


class Async(Sync):
    """The same, awaited."""

    async def authenticate(self, attempt: Attempt) -> Any:
        return self.act()


BOTH = pytest.mark.parametrize("kind", [Sync, Async])


@pytest.fixture
async def nothing_forgotten(monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> AsyncIterator[None]:
    """Nothing is left that Python complains of: never retrieved, never awaited, ignored."""
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    monkeypatch.setattr(sys, "unraisablehook", lambda about: complaints.append(repr(about.exc_value)))
    monkeypatch.setattr(threading, "excepthook", lambda about: complaints.append(repr(about.exc_value)))
    yield
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


NOTHING_FORGOTTEN = pytest.mark.usefixtures("nothing_forgotten")


async def ask(authenticator: Any, *, deadline: timedelta = LONG) -> Decision:
    async with Link("staff", authenticator, deadline=deadline) as link:
        return await link.ask(ALICE)


@pytest.mark.parametrize("late", [False, True])
async def test_what_an_authenticator_begins_and_keeps_does_not_keep_the_passcode(late: bool) -> None:
    """A connection that one attempt opens serves others for hours, in the context of the first."""
    opened: list[asyncio.Task[bool]] = []

    class Pool:
        async def authenticate(self, attempt: Attempt) -> Decision:
            opened.append(asyncio.create_task(asyncio.Event().wait()))
            await asyncio.sleep(60 if late else 0)
            return Accept("alice")

    secret = bytes(bytearray(b"no other object"))
    link = Link("pool", Pool(), deadline=SHORT if late else LONG)
    before = sys.getrefcount(secret)
    assert isinstance(await link.ask(attempt(passcode("alice", secret))), Unavailable if late else Accept)
    await asyncio.sleep(0)
    assert not opened[0].done(), "a control: it lives"
    assert sys.getrefcount(secret) == before
    opened[0].cancel()


class SecretError(Exception):
    """It tells the passcode wherever an exception can tell anything."""

    def __init__(self) -> None:
        super().__init__(CANARY, f"ldap bind failed with {CANARY}")
        self.add_note(f"passcode was {CANARY}")

    def __repr__(self) -> str:
        return CANARY


def raising(error: Callable[[], BaseException]) -> Callable[[], object]:
    def act() -> object:
        passcode = CANARY  # noqa: F841 (in the frame, where a traceback with locals would find it)
        raise error()

    return act


def recursing() -> object:
    return recursing()


class Friend(Accept):
    """A subclass is no Accept: who knows what it overrides."""


def unfinished() -> Accept:
    return Accept.__new__(Accept)


async def coroutine() -> Accept:
    return Accept("alice")


async def generator() -> AsyncIterator[Accept]:
    yield Accept("alice")


RAISE = [
    SecretError, lambda: BaseException(CANARY), lambda: SystemExit(CANARY), lambda: KeyboardInterrupt(CANARY),
    lambda: asyncio.CancelledError(CANARY), lambda: MemoryError(CANARY), lambda: GeneratorExit(CANARY),
    lambda: StopIteration(CANARY), lambda: StopAsyncIteration(CANARY), lambda: TimeoutError(CANARY),
    lambda: ExceptionGroup(CANARY, [SecretError()]), lambda: NotImplementedError(CANARY),
    lambda: UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY),
]  # fmt: skip
ANSWER: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "True": lambda: True,
    "1": lambda: 1,
    "yes": lambda: "yes",
    "bytes": lambda: CANARY.encode(),
    "a coroutine": coroutine,
    "an async generator": generator,
    "a subclass": lambda: Friend("alice"),
    "the class itself": lambda: Accept,
    "a decision in a tuple": lambda: (Accept("alice"), b"pynetdicom"),
    "no user": lambda: Accept(""),
    "a user in bytes": lambda: Accept(b"alice"),  # type: ignore[arg-type]
    "user None": lambda: Accept(None),  # type: ignore[arg-type]
    "an Accept without fields": unfinished,
    "text as response": lambda: Accept("alice", server_response=CANARY),  # type: ignore[arg-type]
    "a list of groups": lambda: Accept("alice", groups=["a"]),  # type: ignore[arg-type]
    "groups in bytes": lambda: Accept("alice", groups=frozenset([b"a"])),  # type: ignore[list-item]
    "no time zone": lambda: Accept("alice", expires_at=datetime(2026, 1, 2)),  # noqa: DTZ001
    "a time, not a datetime": lambda: Accept("alice", expires_at=time(1, tzinfo=UTC)),  # type: ignore[arg-type]
    "seconds": lambda: Accept("alice", expires_at=1e9),  # type: ignore[arg-type]
    "once without time zone": lambda: Accept("alice", once=Once("k", datetime(2026, 1, 2))),  # noqa: DTZ001
    "once without until": lambda: Accept("alice", once=Once("k", None)),  # type: ignore[arg-type]
    "once in bytes": lambda: Accept("alice", once=Once(b"k", NOW)),  # type: ignore[arg-type]
    "once a text": lambda: Accept("alice", once="k"),  # type: ignore[arg-type]
    "attributes None": lambda: Accept("alice", attributes=None),  # type: ignore[arg-type]
    "attributes in bytes": lambda: Accept("alice", attributes={"dn": CANARY.encode()}),  # type: ignore[dict-item]
    "keys in bytes": lambda: Accept("alice", attributes={b"dn": "x"}),  # type: ignore[dict-item]
    "a reason in bytes": lambda: Reject(CANARY.encode()),  # type: ignore[arg-type]
    "no reason": lambda: Unavailable(None),  # type: ignore[arg-type]
}
FULL = Accept("alice", frozenset({"ct"}), b"ok", NOW, Once("k", NOW), {"dn": "cn=alice"})


@BOTH
@pytest.mark.parametrize("answer", [Accept("alice"), FULL, Reject("no"), Pass(), Pass("not mine"), Unavailable("down")])
async def test_a_decision_is_handed_on_as_it_is(
    kind: type[Sync], answer: Decision, caplog: pytest.LogCaptureFixture
) -> None:
    assert await ask(kind(lambda: answer)) is answer
    assert [record for record in caplog.records if record.name.startswith("dicomgate")] == []


def told(caplog: pytest.LogCaptureFixture) -> str:
    formatter = logging.Formatter()
    return "\n".join(formatter.format(record) for record in caplog.records)


@BOTH
@pytest.mark.parametrize("act", [*map(raising, RAISE), recursing])
@NOTHING_FORGOTTEN
async def test_an_exception_is_unavailable_and_tells_no_secret(
    kind: type[Sync], act: Callable[[], object], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    decision = await ask(kind(act))
    assert isinstance(decision, Unavailable)
    assert decision.reason.startswith("defect: ")
    # The place helps who repairs it. (A StopIteration leaves no coroutine: Python makes another exception of it.)
    assert f"in {'plugged.py' if 'RuntimeError' in decision.reason else 'test_link.py'}:" in decision.reason
    (record,) = [record for record in caplog.records if record.name == "dicomgate.auth"]
    assert record.levelno == logging.ERROR
    assert "a-17" in record.getMessage()
    assert "staff" in record.getMessage()
    assert CANARY not in told(caplog) + repr(decision) + "".join(capfd.readouterr())


@BOTH
@pytest.mark.parametrize("answer", ANSWER, ids=str)
@NOTHING_FORGOTTEN
async def test_what_is_no_decision_is_unavailable(
    kind: type[Sync], answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    decision = await ask(kind(ANSWER[answer]))
    assert isinstance(decision, Unavailable)
    assert decision.reason.startswith("defect: ")
    assert "staff" in told(caplog)
    assert CANARY not in told(caplog) + decision.reason


@NOTHING_FORGOTTEN
async def test_an_async_answer_of_a_sync_method_is_a_defect_that_says_why() -> None:
    decision = await ask(Sync(coroutine))
    assert isinstance(decision, Unavailable)
    assert "async def" in decision.reason


class Hanging:
    """Hangs in its thread until it is let go, and says when somebody is in it."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.inside = threading.Semaphore(0)
        self.asked = 0

    def authenticate(self, attempt: Attempt) -> Decision:
        self.asked += 1
        self.inside.release()
        assert self.go.wait(60)
        return Accept("late")


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.go.set()


class Stubborn:
    """Swallows its cancellation once, and accepts all the same."""

    def __init__(self) -> None:
        self.cancelled = False

    async def authenticate(self, attempt: Attempt) -> Decision:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
        return Accept("late")


class Patient:
    """Waits until it is cancelled."""

    async def authenticate(self, attempt: Attempt) -> Decision:
        await asyncio.Event().wait()
        return Accept("never")


@NOTHING_FORGOTTEN
async def test_who_misses_the_deadline_is_unavailable(hanging: Hanging, caplog: pytest.LogCaptureFixture) -> None:
    stubborn = Stubborn()
    for authenticator in (hanging, stubborn, Patient()):
        decision = await ask(authenticator, deadline=SHORT)
        hanging.go.set()
        assert decision == Unavailable("no answer within 0.05 s")
    assert stubborn.cancelled
    assert told(caplog).count("a-17: authenticator staff: no answer within 0.05 s") == 3


@NOTHING_FORGOTTEN
async def test_who_cancels_itself_does_not_cancel_the_asker() -> None:
    def cancel() -> Decision:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return FULL

    assert isinstance(await ask(Async(cancel)), Unavailable)


@NOTHING_FORGOTTEN
@pytest.mark.parametrize("authenticator", [Patient, Hanging])
async def test_cancelling_the_asker_cancels_the_call(authenticator: Callable[[], Any]) -> None:
    asked, before = authenticator(), asyncio.all_tasks()
    task = asyncio.ensure_future(Link("staff", asked, deadline=LONG).ask(ALICE))
    await asyncio.sleep(0.02)
    assert len(asyncio.all_tasks() - before) == 2, "a control: the asker and the call"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    if isinstance(asked, Hanging):
        asked.go.set()


async def test_a_hanging_authenticator_delays_no_other(hanging: Hanging) -> None:
    stuck, well = Link("directory", hanging, deadline=LONG, workers=1), Link("file", Sync(lambda: FULL), workers=1)
    questions = [asyncio.ensure_future(stuck.ask(ALICE)) for _ in range(3)]
    await asyncio.to_thread(hanging.inside.acquire)
    assert await asyncio.gather(*(well.ask(ALICE) for _ in range(20))) == [FULL] * 20
    assert not any(question.done() for question in questions)
    hanging.go.set()
    assert await asyncio.gather(*questions) == [Accept("late")] * 3


@NOTHING_FORGOTTEN
async def test_what_waits_is_bounded_and_what_gave_up_is_forgotten(hanging: Hanging) -> None:
    link = Link("directory", hanging, deadline=SHORT, patience=SHORT, workers=2)
    first = await asyncio.gather(*(link.ask(ALICE) for _ in range(70)))
    assert first.count(Unavailable("no answer within 0.05 s")) == 2
    assert sum("turn did not come" in decision.reason for decision in first if isinstance(decision, Unavailable)) == 68
    at_once = Unavailable("none of 2 logins under way has ended within 0.05 s")
    assert set(await asyncio.gather(*(link.ask(ALICE) for _ in range(64)))) == {at_once}
    for _ in range(2):
        await asyncio.to_thread(hanging.inside.acquire)
    assert hanging.asked == 2, "all workers hang: no other attempt is shown to it"
    link.deadline = LONG.total_seconds()
    hanging.go.set()
    while (decision := await link.ask(ALICE)) == at_once:
        await asyncio.sleep(0.01)
    assert decision == Accept("late"), "what hung came back, and so did its workers"
    assert hanging.asked == 3, "attempts that gave up while they waited were not shown to it after all"


async def test_at_most_so_many_workers_at_a_time() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def act() -> Decision:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.002)
        with lock:
            now -= 1
        return FULL

    link = Link("staff", Sync(act), workers=3)
    assert await asyncio.gather(*(link.ask(ALICE) for _ in range(60))) == [FULL] * 60
    assert most == 3


async def test_a_thread_that_cannot_be_started_costs_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link("staff", Sync(lambda: FULL), workers=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda _: raising(lambda: RuntimeError(CANARY))())
        assert isinstance(await link.ask(ALICE), Unavailable)
    assert await link.ask(ALICE) == FULL


def test_a_hanging_thread_does_not_keep_the_process() -> None:
    script = """
import asyncio, datetime, threading
from dicomgate.auth.link import Link
from dicomgate.testing import attempt
class Hanging:
    def authenticate(self, attempt):
        threading.Event().wait()
async def main():
    async with Link("x", Hanging(), deadline=datetime.timedelta(milliseconds=20)) as link:
        print((await link.ask(attempt())).reason)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, text=True, check=True)
    assert ended.stdout == "no answer within 0.02 s\n"


class Entered:
    """An async context manager that says what becomes of it, and fails where it is told to."""

    def __init__(self, entering: Exception | None = None, leaving: Exception | None = None) -> None:
        self.life: list[str] = []
        self.entering, self.leaving = entering, leaving

    async def __aenter__(self) -> None:
        self.life.append("enter")
        if self.entering is not None:
            raise self.entering

    async def __aexit__(self, *_: object) -> None:
        self.life.append("leave")
        if self.leaving is not None:
            raise self.leaving

    async def authenticate(self, attempt: Attempt) -> Decision:
        self.life.append("ask")
        return Accept("alice")


async def test_one_that_cannot_be_entered_is_named_without_its_secret() -> None:
    entered = Entered(SecretError())
    with pytest.raises(StartError, match=r"authenticator staff failed to start: SecretError in test_link") as it:
        await ask(entered)
    assert CANARY not in str(it.value)
    assert entered.life == ["enter"], "what was not entered is not left"
    with pytest.raises(StartError, match=r"^authenticator staff: the directory is out of reach$"):
        await ask(Entered(StartError("the directory is out of reach")))


async def test_half_a_context_manager_is_a_defect() -> None:
    class Half(Sync):
        async def __aenter__(self) -> Half:
            return self

    with pytest.raises(StartError, match="authenticator staff failed to start: TypeError"):
        await ask(Half(lambda: FULL))


async def test_one_that_cannot_be_left_is_logged_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    entered = Entered(leaving=SecretError())
    assert await ask(entered) == Accept("alice")
    assert entered.life == ["enter", "ask", "leave"]
    assert "authenticator staff has a defect: it failed to stop: SecretError" in told(caplog)
    assert CANARY not in told(caplog)


@pytest.mark.parametrize(
    ("handles", "shown"),
    [
        ({IdentityType.JWT}, {5}),
        ([1, 2], {1, 2}),
        ((None,), {None}),
        (frozenset({None, IdentityType.SAML}), {None, 4}),
        ((), set()),
        (None, {None, 1, 2, 3, 4, 5}),
    ],
)
def test_handles_says_what_is_shown(handles: Any, shown: set[int | None]) -> None:
    authenticator = Sync(lambda: FULL)
    authenticator.handles = handles  # type: ignore[attr-defined]
    link = Link("staff", authenticator)
    assert {kind for kind in (None, *IdentityType) if link.handles(kind)} == shown


def raising_handles(_: object) -> object:
    raise SecretError


@pytest.mark.parametrize("handles", [5, "JWT", {6}, {0}, ["jwt"], [[]], lambda kind: True, property(raising_handles)])
def test_handles_that_mean_nothing_or_raise_are_a_plugin_error(handles: Any) -> None:
    authenticator = type("T", (Sync,), {"handles": handles})(lambda: FULL)
    with pytest.raises(PluginError, match=r"^staff: handles must be a collection of IdentityType and None$"):
        Link("staff", authenticator)


@pytest.mark.parametrize("thing", [object(), None, 5, type("T", (), {"authenticate": True})()])
def test_what_has_no_authenticate_is_a_plugin_error(thing: Any) -> None:
    with pytest.raises(PluginError, match="has no method authenticate"):
        Link("staff", thing)


@pytest.mark.filterwarnings("ignore:functools.partial will be a method descriptor:FutureWarning")  # Python 3.13
async def test_sync_or_async_is_decided_by_the_method_not_the_answer() -> None:
    """A partial of an async def is one; so is a coroutine method that a subclass inherits."""
    loop_thread: list[bool] = []

    def note() -> Decision:
        loop_thread.append(threading.current_thread() is threading.main_thread())
        return FULL

    async def judge(self: object, attempt: Attempt) -> Decision:
        return note()

    whole = type("T", (), {"authenticate": partial(judge, None)})()
    inherited = type("U", (type("V", (), {"authenticate": judge}),), {})()
    assert await ask(whole) == await ask(inherited) == FULL
    assert await ask(Sync(note)) == FULL
    assert loop_thread == [True, True, False]
    assert not inspect.iscoroutinefunction(Sync.authenticate)


async def test_an_accept_of_odd_objects_is_handed_on_in_plain_ones() -> None:
    class Shifty(tzinfo):
        calls = 0

        def utcoffset(self, _: datetime | None) -> timedelta:
            Shifty.calls += 1
            if Shifty.calls > 3:
                raise RuntimeError("later")
            return timedelta(hours=1)

        def dst(self, _: datetime | None) -> timedelta:
            return timedelta()

        def tzname(self, _: datetime | None) -> str:
            return "odd"

    class Odd:
        async def authenticate(self, _: Attempt) -> Accept:
            moment = datetime(2030, 1, 1, 12, tzinfo=Shifty())
            return Accept("alice", expires_at=moment, attributes=MappingProxyType({"ward": "7"}))

    decision = await Link("odd", Odd()).ask(attempt())
    assert isinstance(decision, Accept)
    assert decision.attributes == {"ward": "7"}
    assert type(decision.attributes) is dict
    assert decision.expires_at is not None
    assert decision.expires_at.isoformat() == "2030-01-01T11:00:00+00:00"


async def test_a_burst_of_logins_waits_for_no_worker_of_an_async_authenticator() -> None:
    class Quick:
        async def authenticate(self, attempt: Attempt) -> Decision:
            await asyncio.sleep(0)
            return FULL

    link = Link("quick", Quick(), deadline=LONG, workers=1)
    assert await asyncio.gather(*(link.ask(ALICE) for _ in range(200))) == [FULL] * 200
