"""What is tried against resource servers (jwt_tool's playbook, RFC 8725, known weaknesses), each beside a genuine one.

A trap on loopback counts who connects to it: no URL of a token is ever asked.
"""

from __future__ import annotations

import json
import socket
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from hashlib import sha1, sha256, sha512
from hmac import digest
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dicomgate import Accept, ConfigError, Pass, Reject
from dicomgate.testing.peers.issuer import Trap
from dicomgate.testing.peers.loopback import wait_until
from dicomgate_jwt import Jwt
from plugins.jwt.tests.mint import (
    ED25519,
    GONE,
    HEADER,
    OTHER_RSA,
    P256,
    P384,
    P521,
    PUBLISHED,
    RSA,
    SECRET,
    STRANGER,
    Signer,
    ask,
    authenticator,
    claims,
    encoded,
    key_set,
    mint,
    signed,
    written,
)

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the group of P-256


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    with Trap() as trap:
        yield trap
        assert trap.connections == 0
        with socket.create_connection(trap.address):
            wait_until(lambda: trap.connections == 1, "the trap to count")


def url_of(trap: Trap) -> str:
    return f"http://127.0.0.1:{trap.address[1]}/keys.json"


def refused(judge: Jwt, *tokens: str | bytes) -> list[str]:
    """The reasons why each of these is refused, beside genuine tokens of every key that is published."""
    for key in PUBLISHED:
        assert isinstance(ask(judge, mint(key)), Accept)
    reasons = []
    for token in tokens:
        answer = ask(judge, token)
        assert isinstance(answer, Reject | Pass), token
        reasons.append(answer.reason)
    return reasons


def unsigned(header: object, signature: bytes = b"") -> str:
    return f"{encoded(header)}.{encoded(claims())}.{encoded(signature)}"


NONE: list[object] = ["none", "None", "NONE", "nOnE", "NoNe",
        "none ", " none", "none\0", "no\u200bne", "\uff4e\uff4f\uff4e\uff45", "n\u043ene",
        "nonE\n", "none\t", "\u24ddone", "nul", "null", "", None, False, 0, [], {}, ["none"], GONE]  # fmt: skip


@pytest.mark.parametrize("name", NONE, ids=ascii)
@pytest.mark.parametrize("described", [HEADER, {"alg": 0, "typ": "at+jwt"}])
def test_none(judge: Jwt, name: object, described: dict[str, Any]) -> None:
    header = {key: value for key, value in {**described, "alg": name}.items() if value is not GONE}
    good = urlsafe_b64decode(mint().split(".")[2] + "==")
    tokens = [unsigned(header), unsigned(header, b"\0"), unsigned(header, b"none"), unsigned(header, good),
              signed(header, claims()), unsigned(header).rstrip("."), f"{unsigned(header)}."]  # fmt: skip
    refused(judge, *tokens)


@pytest.mark.parametrize("key", PUBLISHED, ids=lambda key: key.id)
def test_signatures_of_nothing(judge: Jwt, key: Signer) -> None:
    """Null, blank and short ones, for a key of each kind."""
    head = mint(key).rpartition(".")[0]
    length = len(urlsafe_b64decode(mint(key).rpartition(".")[2] + "=="))
    signatures = [b"\0", b"\x01", b" ", b"null", bytes(length), bytes(length - 1), bytes(length + 1), b"\xff" * length,
                  bytes(length - 1) + b"\x01", b"\x01" + bytes(length - 1)]  # fmt: skip
    reasons = refused(judge, *(f"{head}.{encoded(signature)}" for signature in signatures))
    assert set(reasons) == {"signature: not made with this key, or the token was changed"}
    assert refused(judge, f"{head}.") == ["it is not signed"]
    assert refused(judge, head, f"{head}..", f"{head}. ", f"{head}.=", f"{head}.AA==") == [
        "not a signed token in compact form: three parts with dots between them",
        "not a signed token in compact form: three parts with dots between them",
        "its signature: not base64url without padding",
        "its signature: not base64url without padding",
        "its signature: not base64url without padding",
    ]


