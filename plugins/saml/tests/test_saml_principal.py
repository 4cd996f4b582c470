"""The user and the audit's attributes: from the NameID or an attribute, and from nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept
from dicomgate.kit.inspect import ClaimProblem
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import log_in, login
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_saml.document import read_document
from dicomgate_saml.principal import Mapper, told
from plugins.saml.tests import mint as m
from plugins.saml.tests.mint import ask, assertion, attributes, authenticator, confirmation, mint, subject

ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
XSPA = "urn:oasis:names:tc:xspa:1.0:subject:"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
HL7 = "urn:hl7-org:v3"


def coded(name: str, element: str, code: str, system: str = "", shown: str = "") -> str:
    """IHE ITI TF-2 3.40.4.1.2.1: "the Subject-Role ... shall be encoded as a CE element"."""
    known = "".join(f' {key}="{value}"' for key, value in (("codeSystem", system), ("displayName", shown)) if value)
    value = f'<{element} xmlns="{HL7}" xsi:type="CE" code="{code}"{known}/>'
    return f'<saml:Attribute Name="{name}"><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>'


def statement(*written: str) -> str:
    return f"<saml:AttributeStatement>{''.join(written)}</saml:AttributeStatement>"


def attribute(name: str, *values: str) -> str:
    """An Attribute; the values are XML."""
    texts = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{name}">{texts}</saml:Attribute>'


def user(by: str | None = None, **parts: Any) -> str | ClaimProblem:
    return Mapper(by, ()).user(read_document(assertion(**parts)))


def groups(names: Sequence[str], written: str) -> frozenset[str]:
    return Mapper(None, names).groups(read_document(assertion(attributes=written)))


NAMES = [
    ("ada", True), ("Zoë Müller", True), ("ada@hospital.example", True), ("a" * 256, True), ("\u5c71\u7530", True),
    ("", False), (" ", False), (" ada", False), ("ada ", False), ("ada\u00a0", False), ("a" * 257, False),
    ("ada\nroot", False), ("ada\troot", False), ("ada\u0085", False), ("ada\u202e", False), ("a\u200bda", False),
    ("</saml:NameID>", True), ("a<b", True), ("x&y", True), ('"quoted"', True),
    ("ada\u2028", False), ("\ufeffada", False), ("\ufffdada", True), ("ada\U000e0041", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good"), NAMES, ids=lambda value: ascii(value)[:20])
def test_names(name: str, good: bool) -> None:
    """One line, printable, without invisible characters; exactly as written."""
    expected = name if good else ClaimProblem("NameID", "cannot be a user's name")
    assert user(subject=subject(name, confirmation())) == expected
    found = user("uid", attributes={"uid": [name]})
    assert found == (name if good else ClaimProblem("Attribute", "'uid' does not have one value that can be a name"))
    assert groups(["roles"], attributes({"roles": ["rad", name]})) == ({"rad", name} if good else {"rad"})


def test_the_format_of_the_name() -> None:
    """2.2.2, 8.3: a transient one is another at each login; it is none that an audit can name."""
    assert user(subject=subject("ada")) == "ada"
    for version, kind in (("1.1", "unspecified"), ("2.0", "persistent"), ("1.1", "emailAddress")):
        name_format = f"urn:oasis:names:tc:SAML:{version}:nameid-format:{kind}"
        assert user(subject=subject("ada", name_format=name_format)) == "ada"
    found = user(subject=subject("ada", name_format=TRANSIENT))
    assert isinstance(found, ClaimProblem)
    assert found.claim == "NameID"
    assert "transient" in found.why
    named = {"attributes": {"uid": ["ada"]}, "subject": subject("_9f1c", name_format=TRANSIENT)}
    assert user("uid", **named) == "ada"


def test_without_a_name_id() -> None:
    assert user(subject=subject(None)) == ClaimProblem("NameID", "is missing")
    assert user("uid", subject=subject(None), attributes={"uid": ["ada"]}) == "ada"
    # That of a SubjectConfirmation names the one who confirms, not the user (2.4.1.1).
    within = confirmation().replace("<saml:SubjectConfirmationData", "<saml:NameID>root</saml:NameID>"
                                    "<saml:SubjectConfirmationData")  # fmt: skip
    assert user(subject=subject(None, within)) == ClaimProblem("NameID", "is missing")
    assert user(subject=subject("ada", within)) == "ada"


ENCRYPTED = (
    '<saml:EncryptedID><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"><xenc:CipherData>'
    "<xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedID>"
)


@pytest.mark.parametrize("other", ['<saml:BaseID NameQualifier="ada"/>', ENCRYPTED], ids=["BaseID", "EncryptedID"])
def test_other_kinds_of_identifiers(tmp_path: Path, other: str) -> None:
    judge = authenticator(tmp_path)
    assert isinstance(ask(judge, mint()), Accept)
    m.refused(judge, mint(subject=subject(None).replace("<saml:SubjectC", other + "<saml:SubjectC", 1)))


def test_the_name_is_that_of_the_attribute_alone() -> None:
    usual = {"uid": ["ada"], "mail": ["ada@hospital.example"]}
    assert user("uid", attributes=usual) == "ada"
    assert user("mail", attributes=usual) == "ada@hospital.example"
    for name in ("UID", "uid ", "ui", "nobody's"):
        assert isinstance(user(name, attributes=usual), ClaimProblem)
    assert user(attributes={"NameID": ["root"], "uid": ["root"]}) == "ada"
    friendly = attribute("urn:oid:1.2", "root").replace("Name=", 'FriendlyName="uid" Name=')
    assert isinstance(user("uid", attributes=statement(friendly)), ClaimProblem)


@pytest.mark.parametrize(
    "values",
    [
        [attribute("uid")], [attribute("uid", "ada", "ada")], [attribute("uid", "ada", "root")],
        [attribute("uid", "ada", "")], [attribute("uid", "ada", "<x>root</x>")],
        [attribute("uid", "ada"), attribute("uid", "root")], [attribute("uid", "ada"), attribute("uid", "ada")],
        [attribute("uid", "ada"), attribute("uid", "root").replace(" Name", ' NameFormat="urn:x" Name')],
        [attribute("uid", "<x>ada</x>")], [attribute("uid", "ada<x/>")], [attribute("uid", "<x/>ada")],
        [attribute("uid", "ada<x/>root")], [attribute("uid", '<x code=""/>')],
    ],
)  # fmt: skip
def test_not_one_name(values: Sequence[str]) -> None:
    assert user("uid", attributes=statement(attribute("uid", "ada"))) == "ada"
    found = user("uid", attributes=statement(*values))
    assert found == ClaimProblem("Attribute", "'uid' does not have one value that can be a name")
    assert user(attributes=statement(*values)) == "ada", "what is not read does no harm"


def test_the_same_attribute_in_two_statements() -> None:
    twice = statement(attribute("uid", "ada")) + statement(attribute("uid", "root"))
    assert isinstance(user("uid", attributes=twice), ClaimProblem)
    assert groups(["uid"], twice) == {"ada", "root"}


def test_groups() -> None:
    usual = attributes({"roles": ["rad", "admin"], "units": ["ct"], "mail": ["ada@hospital.example"]})
    assert groups([], usual) == frozenset()
    assert groups(["roles"], usual) == {"rad", "admin"}
    assert groups(["roles", "units", "nobody's"], usual) == {"rad", "admin", "ct"}
    # As Keycloak writes roles, an attribute for each.
    assert groups(["Role"], statement(attribute("Role", "rad"), attribute("Role", "admin"))) == {"rad", "admin"}
    assert groups(["Role"], statement(attribute("Role", "rad", "<x>admin</x>", "ad<x/>min"))) == {"rad"}
    many = statement(attribute("roles", *[f"g{number}" for number in range(1100)]))
    assert len(groups(["roles"], many)) == 1000


def test_text_is_text(tmp_path: Path) -> None:
    """Character references are resolved; the type of a value is ignored."""
    judge = authenticator(tmp_path, user_attribute="uid")
    for value, name in (("a&#100;a", "ada"), ("&lt;ada&gt;", "<ada>"), ("a&amp;b", "a&b")):
        assert m.accepted(judge, mint(attributes=statement(attribute("uid", value)))).user == name
    typed = statement(attribute("uid", "5").replace("Value>5", 'Value xsi:type="xs:integer">5'))
    assert m.accepted(judge, mint(attributes=typed)).user == "5"


XUA = (
    attribute(f"{XSPA}subject-id", "Ada Lovelace"),
    attribute(f"{XSPA}organization", "Hospital of Example"),
    attribute(f"{XSPA}organization-id", "urn:oid:1.2.3"),
    coded(ROLE, "Role", "106289002", "2.16.840.1.113883.6.96", "Dentist"),
    coded(f"{XSPA}purposeofuse", "PurposeOfUse", "TREATMENT", "2.16.840.1.113883.3.18.7.1"),
)
TOLD = {
    "subject_name": "Ada Lovelace",
    "organization": "Hospital of Example",
    "organization_id": "urn:oid:1.2.3",
    "subject_role": "106289002^2.16.840.1.113883.6.96^Dentist",
    "purpose_of_use": "TREATMENT^2.16.840.1.113883.3.18.7.1",
}


def tell(*written: str, **parts: Any) -> dict[str, str]:
    return told(read_document(assertion(id="_a1", attributes=statement(*written) if written else "", **parts)))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([coded(ROLE, "Role", "x", shown="Dentist")], "x^^Dentist"), ([coded(ROLE, "Role", "x", "1.2")], "x^1.2"),
        ([coded(ROLE, "Role", "x")], "x"), ([attribute(ROLE, "Dentist")], "Dentist"),
        ([attribute(ROLE, "Dentist", "Surgeon")], "Dentist, Surgeon"),
        ([attribute(ROLE, "Dentist"), coded(ROLE, "Role", "x")], "Dentist, x"),
        ([attribute(ROLE, "Den&#10;tist", "Surgeon")], "Surgeon"),
        ([attribute(ROLE, *[f"role {number}" for number in range(100)])], None), ([coded(ROLE, "Role", "x" * 300)], ""),
        ([coded(ROLE, "Role", "a&#10;b")], ""), ([attribute(ROLE, "a" * 257)], ""),
        ([attribute(ROLE, "\u202eDentist")], ""), ([attribute(ROLE, "<a>Dentist</a>")], ""),
        ([attribute(ROLE, '<a code="x"/><a code="y"/>')], ""), ([attribute(ROLE)], ""),
        ([attribute("role", "Dentist")], ""),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_told(written: Sequence[str], expected: str | None) -> None:
    assert tell() == {"assertion": "_a1"}
    assert tell(attribute(ROLE, "Nurse")) == {"assertion": "_a1", "subject_role": "Nurse"}
    found = tell(*written).get("subject_role", "")
    if expected is None:
        assert len(found) == 256
    else:
        assert found == expected
    assert found.isprintable()


def test_the_audit_is_told(gateway: StartGateway, spy: Spy, tmp_path: Path) -> None:
    running = gateway(configuration(spy.address, m.table(tmp_path, group_attributes=["roles"])))
    signed = mint("Zoë", id="_a1", attributes=statement(*XUA, attribute("roles", "rad")))
    assert log_in(running.address, [login(signed.decode(), b"", kind=4)])[:1] == b"\2"
    (record,) = running.wait_for("Decided", outcome="accept")
    assert (record["user"], record["groups"], record["authenticator"]) == ("Zoë", ["rad"], "sso")
    assert record["attributes"] == {"assertion": "_a1", **TOLD}
    assert record["claimed"] is None


def test_the_mapper_reads_only_its_own_assertion() -> None:
    """By its own path: an attribute inside an AttributeValue, a Subject inside another element, is neither."""
    inner = attribute("uid", attribute("uid", "root"))
    assert isinstance(user("uid", attributes=statement(inner)), ClaimProblem)
    assert user("uid", attributes=statement(attribute("x", inner), attribute("uid", "ada"))) == "ada"
    assert groups(["uid"], statement(inner)) == frozenset()
