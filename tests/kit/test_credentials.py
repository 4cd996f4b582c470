"""The username and the passcode of an attempt, or why there are none."""

from __future__ import annotations

import pytest

from dicomgate import Identity, IdentityType, Pass, Reject
from dicomgate.kit.credentials import LONGEST_NAME, Credentials, credentials_of
from dicomgate.testing import attempt, passcode


def test_a_username_and_a_passcode() -> None:
    assert credentials_of(attempt(passcode("Jos\u00e9 Luis", b"\xff\0secret"))) == Credentials(
        "Jos\u00e9 Luis", b"\xff\0secret"
    )


@pytest.mark.parametrize("kind", [kind for kind in IdentityType if kind is not IdentityType.USERNAME_AND_PASSCODE])
def test_another_identity_is_passed_on(kind: IdentityType) -> None:
    for asked in (attempt(Identity(kind, b"alice", b"secret")), attempt()):
        assert credentials_of(asked) == Pass("not a username with a passcode")


@pytest.mark.parametrize("name", ["alice", b"\xff", ""])
def test_an_empty_passcode_is_rejected_whatever_the_name(name: str | bytes) -> None:
    assert credentials_of(attempt(passcode(name, b""))) == Reject("empty passcode")


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "a\x7f", "\u202eecila", "a" * (LONGEST_NAME + 1)])
def test_a_name_that_no_user_has_is_empty_with_a_reason(name: str) -> None:
    assert credentials_of(attempt(passcode(name, b"secret"))) == Credentials(
        "", b"secret", "not a username of 1 to 1024 printable bytes"
    )


def test_a_name_that_is_not_utf_8_is_empty_with_a_reason() -> None:
    found = credentials_of(attempt(passcode(b"alice\xff", b"secret")))
    assert found == Credentials("", b"secret", "the username is not UTF-8")


def test_the_longest_name_is_in_bytes_and_the_callers() -> None:
    assert credentials_of(attempt(passcode("a" * LONGEST_NAME, b"x"))) == Credentials("a" * LONGEST_NAME, b"x")
    assert credentials_of(attempt(passcode("\u00e9" * 5, b"x")), 10) == Credentials("\u00e9" * 5, b"x")
    assert credentials_of(attempt(passcode("\u00e9" * 5, b"x")), 9) == Credentials(
        "", b"x", "not a username of 1 to 9 printable bytes"
    )


def test_the_passcode_is_not_in_the_repr() -> None:
    assert "secret" not in repr(credentials_of(attempt(passcode("alice", b"secret"))))
