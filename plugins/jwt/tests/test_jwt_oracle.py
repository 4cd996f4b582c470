"""joserfc, another implementation, as an oracle: the same verdict on generated tokens, or a difference on purpose."""

from __future__ import annotations

import json
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry, decode

from dicomgate import Accept, Pass, Reject
from dicomgate_jwt.keys import PUBLIC_KEY_ALGORITHMS
from plugins.jwt.tests import mint

SEED, TOKENS = 20261120, 4000
MINE_ALONE_REFUSES = {
    "typ:": "joserfc does not look at `typ` (RFC 9068 4: it must be at+jwt)",
    "events:": "a logout token has claims like any other",
    "cnf:": "joserfc does not know what a token is bound to",
    "lives for": "a longest lifetime is ours",
    "not a number of seconds": "10^30 is a number, and so is -1, but neither is a moment",
    "sub:": "names with blanks around them or control characters within are nobody's",
    "a token within a token": "joserfc leaves `cty` to the application",
    "its header has": "what changes the meaning of a token (`zip`, `enc`, `b64`) is refused, not overread",
    "'typ' is not short text": "media types are short and have no blanks",
    "'cty' is not short text": "the same",
    "the same name twice": "joserfc takes the last one",
    "a number that is too large": "1e400 is infinity elsewhere; in a claim that nobody looks at it goes by",
    "NaN or Infinity": "the same",
    "not JSON": "UTF-16, which RFC 8259 8.1 excludes and Python's reader guesses",
    "not UTF-8": "the same, with a byte order mark",
    "nested too deeply": "nesting is limited",
    "a string with half of a surrogate pair": "half of a surrogate pair",
}
WHERE = re.compile("^(its (header|claims)|exp|nbf|iat): ")
JOSERFC_ALONE_REFUSES = {
    "no kid": "a token without a name is tried with each key of its kind, if these are not too many",
}


@dataclass
class Making:
    """A token in the making: genuine until something is done to it."""

    header: dict[str, Any]
    claims: dict[str, Any]
    key: mint.Signer
    algorithm: str
    texts: list[tuple[str, Callable[[bytes], bytes]]] = field(default_factory=list)
    tokens: list[Callable[[str], str]] = field(default_factory=list)

    def token(self) -> str:
        parts = {"header": json.dumps(self.header).encode(), "claims": json.dumps(self.claims).encode()}
        for part, change in self.texts:
            parts[part] = change(parts[part])
        token = mint.signed(parts["header"], parts["claims"], self.key, self.algorithm)
        for respell in self.tokens:
            token = respell(token)
        return token


VALUES: list[Any] = [None, True, False, 0, 1, -1, 1.5, -0.0, 10**30, 10**400, "", " ", "x", "0", "\0", [], {}, [None],
                     ["x"], [["x"]], {"x": 1}, "ada\n", "\u202eada",
                     "\ud800", [mint.AUDIENCE, 1], mint.ISSUER, mint.AUDIENCE]  # fmt: skip
OFFSETS = [-(10**7), -3600, -40, -20, 0, 20, 40, 3600, 100_000, 10**7]
NAMES = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "scope", "cnf", "events", "roles"]


def a_claim(making: Making, random: Random) -> None:
    making.claims[random.choice(NAMES)] = random.choice(VALUES)


def a_claim_less(making: Making, random: Random) -> None:
    making.claims.pop(random.choice(NAMES), None)


def a_moment(making: Making, random: Random) -> None:
    moment = time.time() + random.choice(OFFSETS)
    making.claims[random.choice(["exp", "iat", "nbf"])] = random.choice(
        [int(moment), moment, str(int(moment)), [moment]]
    )


def an_audience(making: Making, random: Random) -> None:
    one = random.choice([mint.AUDIENCE, mint.AUDIENCE.upper(), f"{mint.AUDIENCE}/", mint.AUDIENCE[:-1], "x"])
    making.claims["aud"] = random.choice([one, [one], ["x", one], [one, "y"], [], [[one]], {one: one}])


def an_issuer(making: Making, random: Random) -> None:
    making.claims["iss"] = random.choice(
        [mint.ISSUER.upper(), f"{mint.ISSUER}/", mint.ISSUER[:-1], [mint.ISSUER], f" {mint.ISSUER}", "https://x"]
    )


def a_name(making: Making, random: Random) -> None:
    making.claims["sub"] = random.choice(["eve", "é", "李", "a b", " a", "a\t", "x" * 300, "😀", "a" * 256])


def a_header(making: Making, random: Random) -> None:
    name = random.choice(["typ", "typ", "cty", "cty", "kid", "alg", "crit", "b64", "zip", "x"])
    pool: list[Any] = [None, 5, "", "JWT", "at+jwt", "AT+JWT", "application/at+jwt", "DEF",
                       True, False, [], ["exp"], "rsa",
                       "p256", "none", "HS256", "RS256", "ES256", "PS512", "at jwt"]  # fmt: skip
    making.header[name] = random.choice(pool)


