"""Over the wire: real clients, a gateway with this authenticator, assertions of real providers, a real Orthanc."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree
from signxml import SignatureConfiguration, XMLVerifier
from signxml.verifier import VerifyResult

from dicomgate.testing.peers.answers import document
from dicomgate.testing.peers.dcmtk import storescu
from dicomgate.testing.peers.issuer import Issuer, ca_file
from dicomgate.testing.peers.loopback import Address, wait_until
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.raw_client import REFUSED_IDENTITY, TRY_LATER, RawClient, login, request
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from dicomgate_saml import sources
from plugins.saml.tests.mint import ENTITY_ID, RSA, STRANGER, USER, Signer, mint, signer, written
from plugins.saml.tests.mint import table as issuer_table
from plugins.saml.tests.providers import GROUPS, MADE, PROVIDERS, NpmSaml, OpenSaml, Provider, Pysaml2, key_files

AGAIN = 0.2  # seconds: thirty would be long for a test
ADMITTED = b"\2"
GATEWAY = signer(rsa.generate_private_key(65537, 2048), "gateway")
LARGEST = 65_400
"""Bytes. The user information item has 65,535, of which pynetdicom 3.0.4 leaves 65,463 and DCMTK 3.6.7 65,467."""


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_AGAIN", AGAIN)


@pytest.fixture
def server() -> Iterator[Issuer]:
    """A web server, where metadata may be."""
    with Issuer() as running:
        yield running


@pytest.fixture
def start(gateway: StartGateway) -> Callable[..., Gateway]:
    """Start a gateway that asks these tables in turn."""

    def start(upstream: Address, *tables: dict[str, Any]) -> Gateway:
        made = configuration(upstream)
        made["listener"][0]["authenticators"] = [table["name"] for table in tables]
        made["authenticator"] = list(tables)
        return gateway(made)

    return start


def table(folder: Path, provider: Provider, key: Signer = RSA, **options: Any) -> dict[str, Any]:
    """An [[authenticator]] for what a provider issues with this key, unless the options name its metadata."""
    if "metadata_url" not in options:
        options["certificates"] = [key_files(folder, key)[1]]
    usual = {"issuer": provider.issuer, "group_attributes": ["groups"], "timeout": "20s"}
    return issuer_table(folder, type(provider).__name__, **usual, **options)


def at_url(server: Issuer, folder: Path, **options: Any) -> dict[str, Any]:
    return {"metadata_url": f"{server.name}/metadata", "ca": ca_file(server, folder), **options}


def own_key(folder: Path) -> dict[str, Any]:
    """The options for a gateway that signs its responses."""
    return {
        "key_file": written(folder / "gateway.key", GATEWAY.private_pem, 0o600),
        "certificate_file": written(folder / "gateway.pem", GATEWAY.pem),
    }


def log_in(address: Address, assertion: bytes) -> bytes:
    """How a login with this assertion is answered: ADMITTED, or the A-ASSOCIATE-RJ."""
    with RawClient(address) as client:
        answer = client.ask(request(login(assertion.decode(), b"", kind=4)))
        if answer[:1] == ADMITTED:
            client.release()
        return answer if answer[:1] != ADMITTED else ADMITTED


def reasons(running: Gateway, outcome: str, count: int = 1) -> list[str]:
    return [event["reason"] for event in running.wait_for("Decided", count, outcome=outcome)]


def id_of(issued: bytes) -> str:
    root = etree.fromstring(issued)
    found: str = (root if root.tag.endswith("}Assertion") else root.find("{*}Assertion")).get("ID")
    return found


def check_response(response: bytes, assertion_id: str) -> None:
    """PS3.7 D.3.3.7.2: a samlp:Response, which signxml finds signed by the gateway."""
    seen = XMLVerifier().verify(
        response, x509_cert=GATEWAY.certificate, expect_config=SignatureConfiguration(location="./")
    )
    assert isinstance(seen, VerifyResult)
    signed: Any = seen.signed_xml
    assert signed.tag == "{urn:oasis:names:tc:SAML:2.0:protocol}Response"
    assert signed.get("InResponseTo") == assertion_id
    assert signed.findtext("{urn:oasis:names:tc:SAML:2.0:assertion}Issuer") == ENTITY_ID
    (status,) = signed.iterfind("{*}Status/{*}StatusCode")
    assert status.get("Value") == "urn:oasis:names:tc:SAML:2.0:status:Success"


@pytest.mark.parametrize(("name", "key", "form"), MADE)
def test_it_logs_storescu_and_pynetdicom_in(
    start: Callable[..., Gateway], orthanc: Orthanc, tmp_path: Path, name: str, key: Signer, form: str
) -> None:
    provider = PROVIDERS[name](tmp_path)
    image = ct_slice(tmp_path / "ct.dcm")
    good, another = provider.mint(key, form), provider.mint(key, form)
    running = start(orthanc.address, table(tmp_path, provider, key, **own_key(tmp_path)))
    for sent in (good.replace(USER.encode(), b"eve"), good):
        file = written(tmp_path / "assertion.xml", sent)
        ended = storescu(running.address, tmp_path / "ct.dcm", options=["--saml", file, "-rsp"])
        assert (ended.status == 0) == (sent == good), ended.output
        assert orthanc.instances() == [image.SOPInstanceUID] * (sent == good)
    identity = user_identity(4, another, positive_response_requested=True)
    with associate(running.address, identity=identity) as association:
        assert association.is_established
        assert association.send_c_echo().Status == 0
        check_response(association.acceptor.user_identity.server_response, id_of(another))
    for accepted in running.wait_for("Decided", 2, outcome="accept"):
        assert (accepted["user"], accepted["authenticator"]) == (USER, type(provider).__name__)
        assert sorted(accepted["groups"]) == sorted(GROUPS["groups"])
    assert reasons(running, "reject") == ["not signed with a key of the issuer, or changed after that"]
    # Nothing that could be used to log in was written.
    told = running.log() + (running.folder / "audit.jsonl").read_text()
    value = etree.fromstring(good).findtext(".//{http://www.w3.org/2000/09/xmldsig#}SignatureValue")
    assert value.split()[0][:60] not in told


def test_the_response(start: Callable[..., Gateway], pacs: PynetdicomPacs, tmp_path: Path) -> None:
    """Of no length without a key of the gateway's; none at all if none is asked for."""
    npm = NpmSaml(tmp_path)
    for options, asked in ((own_key(tmp_path), True), (own_key(tmp_path), False), ({}, True)):
        issued = npm.mint()
        running = start(pacs.address, table(tmp_path, npm, **options))
        identity = user_identity(4, issued, positive_response_requested=asked)
        with associate(running.address, identity=identity) as association:
            assert association.is_established
            answered = association.acceptor.user_identity
        if asked and options:
            check_response(answered.server_response, id_of(issued))
        else:
            assert (answered and answered.server_response) == (b"" if asked else None)


