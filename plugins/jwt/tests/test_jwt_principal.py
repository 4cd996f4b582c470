"""From the claims to user, groups, end and single use; and what else an operator can require of a token."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Decision, Reject
from dicomgate_jwt.claims import TokenRules, values
from plugins.jwt.tests.mint import AUDIENCE, GONE, ISSUER, P256, ask, authenticator, claims, mint, thumbprint

CERTIFICATE = b"the client's certificate"
KEYCLOAK: dict[str, Any] = {
    "realm_access": {"roles": ["radiographer", "default-roles"]},
    "resource_access": {"dicomgate": {"roles": ["store"]}},
    "groups": ["/ward/4", "/mri"],
    "scope": "openid dicom:store",
    "preferred_username": "ada",
    "email": "ada@hospital.example",
    "https://hospital.example/roles": ["physicist"],
}


NAMES = ("3f2a", "a", "Ada Lovelace", "ada@x", "李", "é" * 256, "x/y\\z'\"", "😀")


def accepted(decision: Decision) -> Accept:
    assert isinstance(decision, Accept), decision
    return decision


@pytest.mark.parametrize(
    ("claim", "user"),
    [
        *(("sub", name) for name in NAMES),
        ("preferred_username", "ada"),
        ("email", "ada@hospital.example"),
        ("who.name", "Ada"),
        ("who.name.of", "literally"),
    ],
)
def test_the_user(tmp_path: Path, claim: str, user: str) -> None:
    judge = authenticator(tmp_path, user_claim=claim)
    sub = user if claim == "sub" else "3f2a"
    token = mint(**{**KEYCLOAK, "sub": sub, "who": {"name": "Ada"}, "who.name.of": "literally"})
    assert accepted(ask(judge, token)).user == user


@pytest.mark.parametrize(
    "claim", ["name", "realm_access", "realm_access.roles", "email.of", "groups", ".", "who..name"]
)
def test_no_user(tmp_path: Path, claim: str) -> None:
    assert accepted(ask(authenticator(tmp_path), mint(**KEYCLOAK))).user == "ada"
    answer = ask(authenticator(tmp_path, user_claim=claim), mint(**KEYCLOAK))
    assert isinstance(answer, Reject)
    assert answer.reason.endswith(("cannot be a user's name", "must say which claim has the user's name"))


@pytest.mark.parametrize(
    ("paths", "groups"),
    [
        ([], set()), (["groups"], {"/ward/4", "/mri"}), (["realm_access.roles"], {"radiographer", "default-roles"}),
        (["resource_access.dicomgate.roles", "groups"], {"store", "/ward/4", "/mri"}),
        (["scope"], {"openid", "dicom:store"}), (["https://hospital.example/roles"], {"physicist"}),
        (["preferred_username"], {"ada"}), (["realm_access"], set()),
        (["nothing", "realm_access.nothing", "email.x"], set()),
    ],
)  # fmt: skip
def test_groups(tmp_path: Path, paths: list[str], groups: set[str]) -> None:
    assert accepted(ask(authenticator(tmp_path, group_claims=paths), mint(**KEYCLOAK))).groups == groups


def test_groups_are_texts_and_not_too_many(tmp_path: Path) -> None:
    judge = authenticator(tmp_path, group_claims=["groups"])
    odd = ["ok", 1, True, None, ["in"], {"a": "b"}, "", " x", "x\n", "x" * 257]
    assert accepted(ask(judge, mint(groups=odd))).groups == {"ok"}
    assert len(accepted(ask(judge, mint(groups=[f"g{number}" for number in range(1500)]))).groups) == 1000
    for odd_kind in (5, True, None, {"a": ["b"]}, ""):
        assert accepted(ask(judge, mint(groups=odd_kind))).groups == frozenset()


def test_scopes_are_separated_by_blanks_alone() -> None:
    assert values({"scope": "a b  c"}, "scope") == ["a", "b", "c"]
    assert values({"scp": ["a b"]}, "scp") == ["a b"]
    assert values({"x": {"scp": "a b"}}, "x.scp") == ["a", "b"]
    assert values({"scope": "a\xa0admin\tx\ny"}, "scope") == ["a\xa0admin\tx\ny"]
    assert values({"group": "a b"}, "group") == ["a b"]


@pytest.mark.parametrize(
    ("required", "good", "bad"),
    [
        ({"scope": "dicom:store"}, {"scope": "openid dicom:store"}, {"scope": "openid dicom:storex"}),
        ({"scope": "dicom:store"}, {"scope": ["dicom:store"]}, {"scope": GONE}),
        ({"realm_access.roles": ["a", "b"]}, {"realm_access": {"roles": ["b"]}}, {"realm_access": {"roles": ["c"]}}),
        ({"realm_access.roles": "a"}, {"realm_access": {"roles": "a"}}, {"realm_access": {"roles": {"a": "a"}}}),
        ({"email_verified": True}, {"email_verified": True}, {"email_verified": "true"}),
        ({"email_verified": True}, {"email_verified": True}, {"email_verified": 1}),
        ({"level": 1}, {"level": 1}, {"level": True}),
        ({"level": 1}, {"level": 1}, {"level": 1.0}),
        ({"level": [2, 3]}, {"level": 3}, {"level": "3"}),
        ({"acr": "gold"}, {"acr": "gold"}, {"acr": "Gold"}),
        ({"acr": "gold"}, {"acr": ["silver", "gold"]}, {"acr": [["gold"]]}),
        ({"azp": "ct", "acr": "gold"}, {"azp": "ct", "acr": "gold"}, {"azp": "ct"}),
        ({"azp": "ct"}, {"azp": "ct"}, {"azp": None}),
        ({"azp": "ct"}, {"azp": "ct"}, {"azp": ""}),
        ({"azp": "ct"}, {"azp": "ct"}, {"azp": ["c", "t"]}),
        ({"azp": "ct"}, {"azp": "ct"}, {"azp": "xct"}),
        ({"scope": "admin"}, {"scope": "x admin"}, {"scope": "x\xa0admin"}),
    ],
)
def test_required_claims(tmp_path: Path, required: dict[str, Any], good: dict[str, Any], bad: dict[str, Any]) -> None:
    judge = authenticator(tmp_path, required_claims=required)
    assert accepted(ask(judge, mint(**good)))
    answer = ask(judge, mint(**bad))
    assert isinstance(answer, Reject)
    assert "required is" in answer.reason


def test_an_audience_of_several(tmp_path: Path) -> None:
    judge = authenticator(tmp_path, audience=["a", "b"])
    for audience in ("a", ["x", "b"], ["a", "b"]):
        assert accepted(ask(judge, mint(aud=audience)))
    for audience in ("ab", ["x"], AUDIENCE, "a b"):
        assert isinstance(ask(judge, mint(aud=audience)), Reject)


@pytest.mark.parametrize(
    ("tokens", "good", "bad"),
    [
        ("access", ["at+jwt", "application/at+jwt", "AT+JWT"], ["JWT", "jwt", GONE]),
        ("id", ["JWT", "jwt", GONE, "application/jwt"], ["at+jwt", "logout+jwt"]),
        ("either", ["JWT", GONE, "at+jwt"], ["logout+jwt", "dicomgate-response+jwt", "x"]),
    ],
)
def test_kinds_of_tokens(tmp_path: Path, tokens: str, good: list[object], bad: list[object]) -> None:
    judge = authenticator(tmp_path, tokens=tokens)
    for kind in good:
        assert accepted(ask(judge, mint(header={"typ": kind})))
    for kind in bad:
        answer = ask(judge, mint(header={"typ": kind}))
        assert isinstance(answer, Reject)
        assert answer.reason.startswith("typ: ")
    assert isinstance(ask(judge, mint(header={"typ": good[0]}, events={})), Reject)


def test_certificate_bound(tmp_path: Path) -> None:
    judge = authenticator(tmp_path, certificate_bound=True)
    assert accepted(ask(judge, mint(cnf={"x5t#S256": thumbprint(CERTIFICATE)}), certificate=CERTIFICATE))
    assert ask(judge, mint(), certificate=CERTIFICATE) == Reject("cnf: not bound to a client certificate")


NOW = 1_800_000_000.0


def found(rules: TokenRules, **changes: Any) -> list[str]:
    genuine = claims(iat=NOW - 10, exp=NOW + 300)
    told = {name: value for name, value in {**genuine, **changes}.items() if value is not GONE}
    return [str(problem) for problem in rules.problems(told, type_="at+jwt", certificate=None, now=NOW)]


def rules(**changes: Any) -> TokenRules:
    plain = {"issuer": ISSUER, "audiences": [AUDIENCE], "tokens": "access", "leeway": 30, "maximum_lifetime": 600}
    return TokenRules(**{**plain, **changes})


@pytest.mark.parametrize(
    ("good", "bad", "leeway"),
    [
        ({"exp": NOW + 0.001}, {"exp": NOW}, 0), ({"exp": NOW - 29.999}, {"exp": NOW - 30}, 30),
        ({"exp": NOW - 59.999}, {"exp": NOW - 60}, 60), ({"nbf": NOW}, {"nbf": NOW + 0.001}, 0),
        ({"nbf": NOW + 30}, {"nbf": NOW + 30.001}, 30), ({"iat": NOW + 30}, {"iat": NOW + 30.001}, 30),
        ({"iat": NOW - 300}, {"iat": NOW - 300.001}, 30),
    ],
)  # fmt: skip
def test_the_edges_of_time(good: dict[str, Any], bad: dict[str, Any], leeway: float) -> None:
    assert found(rules(leeway=leeway), **good) == []
    (problem,) = found(rules(leeway=leeway), **bad)
    assert problem.startswith(("exp: ", "nbf: ", "iat: "))


def test_all_problems_are_found() -> None:
    problems = found(rules(single_use=True, bound=True, required={"acr": "x"}), iss=GONE, aud=GONE, exp=GONE, iat=GONE,
                     jti=5, events={})  # fmt: skip
    assert [problem.partition(":")[0] for problem in problems] == [
        "events", "iss", "aud", "exp", "iat", "jti", "jti", "acr", "cnf",
    ]  # fmt: skip


@pytest.mark.parametrize("leeway", [0, 30, 60])
def test_until_when(tmp_path: Path, leeway: int) -> None:
    judge = authenticator(tmp_path, leeway=timedelta(seconds=leeway), single_use=True)
    now = int(time.time())
    fresh = accepted(ask(judge, mint(exp=now + 200)))
    assert fresh.expires_at == datetime.fromtimestamp(now + 200, UTC)
    assert fresh.once is not None
    assert fresh.once.until == datetime.fromtimestamp(now + 200 + leeway, UTC)
    if leeway:
        late = accepted(ask(judge, mint(iat=now - 100, exp=now - 10)))
        assert late.expires_at == datetime.fromtimestamp(now - 10 + leeway, UTC)
        assert late.once is not None
        assert late.once.until >= late.expires_at
    assert isinstance(ask(judge, mint(iat=now - 100, exp=now - leeway - 1)), Reject)
    assert isinstance(ask(judge, mint(nbf=now + leeway + 3)), Reject)
    assert accepted(ask(judge, mint(nbf=now + leeway)))


def test_the_longest_lifetime(tmp_path: Path) -> None:
    judge = authenticator(tmp_path, maximum_lifetime=timedelta(minutes=10))
    now = int(time.time())
    assert accepted(ask(judge, mint(iat=now - 5, exp=now + 595)))
    answer = ask(judge, mint(iat=now - 5, exp=now + 596))
    assert answer == Reject("exp: lives for 601 s; 600 are the most")
    assert isinstance(ask(authenticator(tmp_path), mint(iat=now, exp=now + 86_401)), Reject)
    assert accepted(ask(authenticator(tmp_path), mint(iat=now, exp=now + 86_400)))


def test_once(tmp_path: Path) -> None:
    """By issuer and `jti`, however often the issuer signs it and whatever is around it; not by its spelling."""
    judge = authenticator(tmp_path, single_use=True)

    def key(token: str | bytes) -> str:
        once = accepted(ask(judge, token)).once
        assert once is not None
        return once.key

    token = mint(jti="one")
    same = [
        token, f"Bearer {token}", f"{token}\r\n", mint(jti="one"), mint(P256, jti="one", sub="eve"),
        mint(jti="one", x=1),
    ]  # fmt: skip
    assert len({key(one) for one in same}) == 1
    assert len({key(mint(jti=name)) for name in ("one", "One", "two", "one ".strip() + "1")}) == 4
    other = authenticator(tmp_path, single_use=True, issuer="https://other.example")
    foreign = accepted(ask(other, mint(jti="one", iss="https://other.example"))).once
    assert foreign is not None
    assert foreign.key != key(token)
    assert accepted(ask(authenticator(tmp_path), token)).once is None


@pytest.mark.parametrize("jti", [GONE, None, "", " ", 5, "a\nb", "x" * 257, " x"])
def test_once_needs_a_name(tmp_path: Path, jti: object) -> None:
    judge = authenticator(tmp_path, single_use=True)
    assert accepted(ask(judge, mint()))
    answer = ask(judge, mint(jti=jti))
    assert isinstance(answer, Reject)
    assert answer.reason.startswith("jti: is missing")


def test_what_the_audit_is_told(tmp_path: Path) -> None:
    judge = authenticator(tmp_path)
    told = accepted(ask(judge, mint(jti="7", client_id="ct", azp="ct-2", email="x"))).attributes
    assert told == {"jti": "7", "client_id": "ct", "azp": "ct-2"}
    assert accepted(ask(judge, mint(jti=GONE, client_id=5, azp="a\nb"))).attributes == {}
