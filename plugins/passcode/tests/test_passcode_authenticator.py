from __future__ import annotations

import asyncio
import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, cast

import pytest

from dicomgate import Accept, Identity, IdentityType, Pass, Reject, Unavailable
from dicomgate.kit import equal_time
from dicomgate.kit.patience import Asking, asking
from dicomgate_passcode import Passcode, authenticator, dummy_hash, hashing
from dicomgate_passcode.hashing import HashingFailedError, read_cost
from dicomgate_passcode.users_file import read_users_file
from plugins.passcode.tests.users import cheap_hash, login, unchanged

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    """A clock that moves only when it is told to, and remembers what was slept."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    time = SimpleNamespace(monotonic=lambda: clock.now)

    async def sleep(seconds: float) -> None:
        clock.slept.append(seconds)

    monkeypatch.setattr(authenticator, "time", time)
    monkeypatch.setattr(authenticator, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(equal_time, "time", time)
    return clock


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> list[tuple[str, str]]:
    """Every verification: ("user" or "dummy", the scheme). Each takes a tenth of a second by the clock."""
    seen: list[tuple[str, str]] = []

    def verify(passcode: bytes, text: str) -> bool:
        cost = read_cost(text)
        assert cost is not None
        seen.append(("user" if text in (cheap_hash(), cheap_hash(scheme=cost.scheme)) else "dummy", cost.scheme))
        clock.now += 0.1
        return hashing.verify(passcode, text)

    monkeypatch.setattr(dummy_hash, "verify", verify)
    return seen


async def test_right_and_wrong(users_file: Path) -> None:
    passcode = Passcode(file=users_file)
    assert await passcode.authenticate(login()) == Accept(user="alice")
    assert await passcode.authenticate(login(passcode=b"Secret")) == Reject("wrong passcode")
    assert await passcode.authenticate(login("zoe")) == Reject("unknown user")
    decision = await passcode.authenticate(login("bert"))
    assert isinstance(decision, Reject)
    assert "disabled" in decision.reason


@pytest.mark.parametrize(
    "passcode",
    [b" secret", b"secret ", b"secret\n", b"secret\0", b"SECRET", b"", b"!", b"x" * 73, b"x" * 1025, b"x" * 5000],
)
async def test_only_exactly_the_passcode_is_right(passcode: bytes, users_file: Path) -> None:
    assert isinstance(await Passcode(file=users_file).authenticate(login(passcode=passcode)), Reject)


async def test_a_passcode_is_bytes(users_file: Path) -> None:
    users_file.write_text(f"alice:{cheap_hash('é'.encode())}\nbob:{cheap_hash(bytes([0xE9]))}\n")
    passcode = Passcode(file=users_file)
    assert await passcode.authenticate(login("alice", b"\xc3\xa9")) == Accept(user="alice")
    assert await passcode.authenticate(login("alice", b"\xe9")) == Reject("wrong passcode")
    assert await passcode.authenticate(login("bob", b"\xe9")) == Accept(user="bob")
    assert await passcode.authenticate(login("bob", b"e\xcc\x81")) == Reject("wrong passcode")


@pytest.mark.parametrize(
    "user",
    [
        *("Alice", " alice", "alice ", "alice\0", "ali:ce", "alice:", "\uff41lice", "a" * 256, "a" * 60_000),
        *("", "#", "# staff", b"alice\xff", b"\xff"),
    ],
)
async def test_only_exactly_the_name_is_known(user: str | bytes, users_file: Path) -> None:
    assert await Passcode(file=users_file).authenticate(login(user)) == Reject("unknown user")


async def test_a_wrong_passcode_is_a_guess_even_if_its_refusal_comes_too_late(users_file: Path, clock: Clock) -> None:
    """The right one is accepted in time also where a dear hash makes refusals later than the time-out."""
    passcode = Passcode(file=users_file)
    for secret, compared in (b"wrong", True), (b"secret", False):
        question = SimpleNamespace(looked=False)
        before = asking.set(cast(Asking, question))
        await passcode.authenticate(login(passcode=secret))
        asking.reset(before)
        assert question.looked is compared


@pytest.mark.parametrize(
    ("user", "passcode", "who"),
    [
        ("cheap", b"secret", "user"),
        ("cheap", b"wrong", "user"),
        ("dear", b"wrong", "user"),
        ("nobody", b"secret", "dummy"),
        ("nobody", b"", "dummy"),
        ("a" * 300, b"secret", "dummy"),
        ("with:colon", b"secret", "dummy"),
        ("disabled", b"secret", "dummy"),
        ("dear", b"", "dummy"),
        ("dear", b"x" * 73, "dummy"),
        ("dear", b"x" * 5000, "dummy"),
        ("dear", b"x\0", "dummy"),
    ],
)
async def test_every_attempt_costs_one_verification_and_the_floor(
    user: str,
    passcode: bytes,
    who: str,
    users_file: Path,
    verified: list[tuple[str, str]],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users_file.write_text(f"cheap:{cheap_hash()}\ndear:{cheap_hash(scheme='bcrypt')}\ndisabled:!{cheap_hash()}\n")
    floors = {"argon2id": 0.02, "bcrypt": 0.3}  # whatever would be measured here
    make = dummy_hash._make
    monkeypatch.setattr(dummy_hash, "_make", lambda cost: dataclasses.replace(make(cost), floor=floors[cost.scheme]))
    authenticate = Passcode(file=users_file).authenticate
    verified.clear()
    await authenticate(login(user, passcode))
    ((verifier, scheme),) = verified
    assert verifier == who
    assert scheme == ("bcrypt" if who == "dummy" or user == "dear" else "argon2id")
    if (user, passcode) == ("cheap", b"secret"):
        assert clock.slept == [], "who is right need not wait"
    else:
        (slept,) = clock.slept
        assert 0.2 <= slept <= 0.202, "the floor is filled up, not added"


async def test_unknown_users_may_be_passed_on_after_the_same_time(
    users_file: Path, verified: list[tuple[str, str]], clock: Clock
) -> None:
    passcode = Passcode(file=users_file, unknown_user="pass")
    verified.clear()
    assert await passcode.authenticate(login("zoe")) == Pass("unknown user")
    assert verified == [("dummy", "argon2id")]
    assert len(clock.slept) == 1
    # Users of the file are not passed on, and an empty passcode never is.
    assert isinstance(await passcode.authenticate(login("bert")), Reject)
    assert isinstance(await passcode.authenticate(login(passcode=b"wrong")), Reject)
    assert await passcode.authenticate(login("zoe", b"")) == Reject("empty passcode")
    assert await passcode.authenticate(login("alice")) == Accept(user="alice")


async def test_a_username_alone_is_accepted_only_if_the_operator_says_so(
    users_file: Path, verified: list[tuple[str, str]], clock: Clock
) -> None:
    closed = Passcode(file=users_file)
    assert closed.handles == {IdentityType.USERNAME_AND_PASSCODE}
    assert isinstance(await closed.authenticate(login(passcode=None)), Pass)

    opened = Passcode(file=users_file, username_only=True)
    assert opened.handles == {IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE}
    verified.clear()
    assert await opened.authenticate(login(passcode=None)) == Accept(user="alice")
    assert await opened.authenticate(login("zoe", None)) == Reject("unknown user")
    assert isinstance(await opened.authenticate(login("bert", None)), Reject)
    assert verified == [("dummy", "argon2id")] * 3
    assert len(clock.slept) == 2
    # It changes nothing for type 2.
    assert await opened.authenticate(login(passcode=b"wrong")) == Reject("wrong passcode")
    assert await opened.authenticate(login(passcode=b"")) == Reject("empty passcode")


@pytest.mark.parametrize("type_", [IdentityType.KERBEROS, IdentityType.SAML, IdentityType.JWT])
async def test_other_identities_are_not_judged(type_: IdentityType, users_file: Path) -> None:
    other = dataclasses.replace(login(), identity=Identity(type_, b"alice", b"secret"))
    passcode = Passcode(file=users_file, username_only=True)
    assert isinstance(await passcode.authenticate(other), Pass)
    assert isinstance(await passcode.authenticate(dataclasses.replace(other, identity=None)), Pass)


async def test_a_hash_that_cannot_be_computed_is_unavailable(
    users_file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(passcode: bytes, text: str) -> bool:
        raise HashingFailedError

    passcode = Passcode(file=users_file)
    monkeypatch.setattr(dummy_hash, "verify", exhausted)
    assert isinstance(await passcode.authenticate(login()), Unavailable)
    assert isinstance(await passcode.authenticate(login("zoe")), Unavailable)
    assert len(clock.slept) == 2


@pytest.mark.parametrize("scheme", ["bcrypt", "argon2id"])
async def test_a_login_never_writes_the_users_file(
    scheme: str, users_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even an outdated hash: an operator's tool may be removing the user at that moment."""
    caplog.set_level(logging.INFO)
    users_file.write_text(f"alice:{cheap_hash(scheme=scheme)}\nbert:!{cheap_hash(scheme=scheme)}\n")
    passcode = Passcode(file=users_file)
    status = users_file.stat()
    with unchanged(users_file):
        assert await passcode.authenticate(login()) == Accept(user="alice")
        assert await passcode.authenticate(login(passcode=b"wrong")) == Reject("wrong passcode")
    assert users_file.stat() == status
    assert "; 1 outdated hashes" in caplog.text


