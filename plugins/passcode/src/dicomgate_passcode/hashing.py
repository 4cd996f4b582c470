"""One passcode hash: which schemes are read, what they may cost, verify and make.

Rule 1: text of any other scheme than these four is never compared with anything, least of all as plain text.
Rule 2: a hash over the caps is refused before it is computed: one line of text must not be able to hang a login.
Rule 3: no message contains a hash or a passcode. The library's messages quote the hash, so its exceptions never
        leave this file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hmac import compare_digest

from passlib.context import CryptContext

from .native_crypt import sha_crypt

DEFAULT_MEMORY_KIB = 19456
DEFAULT_PASSES = 2
"""argon2id with 19 MiB, two passes and one lane: the first choice of the OWASP Password Storage Cheat Sheet."""

MAX_ARGON2_MEMORY_KIB = 1024 * 1024
MAX_ARGON2_PASSES = 10
MAX_ARGON2_LANES = 8
MAX_BCRYPT_ROUNDS = 15
MAX_SHA_CRYPT_ROUNDS = 2_000_000

LONGEST_PASSCODE = {"argon2id": 1024, "bcrypt": 72, "sha512-crypt": 128, "sha256-crypt": 128}
"""In bytes. bcrypt uses only 72; the time of sha-crypt grows with the length, so a long passcode is an attack."""

READABLE = ", ".join(LONGEST_PASSCODE)

CONTEXT = CryptContext(
    schemes=["argon2", "bcrypt", "sha512_crypt", "sha256_crypt"],
    default="argon2",
    argon2__type="ID",
    argon2__memory_cost=DEFAULT_MEMORY_KIB,
    argon2__time_cost=DEFAULT_PASSES,
    argon2__parallelism=1,
)
"""Not one of the library's own contexts: those fall back to comparing the line with the passcode as plain text."""

_HANDLERS = {"argon2id": "argon2", "bcrypt": "bcrypt", "sha512-crypt": "sha512_crypt", "sha256-crypt": "sha256_crypt"}
_PREFIXES = {"$argon2id$": "argon2id", "$6$": "sha512-crypt", "$5$": "sha256-crypt"} | dict.fromkeys(
    ("$2a$", "$2b$", "$2y$"), "bcrypt"
)

# Salts of 8 to 64 and digests of 16 to 64 bytes. The last characters of a bcrypt salt and digest have unused bits.
_GRAMMARS = {
    "argon2id": re.compile(
        r"\$argon2id\$v=19\$m=(?P<memory>\d{1,10}),t=(?P<rounds>\d{1,10}),p=(?P<lanes>\d{1,10})"
        r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}",
        re.ASCII,
    ),
    "bcrypt": re.compile(
        r"\$2[aby]\$(?P<rounds>\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]", re.ASCII
    ),
    "sha512-crypt": re.compile(
        r"\$6\$(?:rounds=(?P<rounds>\d{1,10})\$)?[./A-Za-z0-9]{0,16}\$[./A-Za-z0-9]{86}", re.ASCII
    ),
    "sha256-crypt": re.compile(
        r"\$5\$(?:rounds=(?P<rounds>\d{1,10})\$)?[./A-Za-z0-9]{0,16}\$[./A-Za-z0-9]{43}", re.ASCII
    ),
}

_SHA_CRYPT = "$5$", "$6$"
_SHA_CRYPT_DEFAULT_ROUNDS = 5000
_FOREIGN = {
    "$apr1$": "apr1 (MD5)", "$1$": "md5-crypt", "$y$": "yescrypt", "$7$": "scrypt", "$argon2i$": "argon2i",
    "$argon2d$": "argon2d", "{SHA}": "SHA-1", "{SSHA}": "salted SHA-1", "{PBKDF2": "PBKDF2", "$pbkdf2": "PBKDF2",
}  # fmt: skip
"""Schemes that other programs write and that are not read here, by their prefix."""


