"""The real peers as fixtures (tests/system/peers). `Spy`, `PynetdicomPacs` and the clients are used as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomgate.testing.peers.certificates import Certificates, make_certificates
from dicomgate.testing.peers.dcmtk import StoreScp, run_storescp
from dicomgate.testing.peers.orthanc import Orthanc, orthanc, run_orthanc, running_orthanc  # noqa: F401 (fixtures)
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.spy import Spy
from tests.system.gateways import evidence, gateway, install_authenticator  # noqa: F401 (fixtures)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def _running_orthanc_tls(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Orthanc]:
    with run_orthanc(tmp_path_factory.mktemp("orthanc-tls"), certificates) as running:
        yield running


@pytest.fixture
def orthanc_tls(_running_orthanc_tls: Orthanc) -> Orthanc:
    """An Orthanc that speaks TLS alone and requires a client certificate of the fixture `certificates`."""
    _running_orthanc_tls.clear()
    return _running_orthanc_tls


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[StoreScp]:
    folder = tmp_path / "storescp"
    folder.mkdir()
    with run_storescp(folder) as running:
        yield running


@pytest.fixture
def pynetdicom_pacs() -> Iterator[PynetdicomPacs]:
    with PynetdicomPacs() as running:
        yield running


@pytest.fixture
def spy() -> Iterator[Spy]:
    """A spy that accepts every association and says nothing more; for another script: `with Spy(script) as spy`."""
    with Spy() as running:
        yield running