def public_forms(key: Signer) -> dict[str, bytes]:
    """All that an attacker may take for the bytes with which the public key would be an HMAC's secret."""
    public = key.private.public_key()
    numbers = public.public_numbers()
    modulus = numbers.n.to_bytes(256, "big")
    jwk = {name: value for name, value in key.jwk.items() if name in ("kty", "n", "e")}
    return {
        "PEM": key.pem,
        "PEM without line end": key.pem.rstrip(b"\n"),
        "PEM with CRLF": key.pem.replace(b"\n", b"\r\n"),
        "PEM in one line": key.pem.replace(b"\n", b""),
        "PKCS1 PEM": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "PKCS1 PEM without line end": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1).rstrip(b"\n"),
        "the text within the PEM": b"".join(key.pem.splitlines()[1:-1]),
        "DER": key.der,
        "PKCS1 DER": public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
        "DER in base64": b64encode(key.der),
        "SSH": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "JWK": json.dumps(key.jwk).encode(),
        "JWK, compact": json.dumps(key.jwk, separators=(",", ":")).encode(),
        "JWK, as thumbprints have it": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "JWK's thumbprint": sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest(),
        "the key set": key_set(),
        "n, its text": key.jwk["n"].encode(),
        "n": modulus,
        "n, signed": b"\0" + modulus,
        "n in decimals": str(numbers.n).encode(),
        "n in hex": modulus.hex().encode(),
        "nothing": b"",
        "the name": key.id.encode(),
    }


HASHES: dict[str, Any] = {"HS256": sha256, "HS384": "sha384", "HS512": sha512, "HS1": sha1}


@pytest.mark.parametrize("form", public_forms(RSA))
def test_a_public_key_as_a_secret(judge: Jwt, tmp_path: Path, form: str) -> None:
    secret = public_forms(RSA)[form]
    pem = authenticator(tmp_path, public_key_file=written(tmp_path / "key.pem", RSA.pem))
    assert isinstance(ask(pem, mint()), Accept)
    for algorithm, hash_ in HASHES.items():
        for header in ({**HEADER, "alg": algorithm}, {"alg": algorithm, "typ": "at+jwt"}):
            head = f"{encoded(header)}.{encoded(claims())}"
            token = f"{head}.{encoded(digest(secret, head.encode(), hash_))}"
            for reason in (*refused(judge, token), ask(pem, token).reason):  # type: ignore[union-attr]
                assert reason == f"alg: '{algorithm}' is not among the algorithms"


@pytest.mark.parametrize("form", ["PEM in one line", "JWK", "JWK, compact", "the key set", "SSH"])
def test_a_public_key_in_the_secrets_file(tmp_path: Path, form: str) -> None:
    """An operator's mistake, which would make every reader of the key an issuer."""
    genuine = written(tmp_path / "secret", SECRET.private + b"\n", 0o600)
    assert isinstance(ask(authenticator(tmp_path, secret_file=genuine), mint(SECRET)), Accept)
    with pytest.raises(ConfigError, match=r"public key|longer than"):
        authenticator(tmp_path, secret_file=written(tmp_path / "public", public_forms(RSA)[form], 0o600))


def test_a_secret_in_the_key_set(tmp_path: Path) -> None:
    """With "oct" keys beside public ones, and with a public key's name."""
    secret = {"kty": "oct", "k": encoded(SECRET.private), "kid": "secret", "alg": "HS512", "use": "sig"}
    for also in ({}, {"kid": "rsa"}, {"kid": None}):
        mixed = key_set(RSA, P256, also=({**secret, **also},))
        judge = authenticator(tmp_path, jwks_file=written(tmp_path / f"{also}.json", mixed))
        assert isinstance(ask(judge, mint(P256)), Accept)
        for kid in ("secret", "rsa", GONE):
            assert isinstance(ask(judge, mint(SECRET, header={"kid": kid})), Reject)
    with pytest.raises(ConfigError, match="a secret, published"):
        authenticator(tmp_path, jwks_file=written(tmp_path / "oct.json", json.dumps({"keys": [secret]}).encode()))


