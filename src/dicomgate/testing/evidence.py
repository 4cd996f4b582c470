"""What a test run wrote, and the secrets that must not be in it.

The passcodes look like nothing else, so that any occurrence of one is a leak.
"""

import base64
import json
from functools import cache
from pathlib import Path
from urllib.parse import quote

ALICE = b"canary-alice-8R2kq0vN"
ZOE = 'canary-zoë-"4\\T 7%x&'.encode()
WRONG = b"canary-wrong-J5tXw1bM"
SECRETS = (ALICE, ZOE, WRONG, b"canary-token-Gm3zP6yd", b"p" * 40, b"e" * 40)
"""The last two are from the rows a7 and a8 of tests/vectors: a long passcode and a long token."""


@cache
def spellings(secret: bytes) -> set[bytes]:
    """Return the secret as it is, and in every way in which a log might write it."""
    text = secret.decode()
    escaped = repr(secret)[2:-1], repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    spelled = {secret, quote(secret).encode(), *(way.encode() for way in escaped)}
    spelled |= {
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
        secret.hex().encode(),
        secret.hex().upper().encode(),
    }
    spelled.add(secret.hex(" ").encode())
    for before, first in enumerate((0, 2, 3)):
        # In base64 the neighbours of a secret change its first and its last character.
        encoded = base64.b64encode(b"\0" * before + secret).rstrip(b"=")[first:-1]
        spelled |= {encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))}
    return spelled


class Evidence:
    """The log of the run, and the audits of all gateways."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "debug.log"
        self.audits = folder / "audits.jsonl"
        self.log.touch()
        self.audits.touch()

    def keep(self, audit: Path) -> None:
        """Keep a copy of an audit file; there is none if no client connected."""
        if audit.exists():
            with self.audits.open("ab") as kept:
                kept.write(audit.read_bytes())

    def found(self) -> list[str]:
        """Return which secret is in which line; the lines themselves are not returned."""
        return [
            f"{file.name}:{number}: secret {SECRETS.index(secret)}, line of {len(line)} bytes"
            for file in (self.log, self.audits)
            for secret in SECRETS
            for number, line in _lines_with(spellings(secret), file.read_bytes())
        ]


def _lines_with(spelled: set[bytes], written: bytes) -> list[tuple[int, bytes]]:
    there = [one for one in spelled if one in written]  # hardly ever one: so no line need be looked at
    lines = enumerate(written.splitlines(), start=1) if there else ()
    return [(number, line) for number, line in lines if any(one in line for one in there)]
