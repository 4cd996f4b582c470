"""Which passcodes may be set (long enough, not common, not the user's name), and one that cannot be guessed.

Rule 1: the only rule of form is the length, in code points. NIST SP 800-63B: "Verifiers [...] SHALL NOT impose other
        composition rules", and "each Unicode code point SHALL be counted as a single character".
Rule 2: attackers try common passcodes first. OWASP ASVS 6.2.4 wants at least the top 3,000 of sufficient length
        refused; the lists of zxcvbn have more than ten thousand, and names and English words besides.
Rule 3: only new passcodes are checked. Logins and `verify` are not, so an existing passcode keeps working.
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
"""In bytes, as argon2id takes at most. 64 code points have at most 256 bytes."""

CONTEXT = "dicomgate", "dicom", "pacs"
"""Context-specific words (ASVS 6.2.11): the first guesses at this gateway."""

_SHORTEST_NAME = 3
"""A name of one or two characters is in a good passcode by chance."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 characters that every modality's keyboard has and that cannot be mistaken for each other: 5 bits each."""

_GENERATED_LENGTH = 26


def unfit(passcode: bytes, user: str, minimum_length: int) -> str:
    """Why this user may not have this passcode; empty if it is fine. The reason contains neither of them."""
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
        return "the passcode is a common one, which attackers try first"
    if len(user) >= _SHORTEST_NAME and user.casefold() in folded:
        return "the passcode contains the name of the user"
    rest = folded
    for word in CONTEXT:
        rest = rest.replace(word, "")
    if len(rest) < minimum_length or rest in _common():
        return f"the passcode is little more than the words {', '.join(CONTEXT)}"
    return ""


def generate(user: str, minimum_length: int) -> bytes:
    """A random passcode of 130 bits or more that `unfit` finds nothing wrong with."""
    length = max(_GENERATED_LENGTH, minimum_length)
    while True:
        passcode = "".join(secrets.choice(_ALPHABET) for _ in range(length)).encode()
        if not unfit(passcode, user, minimum_length):
            return passcode


@cache
def _common() -> frozenset[str]:
    # All lists: an entry is only in the one that ranks it highest, so a common passcode may be among the names.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]  # late: a megabyte

    return frozenset().union(*FREQUENCY_LISTS.values())