def test_the_largest(start: Callable[..., Gateway], orthanc: Orthanc, tmp_path: Path) -> None:
    npm = NpmSaml(tmp_path)
    running = start(orthanc.address, table(tmp_path, npm, **own_key(tmp_path)))
    rest = len(npm.mint(attributes={**GROUPS, "filling": ["x"]}))
    issued, another = (npm.mint(attributes={**GROUPS, "filling": ["x" * (LARGEST - rest + 1)]}) for _ in range(2))
    assert len(issued) == len(another) == LARGEST
    identity = user_identity(4, issued, positive_response_requested=True)
    with associate(running.address, identity=identity) as association:
        assert association.is_established
        assert association.send_c_echo().Status == 0
        check_response(association.acceptor.user_identity.server_response, id_of(issued))
    image = ct_slice(tmp_path / "ct.dcm")
    file = written(tmp_path / "assertion.xml", another)
    sent = storescu(running.address, tmp_path / "ct.dcm", options=["--saml", file, "-rsp"])
    assert sent.status == 0, sent.output
    assert orthanc.instances() == [image.SOPInstanceUID]


def test_what_is_no_login(start: Callable[..., Gateway], pacs: PynetdicomPacs, tmp_path: Path) -> None:
    opensaml = OpenSaml(tmp_path)
    running = start(pacs.address, table(tmp_path, opensaml))
    good = opensaml.mint()
    changed = "not signed with a key of the issuer, or changed after that"
    hostile = {
        mint(key=STRANGER, issuer=opensaml.issuer): changed,
        good.replace(USER.encode(), b"eve"): changed,
        opensaml.mint(audience="https://elsewhere.example"): "Audience: ",
        opensaml.mint(lifetime=-61): "Conditions: ended at ",
        b"ada": "not well-formed XML",
    }
    for sent in hostile:
        assert log_in(running.address, sent) == REFUSED_IDENTITY, sent
    told = reasons(running, "reject", len(hostile))
    assert all(map(str.startswith, told, hostile.values())), told
    assert log_in(running.address, mint()) == REFUSED_IDENTITY
    (nobody,) = reasons(running, "nobody claims it")
    assert nobody.startswith("no authenticator claims an identity of type 4 (SAML) (OpenSaml: its issuer is ")
    assert pacs.associations == []
    assert log_in(running.address, good) == ADMITTED


