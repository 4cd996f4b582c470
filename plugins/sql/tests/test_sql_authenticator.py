from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dicomgate import Accept, Identity, IdentityType, Pass, Reject, Unavailable
from dicomgate.kit import equal_time
from dicomgate.kit.patience import Asking, asking
from dicomgate.testing import ask, attempt, passcode
from dicomgate.testing.peers.loopback import wait_until
from dicomgate_passcode import HashingFailedError, dummy_hash, make_hash
from dicomgate_passcode.hashing import verify
from dicomgate_sql import authenticator
from plugins.sql.tests.backend import UPDATE, Backend, answers, cheap_hash

pytestmark = pytest.mark.anyio


ALICE = Accept(user="alice", groups=frozenset({"radiology", "ct"}))
CANNOT = "the user cannot log in: "
INJECTIONS = [
    *("' OR '1'='1", "alice' --", "alice'; UPDATE users SET disabled = NULL; --", "alice'/*", '" OR ""="'),
    "nobody' UNION SELECT name, hash, groups, disabled FROM users WHERE name = 'alice",
    *("\\' OR 1=1 --", ":name", "%", "_____", "alice%", "$1", "%(name)s", "{name}", "1 OR 1=1", "alice) OR (1=1"),
    *("\u02bc OR 1=1 --", "\uff07 OR 1=1 --", "alice\0' OR 1=1", "a" * 60_000),
]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("dicomgate_sql")]


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, str]]:
    """Every verification: ("user" or "dummy", the passcode, the thread)."""
    seen: list[tuple[str, bytes, str]] = []

    def watched(secret: bytes, text: str) -> bool:
        who = "user" if text in (cheap_hash(), cheap_hash(scheme="bcrypt")) else "dummy"
        seen.append((who, secret, threading.current_thread().name))
        return verify(secret, text)

    monkeypatch.setattr(dummy_hash, "verify", watched)
    return seen


