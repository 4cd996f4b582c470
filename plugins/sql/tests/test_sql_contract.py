from __future__ import annotations

import pytest

from dicomgate import Attempt
from dicomgate.testing import AuthenticatorContract, attempt, passcode
from dicomgate_sql import Sql
from plugins.sql.tests.backend import Backend, cheap_hash

SECRET = "correct horse"


class _Laws(AuthenticatorContract):
    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(passcode("dora", SECRET))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(passcode("dora", "battery staple"))


class TestSqlite(_Laws):
    @pytest.fixture
    def authenticator(self, sqlite_backend: Backend) -> Sql:
        sqlite_backend.put("dora", cheap_hash(SECRET.encode()), "ct")
        return sqlite_backend.make()


class TestPostgresql(_Laws):
    @pytest.fixture
    def authenticator(self, postgresql_backend: Backend) -> Sql:
        postgresql_backend.put("dora", cheap_hash(SECRET.encode()), "ct")
        return postgresql_backend.make()
