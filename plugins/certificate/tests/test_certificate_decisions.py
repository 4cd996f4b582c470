"""Whose a certificate is: each row that is let in stands beside one that is not."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.x509 import DNSName, RFC822Name, UniformResourceIdentifier

from dicomgate import Accept, Decision, Identity, Pass, Reject
from dicomgate.testing import attempt, passcode
from dicomgate_certificate import Certificate, Device
from plugins.certificate.tests.issued import CN, END, issue, subject

CT_1 = issue(
    names=[DNSName("ct-1.hospital.example"), UniformResourceIdentifier("urn:ct-1"), RFC822Name("ct-1@hospital.example")]
)
CT_2 = issue(subject([(CN, "ct-2")]), [DNSName("ct-2.hospital.example")])
TWO = issue(subject([(CN, "a")], [(CN, "b")]), [DNSName("a.example"), DNSName("b.example")])
NAMES = [
    "sha256:" + sha256(CT_1).hexdigest(),
    "subject:CN=ct-1,O=Hospital",
    "common-name:ct-1",
    "dns:ct-1.hospital.example",
    "uri:urn:ct-1",
    "email:ct-1@hospital.example",
]


def decide(options: dict[str, Any], certificate: bytes | None, identity: Identity | None = None) -> Decision:
    return asyncio.run(Certificate(**options).authenticate(attempt(identity, certificate=certificate)))


def accepted(certificate: bytes, user: str, by: str, *groups: str) -> Accept:
    told = {"certificate": by, "sha256": sha256(certificate).hexdigest()}
    return Accept(user, frozenset(groups), expires_at=END, attributes=told)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.partition(":")[0])
def test_a_certificate_is_known_by_any_of_its_names(name: str) -> None:
    options = {"certificates": {name: Device(user="CT one", groups=["ct", "modalities"])}}
    assert decide(options, CT_1) == accepted(CT_1, "CT one", name, "ct", "modalities")
    refused = decide(options, CT_2)
    assert isinstance(refused, Reject)
    assert "dns:ct-2.hospital.example" in refused.reason  # the operator sees what to configure


def test_a_common_name_that_a_load_balancer_has_verified_is_a_name_of_its_own_kind() -> None:
    announced = attempt()
    announced = replace(announced, peer=replace(announced.peer, via="10.0.0.5", proxy_tls=True, proxy_cn="ct-1"))
    named: dict[str, Any] = {"certificates": {"proxy_cn:ct-1": Device(user="CT one", groups=["ct"])}}
    accept = Accept("CT one", frozenset({"ct"}), attributes={"certificate": "proxy_cn:ct-1"})
    assert asyncio.run(Certificate(**named).authenticate(announced)) == accept
    assert isinstance(decide(named, CT_1), Reject), "the same name, in a certificate of the client's own"
    by_certificate: dict[str, Any] = {"certificates": {name: Device(user="CT one") for name in NAMES}}
    assert isinstance(asyncio.run(Certificate(**by_certificate).authenticate(announced)), Reject)
    every = asyncio.run(Certificate(user_from="proxy_cn").authenticate(announced))
    assert isinstance(every, Accept)
    assert every.user == "ct-1"
    assert isinstance(asyncio.run(Certificate(**named).authenticate(attempt())), Pass)


def test_a_new_certificate_is_another_by_its_fingerprint_alone() -> None:
    renewed = issue(names=[DNSName("ct-1.hospital.example")])
    by_name = {"certificates": {NAMES[3]: Device(user="ct-1")}}
    by_fingerprint = {"certificates": {NAMES[0]: Device(user="ct-1")}}
    assert [isinstance(decide(by_name, one), Accept) for one in (CT_1, renewed)] == [True, True]
    assert [isinstance(decide(by_fingerprint, one), Accept) for one in (CT_1, renewed)] == [True, False]


@pytest.mark.parametrize("name", ["common-name:CT-1", "common-name:ct-1.hospital.example", "dns:ct-1", "uri:urn:CT-1"])
def test_a_name_counts_as_it_stands_and_for_its_kind(name: str) -> None:
    assert isinstance(decide({"certificates": {name: Device(user="ct-1")}}, CT_1), Reject)


@pytest.mark.parametrize(
    ("other", "let_in"),
    [
        (Device(user="ct-1", groups=["ct", "mr"]), True),
        (Device(user="ct-2", groups=["mr", "ct"]), False),
        (Device(user="ct-1", groups=["ct"]), False),
    ],
)
def test_two_names_and_one_device(other: Device, let_in: bool) -> None:
    one = Device(user="ct-1", groups=["mr", "ct"])
    decision = decide({"certificates": {NAMES[3]: one, NAMES[4]: other}}, CT_1)
    assert isinstance(decision, Accept if let_in else Reject)
    if isinstance(decision, Reject):
        assert decision.reason.startswith(f"ambiguous: the certificate is known by {NAMES[3]} and {NAMES[4]}")


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.partition(":")[0])
def test_the_user_is_a_name_of_the_certificate(name: str) -> None:
    kind, _, user = name.partition(":")
    assert decide({"user_from": kind, "groups": ["modalities"]}, CT_1) == accepted(CT_1, user, name, "modalities")


@pytest.mark.parametrize(("pinned", "let_in"), [("ct-2", False), ("ct-9", True)])
def test_nobody_makes_himself_a_user_of_the_table(pinned: str, let_in: bool) -> None:
    """The authority may issue a second certificate with the name of a device that is known by its fingerprint."""
    options = {"certificates": {NAMES[0]: Device(user=pinned)}, "user_from": "common-name"}
    assert isinstance(decide(options, CT_1), Accept)
    decision = decide(options, CT_2)
    assert isinstance(decision, Accept if let_in else Reject)


@pytest.mark.parametrize("unknown", ["reject", "pass"])
@pytest.mark.parametrize("kind", ["common-name", "dns"])
def test_one_name_no_more_and_no_fewer(kind: str, unknown: str) -> None:
    options = {"user_from": kind, "unknown_certificate": unknown}
    assert isinstance(decide(options, CT_2), Accept)
    assert decide(options, TWO) == Reject(f"ambiguous: the certificate has 2 names of the kind {kind}")
    assert isinstance(decide(options | {"user_from": "uri"}, CT_2), Reject if unknown == "reject" else Pass)


@pytest.mark.parametrize(
    ("name", "let_in"),
    [
        *(("ct 1", True), ("Gerät", True), ("a\nb", False), ("a\x00", False), ("*", False), ("a\u202eb", False)),
        *(("urn:".ljust(256, "x"), True), ("urn:".ljust(257, "x"), False)),
    ],
)
def test_a_user_can_be_printed_and_is_not_endless(name: str, let_in: bool) -> None:
    kind = "uri" if name.startswith("urn:") else "common-name"
    certificate = issue(names=[UniformResourceIdentifier(name)]) if kind == "uri" else issue(subject([(CN, name)]))
    assert isinstance(decide({"user_from": kind}, certificate), Accept if let_in else Reject)


def test_a_wildcard_is_nobody() -> None:
    wildcard = issue(names=[DNSName("*.hospital.example")])
    assert isinstance(decide({"user_from": "common-name"}, wildcard), Accept)
    assert isinstance(decide({"user_from": "dns"}, wildcard), Reject)
    assert isinstance(decide({"certificates": {NAMES[3]: Device(user="ct-1")}}, wildcard), Reject)


def test_the_table_goes_before_the_rule() -> None:
    options = {"user_from": "common-name", "groups": ["all"], "certificates": {NAMES[3]: Device(user="CT one")}}
    assert decide(options, CT_1) == accepted(CT_1, "CT one", NAMES[3])
    assert decide(options, CT_2) == accepted(CT_2, "ct-2", "common-name:ct-2", "all")


def test_who_shows_none_and_who_brings_an_identity_is_not_judged() -> None:
    options = {"user_from": "common-name"}
    assert isinstance(decide(options, CT_1), Accept)
    assert isinstance(decide(options, None), Pass)
    assert isinstance(decide(options, CT_1, passcode("ct-1", "guess")), Pass)


BIT_STRING = CT_1.replace(b"\x0c\x04ct-1", b"\x03\x04ct-1")  # instead of a UTF8String


@pytest.mark.parametrize("certificate", [b"", b"nonsense", CT_1[:-1], CT_1 + b"\0", BIT_STRING])
def test_what_is_no_certificate(certificate: bytes) -> None:
    decision = decide({"user_from": "common-name"}, certificate)
    assert isinstance(decision, Reject)
    assert decision.reason.startswith("the certificate cannot be read: ")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_damaged_certificate_is_never_a_defect() -> None:
    """TLS has verified what comes here; an authority may have signed nonsense all the same."""
    chance = random.Random(1)
    damaged = []
    for _ in range(3000):
        certificate = bytearray(CT_1)
        for _ in range(chance.choice((1, 1, 2, 5))):
            certificate[chance.randrange(len(certificate))] = chance.randrange(256)
        damaged.append(attempt(certificate=bytes(certificate)))

    async def ask() -> set[type[Decision]]:
        judge = Certificate(user_from="dns")
        return {type(await judge.authenticate(one)) for one in damaged}

    assert asyncio.run(ask()) == {Accept, Reject}


def test_a_reason_is_of_bearable_length() -> None:
    many = issue(names=[DNSName(f"device-{number}.hospital.example") for number in range(1000)])
    decision = decide({"certificates": {NAMES[3]: Device(user="ct-1")}}, many)
    assert isinstance(decision, Reject)
    assert len(decision.reason) < 1100
    assert sha256(many).hexdigest() in decision.reason


@pytest.mark.parametrize("name", [" alice", "alice ", "\uff41lice", "ALICE", "Alice"])
def test_a_name_that_looks_like_that_of_a_user_of_the_table(name: str) -> None:
    options = {"user_from": "common-name", "certificates": {"dns:a.hospital.example": Device(user="alice")}}
    assert isinstance(decide(options, issue(subject([(CN, "bert")]))), Accept)
    assert isinstance(decide(options, issue(subject([(CN, name)]))), Reject)


def test_a_dns_name_that_is_not_ascii() -> None:
    options = {"certificates": {"dns:k-1.hospital.example": Device(user="k")}}
    assert isinstance(decide(options, issue(names=[DNSName("K-1.hospital.example")])), Accept)
    kelvin = DNSName._init_without_validation("\u212a-1.hospital.example")
    try:
        made = issue(names=[kelvin])
    except (ValueError, UnicodeError):
        pytest.skip("this version of cryptography makes none")
    assert isinstance(decide(options, made), Reject)