class HashingFailedError(MemoryError):
    """The hash could not be computed: not enough memory. It says nothing about the passcode."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one verification costs: the scheme and its parameters.

    `rounds` is the number of argon2 passes, the logarithm of the bcrypt rounds or the number of sha-crypt rounds;
    `memory_kib` and `lanes` are argon2's alone.
    """

    scheme: str
    rounds: int
    memory_kib: int = 0
    lanes: int = 0

    @property
    def outdated(self) -> bool:
        """True if a new hash would be stronger: not argon2id, or less memory or less work than the default."""
        return (
            self.scheme != "argon2id"
            or self.memory_kib < DEFAULT_MEMORY_KIB
            or self.memory_kib * self.rounds < DEFAULT_MEMORY_KIB * DEFAULT_PASSES
        )

    @property
    def over_the_cap(self) -> str:
        """The parameter that is over its cap, for a message; empty if none is."""
        if self.scheme == "argon2id":
            if self.memory_kib > MAX_ARGON2_MEMORY_KIB:
                return f"m={self.memory_kib} is more than {MAX_ARGON2_MEMORY_KIB} (1 GiB)"
            if self.rounds > MAX_ARGON2_PASSES:
                return f"t={self.rounds} is more than {MAX_ARGON2_PASSES}"
            if self.lanes > MAX_ARGON2_LANES:
                return f"p={self.lanes} is more than {MAX_ARGON2_LANES}"
            return ""
        cap = MAX_BCRYPT_ROUNDS if self.scheme == "bcrypt" else MAX_SHA_CRYPT_ROUNDS
        return f"rounds={self.rounds} is more than {cap}" if self.rounds > cap else ""


def read_cost(text: str) -> Cost | None:
    """The cost of the hash `text`; None if its scheme is not readable, so that no passcode can match it.

    Raises ValueError, with a message fit for a log, for a damaged hash of a readable scheme and for one over the caps.
    """
    scheme = next((name for prefix, name in _PREFIXES.items() if text.startswith(prefix)), None)
    if scheme is None:
        return None
    match = _GRAMMARS[scheme].fullmatch(text)
    if match is None:
        raise ValueError(f"the {scheme} hash is damaged or cut off")
    found = match.groupdict()
    cost = Cost(
        scheme,
        rounds=int(found["rounds"] or _SHA_CRYPT_DEFAULT_ROUNDS),
        memory_kib=int(found.get("memory") or 0),
        lanes=int(found.get("lanes") or 0),
    )
    if cost.over_the_cap:
        raise ValueError(f"the {scheme} hash is too expensive: {cost.over_the_cap}")
    if cost.memory_kib < 8 * cost.lanes or not _canonical(scheme, text):
        raise ValueError(f"the {scheme} hash is damaged, or a parameter of it is too low")
    return cost


def foreign_scheme(text: str) -> str:
    """The name of a scheme that is not read, for a message; it does not repeat the text."""
    return next((name for prefix, name in _FOREIGN.items() if text.startswith(prefix)), "unknown")


def _canonical(scheme: str, text: str) -> bool:
    """What the grammar cannot check: leading zeros, the least rounds, unused bits of base64 that are set."""
    try:
        return bool(CONTEXT.handler(_HANDLERS[scheme]).from_string(text).to_string() == text)
    except ValueError:
        return False


def cannot_be_right(passcode: bytes, scheme: str) -> str:
    """Why `passcode` cannot match any hash of this scheme, for the log; empty if it can. Call it before `verify`.

    bcrypt raises at once for more than 72 bytes and for a NUL: an error instead of an answer, and too soon.
    """
    if not passcode:
        return "empty passcode"
    if len(passcode) > LONGEST_PASSCODE[scheme]:
        return f"passcode longer than the {LONGEST_PASSCODE[scheme]} bytes that {scheme} is given"
    return "passcode with a NUL" if b"\0" in passcode else ""


def verify(passcode: bytes, text: str) -> bool:
    """True if `text`, which has a cost (`read_cost`), is the hash of exactly these bytes. Raises HashingFailedError."""
    if text.startswith(_SHA_CRYPT) and (computed := sha_crypt(passcode, text)) is not None:
        return compare_digest(computed, text)
    try:
        return CONTEXT.verify(passcode, text) is True
    except (ValueError, RuntimeError, MemoryError):
        pass  # raised below: in this block its context would be the library's exception, which quotes the hash
    raise HashingFailedError("the hash could not be computed")


def make_hash(passcode: bytes, cost: Cost | None = None) -> str:
    """A new hash of `passcode`: the default argon2id, or of the given cost. Raises HashingFailedError."""
    try:
        if cost is None:
            return str(CONTEXT.hash(passcode))
        settings = {"rounds": cost.rounds}
        if cost.scheme == "argon2id":
            settings |= {"memory_cost": cost.memory_kib, "parallelism": cost.lanes}
        return str(CONTEXT.handler(_HANDLERS[cost.scheme]).using(**settings).hash(passcode))
    except (ValueError, RuntimeError, MemoryError):
        pass
    raise HashingFailedError("the hash could not be computed")
