from __future__ import annotations

import pytest

from dicomgate import Attempt
from dicomgate.testing import AuthenticatorContract, attempt, passcode
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.slapd import Slapd
from dicomgate_ldap import Ldap


class TestSearchAndBind(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self, slapd: Slapd) -> Ldap:
        return Ldap(**slapd.keys(groups="search"))

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(passcode("alice", ALICE))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(passcode("alice", WRONG))


class TestDirectBind(TestSearchAndBind):
    @pytest.fixture
    def authenticator(self, slapd: Slapd) -> Ldap:
        return Ldap(**slapd.direct_keys(servers=[slapd.tls]))
