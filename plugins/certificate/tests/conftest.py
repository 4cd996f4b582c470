"""Certificates of a real authority, and the gateways and an Orthanc of tests/system."""

from __future__ import annotations

import pytest

from dicomgate.testing.peers.certificates import Certificates, make_certificates
from dicomgate.testing.peers.orthanc import orthanc, running_orthanc  # noqa: F401 (fixtures)
from tests.system.gateways import evidence, gateway  # noqa: F401 (fixtures)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))
