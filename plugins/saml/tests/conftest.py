"""An identity provider's certificates in files, and the authenticator that believes them."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicomgate.testing.fixtures import gateway, orthanc, pacs, spy  # noqa: F401
from dicomgate_saml import Saml
from dicomgate_saml.document import RefusedError
from dicomgate_saml.sources import trusted
from dicomgate_saml.verification import read_assertion, verify
from plugins.saml.tests.mint import P256, RSA, USER, accepted, authenticator, refused, written

NOT_THE_ISSUERS = "not signed with a key of the issuer, or changed after that"
BEFORE_THE_SCHEMA = frozenset(("document", "structure", "signature"))


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


def refusal(judge: Saml, document: bytes) -> tuple[str, str]:
    """The file that refuses the document before a claim of it is looked at, and its words. Fails if none does."""
    reason = refused(judge, document)
    with pytest.raises(RefusedError) as raised:
        verify(read_assertion(document, judge.decryptor)[1], trusted(judge.source, time.time()).certificates)
    assert str(raised.value) == reason
    return Path(traceback.extract_tb(raised.tb)[-1].filename).stem, reason


def assert_accepted(judge: Saml, document: bytes) -> None:
    """The usual user logs in with it."""
    assert accepted(judge, document).user == USER


def assert_forged(judge: Saml, genuine: bytes, hostile: bytes) -> str:
    """The genuine one is accepted, the hostile one refused for its form or its signature; the words."""
    assert_accepted(judge, genuine)
    file, words = refusal(judge, hostile)
    assert file in BEFORE_THE_SCHEMA, (file, words)
    return words
