from __future__ import annotations

import pytest

from dicomgate import Attempt
from dicomgate.testing import AuthenticatorContract, attempt, passcode
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.freeradius import FreeRadius
from dicomgate_radius import Radius
from plugins.radius.tests.conftest import MakeRadius


class TestRadius(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self, radius: MakeRadius, freeradius: FreeRadius) -> Radius:
        return radius(freeradius.address)

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(passcode("alice", ALICE))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(passcode("alice", "battery staple"))
