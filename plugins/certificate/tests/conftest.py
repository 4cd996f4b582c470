"""Certificates of a real authority, and gateways and an Orthanc."""

from __future__ import annotations

import pytest

from dicomgate.testing.fixtures import evidence, gateway, orthanc, running_orthanc  # noqa: F401 (fixtures)  # noqa: F401 (fixtures)
from dicomgate.testing.peers.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))