@pytest.mark.parametrize("kid", ["rsa", "mine", GONE], ids=str)
def test_keys_that_the_token_brings_along(judge: Jwt, trap: Trap, kid: object) -> None:
    chain, url = STRANGER.certificate, url_of(trap)
    brought: list[dict[str, Any]] = [
        {"jwk": STRANGER.jwk},
        {"jwk": {**STRANGER.jwk, "kid": "rsa"}},
        {"jwk": json.dumps(STRANGER.jwk)},
        {"jwk": {"kty": "oct", "k": encoded(SECRET.private)}},
        {"jwks": {"keys": [STRANGER.jwk]}},
        {"x5c": [b64encode(chain).decode()]},
        {"x5c": b64encode(chain).decode()},
        {"x5t": encoded(sha1(chain).digest())},  # noqa: S324 (as RFC 7515 has it)
        {"x5t#S256": encoded(sha256(chain).digest())},
        {"jku": url},
        {"jku": url.replace("http:", "https:")},
        {"jku": f"https://login.hospital.example@127.0.0.1:{trap.address[1]}/"},
        {"x5u": url},
        {"jku": url, "x5u": url, "jwk": STRANGER.jwk},
        {"url": url, "iss": url},
        {"p2s": "AAAA", "p2c": 2**31},
        {"epk": STRANGER.jwk, "apu": "AA"},
    ]
    refused(judge, *(mint(STRANGER, header={**header, "kid": kid}) for header in brought))
    refused(judge, *(mint(SECRET, header={**header, "alg": "HS256", "kid": kid}) for header in brought))
    assert trap.connections == 0


def test_what_a_genuine_token_brings_along_is_not_looked_at(judge: Jwt, trap: Trap) -> None:
    url = url_of(trap)
    refused(judge, mint(STRANGER, header={"kid": url}), mint(header={"kid": url}))
    brought: list[dict[str, Any]] = [{"jku": url}, {"x5u": url}, {"jwk": STRANGER.jwk}, {"jwk": {"kty": []}}]
    for header in (*brought, {"x5c": 5}):
        assert isinstance(ask(judge, mint(header=header)), Accept)
    assert trap.connections == 0


KIDS: list[object] = [
    "../../../../../../dev/null", "/dev/null", "/proc/self/environ", "file:///etc/passwd", "..\\..\\windows\\win.ini",
    "keys.json", "' OR '1'='1", "x' UNION SELECT 'AAAA' --", "rsa'; DROP TABLE keys; --", '"; sleep 10; "',
    "$(sleep 10)", "`sleep 10`", "rsa|sleep 10", "rsa; touch /tmp/dicomgate-was-here", "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}", "%s%s%n", "*", ".*", "{0.__class__}", "__class__", "\0", "rsa\0", "\x00../x", "rsa\r\nx: y", "rs\u0430",
    "\ud800", "k" * 10_000, "", " ", 0, -1, 1e400, None, True, [], ["rsa"], {}, {"$ne": None},
]  # fmt: skip


@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: ascii(kid)[:25])
def test_names_of_keys_that_do_something_elsewhere(judge: Jwt, kid: object) -> None:
    head = f"{encoded({**HEADER, 'alg': 'HS256', 'kid': kid})}.{encoded(claims())}"
    with_an_empty_file = f"{head}.{encoded(digest(b'', head.encode(), sha256))}"
    for reason in refused(judge, mint(STRANGER, header={"kid": kid}), mint(header={"kid": kid}), with_an_empty_file):
        assert len(reason) < 500
        assert reason.isascii()
        assert reason.isprintable()