def test_metadata_that_comes_and_goes(
    start: Callable[..., Gateway], server: Issuer, pacs: PynetdicomPacs, tmp_path: Path
) -> None:
    pysaml2 = Pysaml2(tmp_path)
    signers = written(tmp_path / "signers.pem", RSA.pem)
    url = at_url(server, tmp_path, metadata_signers=signers, fetch_timeout="500ms")
    server.stop()
    running = start(pacs.address, table(tmp_path, pysaml2, **url))
    wait_until(lambda: "cannot be fetched" in running.log(), "the first fetch")
    issued = pysaml2.mint()
    assert log_in(running.address, issued) == TRY_LATER
    assert log_in(running.address, mint()) == REFUSED_IDENTITY  # another issuer's: its keys do not matter
    server.start()
    server.answers["/metadata"] = document(pysaml2.metadata())
    wait_until(lambda: "metadata that is not signed" in running.log(), "metadata that is refused")
    assert log_in(running.address, issued) == TRY_LATER
    assert pacs.associations == []
    server.answers["/metadata"] = document(pysaml2.metadata(signed=True))
    wait_until(lambda: log_in(running.address, issued) == ADMITTED, "logins without a restart")
    told = reasons(running, "unavailable", 2)
    assert all(reason.startswith(f"the metadata of {pysaml2.issuer} cannot be fetched: ") for reason in told)
    server.stop()  # the keys are known: logins go on
    assert log_in(running.address, pysaml2.mint()) == ADMITTED


def test_two_issuers_side_by_side(
    start: Callable[..., Gateway], server: Issuer, pacs: PynetdicomPacs, tmp_path: Path
) -> None:
    opensaml, pysaml2 = OpenSaml(tmp_path), Pysaml2(tmp_path)
    server.stop()
    url = at_url(server, tmp_path, unsigned_metadata=True)
    tables = [table(tmp_path, pysaml2, **url), table(tmp_path, opensaml, STRANGER)]
    running = start(pacs.address, *tables)
    # One that is out of reach does not affect the other.
    assert log_in(running.address, mint(key=STRANGER, issuer=opensaml.issuer)) == ADMITTED
    assert log_in(running.address, pysaml2.mint()) == TRY_LATER
    server.answers["/metadata"] = document(pysaml2.metadata())
    server.start()
    wait_until(lambda: log_in(running.address, pysaml2.mint()) == ADMITTED, "both")
    names = {event["authenticator"] for event in running.wait_for("Decided", 2, outcome="accept")}
    assert names == {"OpenSaml", "Pysaml2"}
    # A good signature of the one does not make an assertion of the other; nor does a third's make one of either.
    assert log_in(running.address, opensaml.mint()) == REFUSED_IDENTITY
    assert log_in(running.address, mint(key=STRANGER, issuer=pysaml2.issuer)) == REFUSED_IDENTITY
    assert log_in(running.address, mint()) == REFUSED_IDENTITY
