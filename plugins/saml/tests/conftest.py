"""An identity provider's certificates in files, and the authenticator that believes them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicomgate.testing.fixtures import evidence, gateway, orthanc, pacs, running_orthanc, spy  # noqa: F401
from dicomgate_saml import Saml
from plugins.saml.tests.mint import P256, RSA, authenticator, written


@dataclass(frozen=True)
class IdP:
    """Where the certificates of mint's keys are, and a `Saml` with them and the usual options."""

    rsa: Path
    p256: Path
    judge: Saml


@dataclass(frozen=True)
class Trap:
    """A listener to which nothing may connect, and a URL of it."""

    url: str
    listening: socket.socket

    def assert_unvisited(self) -> None:
        with pytest.raises(TimeoutError):
            self.listening.accept()


@pytest.fixture
def trap() -> Iterator[Trap]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        yield Trap(f"http://127.0.0.1:{listening.getsockname()[1]}/trap", listening)


@pytest.fixture
def idp(tmp_path: Path) -> IdP:
    rsa, p256 = written(tmp_path / "rsa.pem", RSA.pem), written(tmp_path / "p256.pem", P256.pem)
    return IdP(rsa, p256, authenticator(tmp_path, certificates=[rsa, p256]))
