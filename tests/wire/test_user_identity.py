"""The login: what does not add up is aborted, what nobody could verify is refused, and no secret is told."""

from __future__ import annotations

import pytest

from dicomgate.contract import Identity, IdentityType
from dicomgate.errors import DoesNotFit
from dicomgate.testing import raw
from dicomgate.wire.reject_abort import INVALID_PARAMETER, REFUSED_IDENTITY, PduError
from dicomgate.wire.user_identity import encode_identity, encode_server_response, read_identity, read_server_response


def read(item: bytes, fallback_encoding: str | None = None) -> Identity:
    return read_identity(item[4:], fallback_encoding)


@pytest.mark.parametrize("kind", IdentityType)
def test_each_type(kind: IdentityType) -> None:
    secondary = b"pass\0code\xff" if kind is IdentityType.USERNAME_AND_PASSCODE else b""
    identity = Identity(kind, b"alice", secondary, True)
    data = raw.login(kind, b"alice", secondary, response=1)
    assert read(data) == identity
    assert encode_identity(identity) == data


@pytest.mark.parametrize(("response", "requested"), [(0, False), (1, True), (2, True), (255, True)])
def test_positive_response_requested(response: int, requested: bool) -> None:
    assert read(raw.login(response=response)).positive_response_requested is requested


def test_an_empty_passcode_is_the_authenticators_to_judge() -> None:
    assert read(raw.login(2, b"alice", b"")).secondary == b""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "has 0 bytes"),
        (b"\2", "has 1 bytes"),
        (b"\2\1", "the primary field .* lacks its length"),
        (b"\2\1\0", "the primary field .* lacks its length"),
        (b"\2\1" + raw.field(b"alice"), "the secondary field .* lacks its length"),
        (b"\2\1" + raw.field(b"alice", length=6), "declares 6 bytes, 5 are left"),
        (b"\2\1" + raw.field(b"alice", length=0xFFFF) + raw.field(b"pw"), "declares 65535 bytes, 9 are left"),
        (b"\2\1" + raw.field(b"alice") + raw.field(b"pw", length=3), "declares 3 bytes, 2 are left"),
        (b"\2\1" + raw.field(b"alice") + raw.field(b"pw", length=1), "1 bytes left over"),
        (b"\2\1" + raw.field(b"alice") + raw.field(b"pw") + raw.field(b"admin"), "7 bytes left over"),
        *[
            (bytes((kind, 1)) + raw.field(b"alice") + raw.field(b"pw"), f"secondary field of 2 bytes .* type {kind}")
            for kind in (1, 3, 4, 5)
        ],
        # A reserved type whose lengths do not add up is malformed first.
        (b"\0\1" + raw.field(b"alice") + raw.field(b"pw", length=3), "declares 3 bytes"),
    ],
)
def test_a_structure_that_does_not_add_up(body: bytes, message: str) -> None:
    with pytest.raises(PduError, match=message) as refused:
        read(raw.item(0x58, body))
    assert refused.value.answer == INVALID_PARAMETER


# decision: D11
@pytest.mark.parametrize(
    ("kind", "primary", "message"),
    [
        *[(kind, b"alice", f"type {kind} is reserved") for kind in (0, 6, 7, 255)],
        *[(kind, b"", "is empty") for kind in (1, 2, 3, 4, 5)],
        *[(kind, b"alice\0admin", "control characters") for kind in (1, 2)],
        *[(2, f"a{control}b".encode(), "control characters") for control in "\n\r\t\x1b\x7f\x80\x85\x9f"],
        (2, b"\0", "control characters"),
        (2, b"alice\n", "control characters"),
        (1, b"M\xfcller", "not UTF-8"),
        (2, b"\xc0\xaf", "not UTF-8"),
        (2, b"\xed\xa0\x80", "not UTF-8"),
        (2, b"alice\xff", "not UTF-8"),
    ],
)
def test_a_login_that_nobody_could_verify(kind: int, primary: bytes, message: str) -> None:
    with pytest.raises(PduError, match=message) as refused:
        read(raw.login(kind, primary))
    assert refused.value.answer == REFUSED_IDENTITY


@pytest.mark.parametrize("name", ["Müller", "山田太郎", "o'brien@HOSPITAL", "a" * 60000, "two words"])
def test_usernames(name: str) -> None:
    assert read(raw.login(1, name.encode())).username == name


def test_tickets_and_tokens_are_any_bytes() -> None:
    for kind in (3, 4, 5):
        assert read(raw.login(kind, b"\0\xff\n")).primary == b"\0\xff\n"


