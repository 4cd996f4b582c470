from __future__ import annotations

import pytest
from cryptography.x509 import DNSName

from dicomgate import Attempt
from dicomgate.testing import AuthenticatorContract, attempt
from dicomgate_certificate import Certificate, Device
from plugins.certificate.tests.issued import issue


class TestCertificate(AuthenticatorContract):
    @pytest.fixture
    def authenticator(self) -> Certificate:
        return Certificate(certificates={"dns:ct-1.hospital.example": Device(user="ct-1")})

    @pytest.fixture
    def good(self) -> Attempt:
        return attempt(certificate=issue(names=[DNSName("ct-1.hospital.example")]))

    @pytest.fixture
    def bad(self) -> Attempt:
        return attempt(certificate=issue(names=[DNSName("ct-2.hospital.example")]))
