from __future__ import annotations

from dataclasses import replace

import pytest

from dicomgate import Attempt, Decision
from dicomgate.testing import AuthenticatorContract, attempt
from dicomgate.testing import kerberos as identity
from dicomgate_kerberos import Kerberos
from plugins.kerberos.tests.conftest import Make
from plugins.kerberos.tests.craft import ap_req, new_key
from plugins.kerberos.tests.initiator import Gss


class Renewing:
    """The authenticator. A token is accepted once: each good login but the first is made with a new one."""

    def __init__(self, judge: Kerberos, good: Attempt) -> None:
        self._judge = judge
        self._good = good
        self._used = False
        self.handles = judge.handles

    def __repr__(self) -> str:
        return repr(self._judge)

    def authenticate(self, attempt: Attempt, /) -> Decision:
        if attempt.identity and self._good.identity and attempt.identity.primary == self._good.identity.primary:
            if self._used:
                attempt = replace(attempt, identity=replace(attempt.identity, primary=Gss().token))
            self._used = True
        return self._judge.authenticate(attempt)


class TestKerberos(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self, kerberos: Make, good: Attempt) -> Renewing:
        return Renewing(kerberos(), good)

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(identity(Gss().token))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(identity(ap_req(new_key())))  # made with a key that nobody has
