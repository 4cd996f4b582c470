from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

from dicomgate_passcode import policy
from dicomgate_passcode.policy import SHORTEST, generate, unfit


def _unfit(passcode: str | bytes, user: str = "alice", minimum_length: int = SHORTEST) -> str:
    return unfit(passcode.encode() if isinstance(passcode, str) else passcode, user, minimum_length)


@pytest.mark.parametrize(
    "passcode",
    [
        *("wxbq kzt", "a b" * 16, "zzzzzzzzzzzzzzzz", "29384756102938", "pässwörd", "x" * 64, "x" * 1024),
        "\U0001f600\U0001f601\U0001f602\U0001f603\U0001f604\U0001f605\U0001f606\U0001f607",
        "\U0010ffff" * 64,
    ],
)
def test_any_passcode_that_is_long_enough_is_fit(passcode: str) -> None:
    assert _unfit(passcode) == ""


@pytest.mark.parametrize(("minimum_length", "length"), [(8, 7), (8, 1), (15, 14), (64, 63)])
def test_the_length_is_counted_in_code_points(minimum_length: int, length: int) -> None:
    for character in ("é", "\U0001f600", "z"):
        assert f"shorter than {minimum_length} characters" in _unfit(character * length, "ct1", minimum_length)
        assert _unfit(character * minimum_length, "ct1", minimum_length) == ""


@pytest.mark.parametrize(
    ("passcode", "said"),
    [
        (b"", "empty"),
        (b"x" * 1025, "longer than 1024 bytes"),
        (b"eight by\xff", "not UTF-8"),
        (b"eight by\0", "control character"),
        (b"eight by\x1b", "control character"),
        (b"eight by\x7f", "control character"),
        ("eight by\x85".encode(), "control character"),
    ],
)
def test_what_no_device_can_send_as_it_is(passcode: bytes, said: str) -> None:
    assert said in _unfit(passcode)


@pytest.mark.parametrize(
    "passcode", ["password", "PassWord", "iloveyou", "12345678", "qwertyuiop", "jennifer", "Hospital"]
)
def test_what_many_people_choose_is_refused(passcode: str) -> None:
    assert "a common one" in _unfit(passcode)
    assert _unfit(passcode + " of mine") == ""


def test_the_top_3000_of_sufficient_length_are_refused() -> None:
    # ASVS 6.2.4. The list is in the order of its ranks.
    top = [passcode for passcode in FREQUENCY_LISTS["passwords"] if len(passcode) >= SHORTEST]
    assert len(top) > 10_000
    assert [passcode for passcode in top if not _unfit(passcode) or not _unfit(passcode.upper())] == []


@pytest.mark.parametrize(
    ("user", "passcode"),
    [
        ("alice", "alice is in here"),
        ("alice", "in here is ALICE"),
        ("Zoë.Weiß", "x zoË.weiSS x"),
        ("ct1", "the ct1 downstairs"),
        ("alexander the great", "alexander the great"),
    ],
)
def test_the_name_of_the_user_is_not_in_it(user: str, passcode: str) -> None:
    assert _unfit(passcode, user) == "the passcode contains the name of the user"
    assert _unfit(passcode, "somebody else") == ""


def test_a_name_of_two_characters_may_be_in_it_by_chance() -> None:
    assert _unfit("electric blanket", "ct") == ""
    assert "the name" in _unfit("electric blanket", "ctr")


@pytest.mark.parametrize(
    "passcode",
    ["dicomgate", "DicomGate", "dicompacs", "dicom-pacs-2026", "PACSpacs", "pacs2026", "dicompassword", "1pacs234567"],
)
def test_the_words_of_the_place_may_be_in_it_but_are_not_all_of_it(passcode: str) -> None:
    assert "dicomgate, dicom, pacs" in _unfit(passcode)
    assert _unfit(f"{passcode} in the cellar") == ""


@pytest.mark.parametrize(
    "passcode", ["password", "too few", "alice is here", "dicom-pacs", "bad\x07 bell", b"\xffbytes of it"]
)
def test_a_message_has_neither_the_passcode_nor_the_name(passcode: str | bytes) -> None:
    said = _unfit(passcode)
    assert said
    assert "alice" not in said
    assert (passcode if isinstance(passcode, str) else "bytes of it") not in said


@pytest.mark.parametrize(("minimum_length", "length"), [(8, 26), (26, 26), (64, 64)])
def test_what_is_generated_is_fit(minimum_length: int, length: int) -> None:
    passcodes = {generate("ct1", minimum_length) for _ in range(50)}
    assert {len(passcode) for passcode in passcodes} == {length}
    assert len(passcodes) == 50
    assert all(_unfit(passcode, "ct1", minimum_length) == "" for passcode in passcodes)


def test_what_is_not_fit_is_generated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def choices() -> Iterator[str]:
        yield from "xxeve" + "x" * 21
        while True:
            yield "y"

    chosen = choices()
    monkeypatch.setattr(secrets, "choice", lambda _: next(chosen))
    assert generate("Eve", SHORTEST) == b"y" * 26


def test_the_generator_has_the_bits_that_it_says() -> None:
    assert len(set(policy._ALPHABET)) == len(policy._ALPHABET) == 32
    assert not set("l1o0") & set(policy._ALPHABET)