def a_header_less(making: Making, random: Random) -> None:
    making.header.pop(random.choice(["typ", "kid", "alg"]), None)


def another_key(making: Making, random: Random) -> None:
    making.key = random.choice([mint.STRANGER, mint.OTHER_RSA, mint.P256])
    making.algorithm = making.key.algorithm


def another_algorithm(making: Making, random: Random) -> None:
    making.key = random.choice([mint.RSA, mint.OTHER_RSA])
    making.algorithm = random.choice(["RS384", "RS512", "PS256", "PS384", "PS512"])
    making.header |= {"alg": making.algorithm, "kid": making.key.id}


def a_letter(making: Making, random: Random) -> None:
    where, letter = random.random(), random.choice("Aa0-_=. \n+/~é")
    cut = random.choice([0, 1])

    def change(token: str) -> str:
        at = int(where * len(token))
        return token[:at] + letter + token[at + cut :]

    making.tokens.append(change)


def other_parts(making: Making, random: Random) -> None:
    order = random.choice([[1, 0, 2], [0, 1], [0, 0, 2], [0, 1, 2, 2], [2, 1, 0], [0, 1, 1], [0, 1, 2]])
    making.tokens.append(lambda token: ".".join((token.split(".") * 3)[at] for at in order))


def other_text(making: Making, random: Random) -> None:
    texts: list[Callable[[bytes], bytes]] = [
        lambda text: text[:-1] + b', "sub": "eve"}', lambda text: text[:-1] + b', "x": 1, "x": 2}',
        lambda text: text[:-1] + b', "x": NaN}', lambda text: text[:-1] + b', "x": 1e400}',
        lambda text: text[:-1] + b', "x": ' + b"[" * 40 + b"]" * 40 + b"}",
        lambda text: text[:-1] + b', "x": "\\udc00"}', lambda text: text[:-1] + b',"x": "\xff"}',
        lambda text: text[:-1] + b",}", lambda text: b"\xef\xbb\xbf" + text, lambda text: b" \n" + text + b"\t",
        lambda text: text.decode(errors="replace").encode("utf-16"),
        lambda text: text.decode(errors="replace").encode("utf-16-le"), lambda text: text + b"x",
        lambda text: b"[" + text + b"]", lambda text: text.replace(b'"', b"'"), lambda text: b"",
    ]  # fmt: skip
    making.texts.append((random.choice(["header", "claims", "claims"]), random.choice(texts)))


CHANGES = [a_claim, a_claim, a_claim, a_claim_less, a_moment, a_moment, an_audience, an_issuer, a_name, a_header,
           a_header, a_header_less, another_key, another_algorithm, a_letter, a_letter,
           other_parts, other_text, other_text]  # fmt: skip


def generated(random: Random) -> str:
    key = random.choice(mint.PUBLISHED)
    making = Making({"alg": key.algorithm, "typ": "at+jwt", "kid": key.id}, mint.claims(), key, key.algorithm)
    for change in random.choices(CHANGES, k=random.choice([0, 1, 1, 1, 1, 2, 3])):
        change(making, random)
    return making.token()


KEYS = KeySet.import_key_set(json.loads(mint.key_set()))
EXPECTED = JWTClaimsRegistry(
    leeway=30,
    iss={"essential": True, "value": mint.ISSUER},
    aud={"essential": True, "value": mint.AUDIENCE},
    exp={"essential": True},
    iat={"essential": True},
    sub={"essential": True},
)
HEADERS = JWSRegistry(algorithms=PUBLIC_KEY_ALGORITHMS, strict_check_header=False)


def joserfc_accepts(token: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that EdDSA will be called Ed25519
        try:
            EXPECTED.validate(decode(token, KEYS, registry=HEADERS).claims)
        except (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return False
    return True


@pytest.mark.anyio
async def test_the_same_verdicts(tmp_path: Path) -> None:
    judge = mint.authenticator(tmp_path)
    both: Counter[bool] = Counter()
    justified: Counter[str] = Counter()
    random = Random(SEED)
    for token in (generated(random) for _ in range(TOKENS)):
        # One right after the other: both must see the same time, however busy the machine is.
        mine, accepted = await judge.authenticate(mint.login(token)), joserfc_accepts(token)
        if isinstance(mine, Accept) == accepted:
            both[accepted] += 1
        elif isinstance(mine, Reject | Pass):
            reason = WHERE.sub("", mine.reason)
            justified.update([why for why in MINE_ALONE_REFUSES if reason.startswith(why)] or [reason])
        else:
            justified["no kid" if without_a_name(token) else f"{mine}: {token}"] += 1
    assert justified.keys() == MINE_ALONE_REFUSES.keys() | JOSERFC_ALONE_REFUSES.keys()
    assert both[True] > 1000
    assert both[False] > 2000


def without_a_name(token: str) -> bool:
    return "kid" not in json.loads(mint.decoded(token.split(".")[0]))
