"""Three identity providers that have nothing in common with each other.

pysaml2     Python, an identity provider in full; the program xmlsec1 signs for it
npm's saml  JavaScript, assertions alone; xml-crypto signs for it
OpenSAML    C++, what Shibboleth is made of; its samlsign signs what it is given, with xml-security-c
"""

from __future__ import annotations

import json
import subprocess
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from dicomgate.testing.peers.process import require
from plugins.saml.tests import mint
from plugins.saml.tests.mint import ENTITY_ID, P256, RSA, SAML_NAMESPACE, SHA256, USER, Signer, written

ASSERTION, RESPONSE, SIGNED_RESPONSE = "assertion", "response", "signed response"
GROUPS: Mapping[str, Sequence[str]] = {"groups": ["radiology", "ct"]}
_CLIENTS = Path(__file__).parents[3] / "tests" / "clients"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What an assertion is to say; its lifetime is in seconds."""

    user: str = USER
    audience: str = ENTITY_ID
    attributes: Mapping[str, Sequence[str]] = field(default_factory=lambda: GROUPS)
    lifetime: int = 300


class Provider(ABC):
    """Skips the test, with what to install, if it cannot be run. `folder` is for its files."""

    issuer: str
    makes: Sequence[tuple[Signer, str]]
    """What it issues: which forms, signed with which keys."""

    @abstractmethod
    def __init__(self, folder: Path) -> None: ...

    def mint(self, key: Signer = RSA, form: str = ASSERTION, **said: Any) -> bytes:
        """What it issues now, signed with this key; it says what `Said` does, or what is given."""
        assert (key, form) in self.makes
        return self._issue(key, form, Said(**said))

    @abstractmethod
    def _issue(self, key: Signer, form: str, said: Said) -> bytes: ...


class Pysaml2(Provider):
    """pysaml2's Server. It issues Responses; what is in one may be sent alone. A Response it signs with RSA alone."""

    issuer = "https://pysaml2.example/idp"
    makes = (*((key, form) for key in (RSA, P256) for form in (ASSERTION, RESPONSE)), (RSA, SIGNED_RESPONSE))

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._xmlsec = require("xmlsec1", "xmlsec1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it imports what cryptography calls outdated
            pytest.importorskip("saml2.server", reason="pysaml2 is not installed: it is in the group dev")

    def _issue(self, key: Signer, form: str, said: Said) -> bytes:
        from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID

        issued = self._server(key, said.audience, said.lifetime).create_authn_response(
            said.attributes,
            in_response_to=None,
            destination=said.audience,
            sp_entity_id=said.audience,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=said.user),
            authn={"class_ref": mint.PASSWORD, "authn_auth": self.issuer},
            sign_assertion=True,
            sign_response=form == SIGNED_RESPONSE,
            sign_alg=key.algorithm,
            digest_alg=SHA256,
        )
        response = str(issued).encode()
        return response if form != ASSERTION else cut_out(response)

    def metadata(self, key: Signer = RSA, *, signed: bool = False) -> bytes:
        """The metadata of this provider, signed with the key that it signs assertions with."""
        from saml2.metadata import entity_descriptor, sign_entity_descriptor

        server = self._server(key, ENTITY_ID, 0)
        described = entity_descriptor(server.config)
        described.id = "metadata-of-pysaml2"  # without one, nothing could refer to it
        if signed:
            _, described = sign_entity_descriptor(described, described.id, server.sec, key.algorithm, SHA256)
        return str(described).encode()

    def _server(self, key: Signer, audience: str, lifetime: int) -> Any:
        from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
        from saml2.config import IdPConfig, SPConfig
        from saml2.metadata import entity_descriptor
        from saml2.server import Server

        consumer = {"endpoints": {"assertion_consumer_service": [(audience, BINDING_HTTP_POST)]}}
        gateway = SPConfig().load({"entityid": audience, "xmlsec_binary": self._xmlsec, "service": {"sp": consumer}})
        key_file, certificate_file = key_files(self._folder, key)
        provider = {
            "endpoints": {"single_sign_on_service": [(self.issuer, BINDING_HTTP_REDIRECT)]},
            "policy": {"default": {"lifetime": {"seconds": lifetime}}},
        }
        configuration = {
            "entityid": self.issuer,
            "xmlsec_binary": self._xmlsec,
            "key_file": str(key_file),
            "cert_file": str(certificate_file),
            "metadata": {"inline": [str(entity_descriptor(gateway))]},
            "service": {"idp": provider},
        }
        return Server(config=IdPConfig().load(configuration))


