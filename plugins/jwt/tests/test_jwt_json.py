"""JSONTestSuite's 318 files as headers and as claims of tokens whose signature is good, and what the reader refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Reject
from dicomgate_jwt import Jwt
from dicomgate_jwt.strict_json import NotJsonError, read_object
from plugins.jwt.tests.mint import HEADER, ask, claims, mint, signed

CORPUS = Path(__file__).parents[4] / "shared" / "corpora" / "json-parsing"
VALID_AND_REFUSED = {
    "y_object_duplicated_key.json": "the same name twice",
    "y_object_duplicated_key_and_value.json": "the same name twice",
}
UNDEFINED_AND_ACCEPTED = {
    "i_number_real_underflow.json": "0 is as near as a number comes to it",
    "i_number_double_huge_neg_exp.json": "the same",
    "i_number_too_big_neg_int.json": "whole numbers of any size are read as they are",
    "i_number_too_big_pos_int.json": "the same",
    "i_number_very_big_negative_int.json": "the same",
}


def bodies(kind: str) -> dict[str, bytes]:
    if not CORPUS.is_dir():
        pytest.skip(f"JSONTestSuite is not there: {CORPUS}")
    return {path.name: path.read_bytes() for path in sorted(CORPUS.glob(f"{kind}_*.json"))}


def within(outer: dict[str, Any], body: bytes) -> bytes:
    """The object with one member more, the body."""
    return json.dumps(outer).encode()[:-1] + b', "x": ' + body + b"}"


def accepted(judge: Jwt, body: bytes) -> list[bool]:
    """As the claims, as the header, as a claim's value, as a header's value."""
    tokens = (
        signed(HEADER, body),
        signed(body, claims()),
        signed(HEADER, within(claims(), body)),
        signed(within(HEADER, body), claims()),
    )
    return [isinstance(ask(judge, token), Accept) for token in tokens]


def test_what_is_json(judge: Jwt) -> None:
    """No body is a login by itself; each is an additional claim or header."""
    files = bodies("y")
    assert len(files) == 95
    refused = {name for name, body in files.items() if accepted(judge, body) != [False, False, True, True]}
    assert refused == VALID_AND_REFUSED.keys()


def test_what_is_not_json(judge: Jwt) -> None:
    assert isinstance(ask(judge, mint()), Accept)
    files = bodies("n")
    assert len(files) == 188
    assert [name for name, body in files.items() if any(accepted(judge, body))] == []


def test_what_is_for_readers_to_decide(judge: Jwt) -> None:
    files = bodies("i")
    assert len(files) == 35
    taken = {name for name, body in files.items() if any(accepted(judge, body))}
    assert taken == UNDEFINED_AND_ACCEPTED.keys()


REFUSED: list[tuple[bytes, str]] = [
    (b'{"a": 1, "a": 1}', "the same name twice"), (b'{"a": 1, "\\u0061": 2}', "the same name twice"),
    (b'{"a": {"b": 1, "b": 2}}', "the same name twice"), (b'{"a": [{"b": 1, "b": 2}]}', "the same name twice"),
    (b'{"a": NaN}', "NaN or Infinity"), (b'{"a": -Infinity}', "NaN or Infinity"), (b'{"a": 1e400}', "too large"),
    (b'{"a": -1e400}', "too large"), (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"), (b'{"a": "\\ud800"}', "surrogate"),
    (b'{"\\udc00": 1}', "surrogate"), (b"\xef\xbb\xbf{}", "not JSON"), (b'{"a": "\xff"}', "not UTF-8"),
    (b'{"a": "\xc0\x80"}', "not UTF-8"), (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    ('{"a": 1}'.encode("utf-16"), "not UTF-8"), ('{"a": 1}'.encode("utf-16-le"), "not JSON"),
    ('{"a": 1}'.encode("utf-32-be"), "not JSON"), (b'{"a": 1} {}', "not JSON"), (b'{"a": "\t"}', "not JSON"),
    (b"{'a': 1}", "not JSON"), (b"[]", "not a JSON object"), (b'"a"', "not a JSON object"),
    (b"null", "not a JSON object"), (b"", "not JSON"), (b'{"a": ' + b"[" * 16 + b"]" * 16 + b"}", "nested too deeply"),
    (b'{"a":' * 17 + b"1" + b"}" * 17, "nested too deeply"),
    (b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "not JSON"), (b'{"a":' * 4_000, "not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "why"), REFUSED, ids=lambda value: repr(value)[:30])
def test_what_the_reader_refuses_and_a_token_of_it(judge: Jwt, data: bytes, why: str) -> None:
    with pytest.raises(NotJsonError, match=why):
        read_object(data)
    assert isinstance(ask(judge, mint()), Accept)
    for token in (signed(HEADER, data), signed(data, claims())):
        answer = ask(judge, token)
        assert isinstance(answer, Reject)
        assert answer.reason.startswith(("its header: ", "its claims: "))


def test_what_the_reader_takes() -> None:
    deepest = b'{"a": ' + b"[" * 15 + b"1" + b"]" * 15 + b"}"
    for data in (b'{"a": "\\ud83d\\ude00 \xc3\xa9", "b": [1.5, -0, true, null], "A": {}}', deepest, b" {}\n"):
        assert read_object(data) == json.loads(data)


@pytest.mark.parametrize(
    "data",
    [b'{"secret": 1, "secret": 2}', b'{"a": secret}', b'"secret"', b'{"secret": "\\ud800"}', b'{"secret": "\xff"}'],
)
def test_its_words_repeat_nothing_of_the_data(data: bytes) -> None:
    with pytest.raises(NotJsonError) as caught:
        read_object(data)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