async def test_right_and_wrong(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicomgate_sql")
    expected = {
        ("alice", b"secret"): ALICE,
        ("alice", b"Secret"): Reject("wrong passcode"),
        ("zoe", b"secret"): Reject("unknown user"),
        ("bert", b"secret"): Reject(CANNOT + "disabled"),
        ("carl", b"secret"): Reject(CANNOT + "the user has no hash, or one that is no text"),
    }
    assert await answers(backend.make(), *expected, ("alice", b"secret")) == [*expected.values(), ALICE]
    assert logged(caplog) == []


@pytest.mark.parametrize(
    "secret", [b" secret", b"secret ", b"secret\n", b"secret\0", b"SECRET", b"!", b"x" * 73, b"x" * 1025, b"x" * 60_000]
)
def test_only_exactly_the_passcode_is_right(secret: bytes, sqlite_backend: Backend) -> None:
    sqlite_backend.put("alice", cheap_hash())
    (decision,) = ask(sqlite_backend.make(), attempt(passcode("alice", secret)))
    assert isinstance(decision, Reject)


async def test_a_passcode_is_bytes(backend: Backend) -> None:
    backend.put("dora", cheap_hash("é".encode()))
    backend.put("emil", cheap_hash(b"\xe9"))
    right = [("dora", b"\xc3\xa9"), ("emil", b"\xe9")]
    wrong = [("dora", b"\xe9"), ("emil", b"\xc3\xa9"), ("dora", b"e\xcc\x81")]
    decisions = await answers(backend.make(), *right, *wrong)
    assert [type(decision) for decision in decisions] == [Accept] * 2 + [Reject] * 3


@pytest.mark.parametrize("name", ["Alice", " alice", "alice ", "\uff41lice", b"alice\xff", b"\xff", ""])
async def test_only_exactly_the_name_is_known(name: str | bytes, backend: Backend) -> None:
    assert await answers(backend.make(), (name, b"secret"), ("alice", b"secret")) == [Reject("unknown user"), ALICE]


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
async def test_what_a_peer_sends_is_never_a_statement(text: str, backend: Backend) -> None:
    users = "SELECT count(*) FROM users WHERE hash IS NOT NULL"
    before = backend.execute(users), backend.hash_of("alice")
    sql = backend.make(update="UPDATE users SET hash = :hash WHERE name = :name AND hash = :old_hash || ''")
    decisions = await answers(
        sql, (text, b"secret"), (text, text.encode()), ("alice", text.encode()), ("bert", b"secret")
    )
    assert all(isinstance(decision, Reject) for decision in decisions)
    assert (backend.execute(users), backend.hash_of("alice")) == before


async def test_a_user_with_the_name_of_an_injection_is_a_user(backend: Backend) -> None:
    backend.put("' OR '1'='1", cheap_hash())
    assert await answers(backend.make(), ("' OR '1'='1", b"secret")) == [Accept(user="' OR '1'='1")]


async def test_the_name_of_the_database_is_the_users(backend: Backend) -> None:
    select = "SELECT name, hash, groups FROM users WHERE lower(name) = lower(:name)"
    assert await answers(backend.make(select=select), ("ALICE", b"secret")) == [ALICE]
    assert await answers(backend.make(select=select.replace("name, hash", "hash")), ("ALICE", b"secret")) == [
        dataclasses.replace(ALICE, user="ALICE")
    ]


async def test_an_empty_passcode_is_refused_before_anything_is_asked(
    sqlite_backend: Backend, verified: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = sqlite_backend.make()

    async def nobody(*_: object) -> None:
        raise AssertionError("the database was asked")

    async with sql:
        monkeypatch.setattr(sql, "_look_up", nobody)
        verified.clear()
        assert await sql.authenticate(attempt(passcode("alice", b""))) == Reject("empty passcode")
    assert verified == []


@pytest.mark.parametrize(
    ("name", "secret", "who"),
    [
        ("alice", b"secret", "user"),
        ("alice", b"wrong", "user"),
        ("alice", b"x" * 1025, "dummy"),
        ("alice", b"x\0", "dummy"),
        ("bert", b"secret", "dummy"),
        ("carl", b"secret", "dummy"),
        ("zoe", b"secret", "dummy"),
        ("z" * 300, b"secret", "dummy"),
        (b"\xff", b"secret", "dummy"),
    ],
)
async def test_every_attempt_costs_one_verification_in_a_thread_and_the_floor(
    name: str | bytes,
    secret: bytes,
    who: str,
    backend: Backend,
    verified: list[tuple[str, bytes, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(equal_time, "time", SimpleNamespace(monotonic=lambda: 0.0))
    slept: list[float] = []
    sleep = asyncio.sleep

    async def sleeping(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    sql = backend.make(unknown_user="pass")
    sql._time.dummy = dataclasses.replace(sql._time.dummy, floor=0.3)
    async with sql:
        verified.clear()
        monkeypatch.setattr(asyncio, "sleep", sleeping)
        monkeypatch.setattr(authenticator, "time", SimpleNamespace(monotonic=lambda: 0.0))
        monkeypatch.setattr(sql._time, "is_new", lambda cost: False)
        await sql.authenticate(attempt(passcode(name, secret)))
    ((verifier, _, thread),) = verified
    assert verifier == who
    assert thread.startswith("sql-hashing")
    if who == "user" and secret == b"secret":
        assert slept == [], "who is right need not wait"
    else:
        assert 0.25 <= slept[-1] <= 0.4, "the floor, and some of what the database takes"


async def test_a_wrong_passcode_is_a_guess_even_if_its_refusal_comes_too_late(backend: Backend) -> None:
    """The right one is accepted in time also where a dear hash makes refusals later than the time-out."""
    async with backend.make() as sql:
        for secret, compared in (b"wrong", True), (b"secret", False):
            question = SimpleNamespace(looked=False)
            before = asking.set(cast(Asking, question))
            await sql.authenticate(attempt(passcode("alice", secret)))
            asking.reset(before)
            assert question.looked is compared


async def test_the_costliest_hash_is_learnt_from_a_login_right_or_wrong(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = dummy_hash._make
    floors = {"argon2id": 0.0001, "bcrypt": 0.001}
    monkeypatch.setattr(dummy_hash, "_make", lambda cost: dataclasses.replace(make(cost), floor=floors[cost.scheme]))
    backend.put("dora", cheap_hash(scheme="bcrypt"))

    async def learnt(*names: str) -> str:
        async with backend.make() as sql:
            for name in names:
                await sql.authenticate(attempt(passcode(name, b"wrong")))
            while sql._afterwards:
                await asyncio.wait(sql._afterwards)
            return str(sql._time.dummy.scheme)

    assert await learnt("alice", "zoe", "bert") == "argon2id"
    assert await learnt("alice", "dora", "alice") == "bcrypt"


async def test_unknown_users_may_be_passed_on(backend: Backend) -> None:
    sql = backend.make(unknown_user="pass")
    decisions = await answers(sql, ("zoe", b"secret"), ("bert", b"secret"), ("alice", b"wrong"), ("zoe", b""))
    assert decisions[0] == Pass("unknown user")
    assert all(isinstance(decision, Reject) for decision in decisions[1:])


@pytest.mark.parametrize("kind", [kind for kind in IdentityType if kind is not IdentityType.USERNAME_AND_PASSCODE])
def test_other_identities_are_not_judged(kind: IdentityType, sqlite_backend: Backend) -> None:
    sql = sqlite_backend.make()
    assert sql.handles == {IdentityType.USERNAME_AND_PASSCODE}
    decisions = ask(sql, attempt(Identity(kind, b"alice", b"secret")), attempt())
    assert all(isinstance(decision, Pass) for decision in decisions)


async def test_a_hash_that_cannot_be_computed_is_unavailable(
    sqlite_backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(secret: bytes, text: str) -> bool:
        raise HashingFailedError

    sqlite_backend.put("alice", cheap_hash())
    sql = sqlite_backend.make()
    monkeypatch.setattr(dummy_hash, "verify", exhausted)
    no_memory = Unavailable("a hash could not be computed: not enough memory")
    assert await answers(sql, ("alice", b"secret"), ("zoe", b"secret")) == [no_memory, no_memory]


@pytest.mark.parametrize("scheme", ["bcrypt", "argon2id"])
async def test_an_outdated_hash_is_renewed_at_login(
    scheme: str, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dicomgate_sql.authenticator")
    old = cheap_hash(scheme=scheme)
    backend.put("dora", old)
    before = backend.hash_of("alice")
    assert await answers(backend.make(), ("dora", b"secret")) == [Accept(user="dora")]
    assert await answers(backend.make(update=UPDATE), ("dora", b"wrong")) == [Reject("wrong passcode")]
    assert backend.hash_of("dora") == old
    assert await answers(backend.make(update=UPDATE), ("dora", b"secret")) == [Accept(user="dora")]
    new = backend.hash_of("dora")
    assert not backend.is_outdated("dora")
    assert backend.hash_of("alice") == before
    both = ("dora", b"secret"), ("dora", b"wrong")
    assert await answers(backend.make(update=UPDATE), *both) == [Accept(user="dora"), Reject("wrong passcode")]
    assert backend.hash_of("dora") == new
    assert [line for line in logged(caplog) if "the hash of" in line] == [
        "sql: the hash of user 'dora' is now argon2id"
    ]


async def test_a_passcode_that_was_changed_during_the_login_stays_changed(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dicomgate_sql.authenticator")
    other = cheap_hash(b"other")

    def making(secret: bytes) -> str:
        backend.execute(f"UPDATE users SET hash = '{other}' WHERE name = 'alice'")  # noqa: S608
        return make_hash(secret)

    monkeypatch.setattr(authenticator, "make_hash", making)
    assert await answers(backend.make(update=UPDATE), ("alice", b"secret")) == [ALICE]
    assert backend.hash_of("alice") == other
    assert logged(caplog) == []


async def test_a_hash_that_cannot_be_renewed_costs_no_login_and_one_log_line(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dicomgate_sql.authenticator")
    update = "UPDATE nobody SET hash = :hash WHERE name = :name AND hash = :old_hash"
    before = backend.hash_of("alice")
    assert await answers(backend.make(update=update), *[("alice", b"secret")] * 3) == [ALICE] * 3
    assert backend.hash_of("alice") == before
    (message,) = logged(caplog)
    assert message.startswith("sql: outdated hashes cannot be renewed at login: the database: ")
    assert "nobody" in message
    assert before not in message


async def test_a_login_does_not_wait_for_the_renewal(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def making(secret: bytes) -> str:
        assert go_on.wait(20)
        return make_hash(secret)

    monkeypatch.setattr(authenticator, "make_hash", making)
    before = backend.hash_of("alice")
    sql = backend.make(update=UPDATE, database_timeout=timedelta(seconds=20))
    async with sql:
        assert await sql.authenticate(attempt(passcode("alice", b"secret"))) == ALICE
        go_on.set()
    wait_until(lambda: backend.hash_of("alice") != before, "the renewal")


async def test_unknown_columns_make_all_logins_fail(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    select = "SELECT name, hash, disabled AS is_disabled FROM users WHERE name = :name"
    (decision,) = await answers(backend.make(select=select), ("alice", b"secret"))
    assert isinstance(decision, Unavailable)
    assert decision.reason.startswith("select: the answer has unknown columns: is_disabled; known are: name, hash")
    assert "sql: all logins fail for now: select: the answer has unknown columns" in caplog.text


def test_no_secret_in_the_repr(postgresql_backend: Backend) -> None:
    sql = postgresql_backend.make()
    assert "canary" not in repr(sql)
    assert repr(sql).startswith("Sql(select='SELECT name, hash")