class NpmSaml(Provider):
    """npm's `saml`, auth0's. It signs with RSA alone and issues assertions alone, encrypted if it is asked."""

    issuer = "https://npm.example/idp"
    makes = ((RSA, ASSERTION),)

    def __init__(self, folder: Path) -> None:
        self._node = require("node", "nodejs npm")
        if not (_CLIENTS / "node_modules" / "saml").is_dir():
            pytest.skip("npm's saml is not installed: npm ci --prefix tests/clients --ignore-scripts")

    def _issue(self, key: Signer, form: str, said: Said) -> bytes:
        return self._create(key, said)

    def encrypted(self, key: Signer, reader: Signer, **more: str | bool) -> bytes:
        """An EncryptedAssertion for the reader's RSA key; `more` goes over the library's own options."""
        certificate, public = reader.pem.decode(), reader.public_pem.decode()
        return self._create(key, Said(), encryptionCert=certificate, encryptionPublicKey=public, **more)

    def _create(self, key: Signer, said: Said, **more: str | bool) -> bytes:
        options = {
            "issuer": self.issuer,
            "key": key.private_pem.decode(),
            "cert": key.pem.decode(),
            "lifetimeInSeconds": said.lifetime,
            "audiences": said.audience,
            "recipient": said.audience,
            "attributes": said.attributes,
            "nameIdentifier": said.user,
            **more,
        }
        return run([self._node, _CLIENTS / "assertion.cjs"], json.dumps(options).encode())


class OpenSaml(Provider):
    """OpenSAML's samlsign, which signs assertions and responses that it is given."""

    issuer = "https://opensaml.example/idp"
    makes = tuple((key, form) for key in (RSA, P256) for form in (ASSERTION, SIGNED_RESPONSE))

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._samlsign = require("samlsign", "opensaml-tools")

    def _issue(self, key: Signer, form: str, said: Said) -> bytes:
        unsigned = mint.assertion(
            issuer=self.issuer,
            subject=mint.subject(said.user, mint.confirmation(recipient=said.audience, ends=said.lifetime)),
            conditions=mint.conditions(said.audience, begins=None, ends=said.lifetime),
            attributes=said.attributes,
        )
        signed = self.sign(unsigned, key)
        return signed if form == ASSERTION else self.sign(mint.response(signed, issuer=self.issuer), key)

    def sign(self, document: bytes, key: Signer = RSA) -> bytes:
        """The document, whose root is an Assertion or a Response, as samlsign signs it."""
        key_file, certificate_file = key_files(self._folder, key)
        algorithms = ["-alg", key.algorithm, "-dig", SHA256]
        file = written(self._folder / "unsigned.xml", document)
        return run([self._samlsign, "-s", "-k", key_file, "-c", certificate_file, *algorithms, "-f", file])

    def verifies(self, document: bytes, key: Signer = RSA) -> bool:
        """samlsign's own verdict: the root is signed with this key, as SAML wants it signed."""
        _, certificate_file = key_files(self._folder, key)
        file = written(self._folder / "signed.xml", document)
        ended = subprocess.run(
            [self._samlsign, "-c", certificate_file, "-f", file], capture_output=True, timeout=60, check=False
        )
        return ended.returncode == 0


PROVIDERS: Mapping[str, type[Provider]] = {"pysaml2": Pysaml2, "npm": NpmSaml, "opensaml": OpenSaml}
MADE = [
    pytest.param(name, key, form, id=f"{name}-{'RSA' if key is RSA else 'P-256'}-{form}")
    for name, provider in PROVIDERS.items()
    for key, form in provider.makes
]
"""Whatever any of them makes: its name, the key, the form."""


def key_files(folder: Path, key: Signer) -> tuple[Path, Path]:
    """The key and its certificate in files, as programs want them."""
    name = key.certificate.serial_number
    private = written(folder / f"{name}.key", key.private_pem, 0o600)
    return private, written(folder / f"{name}.pem", key.pem)


def cut_out(response: bytes) -> bytes:
    """The assertion in a Response, alone, with the namespaces that were declared above it."""
    return bytes(etree.tostring(etree.fromstring(response).find(f"{{{SAML_NAMESPACE}}}Assertion"), with_tail=False))


def run(command: Sequence[str | Path], given: bytes = b"") -> bytes:
    """What a program prints. Raises subprocess.CalledProcessError, with what it said, if it fails."""
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=True).stdout
