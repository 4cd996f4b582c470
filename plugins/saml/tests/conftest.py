"""An identity provider's certificates in files, and the authenticator that believes them."""

from __future__ import annotations

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


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def idp(tmp_path: Path) -> IdP:
    rsa, p256 = written(tmp_path / "rsa.pem", RSA.pem), written(tmp_path / "p256.pem", P256.pem)
    return IdP(rsa, p256, authenticator(tmp_path, certificates=[rsa, p256]))
