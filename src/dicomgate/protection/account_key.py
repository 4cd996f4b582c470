"""The key under which a name is counted: the same for all its spellings.

Deliberately coarser than RFC 8265 (precis-i18n, UsernameCaseMapped): that keeps "sören" and "soren" apart and refuses
names with spaces, but a directory may take all of them for the same user. Two names counted as one only wait for each
other; one name counted as two can be guessed at twice as often.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection
from functools import lru_cache

LONGEST_NAME = 256
"""Characters. Normalising a longer name would take long."""
_LONGEST_KEY = 80
_ALIKE = str.maketrans({"\u0131": "i", "\u00e6": "ae", "\u0153": "oe", "\u00f0": "d", "\u00fe": "th"})
"""Letters that some directories fold and others do not: dotless i, the ligatures ae and oe, eth, thorn."""
_FILLERS = "\u115f\u1160"  # Hangul fillers: letters that are invisible


@lru_cache(maxsize=4096)
def account_key(name: str) -> str:
    """The name without case, spaces, accents and look-alikes: 1 to 80 characters. `name` has up to LONGEST_NAME."""
    plain = "".join(map(_base, unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)))
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", plain) if _counts(letter)) or "?"
    return plain if len(plain) <= _LONGEST_KEY else f"{plain[:60]}~{hashlib.sha256(plain.encode()).hexdigest()[:16]}"


def without_domain(name: str, domains: Collection[str]) -> str:
    r"""The name without the domains that were typed with it: `HOSPITAL\alice`, `alice@hospital.example`, or both.

    `domains` are account keys of domains. Any other domain stays: two people may have the same name in two of them.
    """
    domain, backslash, user = name.partition("\\")
    if not (backslash and user and account_key(domain) in domains):
        user, at, domain = name.rpartition("@")
        if not (at and user and account_key(domain) in domains):
            return name
    # And again: a directory that takes the first away finds the user by the second, and it would be one more counter.
    return without_domain(user, domains)


def _base(letter: str) -> str:
    """The letter without what no normal form removes: "LATIN SMALL LETTER O WITH STROKE"; and one kind of kana."""
    base = unicodedata.name(letter, "").partition(" WITH ")[0].replace("KATAKANA LETTER", "HIRAGANA LETTER")
    try:
        return unicodedata.lookup(base)
    except KeyError:
        return letter


def _counts(letter: str) -> bool:
    """False for what a directory may ignore: spaces, marks, symbols, and letters that are newer than the directory.

    RFC 4518 2.2 and 2.3 map some characters to nothing, and know Unicode 3.2. Active Directory ignores characters that
    have no sorting weight.
    """
    if letter.isascii():
        return letter.isprintable() and letter != " "
    return unicodedata.ucd_3_2_0.category(letter)[0] in "LN" and letter not in _FILLERS
