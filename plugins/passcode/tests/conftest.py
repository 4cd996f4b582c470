from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomgate import Attempt, Identity, IdentityType, Peer
from dicomgate_passcode.hashing import Cost, make_hash

# The cheapest parameters of each scheme: these tests are about what is decided, not about what it costs.
CHEAP = {
    "argon2id": Cost("argon2id", 1, memory_kib=8, lanes=1),
    "bcrypt": Cost("bcrypt", 4),
    "sha512-crypt": Cost("sha512-crypt", 1000),
    "sha256-crypt": Cost("sha256-crypt", 1000),
}


@pytest.fixture(scope="session")
def cheap_hash() -> Callable[..., str]:
    """A hash of the passcode, made with the cheapest parameters of the scheme."""

    def cheap_hash(passcode: bytes = b"secret", scheme: str = "argon2id") -> str:
        return make_hash(passcode, CHEAP[scheme])

    return cheap_hash


@pytest.fixture
def users_file(tmp_path: Path, cheap_hash: Callable[..., str]) -> Path:
    """A users file with alice, whose passcode is `secret`, and bert, who is disabled."""
    path = tmp_path / "users.htpasswd"
    path.write_text(f"# staff\nalice:{cheap_hash()}\nbert:!{cheap_hash()}\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def attempt() -> Callable[..., Attempt]:
    """An attempt of type 2; of type 1 if the passcode is None."""

    def attempt(user: str | bytes = "alice", passcode: bytes | None = b"secret") -> Attempt:
        primary = user.encode() if isinstance(user, str) else user
        if passcode is None:
            identity = Identity(IdentityType.USERNAME, primary)
        else:
            identity = Identity(IdentityType.USERNAME_AND_PASSCODE, primary, passcode)
        return _attempt(identity)

    return attempt


def _attempt(identity: Identity | None) -> Attempt:
    return Attempt(
        id="1",
        identity=identity,
        calling_ae_title="CT1",
        called_ae_title="PACS",
        peer=Peer("127.0.0.1", 50000),
        listener="clinical",
        abstract_syntaxes=("1.2.840.10008.1.1",),
        time=datetime(2026, 1, 1, tzinfo=UTC),
    )
