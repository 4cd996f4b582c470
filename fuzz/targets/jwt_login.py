"""Header and claims of a JSON Web Token that its issuer has signed, whatever they say: the authenticator's decision.

An input is the header and the claims in JSON, with a NUL between them; in the claims, `@5` is a time in five seconds.

Promise: there is a decision, and it is not `Unavailable`. Who is accepted has a token of this issuer, for this gateway,
that has not ended, as `json` reads it too, and what it says is fit for the audit. Without the issuer's signature nobody
is accepted.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from functools import cache
from typing import Any

from dicomgate import Accept, Unavailable
from dicomgate.auth.decision_check import Defect, check_decision
from dicomgate_jwt import Jwt
from plugins.jwt.tests.mint import AUDIENCE, ED25519, ISSUER, authenticator, encoded, login, signed, thumbprint

from ..corpora import files
from ..engine import Target
from ..scratch import scratch

_TIME = re.compile(rb"@(-?[0-9]{1,9})")
_CERTIFICATE = b"that of the client, in DER"
_LOOP = asyncio.new_event_loop()


@cache
def _judges() -> tuple[Jwt, ...]:
    """One with the options that a table mostly has, and one with all that may be required."""
    strict: dict[str, Any] = {"tokens": "either", "required_claims": {"scope": "dicom", "level": [1, True]}}
    strict |= {"certificate_bound": True, "audience_claim": "realm_access.aud", "user_claim": "preferred.name"}
    folder = scratch("jwt")
    return authenticator(folder, single_use=True, group_claims=["groups", "realm_access.roles"]), authenticator(
        folder, **strict
    )


def _run(data: bytes) -> None:
    now = int(time.time())
    header, _, claims = _TIME.sub(lambda found: b"%d" % (now + int(found[1])), data).partition(b"\0")
    for judge in _judges():
        decision = _decided(judge, signed(header, claims, ED25519))
        if isinstance(decision, Accept):
            said = json.loads(claims)
            assert said["iss"] == ISSUER
            assert AUDIENCE in repr(said.get("aud")) + repr(said.get("realm_access"))
            assert said["exp"] > now - 60
            assert decision.user in json.dumps(said, ensure_ascii=False)
            unsigned = f"{encoded(header)}.{encoded(claims)}.{encoded(bytes(64))}"
            assert not isinstance(_decided(judge, unsigned), Accept)


def _decided(judge: Jwt, token: str) -> object:
    decision = _LOOP.run_until_complete(judge.authenticate(login(token, certificate=_CERTIFICATE)))
    assert not isinstance(decision, Unavailable), decision
    assert not isinstance(check_decision(decision), Defect)
    return decision


def _seeds() -> list[bytes]:
    header = b'{"alg":"EdDSA","typ":"at+jwt","kid":"ed25519"}'
    genuine = b'"iss":"%b","aud":"%b","sub":"ada","iat":@0,"exp":@300,"jti":"9f1c"' % (
        ISSUER.encode(),
        AUDIENCE.encode(),
    )
    groups = b',"nbf":@-5,"groups":["a","b"],"realm_access":{"roles":"c"},"client_id":"ct"'
    more = [b"", groups, b',"cnf":{"x5t#S256":"x"}', b',"events":{}', b',"scope":"a b","azp":null']
    bound = b'"cnf":{"x5t#S256":"%b"}' % thumbprint(_CERTIFICATE).encode()
    strict = b',%b,"scope":"a dicom","level":1,"preferred":{"name":"ada"},"realm_access":{"aud":["%b"]}'
    more += [b"," + bound, strict % (bound, AUDIENCE.encode())]
    claims = [b"{%b%b}" % (genuine, one) for one in more]
    return [header + b"\0" + one for one in (*claims, *files("json-parsing"))]


TARGET = Target(
    "jwt_login",
    ("dicomgate_jwt.authenticator", "dicomgate_jwt.claims", "dicomgate_jwt.verification", "dicomgate_jwt.token"),
    _run,
    (),
    _seeds,
    (
        b"@0",
        b"@-100",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'"aud":[',
        b"1e999",
        b"-0.0",
        b'"\\ud800"',
        b'"\\u0000"',
        b"9" * 400,
    ),
)
