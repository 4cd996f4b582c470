"""What a claimed name may look like in a record: names as they are, tokens never."""

from __future__ import annotations

import base64
import json

import pytest

from dicomgate.kit.text import claimed_name, one_line, quoted, token_digest, told_apart

HEADER = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "typ": "at+jwt"}).encode()).decode().rstrip("=")
JWT = f"{HEADER}.eyJzdWIiOiJhZGEifQ.{'c2lnbmF0dXJl' * 8}"


@pytest.mark.parametrize(
    "name",
    [
        "alice", "Doe, Jane", "jane.doe@radiology.hospital.example", "HOSPITAL\\jane", "sören", "医師", "ct-1$",
        "CN=Jane Doe,OU=Radiology,OU=Staff,DC=hospital,DC=example", "Modality_CT_01_Radiology_Building_A", "eyJane",
        "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "basic", "bearer-of-news", "0123456789", "x" * 100,
    ],
)  # fmt: skip
def test_a_name_is_shown_as_it_is(name: str) -> None:
    assert claimed_name(name) == name


@pytest.mark.parametrize(
    "token",
    [
        JWT, JWT[:24], f"Bearer {JWT}", "bearer 1234", "Negotiate YIIC", f"token={JWT}", f"{JWT}.abc.def",
        "<saml:Assertion ID='_1'>", "<?xml version='1.0'?>", "a<b",
        base64.b64encode(b"<saml:Assertion ID='_1' Version=").decode(),
        "-----BEGIN CERTIFICATE-----", "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
        "alice:$argon2id$v=19$m=8,t=1,p=1$abc", "{SSHA}MTIzNDU2", "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "d41d8cd98f00b204e9800998ecf8427e", "Zm9vYmFyMTIz" * 4, "a word " * 30,
    ],
)  # fmt: skip
def test_what_looks_like_a_token_is_never_shown(token: str) -> None:
    shown = claimed_name(token)
    assert shown == f"(looks like a token: {len(token)} characters, sha256 {token_digest(token)}...)"
    assert claimed_name(shown) == shown, "shown twice, it stays the same"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Müller", "'Müller'"), ("医師", "'医師'"), (["é", 1, None], "['é', 1, None]"), (None, "None"),
        ("a\nb", r"'a\nb'"), ("\x1b[2J", r"'\x1b[2J'"), ("a\u202eb", r"'a\u202eb'"), ("\ud800", r"'\ud800'"),
        ("\u2028", r"'\u2028'"), ("ö" * 100, f"'{'ö' * 79}..."),
    ],
)  # fmt: skip
def test_what_is_printable_is_quoted_as_it_is_and_the_rest_is_escaped(value: object, shown: str) -> None:
    assert quoted(value) == shown
    assert quoted(shown).isprintable()
    assert one_line("Müller\u202e\n") == r"Müller\u202e\n"


def test_identifiers_are_told_apart() -> None:
    assert told_apart("https://a/", "https://a") == "'https://a/', not 'https://a' (the slash at the end counts)"
    assert told_apart("https://\u0430", "https://a").endswith(", not 'https://a' (it has letters that are not ASCII)")
    assert told_apart("https://ä", "https://ö") == "'https://ä', not 'https://ö'"
    assert told_apart(None, "https://a") == "None, not 'https://a'"