PUBLISHED_SECRETS = [
    b"a-string-secret-at-least-256-bits-long", b"a-valid-string-secret-that-is-at-least-384-bits-long",
    b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    b"qnscAdgRlkIhAUPY44oiexBKtQbGY0orf7OV1I50", b"MI4Xbt1Wd7bbTwO8Jh1y9hT0bHxvgyZr",
    b"your-256-bit-secret-your-256-bit-secret", b"ThisIsMySuperSecretKeyForJwtTokens",
    b"this_is_my_super_secret_jwt_key_change_me", b"change-me-change-me-change-me-change-me",
]  # fmt: skip
WEAK = [
    *PUBLISHED_SECRETS, b"secret", b"", b"password", b"your-256-bit-secret", b"0" * 64, b"ab" * 40,
    b"password" * 8, b"passwordpasswordpasswordpasswor", b"11112222333344445555666677778888999",
    b"0123456789abcdef" * 4, b"correct horse battery staple!?!" * 2, b"0123456789012345678901234567890123456789",
    b"n5Q0bV9wXcE3tYk7mZ2rLhJ8uGfD1sA",
]  # fmt: skip


@pytest.mark.parametrize("secret", WEAK, ids=lambda secret: repr(secret)[:25])
def test_weak_secrets(tmp_path: Path, secret: bytes) -> None:
    good = written(tmp_path / "good", SECRET.private, 0o600)
    assert isinstance(ask(authenticator(tmp_path, secret_file=good), mint(SECRET)), Accept)
    with pytest.raises(ConfigError) as caught:
        authenticator(tmp_path, secret_file=written(tmp_path / "weak", secret, 0o600))
    if secret in PUBLISHED_SECRETS:
        assert "can be guessed" in str(caught.value)
    assert len(secret) < 8 or secret.decode() not in str(caught.value).removeprefix(str(tmp_path))


def test_what_generators_make_is_no_weak_secret(tmp_path: Path) -> None:
    """32 random bytes, in hex and base64; 16 of them in hex."""
    for secret in (sha256(b"a").hexdigest(), sha256(b"b").hexdigest()[:32], b64encode(sha256(b"c").digest()).decode()):
        path = written(tmp_path / "secret", secret.encode(), 0o600)
        assert isinstance(
            ask(authenticator(tmp_path, secret_file=path), mint(Signer("x", "HS256", secret.encode()))), Accept
        )


def test_a_secret_is_for_hashes_that_are_not_longer(tmp_path: Path) -> None:
    """RFC 7518 3.2."""
    secret = SECRET.private[:32]
    judge = authenticator(tmp_path, secret_file=written(tmp_path / "secret", secret, 0o600))
    key = Signer("x", "HS256", secret)
    assert isinstance(ask(judge, mint(key)), Accept)
    for algorithm in ("HS384", "HS512"):
        token = signed({**HEADER, "alg": algorithm}, claims(), key, algorithm)
        assert ask(judge, token) == Reject(f"alg: '{algorithm}', but the key is for HS256")


def test_tokens_of_other_kinds_against_a_secret(tmp_path: Path) -> None:
    judge = authenticator(tmp_path, secret_file=written(tmp_path / "secret", SECRET.private, 0o600))
    assert isinstance(ask(judge, mint(SECRET)), Accept)
    for key in PUBLISHED:
        assert ask(judge, mint(key)) == Reject(f"alg: '{key.algorithm}' is not among the algorithms")
    assert ask(judge, unsigned({**HEADER, "alg": "none"}, b"x")) == Reject("alg: 'none' is not among the algorithms")


@pytest.mark.parametrize("key", PUBLISHED, ids=lambda key: key.id)
def test_a_key_under_the_name_of_another(judge: Jwt, key: Signer) -> None:
    for other in PUBLISHED:
        if other is not key:
            tokens = [mint(key, header={"kid": other.id})]
            if other.algorithm != key.algorithm:
                header = {"alg": other.algorithm, "typ": "at+jwt"}
                tokens += [signed({**header, "kid": kid}, claims(), key) for kid in (other.id, key.id)]
            reasons = refused(judge, *tokens)
            assert all(reason.startswith(("alg: ", "signature: ")) for reason in reasons)


