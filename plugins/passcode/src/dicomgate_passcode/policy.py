"""Which passcodes may be set: long enough, not common, not the user's name. And one that nobody can guess.

Rule 1: of its form only the length counts, in code points. NIST SP 800-63B: "Verifiers [...] SHALL NOT impose other
        composition rules", and "each Unicode code point SHALL be counted as a single character".
Rule 2: what many people choose is what is tried first. OWASP ASVS 6.2.4 wants at least the top 3,000 of sufficient
        length refused; the lists of zxcvbn have more than ten thousand, and names and English words besides.
Rule 3: only what is set is judged. A login and `verify` are not: who has a passcode keeps it.
"""

from __future__ import annotations

import secrets
import unicodedata
from functools import cache

SHORTEST = 8
"""ASVS 6.2.1: "at least 8 characters in length although a minimum of 15 characters is strongly recommended"."""

LONGEST_MINIMUM = 64
"""In code points. ASVS 6.2.9: "Verify that passwords of at least 64 characters are permitted"."""

LONGEST = 1024
"""In bytes, which is what argon2id is given: 64 code points are at most 256."""

CONTEXT = "dicomgate", "dicom", "pacs"
"""What comes to mind in front of this gateway (ASVS 6.2.11)."""

_SHORTEST_NAME = 3
"""A name of one or two characters is in a good passcode by chance."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters that every keyboard of a modality has and nobody takes for another one: 5 bits each."""

_GENERATED_LENGTH = 26


def unfit(passcode: bytes, user: str, minimum_length: int) -> str:
    """Why this user may not have this passcode, without the one and the other; empty if it will do."""
    if not passcode:
        return "the passcode is empty"
    if len(passcode) > LONGEST:
        return f"the passcode is longer than {LONGEST} bytes"
    try:
        text = passcode.decode("utf-8")
    except UnicodeDecodeError:
        return "the passcode is not UTF-8"
    if any(unicodedata.category(character) == "Cc" for character in text):
        return "the passcode has a control character"
    if len(text) < minimum_length:
        return f"the passcode is shorter than {minimum_length} characters"
    folded = text.casefold()
    if folded in _common():
        return "the passcode is one that many people choose, and that is tried first"
    if len(user) >= _SHORTEST_NAME and user.casefold() in folded:
        return "the passcode contains the name of the user"
    rest = folded
    for word in CONTEXT:
        rest = rest.replace(word, "")
    if len(rest) < minimum_length or rest in _common():
        return f"the passcode is little more than the words {', '.join(CONTEXT)}"
    return ""


def generate(user: str, minimum_length: int) -> bytes:
    """Make a passcode of 130 random bits or more that is fit for the user."""
    length = max(_GENERATED_LENGTH, minimum_length)
    while True:
        passcode = "".join(secrets.choice(_ALPHABET) for _ in range(length)).encode()
        if not unfit(passcode, user, minimum_length):
            return passcode


@cache
def _common() -> frozenset[str]:
    # All of its lists: a passcode that is also a name or a word stands in the list in which its rank is highest.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]  # late: a megabyte of text

    return frozenset().union(*FREQUENCY_LISTS.values())
