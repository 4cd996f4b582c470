"""Project Wycheproof's vectors of JSON Web Signatures and JSON Web Keys, through what the plugin verifies tokens with.

What they sign is no set of claims ("foo"), so they are judged up to the signature.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dicomgate.kit.inspect import ClaimProblem
from dicomgate_jwt import token
from dicomgate_jwt.keys import BadKeyError, Key, KeySet, read_set, secret_key
from dicomgate_jwt.token import BadTokenError, NotATokenError, read_token
from dicomgate_jwt.verification import fitting, signature_problem

VECTORS = Path(__file__).parents[4] / "shared" / "corpora" / "wycheproof"

NO_VECTORS = {
    367: "it is called padded and invalid, but what stands there is the valid token of 357, byte for byte",
    370: "the same: its padding is lost, and what is left is the valid token of 357",
}
NOT_ACCEPTED = {
    346: "PS384, but the key says that it is for PS256",
    347: 'the key is for "ES521", which is no algorithm',
    350: "PS384, but the key says that it is for PS256",
    351: 'the key is for "ES521", which is no algorithm',
    372: 'there is a "?" in the header: RFC 7515 2 has nothing in base64url that is to be overread',
    373: 'there is a "?" in the payload',
}
SECRETS_IN_SETS = {
    2: "a secret in a published set is dropped",
    13: "a secret in a published set",
    14: "a secret in a published set",
    15: "a secret in a published set",
}
"""Of the vectors of key sets; test_secrets runs these four with the secret in its file."""
CANNOT_BE_CONFIGURED = {
    1: "a secret beside a public key",
    4: "two secrets of one name",
    25: "a secret for A256GCM",
    26: "a secret for A256KW",
}


@pytest.fixture(autouse=True)
def any_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the vectors sign is no set of claims."""
    read = token._read
    monkeypatch.setattr(token, "_read", lambda data, what: {} if what == "claims" else read(data, what))


def groups(name: str) -> list[dict[str, Any]]:
    path = VECTORS / f"json_web_{name}_test.json"
    if not path.exists():
        pytest.skip(f"Project Wycheproof's vectors are not there: {path}")
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["testGroups"]
    return found


def signature_is_good(compact: str, keys: KeySet) -> bool:
    try:
        read = read_token(compact.encode())
    except (BadTokenError, NotATokenError):
        return False
    fit = fitting(read, keys.named(read.key_id))
    if isinstance(fit, ClaimProblem):
        return False
    return signature_problem(read, fit) is None


def keys_of(group: dict[str, Any]) -> KeySet:
    """The group's one key, from a set of its own; none if it is not taken over."""
    described = group.get("public") or group["private"]
    if described["kty"] == "oct":
        # Published secrets are dropped, and the secret of one group is 32 zeros, which are refused: made by hand.
        return KeySet([Key(described["kid"], frozenset((described["alg"],)), secret_of(described))])
    return read_or_none(read_set, json.dumps({"keys": [described]}).encode())


def secret_of(described: dict[str, Any]) -> bytes:
    return urlsafe_b64decode(described["k"] + "==")


def judged(rows: Iterable[tuple[dict[str, Any], KeySet]]) -> tuple[set[int], set[int]]:
    """The numbers of the vectors that are accepted with these keys, and of those that should be."""
    found = [(vector, signature_is_good(vector["jws"], keys)) for vector, keys in rows]
    expected = {vector["tcId"] for vector, _ in found if vector["result"] == "valid"}
    return {vector["tcId"] for vector, good in found if good}, expected


def read_or_none(read: Callable[[bytes], KeySet], data: bytes) -> KeySet:
    """What is read; no key if it is not taken over."""
    try:
        return read(data)
    except BadKeyError:
        return KeySet([])


def test_signatures() -> None:
    rows = [(vector, keys) for group in groups("signature") for keys in [keys_of(group)] for vector in group["tests"]]
    rows = [(vector, keys) for vector, keys in rows if vector["tcId"] not in NO_VECTORS]
    accepted, expected = judged(rows)
    assert len(rows) == 399
    assert accepted - expected == set()
    assert expected - accepted == NOT_ACCEPTED.keys()
    assert len(accepted) == 40


def test_what_is_left_out_is_a_copy_of_a_valid_one() -> None:
    vectors = {vector["tcId"]: vector for group in groups("signature") for vector in group["tests"]}
    for number in NO_VECTORS:
        assert (vectors[number]["jws"], vectors[number]["result"]) == (vectors[357]["jws"], "invalid")


def key_vectors() -> Sequence[tuple[dict[str, Any], list[dict[str, Any]]]]:
    return [
        (vector, (group.get("public") or group["private"])["keys"])
        for group in groups("key")
        for vector in group["tests"]
    ]


def test_key_sets() -> None:
    rows = [(vector, json.dumps({"keys": described}).encode()) for vector, described in key_vectors()]
    accepted, expected = judged((vector, read_or_none(read_set, data)) for vector, data in rows)
    assert len(rows) == 26
    assert accepted - expected == set()
    assert expected - accepted == SECRETS_IN_SETS.keys()
    assert accepted == {5}


def test_secrets() -> None:
    """The vectors of secrets as an operator can configure them: one secret, in a file of its own."""
    rows = [
        (vector, read_or_none(secret_key, secret_of(described[0])))
        for vector, described in key_vectors()
        if described[0]["kty"] == "oct" and vector["tcId"] not in CANNOT_BE_CONFIGURED
    ]
    accepted, expected = judged(rows)
    assert {vector["tcId"] for vector, _ in rows} == {2, 3, *range(10, 19)}
    assert accepted == expected == SECRETS_IN_SETS.keys()
