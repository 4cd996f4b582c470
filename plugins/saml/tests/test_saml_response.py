"""What the gateway answers: a Response that a client can verify, and nothing of the client's but the ID."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import signxml
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from dicomgate import Accept
from dicomgate.testing import attempt, saml
from dicomgate_saml import Saml
from dicomgate_saml.claims import read_time
from dicomgate_saml.document import read_document
from dicomgate_saml.response import Responder
from dicomgate_saml.signature import read_signed
from dicomgate_saml.verification import check_schema
from plugins.saml.tests import mint as m
from plugins.saml.tests.mint import DSIG_NAMESPACE, PROTOCOL_NAMESPACE, RSA, SAML_NAMESPACE, STRANGER, mint, written
from plugins.saml.tests.mint import response as as_response

SAML, SAMLP, DSIG = f"{{{SAML_NAMESPACE}}}", f"{{{PROTOCOL_NAMESPACE}}}", f"{{{DSIG_NAMESPACE}}}"


def answering(folder: Path, **options: Any) -> Saml:
    key = written(folder / "gate.key", STRANGER.private_pem, 0o600)
    return m.authenticator(folder, key_file=key, **options)


def responding(folder: Path) -> Saml:
    return answering(folder, certificate_file=written(folder / "gate.pem", STRANGER.pem))


def answer(judge: Saml, document: bytes) -> bytes | None:
    decision = judge.authenticate(attempt(saml(document, positive_response_requested=True)))
    assert isinstance(decision, Accept)
    return decision.server_response


def made_for(judge: Saml, document: bytes) -> bytes:
    made = answer(judge, document)
    assert made is not None
    return made


def test_it_is_a_response_to_the_assertion(tmp_path: Path) -> None:
    judge, document = responding(tmp_path), mint(id="_a1")
    root, other = (read_document(made_for(judge, document)) for _ in range(2))
    assert root.get("ID") != other.get("ID")
    check_schema(root, "saml-schema-protocol-2.0.xsd")
    assert root.tag == f"{SAMLP}Response"
    assert (root.get("InResponseTo"), root.get("Version")) == ("_a1", "2.0")
    assert [child.tag for child in root] == [f"{SAML}Issuer", f"{DSIG}Signature", f"{SAMLP}Status"]
    assert root[0].text == m.ENTITY_ID
    assert [code.get("Value") for code in root.iter(f"{SAMLP}StatusCode")] == [m.SUCCESS]
    issued = read_time(root.get("IssueInstant"))
    assert issued is not None
    assert abs(issued - datetime.now(UTC).timestamp()) < timedelta(minutes=1).total_seconds()


def test_it_is_signed_with_the_gateways_key(tmp_path: Path) -> None:
    """signxml and our own rules say so, and neither of another key."""
    made = made_for(responding(tmp_path), mint())
    algorithms = {element.get("Algorithm") for element in etree.fromstring(made).iter()} - {None}
    assert {m.RSA_SHA256, m.SHA256} < algorithms
    assert not [algorithm for algorithm in algorithms if "sha1" in algorithm]

    def verified(data: bytes, certificate: bytes) -> Any:
        signxml.XMLVerifier().verify(data, x509_cert=certificate.decode(), id_attribute="ID")
        return read_signed(read_document(data)[1], [certificate.decode()], 65_535)

    assert verified(made, STRANGER.pem).get("InResponseTo")
    for data, certificate in ((made, RSA.pem), (made.replace(m.SUCCESS.encode(), b"urn:x"), STRANGER.pem)):
        with pytest.raises(signxml.exceptions.InvalidSignature):
            verified(data, certificate)


def test_it_tells_nothing_of_what_came_but_the_id(tmp_path: Path) -> None:
    secrets = {"uid": ["a secret in an attribute"], "told": ["another one"]}
    judge = responding(tmp_path)
    for sent in (mint("ada.lovelace", id="_a1", attributes=m.attributes(secrets)),
                 as_response(mint("ada.lovelace", id="_a1", attributes=m.attributes(secrets)))):  # fmt: skip
        made = made_for(judge, sent)
        assert b"_a1" in made
        for word in (b"ada.lovelace", b"a secret", b"another one", b"uid", b"idp.hospital"):
            assert word in sent
            assert word not in made.replace(RSA.pem, b"")


def test_its_size(tmp_path: Path) -> None:
    """Sub-item 59H shares 65,535 bytes with the rest: the longest ID, the largest key."""
    large = m.signer(rsa.generate_private_key(65537, 4096))
    responder = Responder(
        written(tmp_path / "k", large.private_pem, 0o600), written(tmp_path / "c", large.pem), m.ENTITY_ID
    )
    assert len(responder.respond("_" + "a" * 255)) < 10_000


def test_without_a_certificate_there_is_none(tmp_path: Path) -> None:
    assert answer(answering(tmp_path), mint()) is None
    assert answer(m.authenticator(tmp_path), mint()) is None


def test_only_an_accepted_login_that_asks_for_one_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = responding(tmp_path)
    made: list[str] = []

    def respond(_: Responder, assertion_id: str) -> bytes:
        made.append(assertion_id)
        return b"x"

    monkeypatch.setattr(Responder, "respond", respond)
    assert answer(judge, mint(id="_a1")) == b"x"
    assert m.accepted(judge, mint(id="_a2")).server_response is None
    for refused in (mint(key=STRANGER), mint(conditions=""), mint(issuer="https://other.example"), b"", b"<x/>"):
        decision = judge.authenticate(attempt(saml(refused, positive_response_requested=True)))
        assert not isinstance(decision, Accept)
    assert made == ["_a1"]
