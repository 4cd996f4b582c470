from __future__ import annotations

import pytest

from dicomgate import Attempt
from dicomgate.testing import AuthenticatorContract, attempt
from dicomgate_network import Device, Network


class TestNetwork(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self) -> Network:
        return Network(devices={"CT1": Device(networks=["192.0.2.0/24"])})

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(calling_ae_title="CT1")

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(calling_ae_title="CT2")