async def test_many_at_once(users_file: Path) -> None:
    names = [f"user{number}" for number in range(8)]
    users_file.write_text("".join(f"{name}:{cheap_hash(name.encode())}\n" for name in names))
    passcode = Passcode(file=users_file)
    attempts = [login(name, secret) for _ in range(4) for name in names for secret in (name.encode(), b"wrong")]
    answers = await asyncio.gather(*(passcode.authenticate(attempt) for attempt in attempts))
    expected = [answer for name in names for answer in (Accept(user=name), Reject("wrong passcode"))]
    assert answers == expected * 4
    assert list(read_users_file(users_file).users) == names


def test_no_secret_in_the_repr(users_file: Path) -> None:
    assert repr(Passcode(file=users_file)) == (
        f"Passcode(file={users_file!r}, username_only=False, unknown_user='reject')"
    )


@pytest.mark.parametrize("name", ["alice", "bert", "nobody"])
@pytest.mark.parametrize("unknown_user", ["reject", "pass"])
async def test_a_refusal_stands_as_long_as_the_file(
    name: str, unknown_user: Literal["reject", "pass"], users_file: Path, verified: object
) -> None:
    guard = Passcode(file=users_file, unknown_user=unknown_user)
    refusal = await guard.authenticate(login(name, b"wrong"))
    assert isinstance(refusal, Reject | Pass)
    assert refusal.stands is not None
    assert refusal.stands()
    users_file.write_text(users_file.read_text() + "# changed\n")
    assert not refusal.stands()
