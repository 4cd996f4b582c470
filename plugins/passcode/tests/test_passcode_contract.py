from __future__ import annotations

from pathlib import Path

import pytest

from dicomgate import Attempt
from dicomgate.testing import AuthenticatorContract, attempt, passcode, username
from dicomgate_passcode import Passcode
from plugins.passcode.tests.users import cheap_hash

SECRET = "correct horse"


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.htpasswd"
    path.write_text(f"alice:{cheap_hash(SECRET.encode())}\n")
    path.chmod(0o600)
    return path


class TestPasscode(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self, users: Path) -> Passcode:
        return Passcode(file=users)

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(passcode("alice", SECRET))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(passcode("alice", "battery staple"))


class TestUsernameOnly(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self, users: Path) -> Passcode:
        return Passcode(file=users, username_only=True)

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(username("alice"))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(username("mallory"))
