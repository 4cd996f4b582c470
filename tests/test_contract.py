"""The contract's values: frozen, and silent about secrets."""

from __future__ import annotations

import traceback
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime

import pytest

import dicomgate
from dicomgate import Accept, Attempt, Identity, IdentityType, Once, Pass, Peer, Reject, Unavailable
from dicomgate.testing import attempt, jwt, kerberos, passcode, saml, username

SECRET = "canary-7f3a91"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_the_identity_types_are_those_of_the_standard() -> None:
    """PS3.7 table D.3-14."""
    assert [(kind.value, kind.name) for kind in IdentityType] == [
        (1, "USERNAME"), (2, "USERNAME_AND_PASSCODE"), (3, "KERBEROS"), (4, "SAML"), (5, "JWT"),
    ]  # fmt: skip
    for reserved in (0, 6, 255):
        with pytest.raises(ValueError, match="is not a valid IdentityType"):
            IdentityType(reserved)


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        (username("alice"), "Identity(USERNAME, username='alice')"),
        (passcode("alice", SECRET), "Identity(USERNAME_AND_PASSCODE, username='alice')"),
        (kerberos(SECRET.encode()), "Identity(KERBEROS, 13 bytes)"),
        (saml(SECRET), "Identity(SAML, 13 bytes)"),
        (jwt(SECRET), "Identity(JWT, 13 bytes)"),
        (username("a\n\x1b\u202e\u2028b"), r"Identity(USERNAME, username='a\n\x1b\u202e\u2028b')"),
        (username(b"M\xfcller"), "Identity(USERNAME, username='M\ufffdller')"),
    ],
)
def test_an_identity_shows_a_username_and_no_secret(identity: Identity, shown: str) -> None:
    about = attempt(identity, certificate=SECRET.encode())
    for text in (repr(identity), str(identity), f"{identity}"):
        assert text == shown
    assert shown in repr(about)
    assert SECRET not in repr(about) + str(about) + f"{about!s}"
    assert SECRET.encode() in (identity.primary, identity.secondary, about.peer.certificate), "the control: it is there"


def test_an_accept_shows_neither_its_response_nor_its_key() -> None:
    accept = Accept("alice", server_response=SECRET.encode(), once=Once(SECRET, NOW))
    assert "alice" in repr(accept)
    assert SECRET not in repr(accept)
    assert accept.server_response == SECRET.encode()


def test_only_the_first_two_types_have_a_username() -> None:
    assert username("alice").username == passcode("alice", "x").username == "alice"
    assert kerberos(b"alice").username is saml("alice").username is jwt("alice").username is None


@pytest.mark.parametrize(
    "value",
    [username("a"), Peer("::1", 1), attempt(), Once("k", NOW), Accept("a"), Reject("r"), Pass(), Unavailable("u")],
)
def test_every_value_is_frozen(value: object) -> None:
    name = fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, "other")
    with pytest.raises((AttributeError, TypeError)):
        setattr(value, "more", 1)  # noqa: B010
    assert replace(value) == value  # type: ignore[type-var]


def test_decisions_of_different_kinds_are_never_equal() -> None:
    decisions = [Accept("x"), Reject("x"), Pass("x"), Unavailable("x")]
    assert all((one == other) == (one is other) for one in decisions for other in decisions)
    assert Accept("x") == Accept("x")
    assert Accept("x") != Accept("y")


def test_the_defaults_of_an_accept_give_nothing_away() -> None:
    accept = Accept("alice")
    assert (accept.groups, accept.server_response, accept.expires_at, accept.once) == (frozenset(), None, None, None)
    assert accept.attributes == {}
    assert accept.attributes is not Accept("alice").attributes


def test_an_attempt_in_a_traceback_keeps_its_secret() -> None:
    try:
        raise ValueError(attempt(passcode("alice", SECRET)))
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "alice" in text
    assert SECRET not in text


def test_the_front_door_is_complete() -> None:
    lowest = {"dicomgate.contract", "dicomgate.errors", "types", "typing"}
    for name in dicomgate.__all__:
        assert getattr(dicomgate, name).__module__ in lowest
    assert "Attempt" in dicomgate.__all__
    assert isinstance(attempt(), Attempt)
