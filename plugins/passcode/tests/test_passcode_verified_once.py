"""The right passcode again: verified once, and refused at once when the file no longer has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomgate import Accept, Pass, Reject, Unavailable
from dicomgate.testing import ask
from dicomgate_passcode import Passcode, dummy_hash, hashing
from plugins.passcode.tests.users import cheap_hash, login

pytestmark = pytest.mark.anyio
ALICE = Accept(user="alice")


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every passcode that was verified, so far."""
    seen: list[bytes] = []

    def verify(passcode: bytes, text: str) -> bool:
        seen.append(passcode)
        return hashing.verify(passcode, text)

    monkeypatch.setattr(dummy_hash, "verify", verify)
    return seen


def _changed(file: Path) -> None:
    file.write_text(f"alice:{cheap_hash(b'another')}\n")


def _hashed_again(file: Path) -> None:
    file.write_text(f"alice:{hashing.make_hash(b'secret', hashing.read_cost(cheap_hash()))}\n")


HARM: dict[str, Callable[[Path], object]] = {
    "changed": _changed,
    "disabled": lambda file: file.write_text(f"alice:!{cheap_hash()}\n"),
    "removed": lambda file: file.write_text(f"bert:{cheap_hash()}\n"),
}


async def test_the_right_passcode_is_verified_once_and_a_wrong_one_each_time(
    users_file: Path, verified: list[bytes]
) -> None:
    async with Passcode(file=users_file) as passcode:
        verified.clear()
        for _ in range(5):
            assert await passcode.authenticate(login()) == ALICE
            assert await passcode.authenticate(login(passcode=b"wrong")) == Reject("wrong passcode")
    assert verified.count(b"secret") == 1
    assert verified.count(b"wrong") == 5


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
async def test_who_is_no_longer_in_the_file_is_refused_at_once(
    harm: Callable[[Path], object], users_file: Path
) -> None:
    async with Passcode(file=users_file) as passcode:
        for _ in range(2):
            assert await passcode.authenticate(login()) == ALICE
        harm(users_file)
        assert isinstance(await passcode.authenticate(login()), Reject)
        users_file.write_text(f"alice:{cheap_hash()}\n")
        assert await passcode.authenticate(login()) == ALICE, "a control: back again"


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
async def test_who_is_removed_while_the_passcode_is_verified_is_not_let_in(
    harm: Callable[[Path], object], users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile = [harm]

    def verify(secret: bytes, text: str) -> bool:
        meanwhile[0](users_file)
        return hashing.verify(secret, text)

    async with Passcode(file=users_file) as passcode:
        monkeypatch.setattr(dummy_hash, "verify", verify)
        assert isinstance(await passcode.authenticate(login()), Unavailable)
        assert isinstance(await passcode.authenticate(login()), Reject)
        users_file.write_text(f"alice:{cheap_hash()}\n")
        meanwhile[0] = lambda file: file.write_text(f"# somebody else\nalice:{cheap_hash()}\n")
        assert await passcode.authenticate(login()) == ALICE, "a control: what has changed is not about her"


async def test_with_another_hash_of_the_same_passcode_it_is_verified_again(
    users_file: Path, verified: list[bytes]
) -> None:
    async with Passcode(file=users_file) as passcode:
        assert await passcode.authenticate(login()) == ALICE
        _hashed_again(users_file)
        await passcode._users.current_async()
        verified.clear()
        assert await passcode.authenticate(login()) == ALICE
        assert verified == [b"secret"]


async def test_another_authenticator_and_the_same_one_after_a_reload_know_nothing_of_it(
    users_file: Path, tmp_path: Path, verified: list[bytes]
) -> None:
    other_file = tmp_path / "others.htpasswd"
    other_file.write_text(f"alice:{cheap_hash(b'another')}\n")
    async with Passcode(file=users_file) as passcode, Passcode(file=other_file) as other:
        assert await passcode.authenticate(login()) == ALICE
        assert await other.authenticate(login()) == Reject("wrong passcode")
    async with passcode:  # and again, as after a reload
        verified.clear()
        assert await passcode.authenticate(login()) == ALICE
        assert verified == [b"secret"]


async def test_a_line_without_a_hash_is_no_unknown_user_from_the_moment_it_is_there(users_file: Path) -> None:
    """Also while the same is being verified for one who came before, and is passed on to the next authenticator."""
    users_file.write_text("bert:\n")
    async with Passcode(file=users_file, unknown_user="pass") as passcode:
        before = asyncio.ensure_future(passcode.authenticate(login()))
        while not passcode._verified._under_way:
            await asyncio.sleep(0)
        users_file.write_text("alice:\n")
        passcode._users.current()  # in the same turn: before the other has its answer
        after = asyncio.ensure_future(passcode.authenticate(login()))
        assert [type(decision) for decision in await asyncio.gather(before, after)] == [Pass, Reject]


async def test_a_name_alone_proves_nothing_that_could_be_remembered(users_file: Path) -> None:
    async with Passcode(file=users_file, username_only=True) as passcode:
        assert await passcode.authenticate(login(passcode=None)) == ALICE
        assert await passcode.authenticate(login(passcode=b"")) == Reject("empty passcode")


def test_a_hundred_at_once_wait_and_none_is_refused(users_file: Path, verified: list[bytes]) -> None:
    """Users of their own, so that each costs a hash."""
    names = [f"user{number}" for number in range(100)]
    cost = hashing.read_cost(cheap_hash())
    users_file.write_text("".join(f"{name}:{hashing.make_hash(name.encode(), cost)}\n" for name in names))
    passcode = Passcode(file=users_file)
    verified.clear()
    assert ask(passcode, *(login(name, name.encode()) for name in names)) == [Accept(user=name) for name in names]
    assert sorted(verified) == sorted(name.encode() for name in names)
