"""What an assertion must say to be a login: each row beside the assertion that it was made of, which is one."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Pass, Reject
from dicomgate.kit.inspect import ClaimProblem
from dicomgate_saml import Saml
from dicomgate_saml.claims import AssertionRules, last_use, read_time, session_end
from dicomgate_saml.document import read_document
from plugins.saml.tests import mint as m
from plugins.saml.tests.mint import BEARER, DSIG_NAMESPACE, ENTITY_ID, ISSUER, P256, PASSWORD, SAML_NAMESPACE, at, der

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC).timestamp()
SKEW, LIFETIME = 60.0, 3600.0
ADDRESS = "192.0.2.1"
LONGEST_REASON = 400
"""What a signed assertion can write into the log."""
SMARTCARD = "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI"
SENDER_VOUCHES = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"
ACTION = "urn:oasis:names:tc:SAML:1.0:action:rwedc"

Row = tuple[str, Callable[[], dict[str, Any]], str]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Saml:
    return m.authenticator(tmp_path_factory.mktemp("conditions"))


def confirmed(**data: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"subject": m.subject("ada", m.confirmation(**data))}


def under(*audiences: str | Sequence[str], **data: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"conditions": m.conditions(*audiences, **data)}


def said(**parts: str) -> Callable[[], dict[str, Any]]:
    return lambda: parts


def sessions(*ends: float) -> Callable[[], dict[str, Any]]:
    return lambda: {"authentication": "".join(m.authentication(session_ends=one) for one in ends)}


def each(what: str, why: str, *parts: Callable[[], dict[str, Any]]) -> list[Row]:
    """A row for each of these, which all have the same problem."""
    return [(f"{what} {number}", one, why) for number, one in enumerate(parts, 1)]


OTHER = "https://other.example"
RECIPIENTS = (OTHER, f"https://x.example/?{ENTITY_ID}", f"{ENTITY_ID}.x.example", ENTITY_ID[:-1], f"{ENTITY_ID} ",
              ENTITY_ID.upper())  # fmt: skip
AUDIENCES: list[Row] = [
    *each("another audience", "Audience: ", *map(under, (OTHER, f"{ENTITY_ID}/", ENTITY_ID[:-1], ENTITY_ID.upper()))),
    *each("another audience, odd", "Audience: ", under(f" {ENTITY_ID}"), under(""), under("https://" + "x" * 2000)),
    *each("restrictions of others", "Audience: ", under([OTHER, f"{OTHER}/b"]), under(ENTITY_ID, OTHER)),
    ("a first restriction that does not hold", under(OTHER, ENTITY_ID), "Audience: "),
    ("two audiences in one text", under(f"{OTHER} {ENTITY_ID}"), "not valid by the schema"),
    ("no restriction", lambda: {"conditions": f'<saml:Conditions NotOnOrAfter="{at(300)}"/>'}, "AudienceRestriction: "),
]
FOREIGN = '<saml:Condition xmlns:x="urn:x" xsi:type="x:Geography"/>'
GENERAL = '<saml:Condition xsi:type="saml:OneTimeUseType"/>'
CONDITIONS: list[Row] = [
    ("no Conditions", said(conditions=""), "Conditions: is missing"),
    ("NotOnOrAfter missing", under(ends=None), "Conditions: NotOnOrAfter is missing"),
    ("over", under(ends=-61), "Conditions: ended at "),
    ("not yet", under(begins=65), "Conditions: begins at "),
    ("issued in the future", lambda: {"issued": 65}, "IssueInstant: in "),
    *each("lives too long", "Conditions: lives for ", under(ends=3700), lambda: {"issued": -4000}),
    ("a condition of another's", under(more=FOREIGN), "not valid by the schema"),
    ("one of a known type under a general name", under(more=GENERAL), "Conditions: a condition that is not understood"),
]
TWO = m.subject("ada", m.confirmation(ends=-61), m.confirmation(recipient=OTHER))
CONFIRMATIONS: list[Row] = [
    ("no Subject", said(subject=""), "SubjectConfirmation: is missing"),
    ("no confirmation", said(subject="<saml:Subject><saml:NameID>ada</saml:NameID></saml:Subject>"), "SubjectConfir"),
    ("sender-vouches", confirmed(method=SENDER_VOUCHES), "SubjectConfirmation: 'urn:oasis"),
    ("an unknown method", confirmed(method=f"{BEARER}2"), "SubjectConfirmation: 'urn:oasis"),
    ("no data", confirmed(data=""), "SubjectConfirmation: without SubjectConfirmationData"),
    ("empty data", confirmed(data="<saml:SubjectConfirmationData/>"), "SubjectConfirmationData: NotOnOrAfter is"),
    ("data without end", confirmed(ends=None), "SubjectConfirmationData: NotOnOrAfter is missing"),
    ("data that is over", confirmed(ends=-61), "SubjectConfirmationData: ended at "),
    ("data that begins later", confirmed(begins=65), "SubjectConfirmationData: begins at "),
    ("no Recipient", confirmed(recipient=None), "Recipient: None"),
    ("an empty Recipient", confirmed(recipient=""), "Recipient: ''"),
    *each("another Recipient", "Recipient: ", *(confirmed(recipient=one) for one in RECIPIENTS)),
    *each("an address", "Address: ", *(confirmed(address=one) for one in ("192.0.2.2", "192.0.2.1/24", "localhost"))),
    *each(
        "held by another, by nobody", "SubjectConfirmation: holder-of-key, but with another",
        confirmed(method=m.HOLDER_OF_KEY, holder=m.STRANGER), confirmed(method=m.HOLDER_OF_KEY),
    ),
    ("two confirmations, neither of which holds", said(subject=TWO), "SubjectConfirmationData: ended at "),
]  # fmt: skip
STATEMENTS: list[Row] = [
    ("no AuthnStatement", said(authentication=""), "AuthnStatement: is missing"),
    ("a session that is over", sessions(-61), "SessionNotOnOrAfter: "),
    ("two sessions, one of which is over", sessions(300, -61), "SessionNotOnOrAfter: "),
]
ROWS = [*AUDIENCES, *CONDITIONS, *CONFIRMATIONS, *STATEMENTS]


@pytest.mark.parametrize(("parts", "why"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_rows(judge: Saml, parts: Callable[[], dict[str, Any]], why: str) -> None:
    assert isinstance(m.ask(judge, m.mint(), certificate=der(P256)), Accept)
    reason = m.refused(judge, m.mint(**parts()), certificate=der(P256))
    assert reason.startswith(why)
    assert len(reason) < LONGEST_REASON
    assert reason.isascii()
    assert reason.isprintable()


@pytest.mark.parametrize(
    "parts",
    [
        under(["https://other.example", ENTITY_ID]), under(ENTITY_ID, ["https://other.example", ENTITY_ID]),
        under(begins=None), under(more="<saml:OneTimeUse/>"), under(more='<saml:ProxyRestriction Count="0"/>'),
        under(begins=55, ends=350), under(ends=-50), confirmed(ends=-50), confirmed(begins=-5),
        confirmed(address=ADDRESS), confirmed(method=m.HOLDER_OF_KEY, holder=P256),
        lambda: {"subject": m.subject("ada", m.confirmation(ends=-61), m.confirmation())},
        lambda: {"subject": m.subject("ada", m.confirmation(SENDER_VOUCHES), m.confirmation())},
        lambda: {"authentication": m.authentication() + m.authentication(SMARTCARD)}, lambda: {"issued": 55},
    ],
)  # fmt: skip
def test_what_is_no_reason_to_refuse(judge: Saml, parts: Callable[[], dict[str, Any]]) -> None:
    assert isinstance(m.ask(judge, m.mint(**parts()), certificate=der(P256)), Accept)


@pytest.mark.parametrize(
    "issuer",
    ["", ISSUER[:-1], f"{ISSUER}/", ISSUER.upper(), f" {ISSUER}", ISSUER.replace("https", "http"),
     ISSUER.replace("o", "\u043e"), f"{ISSUER}\n", "ada"],
)  # fmt: skip
def test_another_issuer_is_for_another_table(judge: Saml, issuer: str) -> None:
    """Character for character; an assertion of another issuer is neither verified nor judged here."""
    assert isinstance(m.ask(judge, m.mint()), Accept)
    for signed in (m.mint(issuer=issuer), m.mint(issuer=issuer, key=m.STRANGER), m.mint(issuer=issuer, conditions="")):
        answer = m.ask(judge, signed)
        assert isinstance(answer, Pass)
        assert answer.reason.isprintable()
        assert len(answer.reason) < LONGEST_REASON


def test_the_format_of_the_issuer(judge: Saml) -> None:
    """2.2.5: that of an entity; with another one the same characters are another name."""
    entity = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
    written = m.assertion()
    for format_, kind in ((entity, Accept), ("urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", Reject)):
        answer = m.ask(judge, m.sign(written.replace(b"<saml:Issuer>", f'<saml:Issuer Format="{format_}">'.encode())))
        assert isinstance(answer, kind), answer
    assert isinstance(answer, Reject)
    assert answer.reason.startswith("Issuer: its Format is 'urn")


# -- times, to the thousandth of a second ------------------------------------------------------------------------------


def when(seconds: float) -> str:
    """So long after NOW."""
    return (datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def claims(
    *, issued: str = when(0), begins: str = when(-5), ends: str = when(300), confirmed_from: str | None = None,
    confirmed: str = when(300), session_ends: str | None = None, **parts: str,
) -> Any:  # fmt: skip
    made = {
        "issued": issued,
        "conditions": m.conditions(begins=begins, ends=ends),
        "subject": m.subject("ada", m.confirmation(begins=confirmed_from, ends=confirmed)),
        "authentication": m.authentication(instant=when(0), session_ends=session_ends),
        **parts,
    }
    return read_document(m.assertion(**made))


def rules(**changes: Any) -> AssertionRules:
    usual: dict[str, Any] = {
        "issuer": ISSUER, "entity_id": ENTITY_ID, "recipient": ENTITY_ID, "skew": SKEW, "maximum_lifetime": LIFETIME,
        "recipient_required": True, "address_checked": True, "holder_of_key": False, "authentication_required": True,
        "contexts": (),
    }  # fmt: skip
    return AssertionRules(**{**usual, **changes})


def problems(
    document: Any, now: float = NOW, *, address: str = ADDRESS, certificate: bytes | None = None, **changes: Any
) -> list[ClaimProblem]:
    return list(rules(**changes).problems(document, address=address, certificate=certificate, now=now))


def wrong(document: Any, **changes: Any) -> list[str]:
    """Only the claims that are named."""
    return [problem.claim for problem in problems(document, **changes)]


@pytest.mark.parametrize(
    ("name", "good", "bad", "where"),
    [
        ("ends", -59.999, -60, "Conditions"), ("begins", 60, 60.001, "Conditions"),
        ("issued", 60, 60.001, "IssueInstant"), ("confirmed", -59.999, -60, "SubjectConfirmationData"),
        ("confirmed_from", 60, 60.001, "SubjectConfirmationData"),
        ("session_ends", -59.999, -60, "SessionNotOnOrAfter"), ("ends", 3600, 3600.001, "Conditions"),
        ("issued", -3300, -3300.001, "Conditions"),
    ],
)  # fmt: skip
def test_the_edges_of_the_skew_and_the_lifetime(name: str, good: float, bad: float, where: str) -> None:
    assert problems(claims()) == []
    assert problems(claims(**{name: when(good)})) == []
    assert wrong(claims(**{name: when(bad)})) == [where]


NO_TIMES = [
    "", "now", "2027-01-15", "2027-01-15T08:04:00", "2027-01-15T10:04:00+02:00", "2027-01-15T08:04:00+00:00",
    "2027-01-15T08:04:00-00:00", "2027-01-15T08:04:00z", "2027-01-15 08:04:00Z", "20270115T080400Z",
    "2027-01-15T08:04Z", "10000-01-01T00:00:00Z", "+2027-01-15T08:04:00Z", "-2027-01-15T08:04:00Z",
    "2027-01-15T08:04:60Z", "2027-02-29T08:04:00Z", "2027-13-01T08:04:00Z", "2027-01-15T24:00:01Z",
    "2027-01-15T08:04:00.Z", "2027-01-15T08:04:00,5Z", "2027-01-15T08:04:00.1234567890Z", "2027-01-15T08:04:00ZZ",
    "2027-01-15T08:04:00Z\n", " 2027-01-15T08:04:00Z", "\u0662\u0660\u0662\u0667-01-15T08:04:00Z",
    "2027-01-15T08:04:00.\u0665Z", "2027-W03-5T08:04:00Z", "0000-01-01T00:00:00Z",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES, ids=ascii)
def test_what_is_no_time_in_utc(text: str) -> None:
    """saml-core-2.0-os 1.3.3: "expressed in UTC form, with no time zone component"."""
    assert read_time("2027-01-15T08:04:00Z") == NOW + 240
    assert read_time(text) is None


@pytest.mark.parametrize("name", ["issued", "begins", "ends", "confirmed", "confirmed_from", "session_ends"])
def test_a_time_that_is_none_is_a_problem_wherever_it_stands(name: str) -> None:
    assert problems(claims(**{name: "2027-01-15T08:00:00Z"}), skew=SKEW) == []
    for text in ("2027-01-15T08:00:00", "2027-01-15T10:00:00+02:00", "2027-01-15T08:00:60Z", "10000-01-15T08:00:00Z"):
        assert len(problems(claims(**{name: text}))) == 1


def test_fractions_and_the_ends_of_the_calendar() -> None:
    assert read_time("2027-01-15T08:00:00.5Z") == NOW + 0.5
    assert read_time("2027-01-15T08:00:00.123456789Z") == pytest.approx(NOW + 0.123456789, abs=1e-6)
    assert read_time("1970-01-01T00:00:00Z") == 0
    assert read_time("0001-01-01T00:00:00Z") == -62135596800
    assert read_time("9999-12-31T23:59:59.9999999Z") == 253402300800
    assert read_time(None) is None


# -- what else can stand there -----------------------------------------------------------------------------------------


def test_every_problem_is_named() -> None:
    hopeless = claims(issued="never", ends=when(-61), confirmed=when(-61), session_ends=when(-61))
    found = problems(hopeless, entity_id="https://other.example", recipient="https://other.example", contexts=["x"])
    assert [problem.claim for problem in found] == [
        "IssueInstant", "Conditions", "Audience", "SubjectConfirmationData", "Recipient", "SessionNotOnOrAfter",
        "AuthnContextClassRef",
    ]  # fmt: skip


def test_several_of_what_stands_once() -> None:
    """The schema refuses them as well; nothing relies on it."""
    twice = claims(conditions=m.conditions(begins=when(0), ends=when(9)) * 2)
    assert problems(twice) == [ClaimProblem("Conditions", "occurs several times")]
    data = f'<saml:SubjectConfirmationData NotOnOrAfter="{when(9)}" Recipient="{ENTITY_ID}"/>'
    assert problems(claims(subject=m.subject("ada", m.confirmation(data=data)))) == []
    (problem,) = problems(claims(subject=m.subject("ada", m.confirmation(data=data * 2))))
    assert problem.claim == "SubjectConfirmation"


@pytest.mark.parametrize(
    ("written", "client", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True), ("2001:DB8:0::1", "2001:db8::1", True), ("2001:db8::1", "2001:db8::2", False),
        ("192.0.2.1", "192.0.2.10", False), ("192.0.2.10", "192.0.2.1", False), ("192.0.2.01", "192.0.2.1", False),
        ("", "192.0.2.1", False), ("3221225985", "192.0.2.1", False),
    ],
)  # fmt: skip
def test_addresses(written: str, client: str, same: bool) -> None:
    document = claims(subject=m.subject("ada", m.confirmation(address=written, ends=when(300))))
    assert wrong(document, address=client) == ([] if same else ["Address"])
    assert problems(document, address=client, address_checked=False) == []
    assert problems(claims(), address=client) == []


class TestHolderOfKey:
    """SAML V2.0 Holder-of-Key Assertion Profile: the client shows the certificate that is in the assertion."""

    @staticmethod
    def held(*confirmations: str) -> Any:
        return claims(subject=m.subject("ada", *confirmations))

    def test_right_wrong_and_none(self) -> None:
        document = self.held(m.confirmation(m.HOLDER_OF_KEY, holder=P256, ends=when(300)))
        assert problems(document, certificate=der(P256)) == []
        for certificate, why in ((der(m.RSA), "but with another"), (None, "but the client presented no")):
            (problem,) = problems(document, certificate=certificate)
            assert problem.claim == "SubjectConfirmation"
            assert why in problem.why
        document = self.held(m.confirmation(m.HOLDER_OF_KEY, holder=P256, ends=when(-60)))
        assert wrong(document, certificate=der(P256)) == ["SubjectConfirmationData"]

    def test_a_certificate_that_is_none(self) -> None:
        whole = "<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>"
        texts = [whole.format(text) for text in ("", "====", "x", b64encode(der(P256)).decode()[:-8])]
        for text in (*texts, "<ds:KeyName>P256</ds:KeyName>"):
            info = f'<ds:KeyInfo xmlns:ds="{DSIG_NAMESPACE}">{text}</ds:KeyInfo>'
            document = self.held(m.confirmation(m.HOLDER_OF_KEY, more=info, ends=when(300)))
            assert len(problems(document, certificate=der(P256))) == 1
            assert len(problems(document, certificate=b"")) == 1

    def test_required(self) -> None:
        assert problems(claims(), certificate=der(P256)) == []
        assert len(problems(claims(), certificate=der(P256), holder_of_key=True)) == 1
        both = self.held(m.confirmation(ends=when(300)), m.confirmation(m.HOLDER_OF_KEY, holder=P256, ends=when(300)))
        assert problems(both, certificate=der(P256), holder_of_key=True) == []
        assert len(problems(both, certificate=der(m.RSA), holder_of_key=True)) == 1
        assert problems(both, certificate=der(m.RSA)) == [], "one that holds is enough (saml-core-2.0-os 2.4)"

    def test_the_type_of_its_data(self, tmp_path: Path) -> None:
        """2.4.1.3: KeyInfoConfirmationDataType is optional."""
        judge = m.authenticator(tmp_path)
        for type_ in ("", ' xsi:type="saml:KeyInfoConfirmationDataType"'):
            data = m.confirmation(m.HOLDER_OF_KEY, holder=P256).replace("Data ", f"Data{type_} ", 1)
            assert isinstance(m.ask(judge, m.mint(subject=m.subject("ada", data)), certificate=der(P256)), Accept)
            assert isinstance(m.ask(judge, m.mint(subject=m.subject("ada", data)), certificate=der(m.RSA)), Reject)


def test_contexts() -> None:
    one, both = m.authentication(PASSWORD, instant=when(0)), m.authentication(SMARTCARD, instant=when(0))
    for contexts in ((), (PASSWORD,), (SMARTCARD, PASSWORD)):
        assert wrong(claims(authentication=one), contexts=contexts) == []
    for contexts in ((SMARTCARD,), (PASSWORD[:-1],)):
        assert wrong(claims(authentication=one), contexts=contexts) == ["AuthnContextClassRef"]
    assert problems(claims(authentication=one + both), contexts=(SMARTCARD,)) == []
    unsaid = (
        f'<saml:AuthnStatement AuthnInstant="{when(0)}"><saml:AuthnContext><saml:AuthnContextDeclRef>{PASSWORD}'
        "</saml:AuthnContextDeclRef></saml:AuthnContext></saml:AuthnStatement>"
    )
    assert problems(claims(authentication=unsaid)) == []
    assert len(problems(claims(authentication=unsaid), contexts=(PASSWORD,))) == 1
    assert len(problems(claims(authentication=""), contexts=(PASSWORD,), authentication_required=False)) == 1


def test_what_is_wrong_still() -> None:
    """Without the need for a Recipient a wrong one; and the issuer, for a caller that only reads claims."""
    document = claims(subject=m.subject("ada", m.confirmation(recipient="https://x.example", ends=when(300))))
    assert wrong(document, recipient_required=False) == ["Recipient"]
    assert wrong(claims(), issuer="https://other.example") == ["Issuer"]
    assert problems(claims(), recipient_required=False) == []


def test_last_use_and_the_end_of_the_session() -> None:
    assert last_use(claims(ends=when(300))) == NOW + 300
    assert session_end(claims()) is None
    assert session_end(claims(session_ends=when(9))) == NOW + 9
    several = "".join(
        m.authentication(instant=when(0), session_ends=ends) for ends in (when(9), when(7), None, when(8))
    )
    assert session_end(claims(authentication=several)) == NOW + 7


def test_the_session_ends_the_login(judge: Saml) -> None:
    """After its end with the skew, or it would be over before it began: `expires_at` is compared without skew."""
    now, soon, form = datetime.now(UTC), at(600), "%Y-%m-%dT%H:%M:%S.%fZ"
    past, later = ((now + timedelta(seconds=one)).strftime(form) for one in (-30, 30))
    last = ("9999-12-31T23:59:59.9999999Z", "9999-12-31T00:00:00.000000Z")
    for ends, expected in ((soon, soon), (None, None), last, (past, later)):
        answer = m.accepted(judge, m.mint(authentication=m.authentication(session_ends=ends)))
        found = answer.expires_at and answer.expires_at.strftime(form)
        assert found == expected


def test_where_else_things_stand_nobody_looks(judge: Saml) -> None:
    """A statement of another kind is none of those that are needed."""
    decision = (
        f'<saml:AuthzDecisionStatement Resource="urn:x" Decision="Permit"><saml:Action Namespace="{ACTION}">Read'
        "</saml:Action></saml:AuthzDecisionStatement>"
    )
    assert isinstance(m.ask(judge, m.mint(more=decision)), Accept)
    general = (
        f'<saml:Statement xmlns:saml="{SAML_NAMESPACE}" xsi:type="saml:AuthnStatementType"' + m.authentication()[20:]
    )
    general = general.replace("</saml:AuthnStatement>", "</saml:Statement>")
    assert m.refused(judge, m.mint(authentication=general)).startswith("AuthnStatement: is missing")


@pytest.mark.parametrize("many", [1, 2])
def test_a_refusal_stands_as_long_as_its_reason(many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = m.authenticator(tmp_path)
    late = [m.confirmation(ends=-500), m.confirmation(begins=100)][-many:]  # any of them may confirm it
    foreign = m.mint(conditions=m.conditions("https://other.example"))
    early = m.mint(subject=m.subject("ada", *late)), m.mint(conditions=m.conditions(begins=100)), m.mint(issued=100)
    for document in (*early, foreign):
        refusal = m.ask(judge, document)
        assert isinstance(refusal, Reject)
        assert refusal.stands
        assert refusal.stands()
        with monkeypatch.context() as later:
            now = time.time()
            later.setattr(time, "time", lambda: now + 41)  # the clocks may differ by a minute  # noqa: B023
            assert refusal.stands() is (document == foreign)
    refusal = m.ask(judge, foreign)
    assert isinstance(refusal, Reject)
    (tmp_path / "idp-0.pem").touch()
    assert refusal.stands is not None
    assert not refusal.stands(), "there may be other keys"
