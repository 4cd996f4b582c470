"""`dicomgate saml inspect` explains and prints no assertion; `dicomgate saml metadata` is for the identity provider."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from lxml import etree
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from dicomgate.testing.commandline import dicomgate
from plugins.saml.tests import mint as m
from plugins.saml.tests import sealing
from plugins.saml.tests.mint import ENTITY_ID, ISSUER, P256, RSA, USER, conditions, confirmation, mint, subject, written

GATEWAY = f"""
[[listener]]
name = "clinical"
bind = "127.0.0.1:0"

[[upstream]]
name = "pacs"
address = "127.0.0.1:4242"
called_ae_titles = ["*"]

[[authenticator]]
use = "saml"
name = "other"
issuer = "https://other.hospital.example"
entity_id = "{ENTITY_ID}"
certificates = ["rsa.pem"]

[[authenticator]]
use = "saml"
name = "sso"
issuer = "{ISSUER}"
entity_id = "{ENTITY_ID}"
certificates = ["rsa.pem"]
group_attributes = ["groups"]
key_file = "gate.key"
certificate_file = "gate.pem"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    written(tmp_path / "rsa.pem", RSA.pem)
    written(tmp_path / "gate.pem", RSA.pem)
    written(tmp_path / "gate.key", RSA.private_pem, 0o600)
    return written(tmp_path / "dicomgate.toml", GATEWAY.encode())


def inspected(config: Path, assertion: bytes, *options: object) -> tuple[int, str]:
    done = dicomgate("saml", "inspect", "-", "--config", config, *options, stdin=assertion)
    signature = assertion.partition(b"SignatureValue>")[2][:40].decode("ascii", "replace").strip()
    assert not signature or signature not in done.output
    return done.exit_code, done.output


def test_an_assertion_that_is_accepted(config: Path, tmp_path: Path) -> None:
    for assertion in (mint(), m.response(mint())):
        status, told = inspected(config, assertion)
        assert status == 0
        assert "not this table's" in told
        assert "verified" in told
        assert f'user "{USER}"' in told
    path = written(tmp_path / "assertion.xml", mint())
    assert dicomgate("saml", "inspect", path, "--config", config).exit_code == 0


def test_every_problem_is_told(config: Path) -> None:
    elsewhere, wrong = conditions("https://elsewhere.hospital.example"), subject(USER, confirmation(recipient="x"))
    status, told = inspected(config, mint(conditions=elsewhere, subject=wrong))
    assert status == 1
    assert "elsewhere" in told
    assert "Recipient" in told
    assert "no authenticator accepts" in told


def test_what_is_not_signed_is_not_explained(config: Path) -> None:
    changed = mint().replace(USER.encode(), b"eve")
    not_theirs = "not signed with a key of the issuer"
    for sent, why in ((mint(key=P256), not_theirs), (changed, not_theirs), (b"<!DOCTYPE a><a/>", "a document type")):
        status, told = inspected(config, sent)
        assert status == 1
        assert why in told
        assert "eve" not in told


def test_wrong_usage(config: Path, tmp_path: Path) -> None:
    assert dicomgate("saml", "inspect", tmp_path / "none", "--config", config).exit_code == 2
    assert dicomgate("saml", "metadata", "--config", config).exit_code == 2  # which of the two?
    assert dicomgate("saml", "metadata", "nobody", "--config", config).exit_code == 2


def test_the_metadata(config: Path) -> None:
    done = dicomgate("saml", "metadata", "sso", "--config", config)
    assert done.exit_code == 0
    assert not isinstance(OneLogin_Saml2_XML.validate_xml(done.output, "saml-schema-metadata-2.0.xsd"), str)
    root = etree.fromstring(done.output.encode())
    assert root.get("entityID") == ENTITY_ID
    assert root.find(".//{*}AssertionConsumerService").get("Location") == ENTITY_ID
    assert [one.get("use") for one in root.iterfind(".//{*}KeyDescriptor")] == ["signing", "encryption"]
    # saml-metadata-2.0-os 2.4.1.1: what it can decrypt, best first, for providers that choose by it.
    methods = [
        one.get("Algorithm") for one in root.iterfind(".//{*}KeyDescriptor[@use='encryption']/{*}EncryptionMethod")
    ]
    assert methods == [sealing.GCM[256], sealing.GCM[192], sealing.GCM[128], sealing.OAEP11, sealing.MGF1P]
    assert len(root.findall(".//{*}EncryptionMethod")) == len(methods)
    plain = dicomgate("saml", "metadata", "other", "--config", config).output
    assert "KeyDescriptor" not in plain
    # It is a service provider's and cannot be taken for an identity provider's.
    assert OneLogin_Saml2_IdPMetadataParser.parse(plain) == {}


def test_keys_that_cannot_be_fetched(config: Path) -> None:
    with socket.socket() as silent:  # bound, and never listens
        silent.bind(("127.0.0.1", 0))
        url = f'metadata_url = "https://127.0.0.1:{silent.getsockname()[1]}/idp"\nunsigned_metadata = true'
        before, after = GATEWAY.rsplit('certificates = ["rsa.pem"]', 1)
        written(config, f"{before}{url}{after}".encode())
        status, told = inspected(config, mint())
    assert status == 3
    assert "sso\tsignature\t-\tthe metadata of" in told
    assert "sso\tlogin\tcould not look\t" in told
