from __future__ import annotations

from pathlib import Path

import pytest

from dicomgate import Attempt
from dicomgate.testing import AuthenticatorContract
from dicomgate_jwt import Jwt
from plugins.jwt.tests.mint import STRANGER, authenticator, login, mint


class TestJwt(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self, tmp_path: Path) -> Jwt:
        return authenticator(tmp_path)

    @pytest.fixture
    def good(self) -> Attempt:
        return login(mint())

    @pytest.fixture
    def bad(self) -> Attempt:
        return login(mint(STRANGER))
