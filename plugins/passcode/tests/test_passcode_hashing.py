from __future__ import annotations

import traceback
from contextlib import suppress
from importlib.metadata import packages_distributions

import pytest
from passlib.hash import sha256_crypt, sha512_crypt

from dicomgate_passcode import hashing, native_crypt
from dicomgate_passcode.hashing import (
    LONGEST_PASSCODE,
    Cost,
    HashingFailedError,
    cannot_be_right,
    make_hash,
    read_cost,
    verify,
)
from plugins.passcode.tests.users import cheap_hash

SALT = "c2FsdHNhbHQ"
DIGEST = "A" * 22
SCHEMES = ["argon2id", "bcrypt", "sha512-crypt", "sha256-crypt"]


def argon2(memory: int = 8, passes: int = 1, lanes: int = 1) -> str:
    return f"$argon2id$v=19$m={memory},t={passes},p={lanes}${SALT}${DIGEST}"


def test_passlib_is_libpass_and_nothing_else() -> None:
    # The two distributions write the same folder; with the old one every bcrypt verification raises.
    assert set(packages_distributions()["passlib"]) == {"libpass"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_is_made_read_and_verified(scheme: str) -> None:
    text = cheap_hash(b"s\xffcret", scheme)
    cost = read_cost(text)
    assert cost is not None
    assert cost.scheme == scheme
    assert verify(b"s\xffcret", text)
    assert not verify(b"s\xffcre", text)
    assert not verify(b"s\xffcret ", text)
    assert not verify(b"S\xffcret", text)


@pytest.mark.parametrize("ident", ["$2a$", "$2b$", "$2y$"])
def test_each_spelling_of_bcrypt_is_read(ident: str) -> None:
    text = ident + cheap_hash(b"secret", "bcrypt")[4:]
    assert read_cost(text) == Cost("bcrypt", 4)
    assert verify(b"secret", text)


def test_a_new_hash_is_argon2id_with_the_parameters_of_owasp() -> None:
    text = make_hash(b"secret")
    assert text.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    cost = read_cost(text)
    assert cost is not None
    assert not cost.outdated
    assert verify(b"secret", text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "!", "*", "secret"),
        "!$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
        *("$apr1$salt$aaaaaaaaaaaaaaaaaaaaaa", "$1$salt$aaaaaaaaaaaaaaaaaaaaaa", "rqXexS6ZhobKA"),
        *("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
        "$y$j9T$salt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        *("$2x$04$" + "." * 53, "$2$04$" + "." * 53),
        "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
        " $5$salt$" + "a" * 43,
    ],
)
def test_another_scheme_is_none_of_ours_and_never_plain_text(text: str) -> None:
    assert read_cost(text) is None
    # Even if it came to a verification: the passcode that is the line itself is not accepted.
    with suppress(HashingFailedError):
        assert not verify((text or "x").encode(), text)


@pytest.mark.parametrize(
    "text",
    [
        "$argon2id$",
        *(argon2()[:-1], argon2() + "=", argon2() + " ", argon2() + "\u0661", argon2()[:-1] + "B"),
        *(argon2(memory=7), argon2(memory=8, lanes=2), argon2().replace("m=8", "m=08")),
        *(argon2().replace("m=8", "m=\u0668"), argon2().replace("v=19", "v=16")),
        *("$2b$04$" + "." * 52, "$2b$03$" + "." * 53, "$2b$04$" + "a" * 53),
        *("$6$rounds=999$salt$" + "a" * 86, "$6$rounds=05000$salt$" + "a" * 86, "$6$salt$" + "a" * 85),
        *("$5$salt$" + "a" * 44, "$5$salt:x$" + "a" * 43),
    ],
)
def test_a_damaged_hash_of_our_schemes_is_an_error_that_does_not_quote_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the (argon2id|bcrypt|sha512-crypt|sha256-crypt) hash is damaged") as raised:
        read_cost(text)
    printed = "".join(traceback.format_exception(raised.value))
    assert text[3:] not in printed


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        (argon2(memory=1024 * 1024), Cost("argon2id", 1, 1024 * 1024, 1)),
        (argon2(passes=10), Cost("argon2id", 10, 8, 1)),
        (argon2(memory=64, lanes=8), Cost("argon2id", 1, 64, 8)),
        ("$2b$15$" + "." * 53, Cost("bcrypt", 15)),
        ("$6$rounds=2000000$salt$" + "." * 86, Cost("sha512-crypt", 2_000_000)),
        ("$6$salt$" + "." * 86, Cost("sha512-crypt", 5000)),
        ("$5$rounds=2000000$salt$" + "." * 43, Cost("sha256-crypt", 2_000_000)),
    ],
)
def test_costs_up_to_the_caps_are_read(text: str, cost: Cost) -> None:
    assert read_cost(text) == cost


