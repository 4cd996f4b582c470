"""Claims and headers that must not log in, each beside the token that it was made of, which does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from dicomgate import Accept, Pass, Reject
from dicomgate_jwt import Jwt
from dicomgate_jwt.token import LONGEST
from plugins.jwt.tests.mint import AUDIENCE, GONE, HEADER, ISSUER, RSA, ask, claims, mint, signed, thumbprint

CERTIFICATE, ANOTHER = b"the client's certificate", b"another one"
LONGEST_REASON = 500
"""What a hostile token can write into the log."""

Row = tuple[str, Callable[[float], dict[str, Any]], str]


def always(**changes: Any) -> Callable[[float], dict[str, Any]]:
    return lambda _: changes


def each(name: str, why: str, *values: object) -> list[Row]:
    """A row for each value of this claim; GONE takes it away."""
    return [(f"{name} {value!r}"[:40], always(**{name: value}), why) for value in values]


NO_MOMENTS: list[object] = [None, "9999999999", "1e10", True, False, [9999999999], {"exp": 9999999999}, {}, -1, 10**30,
                            10**400, 1.7e308, 253402300800]  # fmt: skip
TIMES: list[Row] = [
    *(row for name in ("exp", "iat", "nbf") for row in each(name, f"{name}: not a number", *NO_MOMENTS)),
    *(row for name in ("exp", "iat") for row in each(name, f"{name}: is missing", GONE)),
    ("exp text", lambda now: {"exp": str(int(now + 300))}, "exp: not a number"),
    ("exp minus zero", always(exp=-0.0, iat=-0.0), "exp: expired"),
    ("exp zero", always(exp=0), "exp: expired"),
    ("exp in milliseconds", lambda now: {"exp": int(now + 300) * 1000}, "exp: not a number"),
    ("exp an hour ago", lambda now: {"exp": int(now) - 3600}, "exp: expired"),
    ("exp behind the leeway", lambda now: {"exp": now - 31}, "exp: expired"),
    ("exp too far", lambda now: {"exp": int(now) + 90000}, "exp: lives for"),
    ("iat text", lambda now: {"iat": str(int(now))}, "iat: not a number"),
    ("iat a list", lambda now: {"iat": [now]}, "iat: not a number"),
    ("iat tomorrow", lambda now: {"iat": now + 86400, "exp": now + 86700}, "iat: not yet"),
    ("iat before the leeway", lambda now: {"iat": now + 35}, "iat: not yet"),
    ("iat zero: the token lives too long", always(iat=0), "exp: lives for"),
    ("nbf tomorrow", lambda now: {"nbf": now + 86400}, "nbf: not yet"),
    ("nbf before the leeway", lambda now: {"nbf": now + 35}, "nbf: not yet"),
    *each("nbf", "nbf: not a number", "0", [0], -5),
]
NAMES: list[Row] = [
    *each("aud", "aud: is missing", GONE, None, [], [AUDIENCE, 1], [AUDIENCE, None], [[AUDIENCE]], {AUDIENCE: True}, 1),
    *each("aud", "aud: is missing", True),
    *each("aud", "aud: [''], none", ""),
    *each("aud", "aud: ", "https://pacs.hospital.example", f"{AUDIENCE}2", AUDIENCE.upper(), f"{AUDIENCE}/"),
    *each("aud", "aud: ", f"{AUDIENCE} ", f"{AUDIENCE}\0", f"other {AUDIENCE}", ["a", "b"]),
    *each("sub", "sub: is missing; user_claim must say", GONE, None),
    *each("sub", "sub: not text", 5, True, ["ada"], {"name": "ada"}),
    *each("sub", "sub: ", "", " ", "ada\0", "ada\n", "ada\nroot", "ada\r", "\x1b[2Jada", " ada", "ada ", "ada\xa0"),
    *each("sub", "sub: ", "ada\u202e", "a\u200bda", "ada\u2028", "\ufeffada", "ada\uffff", "a" * 257),
    *each("sub", "its claims: ", "ada\ud800"),
    *each("jti", "jti: not text", 1, None, ["9f1c"]),
    *each("events", "events: ", {"http://schemas.openid.net/event/backchannel-logout": {}}, None),
]
ISSUERS: list[Row] = [
    *each("iss", "its issuer is None", GONE, None, [ISSUER], {ISSUER: ISSUER}, 1, True),
    *each("iss", "its issuer is ''", ""),
    *each("iss", f"its issuer is '{ISSUER}/', not '{ISSUER}' (the slash at the end counts)", f"{ISSUER}/"),
    *each("iss", "its issuer is ", ISSUER[:-1], "https://login.hospital.example", "h", f"{ISSUER}x"),
    *each("iss", "its issuer is ", ISSUER.upper(), ISSUER.replace("https", "http"), f" {ISSUER}", f"{ISSUER}\0"),
    *each("iss", "its issuer is ", ISSUER.replace(".example", ".example:443"), ISSUER.replace("o", "\u043e")),
]
THUMBPRINT = thumbprint(CERTIFICATE)
BINDINGS: list[Row] = [
    *each("cnf", "cnf: not bound to", None),
    *each("cnf", "cnf: not bound by the client", {}, "x5t#S256", ["x5t#S256"], {"jkt": "x"}),
    *each(
        "cnf", "cnf: not bound by the client", {"x5t#S256": 1}, {"x5t#S256": None}, {"x5t#S256": THUMBPRINT, "jkt": "x"}
    ),
    *(
        each("cnf", "cnf: bound to another", {"x5t#S256": wrong})[0]
        for wrong in (
            "", "\xe9", thumbprint(ANOTHER), f"{THUMBPRINT}=", sha256(CERTIFICATE).hexdigest(), THUMBPRINT[:20],
        )
    ),
]  # fmt: skip


def named(row: object) -> str | None:
    return row if isinstance(row, str) and row[:1].isalpha() and ":" not in row else None


ROWS = [
    *((*row, Reject) for row in (*TIMES, *NAMES, *BINDINGS)),
    *((*row, Pass) for row in ISSUERS),  # another table may know the issuer
]


@pytest.mark.parametrize(("_name", "changes", "why", "kind"), ROWS, ids=named)
def test_claims(
    judge: Jwt, _name: str, changes: Callable[[float], dict[str, Any]], why: str, kind: type[Reject | Pass]
) -> None:
    for genuine in (mint(), mint(cnf={"x5t#S256": THUMBPRINT})):
        assert isinstance(ask(judge, genuine, certificate=CERTIFICATE), Accept)
    answer = ask(judge, mint(**changes(time.time())), certificate=CERTIFICATE)
    assert isinstance(answer, kind)
    assert answer.reason.startswith(why)
    assert len(answer.reason) < LONGEST_REASON
    assert answer.reason.isprintable()


def test_a_bound_token_without_a_certificate(judge: Jwt) -> None:
    bound = mint(cnf={"x5t#S256": THUMBPRINT})
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


BAD_HEADERS: dict[str, list[dict[str, Any]]] = {
    "'crit'": [{"crit": ["exp"], "exp": 9999999999}, {"crit": []}, {"crit": None}, {"crit": ["b64"], "b64": True}],
    "'b64'": [{"b64": False}, {"b64": True}],
    "'zip'": [{"zip": "DEF"}, {"zip": None}],
    "'enc'": [{"enc": "A256GCM"}],
    "a token within a token": [{"cty": "JWT"}, {"cty": "jwt"}, {"cty": "application/JWT"}],
    "'cty' is not short text": [{"cty": 5}, {"cty": None}],
    "'kid' is not short text": [
        {"kid": kid} for kid in (5, None, ["rsa"], {"kid": "rsa"}, "", "rsa\0", "rsa\n", "r\xe4sa", "a" * 257)
    ],
    "no key of the issuer is called": [{"kid": "RSA"}, {"kid": "rsa "}],
    "names no algorithm": [{"alg": GONE}],
    "'alg' is not short text": [{"alg": alg} for alg in (None, 256, ["RS256"], {"name": "RS256"}, True, "")],
    "not among the algorithms": [{"alg": alg} for alg in ("rs256", "RS256 ", "RS1", "ES256K", "RSA1_5", "dir")],
    "signature: ": [{"alg": "RS512"}],
    "alg: 'ES256', but the key is for": [{"alg": "ES256"}],
}
HEADERS = [(header, why) for why, headers in BAD_HEADERS.items() for header in headers]


@pytest.mark.parametrize(("header", "why"), HEADERS, ids=lambda row: repr(row)[:40])
def test_headers(judge: Jwt, header: dict[str, Any], why: str) -> None:
    assert isinstance(ask(judge, mint(header={"x": 1})), Accept)
    answer = ask(judge, mint(header=header))
    assert isinstance(answer, Reject)
    assert why in answer.reason
    assert len(answer.reason) < LONGEST_REASON
    assert answer.reason.isascii()


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
    b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 3_000 + b"1" + b"}" * 3_000, b"[" + b",".join([b"9" * 4300] * 4) + b"]",
    b"1." + b"1" * 20_000, b"1e" + b"9" * 20_000, b"9" * 20_000,
    b"{" + b",".join(b'"%d":0' % number for number in range(2_000)) + b"}", b"[" + b",".join([b"[]"] * 6_000) + b"]",
    b'"' + b"\\u0000" * 3_500 + b'"',
]  # fmt: skip


@pytest.mark.parametrize("value", HUGE, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("name", ["exp", "aud", "sub", "cnf", "iss"])
def test_huge_values(judge: Jwt, name: str, value: bytes) -> None:
    """Read to the end or not at all, and never told at length."""
    assert isinstance(ask(judge, mint()), Accept)
    rest = json.dumps(claims(**{name: GONE})).encode()
    answer = ask(judge, signed(HEADER, rest[:-1] + b',"' + name.encode() + b'":' + value + b"}", RSA))
    assert isinstance(answer, Reject | Pass)
    assert len(answer.reason) < LONGEST_REASON
