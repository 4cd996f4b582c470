"""The field of the User Identity sub-item: what clients leave around a token, and nothing else, is taken away."""

from __future__ import annotations

import asyncio

import pytest

from dicomgate import Accept, Identity, IdentityType, Pass, Reject
from dicomgate.testing import attempt, passcode, saml
from dicomgate_jwt import Jwt
from dicomgate_jwt.token import LONGEST, BadTokenError, NotATokenError, Token, looks_like_one, plain, read_token
from plugins.jwt.tests.mint import HEADER, P256, ask, claims, encoded, mint, signed


@pytest.mark.parametrize("before", [b"", b"Bearer ", b"bearer ", b"BEARER "])
@pytest.mark.parametrize("behind", [b"", b"\n", b"\r\n"])
def test_what_clients_leave_around_it(judge: Jwt, before: bytes, behind: bytes) -> None:
    token = mint().encode()
    assert isinstance(ask(judge, before + token + behind), Accept)
    assert read_token(before + token + behind).compact.encode() == token


AROUND: list[tuple[bytes, bytes]] = [
    (b" ", b""), (b"\t", b""), (b"\n", b""), (b"\xef\xbb\xbf", b""), (b"\0", b""), (b'"', b'"'), (b"bearer", b""),
    (b"bearer\t", b""), (b"Bearer  ", b""), (b"Bearer\t", b""), (b"Bearer", b""), (b"Bearer:", b""), (b" Bearer ", b""),
    (b"Bearer Bearer ", b""), (b"Bearer \n", b""), (b"DPoP ", b""), (b"Authorization: Bearer ", b""), (b"", b" "),
    (b"", b"\t"), (b"", b"\r"), (b"", b"\n\n"), (b"", b"\n\r"), (b"", b"\r\n\r\n"), (b"", b"\r\r\n"), (b"", b" \n"),
    (b"", b"\n "), (b"", b"\0"), (b"", b"\n\0"), (b"", b"\x0b"), (b"", b"\x0c"), (b"", b"\x85"), (b"", b"\xe2\x80\xa8"),
    (b"", b";"), (b"", b","), (b"", b"="), (b"", b"=="),
]  # fmt: skip


@pytest.mark.parametrize(("before", "behind"), AROUND)
def test_nothing_else_is_taken_away(judge: Jwt, before: bytes, behind: bytes) -> None:
    token = mint(P256).encode()
    assert isinstance(ask(judge, token), Accept)
    answer = ask(judge, before + token + behind)
    assert isinstance(answer, Reject | Pass)
    assert answer.reason.startswith(("its header: ", "its signature: ", "not ASCII"))


@pytest.mark.parametrize("within", [" ", "\n", "\r\n", "\t", "\0", "=", "+", "/", "~", "%", "\xe9"])
def test_nothing_is_overread_within(judge: Jwt, within: str) -> None:
    head, claimed, signature = mint(P256).split(".")
    assert isinstance(ask(judge, f"{head}.{claimed}.{signature}"), Accept)
    for token in (f"{head[:5]}{within}{head[5:]}.{claimed}.{signature}", f"{head}.{claimed}{within}.{signature}",
                  f"{head}.{within}{claimed}.{signature}", f"{head}.{claimed}.{within}{signature}"):  # fmt: skip
        assert isinstance(ask(judge, token), Reject)


@pytest.mark.parametrize(
    "opaque",
    [b"", b"Bearer ", b"\n", b"a", b"2YotnFZFEjr1zCsicMWpAA", b"a.b", b"a.b.c.d", b"a.b.c.d.e", b"....", b"\xff" * 100,
     b"0" * 65_000],
)  # fmt: skip
def test_what_is_no_signed_token_is_passed_on(judge: Jwt, opaque: bytes) -> None:
    """An opaque one, perhaps, which the next table can ask about."""
    assert not looks_like_one(opaque)
    with pytest.raises(NotATokenError):
        read_token(opaque)
    assert ask(judge, opaque) == Pass("not a signed token in compact form: three parts with dots between them")


@pytest.mark.parametrize("broken", [b"..", b"a.b.c", b".a.", b"\xff.\xff.\xff", b"\n.\n.\n", b"." * 2 + b"A" * 60_000])
def test_what_looks_like_one_is_judged(judge: Jwt, broken: bytes) -> None:
    assert looks_like_one(broken)
    with pytest.raises(BadTokenError):
        read_token(broken)
    assert isinstance(ask(judge, broken), Reject)


def test_plain() -> None:
    assert plain(b"Bearer x\r\n") == b"x"
    assert plain(b"x\n\n") == b"x\n"
    assert plain(b"x\r") == b"x\r"
    assert plain(b"\n") == plain(b"\r\n") == plain(b"Bearer ") == b""


def test_the_limit_counts_the_token_alone() -> None:
    longest = b"a.b." + b"c" * (LONGEST - 4)
    for data in (longest, b"Bearer " + longest + b"\r\n"):
        with pytest.raises(BadTokenError, match="its header: not base64url"):
            read_token(data)
    with pytest.raises(BadTokenError, match="32769 bytes, more than 32768"):
        read_token(longest + b"c")


@pytest.mark.parametrize(
    ("header", "longest"), [({"alg": "x"}, 256), ({"alg": "x", "kid": "x"}, 256), ({"alg": "x", "typ": "x"}, 64)]
)
def test_texts_of_headers(header: dict[str, str], longest: int) -> None:
    name = list(header)[-1]

    def read(text: str) -> Token:
        return read_token(signed({**header, name: text}, claims()).encode())

    assert read("~" * longest)
    for text in ("", "x" * (longest + 1), "x\t", "\x7f", "\xe9", *([" x", "x ", "x y"] if name == "typ" else [])):
        with pytest.raises(BadTokenError, match=f"its header: '{name}' is not short text"):
            read(text)


def test_what_is_read() -> None:
    token = mint(P256, sub="eve")
    read = read_token(token.encode())
    assert (read.algorithm, read.key_id, read.type) == ("ES256", "p256", "at+jwt")
    assert read.claims["sub"] == "eve"
    assert not any(part in repr(read) for part in (*token.split("."), "eve"))
    bare = read_token(signed({"alg": "x"}, {"iss": 5}).encode())
    assert (bare.key_id, bare.type, bare.issuer) == (None, None, None)


OTHERS = [Identity(kind, mint().encode()) for kind in IdentityType if kind is not IdentityType.JWT]


@pytest.mark.parametrize("identity", [None, passcode("ada", "x"), saml("<a/>"), *OTHERS])
def test_other_identities_are_not_judged(judge: Jwt, identity: Identity | None) -> None:
    assert isinstance(ask(judge, mint()), Accept)
    assert asyncio.run(judge.authenticate(attempt(identity))) == Pass("not a token")


def test_header_and_claims_change_places(judge: Jwt) -> None:
    assert isinstance(ask(judge, mint()), Accept)
    assert isinstance(ask(judge, signed(claims(), HEADER)), Reject)
    assert isinstance(ask(judge, f"{encoded(b'{}')}.{encoded(b'{}')}.{encoded(b'x')}"), Reject)