@pytest.mark.parametrize(
    "text",
    [
        *(argon2(memory=1024 * 1024 + 1), argon2(memory=9_999_999_999), argon2(passes=11), argon2(memory=72, lanes=9)),
        *("$2b$16$" + "." * 53, "$6$rounds=2000001$salt$" + "." * 86, "$5$rounds=999999999$salt$" + "." * 43),
    ],
)
def test_costs_over_the_caps_are_refused_before_anything_is_computed(text: str) -> None:
    with pytest.raises(ValueError, match=r"too expensive: .* is more than"):
        read_cost(text)


@pytest.mark.parametrize(
    ("cost", "outdated"),
    [
        (Cost("argon2id", 2, 19456, 1), False),
        (Cost("argon2id", 3, 65536, 4), False),
        (Cost("argon2id", 1, 47104, 1), False),
        (Cost("argon2id", 1, 19456, 1), True),
        (Cost("argon2id", 10, 4096, 1), True),
        (Cost("bcrypt", 15), True),
        (Cost("sha512-crypt", 2_000_000), True),
    ],
)
def test_outdated_is_what_is_weaker_than_the_default(cost: Cost, outdated: bool) -> None:
    assert cost.outdated is outdated


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_passcode_that_cannot_be_right(scheme: str) -> None:
    longest = LONGEST_PASSCODE[scheme]
    assert cannot_be_right(b"x" * longest, scheme) == ""
    assert cannot_be_right(b"x" * (longest + 1), scheme).startswith("passcode longer")
    assert cannot_be_right(b"x" * 5000, scheme).startswith("passcode longer")
    assert cannot_be_right(b"x\0y", scheme) == "passcode with a NUL"
    assert cannot_be_right(b"", scheme) == "empty passcode"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_longest_passcode_is_verified_to_its_last_byte(scheme: str) -> None:
    longest = b"x" * LONGEST_PASSCODE[scheme]
    text = cheap_hash(longest, scheme)
    assert verify(longest, text)
    assert not verify(longest[:-1] + b"y", text)


def test_what_the_library_raises_does_not_come_out() -> None:
    # 73 bytes against bcrypt and 4097 against argon2 raise in the library; `cannot_be_right` comes before.
    for passcode, scheme in ((b"x" * 73, "bcrypt"), (b"x" * 4097, "argon2id"), (b"x\0", "bcrypt")):
        text = cheap_hash(b"secret", scheme)
        with pytest.raises(HashingFailedError) as raised:
            verify(passcode, text)
        assert raised.value.__context__ is None
        assert raised.value.__cause__ is None


def test_no_memory_for_a_hash_is_not_a_wrong_passcode(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def verify(self, passcode: bytes, text: str) -> bool:
            raise MemoryError

    monkeypatch.setattr(hashing, "CONTEXT", Exhausted())
    with pytest.raises(HashingFailedError):
        verify(b"secret", argon2())


@pytest.mark.parametrize("native", [True, False], ids=["libcrypt", "passlib"])
def test_sha_crypt_is_the_same_by_the_systems_library(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native:
        monkeypatch.setattr(native_crypt, "_crypt_rn", None)
    elif native_crypt._crypt_rn is None:
        pytest.skip("there is no libcrypt.so.1 here")
    for handler in sha512_crypt, sha256_crypt:
        for salt in "", "a", "saltsaltsaltsalt":
            for rounds in 1000, 5000:
                for passcode in (b"x", b"s\xc3\xa9cret\xff", b"x" * 128):
                    text = handler.using(salt=salt, rounds=rounds).hash(passcode)
                    if native:
                        assert native_crypt.sha_crypt(passcode, text) == text
                    assert verify(passcode, text)
                    assert not verify(passcode[:-1] + b"?", text)
