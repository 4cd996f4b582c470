"""Hashes that cost little, and attempts to log in: these tests are about what is decided, not about what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from dicomgate import Attempt, testing
from dicomgate_passcode.hashing import Cost, make_hash

CHEAP = {
    "argon2id": Cost("argon2id", 1, memory_kib=8, lanes=1),
    "bcrypt": Cost("bcrypt", 4),
    "sha512-crypt": Cost("sha512-crypt", 1000),
    "sha256-crypt": Cost("sha256-crypt", 1000),
}


@cache
def cheap_hash(secret: bytes = b"secret", scheme: str = "argon2id") -> str:
    """A hash with the cheapest parameters of the scheme."""
    return make_hash(secret, CHEAP[scheme])


def login(user: str | bytes = "alice", passcode: bytes | None = b"secret") -> Attempt:
    """An attempt of type 2; of type 1 if the passcode is None."""
    identity = testing.username(user) if passcode is None else testing.passcode(user, passcode)
    return testing.attempt(identity)


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """The block changes neither the file nor which files are in its folder."""
    before = path.read_bytes(), set(path.parent.iterdir())
    yield
    assert (path.read_bytes(), set(path.parent.iterdir())) == before
