"""The fixtures of the project's own tests: gateways, peers, certificates.

A conftest imports those that its tests use: `from dicomgate.testing.fixtures import gateway, spy  # noqa: F401`.
Those of the scope "session" are imported by the conftest of the whole repository alone: each import makes another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import pytest

from .evidence import Evidence
from .peers.certificates import Certificates, make_certificates
from .peers.dcmtk import StoreScp, run_storescp
from .peers.orthanc import Orthanc, run_orthanc
from .peers.pynetdicom_pacs import PynetdicomPacs
from .peers.samba import Samba, run_samba
from .peers.silence import Names
from .peers.spy import RELEASE_RP, Spy, accept_all
from .system_gateway import StartGateway, gateways


@pytest.fixture(scope="session", autouse=True)
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """What the whole run wrote, at DEBUG; the run fails if a secret is in it."""
    folder = tmp_path_factory.mktemp("evidence")
    evidence = Evidence(folder)
    handler = logging.FileHandler(evidence.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(threadName)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield evidence
    root.removeHandler(handler)
    root.setLevel(level)
    handler.close()
    assert not evidence.found()


@pytest.fixture
def gateway(evidence: Evidence, tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways: `gateway(configuration(spy.address))`."""
    with gateways(evidence, tmp_path) as start:
        yield start


@pytest.fixture
def install_authenticator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Give a function that installs the class `Judge` of this source as an authenticator, and returns its name."""

    def install(source: str) -> str:
        name = f"judge_{uuid4().hex}"  # modules stay imported for the whole run
        installed = tmp_path / name
        (installed / f"{name}-1.0.dist-info").mkdir(parents=True)
        (installed / f"{name}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        (installed / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(
            f"[dicomgate.authenticators]\n{name} = {name}:Judge\n"
        )
        (installed / f"{name}.py").write_text(dedent(source))
        monkeypatch.syspath_prepend(installed)
        return name

    return install


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """Host names of the test's own."""
    made = Names(monkeypatch)
    yield made
    made.release()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Two authorities, and certificates of theirs for a server and for clients."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    """One domain controller of Active Directory for all tests."""
    with run_samba(tmp_path_factory.mktemp("samba")) as running:
        yield running


@pytest.fixture
def pacs() -> Iterator[PynetdicomPacs]:
    """A PACS of pynetdicom that stores, and remembers what reached it."""
    with PynetdicomPacs() as running:
        yield running


@pytest.fixture
def spy() -> Iterator[Spy]:
    """A spy that accepts each association and its release; for another script: `with Spy(script) as spy`."""
    with Spy([accept_all, RELEASE_RP]) as running:
        yield running


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[StoreScp]:
    """DCMTK's storescp."""
    folder = tmp_path / "storescp"
    folder.mkdir()
    with run_storescp(folder) as running:
        yield running


@pytest.fixture(scope="session")
def running_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for all tests."""
    with run_orthanc(tmp_path_factory.mktemp("orthanc")) as started:
        yield started


@pytest.fixture
def orthanc(running_orthanc: Orthanc) -> Orthanc:
    """The Orthanc, empty at the start of each test."""
    running_orthanc.clear()
    return running_orthanc


@pytest.fixture(scope="session")
def running_orthanc_tls(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Orthanc]:
    """The same for `orthanc_tls`."""
    with run_orthanc(tmp_path_factory.mktemp("orthanc-tls"), certificates) as started:
        yield started


@pytest.fixture
def orthanc_tls(running_orthanc_tls: Orthanc) -> Orthanc:
    """An Orthanc that speaks TLS alone and requires a client certificate of the fixture `certificates`."""
    running_orthanc_tls.clear()
    return running_orthanc_tls