class TestFallbackEncoding:
    def test_what_is_not_utf8_is_handed_on_as_utf8(self) -> None:
        identity = read(raw.login(2, b"M\xfcller", b"gr\xfc\xdfe"), "latin-1")
        assert identity == Identity(IdentityType.USERNAME_AND_PASSCODE, "Müller".encode(), "grüße".encode())

    def test_what_is_utf8_stays(self) -> None:
        item = raw.login(2, "Müller".encode(), "grüße".encode())
        assert read(item, "latin-1") == read(item)

    def test_tickets_and_tokens_stay(self) -> None:
        assert read(raw.login(3, b"\x6e\x82\xfc"), "latin-1").primary == b"\x6e\x82\xfc"

    def test_control_characters_are_refused_behind_it(self) -> None:
        with pytest.raises(PduError, match="control characters") as refused:
            read(raw.login(1, b"M\xfcller\x85"), "latin-1")
        assert refused.value.answer == REFUSED_IDENTITY

    @pytest.mark.parametrize(("username", "passcode"), [(b"M\xfcller", b"pw"), (b"alice", b"p\xe4ss")])
    def test_what_it_cannot_decode_is_refused(self, username: bytes, passcode: bytes) -> None:
        # Replaced by U+FFFD, "p\xe4ss" and "p\xf6ss" would be one passcode.
        with pytest.raises(PduError, match="neither UTF-8 nor ascii") as refused:
            read(raw.login(2, username, passcode), "ascii")
        assert refused.value.answer == REFUSED_IDENTITY

    @pytest.mark.parametrize("encoding", ["cp1252", "shift_jis", "iso2022_jp", "utf-16", "utf-7", "idna", "gb18030"])
    def test_no_encoding_raises_anything_else(self, encoding: str) -> None:
        for first in range(0x80, 0x100):
            for primary in (bytes((first,)), bytes((first, 0x81)), bytes((0x41, first, 0x41))):
                try:
                    reply = b""
                    assert read(raw.login(1, primary), encoding).primary.decode("utf-8")
                except PduError as refused:
                    reply = refused.answer.encode()
                assert reply in (b"", REFUSED_IDENTITY.encode())


SECRET = b"correct horse battery staple"


@pytest.mark.parametrize(
    "body",
    [
        # The primary field's length counts the passcode in; a second, empty, field makes it add up again.
        raw.field(b"alice" + raw.field(SECRET)) + raw.field(b""),
        raw.field(b"M\xfcller" + raw.field(SECRET)) + raw.field(b""),
        raw.field(b"alice" + raw.field(SECRET)),
        raw.field(b"alice") + raw.field(SECRET, length=4),
        raw.field(b"alice") + raw.field(SECRET, length=400),
        raw.field(b"alice") + raw.field(b"") + SECRET,
        raw.field(b"alice\0") + raw.field(SECRET),
    ],
)
@pytest.mark.parametrize("kind", [1, 2, 6])
@pytest.mark.parametrize("fallback_encoding", [None, "latin-1"])
def test_a_passcode_in_the_wrong_place_is_not_told(body: bytes, kind: int, fallback_encoding: str | None) -> None:
    with pytest.raises(PduError) as refused:
        read(raw.item(0x58, bytes((kind, 1)) + body), fallback_encoding)
    assert "horse" not in str(refused.value)
    assert "horse" not in repr(refused.value)


def test_the_operator_sees_the_name_that_was_refused() -> None:
    with pytest.raises(PduError, match=r"M\\xfcller.*fallback_encoding"):
        read(raw.login(1, b"M\xfcller"))
    with pytest.raises(PduError, match=r"control characters: b'alice'"):
        read(raw.login(1, b"alice\nadmin"))


def test_what_does_not_fit_is_not_encoded() -> None:
    assert len(encode_identity(Identity(IdentityType.JWT, bytes(65529)))) == 4 + 65535
    for size in (65530, 65536):
        with pytest.raises(DoesNotFit):
            encode_identity(Identity(IdentityType.JWT, bytes(size)))


def test_server_responses() -> None:
    assert encode_server_response(b"") == bytes.fromhex("59 00 00 02 00 00")
    for response in (b"", b"ticket"):
        data = encode_server_response(response)
        assert read_server_response(data[4:]) == response
    with pytest.raises(DoesNotFit):
        encode_server_response(bytes(65534))
    assert len(encode_server_response(bytes(65533))) == 4 + 65535


@pytest.mark.parametrize("body", [b"", b"\0", raw.field(b"abc", length=4), raw.field(b"abc", length=2)])
def test_a_malformed_server_response(body: bytes) -> None:
    with pytest.raises(PduError, match="server response") as refused:
        read_server_response(body)
    assert refused.value.answer == INVALID_PARAMETER
