"""Claims and headers that must not log in, each beside the token that it was made of, which does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from dicomgate import Accept, Pass, Reject
from dicomgate_jwt import Jwt
from dicomgate_jwt.token import LONGEST
from plugins.jwt.tests.mint import AUDIENCE, GONE, ISSUER, RSA, ask, authenticator, claims, mint, signed, thumbprint

HEADER = {"alg": "RS256", "typ": "at+jwt", "kid": "rsa"}
CERTIFICATE, ANOTHER = b"the client's certificate", b"another one"
LONGEST_REASON = 500
"""What a hostile token can write into the log."""

Row = tuple[str, Callable[[float], dict[str, Any]], str]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Jwt:
    return authenticator(tmp_path_factory.mktemp("claims"), leeway=timedelta(seconds=30))


def always(**changes: Any) -> Callable[[float], dict[str, Any]]:
    return lambda _: changes


TIMES: list[Row] = [
    ("exp missing", always(exp=GONE), "exp: is missing"),
    ("exp null", always(exp=None), "exp: not a number"),
    ("exp text", lambda now: {"exp": str(int(now + 300))}, "exp: not a number"),
    ("exp text of a float", always(exp="1e10"), "exp: not a number"),
    ("exp true", always(exp=True), "exp: not a number"),
    ("exp a list", lambda now: {"exp": [now + 300]}, "exp: not a number"),
    ("exp an object", lambda now: {"exp": {"exp": now + 300}}, "exp: not a number"),
    ("exp minus zero", always(exp=-0.0, iat=-0.0), "exp: expired"),
    ("exp zero", always(exp=0), "exp: expired"),
    ("exp negative", always(exp=-1), "exp: not a number"),
    ("exp 10^30", always(exp=10**30), "exp: not a number"),
    ("exp 10^400", always(exp=10**400), "exp: not a number"),
    ("exp the largest float", always(exp=1.7e308), "exp: not a number"),
    ("exp behind the calendar", always(exp=253402300800), "exp: not a number"),
    ("exp in milliseconds", lambda now: {"exp": int(now + 300) * 1000}, "exp: not a number"),
    ("exp an hour ago", lambda now: {"exp": int(now) - 3600}, "exp: expired"),
    ("exp behind the leeway", lambda now: {"exp": now - 31}, "exp: expired"),
    ("exp too far", lambda now: {"exp": int(now) + 90000}, "exp: lives for"),
    ("iat missing", always(iat=GONE), "iat: is missing"),
    ("iat null", always(iat=None), "iat: not a number"),
    ("iat text", lambda now: {"iat": str(int(now))}, "iat: not a number"),
    ("iat false", always(iat=False), "iat: not a number"),
    ("iat a list", lambda now: {"iat": [now]}, "iat: not a number"),
    ("iat tomorrow", lambda now: {"iat": now + 86400, "exp": now + 86700}, "iat: not yet"),
    ("iat before the leeway", lambda now: {"iat": now + 35}, "iat: not yet"),
    ("iat zero: the token lives too long", always(iat=0), "exp: lives for"),
    ("iat negative", always(iat=-1), "iat: not a number"),
    ("iat 10^30", always(iat=10**30), "iat: not a number"),
    ("nbf null", always(nbf=None), "nbf: not a number"),
    ("nbf text", always(nbf="0"), "nbf: not a number"),
    ("nbf false", always(nbf=False), "nbf: not a number"),
    ("nbf a list", always(nbf=[0]), "nbf: not a number"),
    ("nbf an object", always(nbf={}), "nbf: not a number"),
    ("nbf negative", always(nbf=-5), "nbf: not a number"),
    ("nbf tomorrow", lambda now: {"nbf": now + 86400}, "nbf: not yet"),
    ("nbf before the leeway", lambda now: {"nbf": now + 35}, "nbf: not yet"),
    ("nbf 10^400", always(nbf=10**400), "nbf: not a number"),
]
NAMES: list[Row] = [
    ("aud missing", always(aud=GONE), "aud: is missing"),
    ("aud null", always(aud=None), "aud: is missing"),
    ("aud empty", always(aud=""), "aud: [''], none"),
    ("aud of none", always(aud=[]), "aud: is missing"),
    ("aud another", always(aud="https://pacs.hospital.example"), "aud: "),
    ("aud longer", always(aud=f"{AUDIENCE}2"), "aud: "),
    ("aud in capitals", always(aud=AUDIENCE.upper()), "aud: "),
    ("aud and a slash", always(aud=f"{AUDIENCE}/"), "aud: "),
    ("aud and a blank", always(aud=f"{AUDIENCE} "), "aud: "),
    ("aud and a NUL", always(aud=f"{AUDIENCE}\0"), "aud: "),
    ("aud of several in one text", always(aud=f"other {AUDIENCE}"), "aud: "),
    ("aud of others", always(aud=["a", "b"]), "aud: "),
    ("aud with a number", always(aud=[AUDIENCE, 1]), "aud: is missing"),
    ("aud with null", always(aud=[AUDIENCE, None]), "aud: is missing"),
    ("aud nested", always(aud=[[AUDIENCE]]), "aud: is missing"),
    ("aud an object", always(aud={AUDIENCE: True}), "aud: is missing"),
    ("aud true", always(aud=True), "aud: is missing"),
    ("aud a number", always(aud=1), "aud: is missing"),
    ("sub missing", always(sub=GONE), "sub: None"),
    ("sub null", always(sub=None), "token: 'Subject must be a string'"),
    ("sub empty", always(sub=""), "sub: ''"),
    ("sub blank", always(sub=" "), "sub: ' '"),
    ("sub a number", always(sub=5), "token: 'Subject must be a string'"),
    ("sub true", always(sub=True), "token: 'Subject must be a string'"),
    ("sub a list", always(sub=["ada"]), "token: 'Subject must be a string'"),
    ("sub an object", always(sub={"name": "ada"}), "token: 'Subject must be a string'"),
    ("sub with NUL", always(sub="ada\0"), "sub: "),
    ("sub with a line end", always(sub="ada\n"), "sub: "),
    ("sub with a line within", always(sub="ada\nroot"), "sub: "),
    ("sub with a return", always(sub="ada\r"), "sub: "),
    ("sub with an escape", always(sub="\x1b[2Jada"), "sub: "),
    ("sub with a blank before", always(sub=" ada"), "sub: "),
    ("sub with a blank behind", always(sub="ada "), "sub: "),
    ("sub with a blank that does not break", always(sub="ada\xa0"), "sub: "),
    ("sub from right to left", always(sub="ada\u202e"), "sub: "),
    ("sub with a zero width", always(sub="a\u200bda"), "sub: "),
    ("sub with a line separator", always(sub="ada\u2028"), "sub: "),
    ("sub with a byte order mark", always(sub="\ufeffada"), "sub: "),
    ("sub of a noncharacter", always(sub="ada\uffff"), "sub: "),
    ("sub too long", always(sub="a" * 257), "sub: "),
    ("sub half of a pair", always(sub="ada\ud800"), "its claims: "),
    ("jti a number", always(jti=1), "jti: not text"),
    ("jti null", always(jti=None), "jti: not text"),
    ("jti a list", always(jti=["9f1c"]), "jti: not text"),
    ("a logout token", always(events={"http://schemas.openid.net/event/backchannel-logout": {}}), "events: "),
    ("events, of nothing", always(events=None), "events: "),
]
ISSUERS: list[Row] = [
    ("iss missing", always(iss=GONE), "its issuer is None"),
    ("iss null", always(iss=None), "its issuer is None"),
    ("iss empty", always(iss=""), "its issuer is ''"),
    ("iss shorter", always(iss=ISSUER[:-1]), "its issuer is "),
    ("iss a part", always(iss="https://login.hospital.example"), "its issuer is "),
    ("iss a letter of it", always(iss="h"), "its issuer is "),
    ("iss longer", always(iss=f"{ISSUER}x"), "its issuer is "),
    ("iss and a slash", always(iss=f"{ISSUER}/"), "its issuer is "),
    ("iss in capitals", always(iss=ISSUER.upper()), "its issuer is "),
    ("iss over http", always(iss=ISSUER.replace("https", "http")), "its issuer is "),
    ("iss and a port", always(iss=ISSUER.replace(".example", ".example:443")), "its issuer is "),
    ("iss and a blank", always(iss=f" {ISSUER}"), "its issuer is "),
    ("iss and a NUL", always(iss=f"{ISSUER}\0"), "its issuer is "),
    ("iss with a letter that looks alike", always(iss=ISSUER.replace("o", "\u043e")), "its issuer is "),
    ("iss a list", always(iss=[ISSUER]), "its issuer is None"),
    ("iss an object", always(iss={ISSUER: ISSUER}), "its issuer is None"),
    ("iss a number", always(iss=1), "its issuer is None"),
    ("iss true", always(iss=True), "its issuer is None"),
]
BINDINGS: list[Row] = [
    ("cnf null", always(cnf=None), "cnf: not bound"),
    ("cnf empty", always(cnf={}), "cnf: not bound by the client"),
    ("cnf text", always(cnf="x5t#S256"), "cnf: not bound by the client"),
    ("cnf a list", always(cnf=["x5t#S256"]), "cnf: not bound by the client"),
    ("cnf of a key", always(cnf={"jkt": "x"}), "cnf: not bound by the client"),
    ("cnf a number", always(cnf={"x5t#S256": 1}), "cnf: not bound by the client"),
    ("cnf null within", always(cnf={"x5t#S256": None}), "cnf: not bound by the client"),
    ("cnf empty within", always(cnf={"x5t#S256": ""}), "cnf: bound to another"),
    ("cnf not ASCII", always(cnf={"x5t#S256": "\xe9"}), "cnf: bound to another"),
    ("cnf of another certificate", lambda _: {"cnf": {"x5t#S256": thumbprint(ANOTHER)}}, "cnf: bound to another"),
    ("cnf padded", lambda _: {"cnf": {"x5t#S256": thumbprint(CERTIFICATE) + "="}}, "cnf: bound to another"),
    ("cnf in hex", lambda _: {"cnf": {"x5t#S256": sha256(CERTIFICATE).hexdigest()}}, "cnf: bound to another"),
    ("cnf cut", lambda _: {"cnf": {"x5t#S256": thumbprint(CERTIFICATE)[:20]}}, "cnf: bound to another"),
    (
        "cnf of a certificate and a key",
        lambda _: {"cnf": {"x5t#S256": thumbprint(CERTIFICATE), "jkt": "x"}},
        "cnf: not bound by the client",
    ),
]


def named(row: object) -> str | None:
    return row if isinstance(row, str) and row[:1].isalpha() and ":" not in row else None


@pytest.mark.parametrize(("_name", "changes", "why"), [*TIMES, *NAMES], ids=named)
def test_claims(judge: Jwt, _name: str, changes: Callable[[float], dict[str, Any]], why: str) -> None:
    assert isinstance(ask(judge, mint()), Accept)
    answer = ask(judge, mint(**changes(time.time())))
    assert isinstance(answer, Reject)
    assert answer.reason.startswith(why)
    assert len(answer.reason) < LONGEST_REASON
    assert answer.reason.isascii()
    assert answer.reason.isprintable()


@pytest.mark.parametrize(("_name", "changes", "why"), ISSUERS, ids=named)
def test_issuers(judge: Jwt, _name: str, changes: Callable[[float], dict[str, Any]], why: str) -> None:
    """Another table may know the issuer; this one has nothing to say of its tokens."""
    assert isinstance(ask(judge, mint()), Accept)
    answer = ask(judge, mint(**changes(time.time())))
    assert isinstance(answer, Pass)
    assert answer.reason.startswith(why)
    assert len(answer.reason) < LONGEST_REASON
    assert answer.reason.isascii()


@pytest.mark.parametrize(("_name", "changes", "why"), BINDINGS, ids=named)
def test_bindings(judge: Jwt, _name: str, changes: Callable[[float], dict[str, Any]], why: str) -> None:
    bound = mint(cnf={"x5t#S256": thumbprint(CERTIFICATE)})
    assert isinstance(ask(judge, bound, certificate=CERTIFICATE), Accept)
    answer = ask(judge, mint(**changes(time.time())), certificate=CERTIFICATE)
    assert isinstance(answer, Reject)
    assert answer.reason.startswith(why)


def test_a_bound_token_without_a_certificate(judge: Jwt) -> None:
    bound = mint(cnf={"x5t#S256": thumbprint(CERTIFICATE)})
    assert isinstance(ask(judge, bound, certificate=CERTIFICATE), Accept)
    assert ask(judge, bound) == Reject("cnf: bound to a client certificate, and the client presented none")
    assert ask(judge, bound, certificate=ANOTHER) == Reject(
        "cnf: bound to another client certificate than the one presented"
    )


TYPES = ["JWT", "", " at+jwt", "at+jwt ", "at+jwt\0", "at+jwt\n", "logout+jwt", "dpop+jwt", "secevent+jwt", "at jwt",
         "dicomgate-response+jwt", "application/application/at+jwt", "text/at+jwt", "at+jwt" * 20, None, 5, True,
         ["at+jwt"], {"typ": "at+jwt"}, "at\uff0bjwt", "\u212at+jwt"]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=repr)
def test_types(judge: Jwt, kind: object) -> None:
    for genuine in ("at+jwt", "AT+JWT", "application/at+jwt"):
        assert isinstance(ask(judge, mint(header={"typ": genuine})), Accept)
    answer = ask(judge, mint(header={"typ": kind}))
    assert isinstance(answer, Reject)
    assert "typ" in answer.reason


def test_no_type(judge: Jwt) -> None:
    assert isinstance(ask(judge, mint()), Accept)
    assert ask(judge, mint(header={"typ": GONE})) == Reject("typ: None is not the type of an access token (at+jwt)")


HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"crit": ["exp"], "exp": 9999999999}, "'crit'"),
    ({"crit": []}, "'crit'"),
    ({"crit": None}, "'crit'"),
    ({"crit": ["b64"], "b64": True}, "'crit'"),
    ({"b64": False}, "'b64'"),
    ({"b64": True}, "'b64'"),
    ({"zip": "DEF"}, "'zip'"),
    ({"zip": None}, "'zip'"),
    ({"enc": "A256GCM"}, "'enc'"),
    ({"cty": "JWT"}, "a token within a token"),
    ({"cty": "jwt"}, "a token within a token"),
    ({"cty": "application/JWT"}, "a token within a token"),
    ({"cty": 5}, "'cty' is not short text"),
    ({"cty": None}, "'cty' is not short text"),
    ({"kid": 5}, "'kid' is not short text"),
    ({"kid": None}, "'kid' is not short text"),
    ({"kid": ["rsa"]}, "'kid' is not short text"),
    ({"kid": {"kid": "rsa"}}, "'kid' is not short text"),
    ({"kid": ""}, "'kid' is not short text"),
    ({"kid": "rsa\0"}, "'kid' is not short text"),
    ({"kid": "rsa\n"}, "'kid' is not short text"),
    ({"kid": "r\xe4sa"}, "'kid' is not short text"),
    ({"kid": "a" * 257}, "'kid' is not short text"),
    ({"kid": "RSA"}, "no key of the issuer is called"),
    ({"kid": "rsa "}, "no key of the issuer is called"),
    ({"alg": GONE}, "names no algorithm"),
    ({"alg": None}, "'alg' is not short text"),
    ({"alg": 256}, "'alg' is not short text"),
    ({"alg": ["RS256"]}, "'alg' is not short text"),
    ({"alg": {"name": "RS256"}}, "'alg' is not short text"),
    ({"alg": True}, "'alg' is not short text"),
    ({"alg": ""}, "'alg' is not short text"),
    ({"alg": "rs256"}, "not among the algorithms"),
    ({"alg": "RS256 "}, "not among the algorithms"),
    ({"alg": "RS1"}, "not among the algorithms"),
    ({"alg": "ES256K"}, "not among the algorithms"),
    ({"alg": "RSA1_5"}, "not among the algorithms"),
    ({"alg": "dir"}, "not among the algorithms"),
    ({"alg": "RS512"}, "signature: "),
    ({"alg": "ES256"}, "alg: 'ES256', but the key is for"),
]


@pytest.mark.parametrize(("header", "why"), HEADERS, ids=lambda row: repr(row)[:40])
def test_headers(judge: Jwt, header: dict[str, Any], why: str) -> None:
    assert isinstance(ask(judge, mint(header={"x": 1})), Accept)
    answer = ask(judge, mint(header=header))
    assert isinstance(answer, Reject)
    assert why in answer.reason
    assert len(answer.reason) < LONGEST_REASON
    assert answer.reason.isascii()


def test_there_are_more_than_sixty_rows() -> None:
    assert len([*TIMES, *NAMES, *ISSUERS, *BINDINGS]) + len(TYPES) + len(HEADERS) > 170


def test_the_longest_token(judge: Jwt) -> None:
    def of(size: int) -> str:
        spare = size - len(mint(x=""))
        token = next(one for less in range(6) if len(one := mint(x="x" * (spare * 3 // 4 - less))) <= size)
        assert size - 4 < len(token) <= size
        return token

    assert isinstance(ask(judge, of(LONGEST)), Accept)
    longer = mint(x="x" * (len(of(LONGEST)) * 3 // 4))
    assert ask(judge, longer) == Reject(f"{len(longer)} bytes, more than 32768")
    for size in (LONGEST + 100, 65_000):
        answer = ask(judge, mint(x="x" * size))
        assert isinstance(answer, Reject)
        assert "more than 32768" in answer.reason


HUGE: list[bytes] = [
    b"[" * 10_000 + b"]" * 10_000,
    b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
    b"[" + b",".join([b"9" * 4300] * 4) + b"]",
    b"1." + b"1" * 20_000,
    b"1e" + b"9" * 20_000,
    b"9" * 20_000,
    b"{" + b",".join(b'"%d":0' % number for number in range(2_000)) + b"}",
    b"[" + b",".join([b"[]"] * 6_000) + b"]",
    b'"' + b"\\u0000" * 3_500 + b'"',
]


@pytest.mark.parametrize("value", HUGE, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("name", ["exp", "aud", "sub", "cnf", "iss"])
def test_huge_values(judge: Jwt, name: str, value: bytes) -> None:
    """Read to the end or not at all, and never told at length."""
    assert isinstance(ask(judge, mint()), Accept)
    rest = json.dumps(claims(**{name: GONE})).encode()
    answer = ask(judge, signed(HEADER, rest[:-1] + b',"' + name.encode() + b'":' + value + b"}", RSA))
    assert isinstance(answer, Reject | Pass)
    assert len(answer.reason) < LONGEST_REASON