def test_another_hash_of_the_same_key(tmp_path: Path) -> None:
    """An RSA key without `alg` is for all six; with one, and with the operator's list, for that one."""
    free = authenticator(tmp_path)
    bound = key_set(also=({**STRANGER.jwk, "kid": "bound", "alg": "PS384"},))
    held = authenticator(tmp_path, jwks_file=written(tmp_path / "bound.json", bound))
    listed = authenticator(tmp_path, algorithms=["PS384"])
    for algorithm in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        token = signed({**HEADER, "alg": algorithm}, claims(), RSA, algorithm)
        named = signed({**HEADER, "alg": algorithm, "kid": "bound"}, claims(), STRANGER, algorithm)
        assert isinstance(ask(free, token), Accept)
        assert isinstance(ask(listed, token), Accept) == (algorithm == "PS384")
        assert isinstance(ask(held, named), Accept) == (algorithm == "PS384")
    confused = signed({**HEADER, "alg": "PS256"}, claims(), RSA, "RS256")
    assert refused(free, confused) == ["signature: not made with this key, or the token was changed"]


def raw(key: Signer, r: int, s: int) -> str:
    head = mint(key).rpartition(".")[0]
    size = {P256: 32, P384: 48, P521: 66}[key]
    return f"{head}.{encoded(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"


def test_psychic_signatures(judge: Jwt) -> None:
    """CVE-2022-21449 and its neighbours."""
    for key in (P256, P384, P521):
        refused(judge, *(raw(key, r, s) for r in (0, 1) for s in (0, 1)))
    edges = (0, 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1)
    reasons = refused(judge, *(raw(P256, r, s) for r in edges for s in edges))
    assert set(reasons) == {"signature: not made with this key, or the token was changed"}


def test_other_forms_of_a_good_signature(judge: Jwt) -> None:
    head = mint(P256).rpartition(".")[0]
    good = P256.sign(head.encode())
    assert isinstance(ask(judge, f"{head}.{encoded(good)}"), Accept)
    r, s = int.from_bytes(good[:32], "big"), int.from_bytes(good[32:], "big")
    der = encode_dss_signature(r, s)
    others = [der, good + b"\0", b"\0" + good, good[:-1], good[32:] + good[:32], good[:32], good * 2]
    reasons = refused(judge, *(f"{head}.{encoded(one)}" for one in others))
    assert set(reasons) == {"signature: not made with this key, or the token was changed"}


def test_a_signature_of_another_hash(judge: Jwt) -> None:
    head = mint(P256).rpartition(".")[0]
    der = P256.private.sign(head.encode(), ec.ECDSA(hashes.SHA512()))
    rsa_head = mint().rpartition(".")[0]
    weak = RSA.private.sign(rsa_head.encode(), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    longer = RSA.private.sign(
        rsa_head.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH), hashes.SHA256()
    )
    refused(judge, f"{head}.{encoded(der)}", f"{rsa_head}.{encoded(weak)}", f"{rsa_head}.{encoded(longer)}")
    pss = signed({**HEADER, "alg": "PS256"}, claims(), RSA, "PS256").rpartition(".")[0]
    maximal = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    refused(judge, f"{pss}.{encoded(RSA.private.sign(pss.encode(), maximal, hashes.SHA256()))}")


def test_one_bit(judge: Jwt) -> None:
    """Each bit of the signature, and a bit of each byte of what is signed."""
    head, claimed, signature = (urlsafe_b64decode(part + "==") for part in mint(P256).split("."))
    tokens = [
        f"{encoded(head)}.{encoded(claimed)}.{encoded(flipped(signature, bit))}" for bit in range(len(signature) * 8)
    ]
    tokens += [
        f"{encoded(head)}.{encoded(flipped(claimed, bit))}.{encoded(signature)}"
        for bit in range(0, len(claimed) * 8, 8)
    ]
    tokens += [
        f"{encoded(flipped(head, bit))}.{encoded(claimed)}.{encoded(signature)}" for bit in range(0, len(head) * 8, 8)
    ]
    assert len(refused(judge, *tokens)) > 700


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_token_within_a_token(judge: Jwt) -> None:
    inner = mint()
    refused(judge, signed({**HEADER, "cty": "JWT"}, inner.encode()), signed(HEADER, inner.encode()))
    refused(judge, signed(HEADER, {"jwt": inner}), mint(STRANGER, jwt=inner), signed(HEADER, [inner]))


def test_parts(judge: Jwt) -> None:
    """Encrypted ones (five parts), detached ones, JSON instead of the compact form, and text around it."""
    head, claimed, signature = mint().split(".")
    encrypted = f"{encoded({'alg': 'RSA-OAEP', 'enc': 'A256GCM', 'kid': 'rsa'})}.AAAA.AAAA.AAAA.AAAA"
    unencoded = encoded({**HEADER, "b64": False, "crit": ["b64"]})
    body = json.dumps(claims())
    general = {"payload": claimed, "signatures": [{"protected": head, "signature": signature}]}
    tokens = [
        encrypted, f"{head}..{signature}", f"{unencoded}..{encoded(RSA.sign(f'{unencoded}.{body}'.encode()))}",
        f"{unencoded}.{body.replace('.', '')}.{signature}", signed({**HEADER, "b64": False}, claims()),
        signed({**HEADER, "b64": False, "crit": ["b64"]}, claims()), signed({**HEADER, "crit": ["b64"]}, claims()),
        signed({**HEADER, "zip": "DEF"}, claims()),
        json.dumps({"protected": head, "payload": claimed, "signature": signature}), json.dumps(general),
        f"{head}.{claimed}", f"{head}.{claimed}.{signature}.", f".{head}.{claimed}.{signature}",
        f"{head}.{claimed}.{signature}.{signature}", f"{head}.{claimed}.{claimed}.{signature}",
        f"{claimed}.{head}.{signature}", f"{head}.{claimed}.{signature}=", f"{head}=.{claimed}.{signature}",
        f"{head}.{claimed} .{signature}", f"{head}.\n{claimed}.{signature}", f"{head}.{claimed}.{signature[:-1]}",
        f"{head}.{claimed}.{signature[:40]}\n{signature[40:]}", f"{head}.{claimed}.{signature[:40]}%{signature[40:]}",
        f"{head}.{claimed}.{signature}~{mint()}~", "..", "", ".", "a.b.c",
    ]  # fmt: skip
    refused(judge, *tokens)


def test_bits_behind_the_last_byte(judge: Jwt) -> None:
    """Another spelling of the same bytes, for a replay memory that goes by spelling (RFC 4648 3.5)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for token in (mint(), mint(ED25519)):
        respelt = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
        assert urlsafe_b64decode(respelt.split(".")[2] + "==") == urlsafe_b64decode(token.split(".")[2] + "==")
        assert refused(judge, respelt) == ["its signature: bits after the last byte"]


def test_a_token_without_a_name_is_tried_with_few_keys(tmp_path: Path) -> None:
    nameless = mint(OTHER_RSA, header={"kid": GONE})
    eight = key_set(OTHER_RSA, also=tuple({**STRANGER.jwk, "kid": str(number)} for number in range(7)))
    nine = key_set(OTHER_RSA, also=tuple({**STRANGER.jwk, "kid": str(number)} for number in range(8)))
    assert isinstance(ask(authenticator(tmp_path, jwks_file=written(tmp_path / "eight.json", eight)), nameless), Accept)
    assert ask(authenticator(tmp_path, jwks_file=written(tmp_path / "nine.json", nine)), nameless) == Reject(
        "kid: is missing, and 9 keys are possible"
    )
